//! The command `procblock`: arguments and exit codes.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = procblock::process::internal_command() {
        return code;
    }
    ExitCode::SUCCESS
}
