//! The command `procblock`: arguments and exit codes.

fn main() {}
