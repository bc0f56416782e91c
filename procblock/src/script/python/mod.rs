//! Python scripts in warm worker processes: one call at a time a worker, each over its own socket.
//!
//! The program of the worker is embedded ([`WORKER`]) and sent over the socket to a few lines given with `-c`
//! ([`READER`]), which do not fill a list of processes; nothing is written to disk. A worker whose call was ended, or whose socket broke, is ended too; one is replaced after 1,000 calls or
//! when it holds more than 256 MB.

mod pool;
mod protocol;
#[cfg(test)]
mod tests;
mod worker;

pub(super) use pool::Pool;

/// What the interpreter is started with: reads the program, four bytes of length before it, and runs it.
const READER: &str = r"# procblock: a Python worker
import os
def read(count):
    data = b''
    while len(data) < count:
        data += os.read(3, count - len(data)) or os._exit(0)
    return data
exec(compile(read(int.from_bytes(read(4), 'big')), '<string>', 'exec'))";

/// The worker's program.
const WORKER: &str = include_str!("worker.py");
