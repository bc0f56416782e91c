//! The command `procblock-series`: the only program of the project that links librrd.

fn main() {}
