//! `ossia eval --task`: the table of right answers.

use super::print;
use super::results::ArithmeticResults;
use crate::error::{Error, Result};
use crate::harmony::{Effort, Harmony};
use crate::model::Transformer;
use crate::tasks::arithmetic::{Score, quiz};
use crate::tasks::questions::Questions;
use crate::tasks::{Problem, Rollout, Rollouts, Task};
use crate::tokenizer::Tokenizer;
use std::path::Path;

/// Prints how well held-out questions are answered at each effort, and after how much analysis. Returns what it prints.
///
/// # Errors
/// If the model was not trained for the task.
pub fn evaluate(model: &Transformer, tokenizer: &Tokenizer, questions: usize, seeds: u64) -> Result<ArithmeticResults> {
    print(&format!("{questions} held-out questions of each kind from each of {seeds} seeds\n\n"))?;
    print("                       right answers, all seeds (lowest–highest)          tokens of analysis\n")?;
    print("                   low                medium             high             low  medium   high\n")?;
    let (mut all, mut products) = ([Score::default(); 3], [Score::default(); 3]);
    for kind in [Some(2), Some(3), Some(4), Some(5), None] {
        let mut row = Vec::new();
        let sums_or_products = if kind.is_some() { &mut all } else { &mut products };
        for (effort, all) in Effort::ALL.into_iter().zip(sums_or_products) {
            let scores: Result<Vec<Score>> =
                (0..seeds).map(|seed| quiz(model, tokenizer, kind, effort, questions, seed)).collect();
            let scores = scores?;
            scores.iter().for_each(|score| *all += *score);
            row.push(scores);
        }
        let name = kind.map_or("products, Python".into(), |terms| format!("{terms} terms"));
        print(&format!("{name:18} {}\n", line(&row)))?;
    }
    print(&format!("{:18} {}\n", "all sums", line(&all.map(|score| vec![score]))))?;
    Ok(ArithmeticResults { sums: all.into(), products: products.into() })
}

fn line(efforts: &[Vec<Score>]) -> String {
    let sums: Vec<Score> = efforts.iter().map(|seeds| seeds.iter().copied().sum()).collect();
    let right = efforts.iter().zip(&sums).map(|(seeds, sum)| {
        let percent = |score: &Score| 100.0 * score.accuracy();
        let lowest = seeds.iter().map(percent).fold(f64::INFINITY, f64::min);
        let highest = seeds.iter().map(percent).fold(0.0, f64::max);
        let range = if seeds.len() > 1 { format!("({lowest:.0}–{highest:.0})") } else { String::new() };
        format!("{:5.1} % {range:10}", percent(sum))
    });
    let analysis = sums.iter().map(|sum| format!("{:6.1}", sum.mean_analysis()));
    format!("{} {}", right.collect::<Vec<_>>().join(" "), analysis.collect::<Vec<_>>().join(" "))
}

/// Checks the argument of `flag`, which names a task.
///
/// # Errors
/// If it is neither the built-in task nor a file.
pub fn check_name(flag: &str, name: &Path) -> Result<()> {
    match name == Path::new(Task::ARITHMETIC) || name.is_file() {
        true => Ok(()),
        false => Err(Error::argument(format!(
            "{flag} {}: expected arithmetic, or a JSONL file of {{\"question\": …, \"answer\": …}}",
            name.display()
        ))),
    }
}

/// The most tokens of an answer to a question of a file.
const LONGEST: usize = 1024;

/// Asks all questions of a file at each effort, and prints how many answers are right and how long they are.
///
/// # Errors
/// If a question does not fit in the context of the model.
pub fn ask_all(model: &Transformer, tokenizer: &Tokenizer, questions: &Questions) -> Result<()> {
    let rollouts = Rollouts {
        harmony: Harmony::new(tokenizer)?,
        longest: LONGEST,
        temperature: 0.0,
        tools: &|| Box::new(|_| None),
        record_routing: false,
    };
    let held_out = questions.choices(true);
    print(&format!("{} questions, of which {} are held out from training\n\n", questions.count(), held_out.len()))?;
    print("          right, all   held out   tokens\n")?;
    for effort in Effort::ALL {
        let problems: Vec<Problem> = (0..questions.count()).map(|i| questions.problem(i, effort)).collect();
        let answers = rollouts.draw(model, &problems, 1, 0)?.concat();
        let right: Vec<bool> =
            problems.iter().zip(&answers).map(|(problem, rollout)| problem.answer.accepts(&rollout.answer())).collect();
        let percent = |of: &[usize]| 100.0 * of.iter().filter(|i| right[**i]).count() as f64 / of.len() as f64;
        let all: Vec<usize> = (0..right.len()).collect();
        let tokens = answers.iter().map(Rollout::length).sum::<usize>() as f64 / answers.len() as f64;
        print(&format!("{:8} {:8.1} % {:8.1} % {tokens:8.1}\n", effort.name(), percent(&all), percent(held_out)))?;
    }
    Ok(())
}
