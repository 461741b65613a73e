//! The command line about itself: help, usage errors in one line, completions and manual pages.

use super::{Arguments, print};
use crate::error::{Error, Result};
use crate::kernels::{self, Isa};
use clap::error::ErrorKind;
use clap::{Command, CommandFactory};
use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::LazyLock;

/// The output of `ossia --version`: the version, and the instruction sets of this machine, for a report of speed or of a bug.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    let available: Vec<&str> = Isa::available().into_iter().map(Isa::name).collect();
    match kernels::selected() {
        Err(error) => format!("{version}\n{error}"),
        Ok(isa) => format!(
            "{version}\ninstruction set: {} (of {}; OSSIA_ISA selects another)",
            isa.name(),
            available.join(", ")
        ),
    }
});

/// Prints help and version in full, and a usage error in one line. `given` is what the user has typed.
pub fn explain(error: &clap::Error, given: &[OsString]) -> ExitCode {
    let whole =
        [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    if whole.contains(&error.kind()) {
        // Printing help can only fail if the output is closed.
        _ = error.print();
    } else {
        complain!("{} (see {} --help)", one_line(&error.to_string()), path_of(given));
    }
    if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

/// Joins the lines of an error of clap, without the usage that follows it.
fn one_line(text: &str) -> String {
    let about = |line: &&str| !line.starts_with("Usage") && !line.starts_with("For more information");
    let lines = text.lines().map(str::trim).take_while(about).filter(|line| !line.is_empty());
    let mut joined = String::new();
    for line in lines {
        let separator = match line {
            _ if joined.is_empty() => "",
            _ if line.starts_with('[') || joined.ends_with(':') => " ",
            _ if line.starts_with("tip:") => "; ",
            _ => ", ",
        };
        joined = joined + separator + line;
    }
    joined
}

/// Returns the command that was given, such as `ossia tokenizer train`, as far as there is one.
fn path_of(given: &[OsString]) -> String {
    let mut path = String::from("ossia");
    let mut command = Arguments::command();
    for word in given.iter().skip(1).filter_map(|word| word.to_str()) {
        let Some(next) = command.find_subcommand(word).cloned() else { continue };
        path = path + " " + word;
        command = next;
    }
    path
}

/// Prints a script that completes arguments.
pub fn completions(shell: clap_complete::Shell) -> Result<()> {
    let mut script = Vec::new();
    let all = Arguments::command();
    let visible = all.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let mut program = Command::new("ossia").args(all.get_arguments().cloned()).subcommands(visible);
    clap_complete::generate(shell, &mut program, "ossia", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page of the program, or of a command.
pub fn manual(name: Option<&str>) -> Result<()> {
    let mut program = Arguments::command();
    program.build();
    let page: Command = match name {
        None => program,
        Some(name) => match program.get_subcommands().find(|command| command.get_name() == name) {
            Some(command) => command.clone(),
            None => {
                let names: Vec<&str> =
                    program.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name).collect();
                return Err(Error::argument(format!("there is no command {name}; there are {}", names.join(", "))));
            }
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(|e| Error::io("standard output", "write", e))?;
    print(&String::from_utf8_lossy(&text))
}

#[cfg(test)]
mod tests {
    use super::{one_line, path_of};

    #[test]
    fn usage_errors_are_one_line_with_the_hint_of_clap() {
        for (text, expected) in [
            (
                "error: unexpected argument '--promt' found\n\n  tip: a similar argument exists: '--prompt'\n\nUsage: x\n",
                "error: unexpected argument '--promt' found; tip: a similar argument exists: '--prompt'",
            ),
            (
                "error: the following required arguments were not provided:\n  --data <PATH>...\n  <MODEL>\n\nUsage: y",
                "error: the following required arguments were not provided: --data <PATH>..., <MODEL>",
            ),
            (
                "error: invalid value 'x' for '--to <F>'\n  [possible values: a, b]\n\nFor more information, try '--help'.\n",
                "error: invalid value 'x' for '--to <F>' [possible values: a, b]",
            ),
        ] {
            assert_eq!(one_line(text), expected);
        }
        let given = ["ossia", "-q", "tokenizer", "train", "--data"].map(Into::into);
        assert_eq!(path_of(&given), "ossia tokenizer train");
    }
}
