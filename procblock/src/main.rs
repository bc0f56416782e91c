//! The command `procblock`: arguments and exit codes are in the library's `cli`.

use std::process::ExitCode;

/// A page and a step are many short allocations, in Lua and around it; the system's allocator took a tenth of a page's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = procblock::process::internal_command() {
        return code;
    }
    procblock::cli::main(std::env::args_os())
}
