//! `ossia schema`

use super::generate::{parse_schema, read_schema, report_unknown_formats};
use super::{print, standard_input};
use crate::error::{Error, Result};
use crate::schema::{Judge, Rejection};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check JSON Schemas, and check JSON texts against them
#[derive(clap::Subcommand)]
pub enum Command {
    Check(CheckArguments),
}

/// Tell whether a schema is supported, and whether it accepts a JSON text
///
/// Prints "supported", or with an instance "accepted" or "rejected at byte N" and what was expected there. The grammar
/// is the one that constrains a model: members come in the order of the schema. The exit code is 0, 1 if the instance is
/// rejected, or 2 if the schema is refused.
///
/// Example: ossia schema check letter.json reply.json
#[derive(clap::Args)]
pub struct CheckArguments {
    /// A file with a JSON Schema, or - for standard input
    schema: PathBuf,
    /// A file with a JSON text, or - for standard input
    instance: Option<PathBuf>,
}

/// The number of bytes of an instance that are read at once.
const CHUNK: usize = 1 << 16;

pub fn run(command: Command) -> Result<ExitCode> {
    let Command::Check(CheckArguments { schema, instance }) = command;
    if instance.as_ref().is_some_and(|instance| is_standard_input(instance)) && is_standard_input(&schema) {
        return Err(Error::argument("only one of the schema and the instance can be read from standard input"));
    }
    let value = match is_standard_input(&schema) {
        true => parse_schema(&schema, &standard_input()?)?,
        false => read_schema(&schema)?,
    };
    let judge = Judge::new(&value).map_err(|e| Error::invalid(&schema, e))?;
    report_unknown_formats(judge.unknown_formats());
    let Some(instance) = instance else {
        return print("supported\n").map(|()| ExitCode::SUCCESS);
    };
    let verdict = match is_standard_input(&instance) {
        true => verdict(judge, io::stdin().lock()),
        false => File::open(&instance).and_then(|file| verdict(judge, file)),
    };
    match verdict.map_err(|e| Error::io(&instance, "read", e))? {
        Ok(()) => print("accepted\n").map(|()| ExitCode::SUCCESS),
        Err(rejection) => print(&format!("{rejection}\n")).map(|()| ExitCode::from(1)),
    }
}

/// Reads a text to its end, or to the byte at which it is rejected.
fn verdict(mut judge: Judge, mut text: impl Read) -> io::Result<std::result::Result<(), Rejection>> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match text.read(&mut chunk) {
            Ok(0) => return Ok(judge.finish()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if let Err(rejection) = judge.read(&chunk[..length]) {
            return Ok(Err(rejection));
        }
    }
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}
