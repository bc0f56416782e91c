//! What the keeper makes of the process it finds itself in, so that no child inherits anything by accident: signals,
//! descriptors, terminal and folder.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGXFSZ,
};

/// Signals that the keeper passes over: it lives as long as its runner. Being caught, not ignored, each is back at
/// its default in the children, even when procblock itself was started by `nohup`.
const PASSED_OVER: [i32; 11] =
    [SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGXFSZ];

/// Leaves the terminal and the folder, closes what was inherited, becomes a subreaper.
pub(super) fn prepare() -> io::Result<()> {
    // Without a terminal of its own no child can be stopped by it, or wait at it for a password.
    let _ = rustix::process::setsid();
    for signal in PASSED_OVER {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    SigSet::empty().thread_set_mask()?;
    close_inherited()?;
    nix::sys::prctl::set_child_subreaper(true)?;
    // Not "procblock": `pkill -9 procblock` would take the keeper with the runner and leave their children to nobody.
    nix::sys::prctl::set_name(c"pb-keeper")?;
    std::env::set_current_dir("/")
}

/// Descriptors over 2 that the runner's own starter left open, of make or a shell.
fn close_inherited() -> io::Result<()> {
    let inherited: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|descriptor| *descriptor > 2)
        .collect();
    for descriptor in inherited {
        // The listing's own one is closed by now.
        let _ = nix::unistd::close(descriptor);
    }
    Ok(())
}

/// The runner's socket: standard input.
pub(super) fn control_socket() -> io::Result<OwnedFd> {
    let control = io::stdin().as_fd().try_clone_to_owned()?;
    rustix::net::sockopt::socket_type(&control).map_err(|_| {
        io::Error::other("this command is started by procblock itself, with a socket as standard input")
    })?;
    // Standard input itself would stay open in no child, but it would keep the socket's other end from closing.
    nix::unistd::dup2_stdin(fs::File::open("/dev/null")?)?;
    Ok(control)
}

/// Readable when a child ended. The signal is blocked from here on, in this process and not in its children.
pub(super) fn child_signals() -> io::Result<SignalFd> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    Ok(SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}
