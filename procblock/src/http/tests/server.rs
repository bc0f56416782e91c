//! A server that says what a test tells it to, byte by byte.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;

/// Longer than anything here takes on a busy machine; only a fault waits for it.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// A request as it came: its first line, its headers in small letters, its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }
}

/// A connection that can be read, written and given up.
pub(super) trait Wire: Read + Write + Send {}

impl<W: Read + Write + Send> Wire for W {}

type Answer = dyn Fn(&Asked, &mut dyn Wire) -> io::Result<()> + Send + Sync;

/// What it did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    Connected,
    /// The other side closed the connection, or would not take any more.
    Closed,
}

/// On loopback; its threads end with the connections, which end with the client.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    events: Receiver<Event>,
}

impl Server {
    /// Each request of each connection is answered by `answer`; an error closes the connection.
    pub(super) fn start(answer: impl Fn(&Asked, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, events) = Self::accept(answer, move || {
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(LONG))?;
            stream.set_write_timeout(Some(LONG))?;
            let other = stream.try_clone()?;
            Ok((Box::new(stream) as Box<dyn Wire>, Box::new(other) as Box<dyn Wire>))
        });
        Server { address, asked, events }
    }

    /// The same behind a socket of the file system.
    pub(super) fn start_at(
        path: &Path,
        answer: impl Fn(&Asked, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let (asked, events) = Self::accept(answer, move || {
            let (stream, _) = listener.accept()?;
            stream.set_read_timeout(Some(LONG))?;
            let other: UnixStream = stream.try_clone()?;
            Ok((Box::new(stream) as Box<dyn Wire>, Box::new(other) as Box<dyn Wire>))
        });
        Server { address: SocketAddr::from(([127, 0, 0, 1], 0)), asked, events }
    }

    /// Answers every request with these bytes.
    pub(super) fn saying(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Server::start(move |_, wire| wire.write_all(&bytes))
    }

    fn accept(
        answer: impl Fn(&Asked, &mut dyn Wire) -> io::Result<()> + Send + Sync + 'static,
        next: impl Fn() -> io::Result<(Box<dyn Wire>, Box<dyn Wire>)> + Send + 'static,
    ) -> (Arc<Mutex<Vec<Asked>>>, Receiver<Event>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (tell, events) = channel();
        let (seen, answer): (_, Arc<Answer>) = (Arc::clone(&asked), Arc::new(answer));
        std::thread::spawn(move || {
            while let Ok((reading, writing)) = next() {
                let (seen, answer, tell) = (Arc::clone(&seen), Arc::clone(&answer), tell.clone());
                std::thread::spawn(move || talk(reading, writing, &seen, &*answer, &tell));
            }
        });
        (asked, events)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// The next thing that happens to a connection.
    pub(super) fn event(&self) -> Option<Event> {
        self.events.recv_timeout(LONG).ok()
    }

    /// How many connections were made so far.
    pub(super) fn connections(&self) -> usize {
        self.events.try_iter().filter(|event| *event == Event::Connected).count()
    }
}

fn talk(
    reading: Box<dyn Wire>,
    mut writing: Box<dyn Wire>,
    seen: &Mutex<Vec<Asked>>,
    answer: &Answer,
    tell: &Sender<Event>,
) {
    // A test that is over hears nothing any more.
    let _ = tell.send(Event::Connected);
    let mut reading = BufReader::new(reading);
    while let Ok(Some(asked)) = read(&mut reading) {
        seen.lock().push(asked.clone());
        let answered = answer(&asked, &mut *writing).and_then(|()| writing.flush());
        if answered.is_err() {
            break;
        }
    }
    let _ = tell.send(Event::Closed);
}

fn read(reading: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut asked = Asked::default();
    if reading.read_line(&mut asked.line)? == 0 {
        return Ok(None);
    }
    asked.line.truncate(asked.line.trim_end().len());
    loop {
        let mut line = String::new();
        reading.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        asked.headers.push((name.to_ascii_lowercase(), value.to_string()));
    }
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reading.read_exact(&mut body)?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(asked))
}

/// Reads until the other side closes: a server that never answers.
pub(super) fn wait_for_end(wire: &mut dyn Wire) -> io::Result<()> {
    let mut rest = Vec::new();
    wire.read_to_end(&mut rest)?;
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// Closes the connection.
pub(super) fn hang_up() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionAborted.into())
}

/// An answer with a body.
pub(super) fn ok(body: &str) -> Vec<u8> {
    answer("200 OK", &[], body.as_bytes())
}

/// An answer with a status, headers and a body with its length.
pub(super) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A redirect.
pub(super) fn redirect(status: &str, location: &str) -> Vec<u8> {
    answer(status, &[&format!("Location: {location}")], b"")
}
