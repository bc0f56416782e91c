//! The built binaries, run as a user runs them: standard output, standard error, exit code and files.
