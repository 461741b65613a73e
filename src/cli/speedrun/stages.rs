//! The stages of a speedrun: their commands, and how a stage that was stopped continues.

use super::choices::Choices;
use super::numbers::{FINE_TUNING, Numbers, PRETRAINING, REINFORCEMENT};
use crate::error::{Error, Result};
use crate::train::RunDirectory;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

/// The name of the model after pretraining, and of its directory.
pub const PRETRAINED: &str = "pretrained";
/// The name of the model after fine-tuning.
pub const FINE_TUNED: &str = "finetuned";
/// The name of the model after reinforcement learning.
pub const REINFORCED: &str = "reinforced";
/// The name of the quantized model.
pub const QUANTIZED: &str = "quantized";

/// The product of a stage.
enum Product {
    /// Files that the command replaces.
    Files,
    /// A directory that has to be empty when the command starts.
    Directory(PathBuf),
    /// A run, which can be resumed.
    Run(RunDirectory),
}

/// A stage: one command.
pub struct Stage {
    /// The name.
    pub name: String,
    /// What the stage is for.
    pub purpose: String,
    /// The command line, with the name of the program.
    pub command: Vec<OsString>,
    product: Product,
}

/// The continuation of a stage.
pub enum Start {
    /// With this command: its own one, or the one that resumes a run.
    With(Vec<OsString>),
    /// Not at all: it has finished, but this was not recorded.
    Finished,
}

/// Returns the stages of a speedrun in the directory `out`, in order.
pub fn stages(out: &Path, choices: &Choices) -> Vec<Stage> {
    let [pretraining, fine_tuning, reinforcement] = choices.steps;
    let [tokenizer, pretrained, fine_tuned, reinforced, quantized] =
        ["tokenizer", PRETRAINED, FINE_TUNED, REINFORCED, QUANTIZED].map(|name| out.join(name));
    let architecture = match (&choices.config, &choices.preset) {
        (Some(path), _) => line(&[&"--config", &path.as_ref()]),
        (None, preset) => line(&[&"--preset", &preset.as_deref().unwrap_or("nano")]),
    };
    let seed = choices.seed.to_string();
    let train = |name: &str, purpose: &str, start: Vec<OsString>, numbers: &Numbers, steps: u64| {
        let arguments = numbers.arguments.iter().map(OsString::from);
        let run = line(&[&"--steps", &steps.to_string(), &"--seed", &seed, &"--out", &out.join(name)]);
        let command = line(&[&"ossia", &"train"]).into_iter().chain(start).chain(arguments).chain(run).collect();
        Stage {
            name: name.into(),
            purpose: purpose.into(),
            command,
            product: Product::Run(RunDirectory::new(out.join(name))),
        }
    };
    let questions = choices.questions.to_string();
    let task = line(&[&"--task", &"arithmetic", &"--questions", &questions, &"--seeds", &"1"]);
    let stories = line(&[&"--data", &"builtin", &"--tell", &questions, &"--departures", &"0"]);
    let eval = |model: &str, arguments: &[OsString]| {
        let command = line(&[&"ossia", &"eval", &out.join(model)]);
        let command = [&command, arguments, &line(&[&"--json", &results(out, model)])].concat();
        let purpose = format!("measures the model `{model}`");
        Stage { name: format!("eval-{model}"), purpose, command, product: Product::Files }
    };
    let words = [&"ossia", &"tokenizer", &"train", &"--data", &"builtin", &"--task", &"arithmetic", &"--harmony"];
    let words = words.map(|word| word as &dyn AsRef<OsStr>);
    let size = choices.vocabulary.to_string();
    vec![
        Stage {
            name: "tokenizer".into(),
            purpose: "learns which pieces of text are tokens".into(),
            command: [line(&words), line(&[&"--vocab-size", &size, &"--out", &tokenizer])].concat(),
            product: Product::Files,
        },
        train(
            PRETRAINED,
            "pretraining: learns language from stories",
            [architecture, line(&[&"--tokenizer", &tokenizer])].concat(),
            &PRETRAINING,
            pretraining,
        ),
        eval(PRETRAINED, &stories),
        train(
            FINE_TUNED,
            "fine-tuning: learns conversations with sums and with calls of Python",
            line(&[&"--init", &pretrained]),
            &FINE_TUNING,
            fine_tuning,
        ),
        eval(FINE_TUNED, &task),
        train(
            REINFORCED,
            "reinforcement learning: learns from rewards what an effort means",
            line(&[&"--init", &fine_tuned]),
            &REINFORCEMENT,
            reinforcement,
        ),
        eval(REINFORCED, &task),
        Stage {
            name: QUANTIZED.into(),
            purpose: "stores the experts in four bits".into(),
            command: line(&[&"ossia", &"quantize", &reinforced, &quantized]),
            product: Product::Directory(quantized.clone()),
        },
        eval(QUANTIZED, &task),
    ]
}

/// Returns the words of a command line.
fn line(words: &[&dyn AsRef<OsStr>]) -> Vec<OsString> {
    words.iter().map(|word| word.as_ref().to_os_string()).collect()
}

/// Returns the file with the results of a model.
pub fn results(out: &Path, model: &str) -> PathBuf {
    out.join(format!("eval-{model}.json"))
}

impl Stage {
    /// Decides how the stage continues, and removes what a killed process has left and no command can continue.
    ///
    /// # Errors
    /// If a run is damaged, or another process works in its directory.
    pub fn start(&self) -> Result<Start> {
        let begin = || Start::With(self.command.clone());
        match &self.product {
            Product::Files => Ok(begin()),
            Product::Directory(path) => remove(path).map(|()| begin()),
            // Killed before the run had all files that it needs to start.
            Product::Run(run) if !run.has_run() => remove(run.path()).map(|()| begin()),
            Product::Run(run) if run.is_complete()? => Ok(Start::Finished),
            Product::Run(run) => Ok(Start::With(line(&[&"ossia", &"train", &"--resume", &"--out", &run.path()]))),
        }
    }
}

/// Removes a directory of the speedrun, if it exists.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, "remove", e)),
        _ => Ok(()),
    }
}

/// Returns a command line as a user types it.
pub fn shown(command: &[OsString]) -> String {
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Returns a word as a user types it in a shell.
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    let word = word.as_ref().to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "-_./,:=+".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.into_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_for_a_shell() {
        assert_eq!(quoted("runs/a-1.json"), "runs/a-1.json");
        assert_eq!(quoted("my run"), "'my run'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
