//! How many files a process may have open: the runner as many as the system lets it, because each connection is one; its
//! children what it was started with, because programs that use select(2) fail with more than 1,024 (systemd.exec(5)).

use std::sync::OnceLock;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More would be of no use, and the kernel's table of them grows with it.
const OPEN_MAX: u64 = 65_536;

/// What this process was started with, which the kernel does not keep.
static STARTED_WITH: OnceLock<u64> = OnceLock::new();

/// Lets this process open up to 65,536 files, or as many as the system allows it. Its children are to be started with
/// [`started_with`].
pub(crate) fn raise() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let wanted = hard.min(OPEN_MAX);
    if STARTED_WITH.set(soft).is_ok()
        && soft < wanted
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
    {
        log::warn!("no more than {soft} files and connections can be open at once: {error}");
    }
}

/// The limit before it was raised; none if it was not.
pub(super) fn started_with() -> Option<u64> {
    STARTED_WITH.get().copied()
}

/// Goes back to a limit, for what this process starts.
pub(super) fn go_back_to(soft: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard)
}
