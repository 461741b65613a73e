//! Tasks: answers that can be checked, and questions of files.

use ossia::harmony::{Effort, SystemContent};
use ossia::tasks::{Answer, Problem, Task};
use serde_json::{Value, json};

#[test]
fn rl_answers_are_checked() {
    let accepts = |answer: Value, text: &str| Answer::from_json(&answer).unwrap().accepts(text);
    for (answer, right, wrong) in [
        (json!(12), vec!["12", " 12\n", "12.0", "1.2e1"], vec!["13", "", "twelve", "12 apples", "NaN"]),
        (json!(-0.5), vec!["-0.5", "-.5"], vec!["0.5"]),
        (json!("Paris"), vec!["Paris", " Paris "], vec!["paris", "Paris."]),
        (json!({"pattern": "(?i)(red|blue)\\.?"}), vec!["Red", "blue."], vec!["red blue", "infrared", ""]),
        (json!({"pattern": "\\d+ €"}), vec!["12 €"], vec!["€"]),
    ] {
        assert!(right.iter().all(|text| accepts(answer.clone(), text)), "{answer}");
        assert!(!wrong.iter().any(|text| accepts(answer.clone(), text)), "{answer}");
    }
    for (answer, expected) in [
        (json!([1]), "answer: expected a number, a text, or {\"pattern\": \"…\"}"),
        (json!({"regex": "a"}), "answer: expected {\"pattern\": \"…\"}"),
        (json!({"pattern": "(a"}), "answer.pattern: \"(a\" is malformed"),
        (json!(true), "answer: expected a number, a text, or {\"pattern\": \"…\"}"),
    ] {
        assert_eq!(Answer::from_json(&answer).unwrap_err(), expected);
    }
}

#[test]
fn rl_questions_of_a_file_keep_their_held_out_part() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("q.jsonl");
    let line = |i: usize| json!({"question": format!("What is {i} + 1?"), "answer": i + 1}).to_string() + "\n";
    std::fs::write(&path, (0..20).map(line).collect::<String>()).unwrap();
    let task = Task::open(&path, SystemContent::default()).unwrap();
    let asked = |held_out: bool| -> std::collections::BTreeSet<String> {
        (0..300).map(|i| task.problem(1, i, held_out).messages[1].text()).collect()
    };
    let [training, held_out] = [false, true].map(asked);
    assert_eq!((training.len(), held_out.len()), (18, 2));
    assert!(training.is_disjoint(&held_out));
    let problems: Vec<Problem> = (0..3).map(|i| task.problem(1, i, false)).collect();
    assert!(
        problems.iter().all(|p| p.messages[1].text() == problems[0].messages[1].text()),
        "one question, three efforts"
    );
    assert_eq!(problems.iter().map(|p| p.effort).collect::<Vec<_>>(), Effort::ALL);
    std::fs::write(&path, line(1) + &line(2)).unwrap();
    assert_ne!(Task::open(&path, SystemContent::default()).unwrap().fingerprint(), task.fingerprint());
}
