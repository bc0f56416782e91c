//! Which program links librrd.

use std::process::Command;

fn libraries(program: &str) -> String {
    let output = Command::new("ldd").arg(program).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn only_the_helper_links_librrd() {
    assert!(libraries(env!("CARGO_BIN_EXE_procblock-series")).contains("librrd.so"));
    let runner = libraries(env!("CARGO_BIN_EXE_procblock"));
    assert!(runner.contains("libc.so") && !runner.contains("librrd"), "{runner}");
}
