//! `report.md`: what a speedrun has done, how long it took, and how good its models are.

use super::record::{Record, SpeedrunDirectory};
use super::stages::{FINE_TUNED, PRETRAINED, QUANTIZED, REINFORCED, Stage, results, shown};
use super::transcript::{Questions, Transcript, ask, text};
use crate::checkpoint::report::published;
use crate::checkpoint::{CONFIG, WEIGHTS};
use crate::cli::progress::clock;
use crate::cli::results::{ArithmeticResults, Results, Scores, TextResults};
use crate::cli::thousands;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::files::write_atomically;
use crate::kernels::parallel;
use crate::tasks::arithmetic::Score;
use std::fs;
use std::path::Path;

/// The name of the report.
pub const FILE: &str = "report.md";

/// The curves of the stages: the file, its heading, and what it shows.
const CURVES: [[&str; 3]; 3] = [
    ["pretrained/loss.svg", "Pretraining", "The loss per step, the validation loss, and the entropy floor."],
    ["finetuned/loss.svg", "Fine-tuning", "The loss per step, and the validation loss."],
    ["reinforced/rewards.svg", "Reinforcement learning", "Right answers, tokens and rewards at each effort."],
];

/// Writes the report. Returns its table.
///
/// # Errors
/// If a result or a model cannot be read, or the report cannot be written.
pub fn write(directory: &SpeedrunDirectory, record: &Record, stages: &[Stage]) -> Result<String> {
    let table = table(directory.path())?;
    let questions = Questions::of_seed(record.choices.seed);
    let before = ask(&directory.file(FINE_TUNED), &questions)?;
    let after = ask(&directory.file(REINFORCED), &questions)?;
    let text = [
        introduction(directory, record, stages)?,
        format!("## Results\n\n{table}\n{}", explanation(directory.path(), record)?),
        timetable(record, stages),
        curves(directory.path()),
        conversations(&questions, &before, &after),
    ];
    write_atomically(&directory.file(FILE), text.join("\n").as_bytes())?;
    Ok(table)
}

/// Returns the name of the processor, as far as the system says it.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    name.unwrap_or(std::env::consts::ARCH).to_string()
}

/// Returns the time of all stages.
fn total(record: &Record, stages: &[Stage]) -> String {
    let finished: Vec<_> = stages.iter().filter_map(|stage| record.finished(&stage.name)).collect();
    time(finished.iter().map(|stage| stage.seconds).sum(), finished.iter().all(|stage| stage.is_whole()))
}

/// Returns a time. That of a stage that was killed is longer than what was measured.
fn time(seconds: f64, is_whole: bool) -> String {
    if is_whole { clock(seconds) } else { format!("more than {}", clock(seconds)) }
}

fn introduction(directory: &SpeedrunDirectory, record: &Record, stages: &[Stage]) -> Result<String> {
    let config = ModelConfig::load(directory.file(REINFORCED).join(CONFIG))?;
    Ok(format!(
        "# From nothing to an assistant\n\n\
         `ossia speedrun` wrote this report. In {}, it trained a model with {} parameters from random numbers: first on stories, \
         then on conversations with sums and calls of Python, and then by rewards. At the end, it quantized the model. It used \
         {} threads on this processor: {}. The seed is {}.\n",
        total(record, stages),
        thousands(published(&config).total().parameters),
        parallel::threads(),
        processor(),
        record.choices.seed
    ))
}

/// Returns the table, with one row per model.
fn table(out: &Path) -> Result<String> {
    let mut text = String::from(
        "| model | sums right: low, medium, high effort | products right | tokens of analysis: low, medium, high | \
         stories well-formed | validation loss | size |\n|---|---|---|---|---|---|---|\n",
    );
    let rows =
        [("pretrained", PRETRAINED), ("fine-tuned", FINE_TUNED), ("reinforced", REINFORCED), ("quantized", QUANTIZED)];
    for (name, model) in rows {
        let weights = out.join(model).join(WEIGHTS);
        let bytes = fs::metadata(&weights).map_err(|e| Error::io(&weights, "read", e))?.len();
        let cells = match Results::load(&results(out, model))? {
            Results::Text(results) => stories(&results),
            Results::Arithmetic(results) => answers(&results),
        };
        text += &format!("| {name} | {} | {:.1} MB |\n", cells.join(" | "), bytes as f64 / 1e6);
    }
    Ok(text)
}

/// Returns the cells of a model that tells stories.
fn stories(results: &TextResults) -> [String; 5] {
    let told = results.stories.first();
    let told = told.map(|told| format!("{} of {}", told.well_formed, told.told));
    let none = || "–".to_string();
    [none(), none(), none(), told.unwrap_or_else(none), format!("{:.4}", results.loss)]
}

/// Returns the cells of a model that answers questions.
fn answers(results: &ArithmeticResults) -> [String; 5] {
    let joined = |scores: &Scores, shown: fn(&Score) -> String| scores.all().map(|score| shown(&score)).join(", ");
    let products: Score = results.products.all().into_iter().sum();
    let percent = |score: &Score| format!("{:.0} %", 100.0 * score.accuracy());
    [
        joined(&results.sums, percent),
        percent(&products),
        joined(&results.sums, |score| format!("{:.0}", score.mean_analysis())),
        "–".into(),
        "–".into(),
    ]
}

/// Explains the table.
fn explanation(out: &Path, record: &Record) -> Result<String> {
    let floor = match Results::load(&results(out, PRETRAINED))? {
        Results::Text(TextResults { entropy_floor: Some(floor), .. }) => {
            format!(" No model can get below {floor:.4} there, the entropy floor.")
        }
        _ => String::new(),
    };
    let questions = record.choices.questions;
    Ok(format!(
        "All questions are held out from training. A percentage for sums is the share of right answers to {} sums of two to five \
         terms, and the one for products the share of right answers to {} products. The model always chooses the most probable \
         token. A product is right if the model calls Python with the right program and then answers with the product. Stories \
         are generated at temperature 0.7. The validation loss is in nats per token, on built-in stories that no run is \
         trained on.{floor}\n",
        4 * questions,
        3 * questions
    ))
}

/// Returns the commands and their times.
fn timetable(record: &Record, stages: &[Stage]) -> String {
    let mut rows = String::new();
    for Stage { name, purpose, .. } in stages {
        let time = record.finished(name).map_or_else(String::new, |stage| time(stage.seconds, stage.is_whole()));
        rows += &format!("| {name} | {purpose} | {time} |\n");
    }
    let commands: String = stages.iter().map(|stage| format!("{}\n", shown(&stage.command))).collect();
    format!(
        "## Stages\n\n| stage | purpose | time |\n|---|---|---|\n{rows}| all | | {} |\n\n\
         These commands, one after the other, make the same models:\n\n```sh\n{commands}```\n",
        total(record, stages)
    )
}

/// Returns the curves that were drawn.
fn curves(out: &Path) -> String {
    let drawn = CURVES.iter().filter(|[file, ..]| out.join(file).exists());
    let all: String =
        drawn.map(|[file, heading, text]| format!("\n### {heading}\n\n{text}\n\n![{heading}]({file})\n")).collect();
    if all.is_empty() { all } else { format!("## Curves\n{all}") }
}

/// Returns what the model answered before and after reinforcement learning.
fn conversations(questions: &Questions, before: &Transcript, after: &Transcript) -> String {
    let mut text = format!(
        "## Conversations\n\nThe same questions before and after reinforcement learning. Training contains neither of them.\n\n\
         ### {}\n",
        text(&questions.sum)
    );
    for (i, effort) in ["Low", "Medium", "High"].iter().enumerate() {
        text += &format!(
            "\n**{effort} effort, fine-tuned:** {}\n**{effort} effort, reinforced:** {}",
            before.sums[i], after.sums[i]
        );
    }
    text + &format!(
        "\n### {}\n\n**Fine-tuned:** {}\n**Reinforced:** {}",
        self::text(&questions.product),
        before.product,
        after.product
    )
}
