//! How a child ended, in a user's words: which of its limits a signal probably stands for.

use super::command::{Limits, Status};
use crate::units::{format_duration, format_size};

/// Why a child that did not succeed ended, and whether one of its limits did it.
///
/// ```
/// use procblock::process::{Limits, Status, reason};
/// let limits = Limits { cpu: Some(std::time::Duration::from_secs(2)), ..Limits::default() };
/// let (text, is_limit) = reason(Status::Signaled(24), &limits);
/// assert_eq!((text.as_str(), is_limit), ("was ended by SIGXCPU: it used more CPU time than its limit of 2s", true));
/// ```
pub fn reason(status: Status, limits: &Limits) -> (String, bool) {
    let (signal, text) = match status {
        // What a shell gives for a program in it that a signal ended.
        Status::Exited(code @ 129..=192) => (code - 128, format!("exited with code {code}")),
        Status::Exited(code) => return (format!("exited with code {code}"), false),
        Status::Signaled(signal) => (signal, format!("was ended by {}", signal_name(signal))),
    };
    let is_own = matches!(status, Status::Signaled(_));
    match cause(signal, limits, is_own) {
        Some((cause, is_limit)) => (format!("{text}: {cause}"), is_limit),
        None => (text, false),
    }
}

/// What the signal says; `is_own` when the child itself got it.
fn cause(signal: i32, limits: &Limits, is_own: bool) -> Option<(String, bool)> {
    let cpu = limits.cpu.map(format_duration);
    let memory = limits.memory.map(format_size);
    match (signal, cpu, memory) {
        (nix::libc::SIGXCPU, Some(limit), _) => {
            Some((format!("it used more CPU time than its limit of {limit}"), true))
        }
        (nix::libc::SIGXCPU, None, _) if is_own => {
            Some(("it used more CPU time than the limit it inherited (ulimit -t)".into(), true))
        }
        (nix::libc::SIGXFSZ, ..) => {
            Some(("it wrote a file larger than it may (ulimit -f of whoever started procblock)".into(), true))
        }
        (nix::libc::SIGKILL | nix::libc::SIGSEGV | nix::libc::SIGBUS | nix::libc::SIGABRT, _, Some(limit)) => {
            Some((format!("perhaps for want of memory, its limit is {limit}"), false))
        }
        (nix::libc::SIGKILL, Some(limit), _) => {
            Some((format!("perhaps for its CPU time, the limit is {limit}"), false))
        }
        (nix::libc::SIGKILL, ..) if is_own => {
            Some(("by another program, or by the kernel for want of memory (see dmesg)".into(), false))
        }
        _ => None,
    }
}

fn signal_name(signal: i32) -> String {
    match nix::sys::signal::Signal::try_from(signal) {
        Ok(name) => name.as_str().to_owned(),
        Err(_) => format!("signal {signal}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_named_with_the_limit_it_probably_stands_for() {
        let none = Limits::default();
        let memory = Limits { memory: Some(64 << 20), ..none };
        let cases = [
            (Status::Exited(3), none, "exited with code 3"),
            (Status::Exited(137), none, "exited with code 137"),
            (Status::Exited(137), memory, "exited with code 137: perhaps for want of memory, its limit is 64MiB"),
            (Status::Exited(200), memory, "exited with code 200"),
            (Status::Signaled(15), memory, "was ended by SIGTERM"),
            (Status::Signaled(63), memory, "was ended by signal 63"),
            (Status::Signaled(11), memory, "was ended by SIGSEGV: perhaps for want of memory, its limit is 64MiB"),
        ];
        for (status, limits, expected) in cases {
            assert_eq!(reason(status, &limits), (expected.to_owned(), false), "{status:?}");
        }
        assert!(reason(Status::Signaled(25), &none).1);
        assert!(reason(Status::Signaled(9), &none).0.contains("the kernel for want of memory"));
    }
}
