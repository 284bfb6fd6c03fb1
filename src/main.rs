//! The program: hands the command line over and says how it went.

use std::process::ExitCode;

fn main() -> ExitCode {
    hostler::cli::main(std::env::args_os()).into()
}
