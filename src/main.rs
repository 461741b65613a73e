//! The program `ossia`: arguments in, exit code out. See [`ossia::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    ossia::cli::main(std::env::args_os())
}
