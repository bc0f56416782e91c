//! Smaller relocations, which the loader works off at each start, where the C library knows them.

use std::process::Command;

/// The first glibc that reads them (its release notes of 2022-08).
const GLIBC: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is_here = std::env::var("TARGET") == std::env::var("HOST");
    if is_here && std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu") && glibc() >= Some(GLIBC) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's C library.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
