//! The command `procblock`: arguments and exit codes are in the library's `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = procblock::process::internal_command() {
        return code;
    }
    procblock::cli::main(std::env::args_os())
}
