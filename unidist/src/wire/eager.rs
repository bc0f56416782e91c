//! Reading from a socket on which answers come fast: looking a little while before sleeping.
//!
//! Two processes that answer each other within microseconds spend most of a round trip on falling asleep and being
//! woken. So who got its last line quickly looks for the next one for a few microseconds. One who waited long the last
//! time, or has no second core to wait beside, sleeps at once.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};

/// How long is looked, at most: a sleeping peer is woken, answers and sends within this.
const LOOK_MAX: Duration = Duration::from_micros(50);

/// A line that came within this, both sides having slept, is followed by another such one, as a rule.
const FAST: Duration = Duration::from_micros(100);

/// After a look in vain as many lines are slept for, so that looking at a peer that is a little slower costs little.
const REST: u8 = 16;

/// A stream that blocks, read so.
pub struct Eager {
    stream: UnixStream,
    was_fast: bool,
    rest: u8,
}

impl Eager {
    /// Reads from this stream.
    pub fn new(stream: UnixStream) -> Self {
        Eager { stream, was_fast: false, rest: 0 }
    }

    /// The stream.
    pub fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// The stream, of which nothing that was read is kept here.
    pub fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// None: nothing came while it was looked.
    fn look(&self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let begun = Instant::now();
        loop {
            match recv(self.stream.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EAGAIN) if begun.elapsed() < LOOK_MAX => std::hint::spin_loop(),
                Err(Errno::EAGAIN | Errno::EINTR) => return None,
                received => return Some(received.map_err(io::Error::from)),
            }
        }
    }
}

impl Read for Eager {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.was_fast && self.rest == 0 && has_cores() {
            if let Some(read) = self.look(buffer) {
                return read;
            }
            self.rest = REST;
        }
        self.rest = self.rest.saturating_sub(1);
        let begun = Instant::now();
        let read = self.stream.read(buffer);
        self.was_fast = begun.elapsed() < FAST;
        read
    }
}

fn has_cores() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn everything_is_read_in_order_whether_it_is_there_or_comes_later() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let writer = std::thread::spawn(move || {
            for number in 0..2_000_u32 {
                ours.write_all(&number.to_be_bytes()).unwrap();
            }
        });
        let mut eager = Eager::new(theirs);
        let mut word = [0; 4];
        for number in 0..2_000_u32 {
            eager.read_exact(&mut word).unwrap();
            assert_eq!(u32::from_be_bytes(word), number);
        }
        writer.join().unwrap();
        assert_eq!(eager.read(&mut word).unwrap(), 0);
    }
}
