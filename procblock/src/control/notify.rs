//! Telling systemd what the instance does (sd_notify(3)).

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::host::BoxFuture;

/// How long the service manager may keep a message from being sent.
const SEND_MAX: Duration = Duration::from_secs(5);

/// The service manager's socket.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    address: SocketAddr,
    watchdog: Option<Duration>,
}

impl Notify {
    /// From `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`; none when no service manager asked to be told.
    pub fn of_process() -> Option<Self> {
        let address = std::env::var_os("NOTIFY_SOCKET").filter(|value| !value.is_empty())?;
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let is_for_us = number("WATCHDOG_PID").is_none_or(|process| process == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|period| is_for_us && *period > 0).map(Duration::from_micros);
        match Self::to(&address, watchdog) {
            Ok(notify) => Some(notify),
            Err(error) => {
                log::warn!("NOTIFY_SOCKET {}: {error}; the service manager is not told", address.display());
                None
            }
        }
    }

    /// To a socket: a path, or `@` and an abstract name. `watchdog` is the period within which a sign of life is wanted.
    ///
    /// # Errors
    /// It is no such address, or no socket can be made.
    pub fn to(address: &OsStr, watchdog: Option<Duration>) -> std::io::Result<Self> {
        let address = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
            [b'/', ..] => SocketAddr::from_pathname(address)?,
            _ => {
                let text = "expected a path or an abstract name";
                return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(SEND_MAX))?;
        Ok(Notify { socket, address, watchdog })
    }

    /// The instance does its work; after a reload too.
    pub fn ready(&self) {
        self.send("READY=1");
    }

    /// A reload begins; [`Notify::ready`] ends it.
    pub fn reloading(&self) {
        // Without the time, systemd takes the message for one of an earlier reload.
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros()));
    }

    /// The instance ends.
    pub fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// The line that `systemctl status` shows.
    pub fn status(&self, text: &str) {
        self.send(&format!("STATUS={}", text.replace(['\n', '\r'], " ")));
    }

    /// Gives signs of life at half of the period that is wanted, each only after `is_alive` said so within that time.
    /// Returns at once when none are wanted, else never.
    pub async fn watch(&self, is_alive: impl Fn() -> BoxFuture<'static, bool>) {
        let Some(period) = self.watchdog.map(|period| period / 2) else { return };
        loop {
            match tokio::time::timeout(period, is_alive()).await {
                Ok(true) => self.send("WATCHDOG=1"),
                Ok(false) | Err(_) => log::error!("the watchdog got no answer from the run-threads' timer"),
            }
            tokio::time::sleep(period).await;
        }
    }

    fn send(&self, text: &str) {
        if let Err(error) = self.socket.send_to_addr(text.as_bytes(), &self.address) {
            log::warn!("the service manager was not told {text:?}: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn receive(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn messages_reach_a_path_and_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("procblock-test-{}", std::process::id());
        let by_path = UnixDatagram::bind(&path).unwrap();
        let by_name = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        for (socket, address) in [(by_path, path.into_os_string()), (by_name, format!("@{name}").into())] {
            let notify = Notify::to(&address, None).unwrap();
            notify.ready();
            assert_eq!(receive(&socket), "READY=1");
            notify.status("3 threads\nREADY=0");
            assert_eq!(receive(&socket), "STATUS=3 threads READY=0");
            notify.reloading();
            let text = receive(&socket);
            let time = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
            assert!(time.parse::<u64>().unwrap() > 0, "{text}");
            notify.stopping();
            assert_eq!(receive(&socket), "STOPPING=1");
        }
    }

    #[test]
    fn an_address_that_is_none_is_refused_and_a_dead_one_stops_nobody() {
        assert!(Notify::to(OsStr::new("vsock:2:1234"), None).is_err());
        Notify::to(OsStr::new("/nonexistent/notify"), None).unwrap().ready();
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_come_only_while_it_is_alive() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let count = || {
            let mut bytes = [0; 20];
            std::iter::from_fn(|| socket.recv(&mut bytes).ok()).filter(|length| *length == "WATCHDOG=1".len()).count()
        };
        let notify = Notify::to(path.as_os_str(), Some(Duration::from_secs(30))).unwrap();
        let alive = Arc::new(AtomicBool::new(true));
        let is_alive = || -> BoxFuture<'static, bool> {
            let alive = Arc::clone(&alive);
            Box::pin(async move { alive.load(Ordering::SeqCst) || std::future::pending().await })
        };
        let watched = async {
            tokio::time::sleep(Duration::from_secs(61)).await;
            assert_eq!(count(), 5);
            alive.store(false, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert_eq!(count(), 0);
        };
        tokio::select! {
            () = notify.watch(is_alive) => unreachable!("it goes on for ever"),
            () = watched => {}
        }
    }
}
