//! The answers of the pages: they are the numbers of the library, and a bad question is an error.

mod gradients;
mod models;
mod mxfp4;
mod ops;
mod rotary;
mod training;

use live::Live;
use serde_json::Value;

/// Asks a question that has an answer.
#[track_caller]
fn ask(page: &str, question: Value) -> Value {
    let answer = Live::default().ask(page, &question.to_string());
    serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{page} {question}: {error}"))).unwrap()
}

/// Asks a question that has no answer. Returns the error, which is one line.
#[track_caller]
fn refused(page: &str, question: Value) -> String {
    let error = Live::default().ask(page, &question.to_string()).expect_err(&format!("{page} {question}")).to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

/// Returns a list of numbers of an answer.
#[track_caller]
fn numbers(list: &Value) -> Vec<f32> {
    list.as_array().expect("a list").iter().map(number).collect()
}

#[track_caller]
fn number(number: &Value) -> f32 {
    number.as_f64().expect("a number") as f32
}
