//! What runner and keeper say to each other: one message a packet, in a small binary form, because arguments and
//! environment are bytes and not text. Both ends are the same binary, so there is no version.
//!
//! A request's descriptors travel beside it, in the order of [`Descriptors`].

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::Duration;

use super::command::Limits;

/// One child: unique in the life of a runner, and growing.
pub(super) type ChildId = u64;

/// From the runner to the keeper.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Start a child.
    Start(Box<Start>),
    /// End a child and everything below it. Unknown ids, of children that are gone, are passed over.
    End(ChildId),
}

/// A child to be started. The keeper adds its own environment and `PROCBLOCK_STEP`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) id: ChildId,
    pub(super) kind: ChildKind,
    pub(super) descriptors: Descriptors,
    pub(super) grace: Duration,
    pub(super) limits: Limits,
    pub(super) user: Option<OsString>,
    pub(super) folder: OsString,
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// What a child is to its runner.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChildKind {
    /// One command: its end is reported, nothing else.
    #[default]
    Once,
    /// A long-lived worker: its start is reported too.
    Worker,
}

/// Which descriptors travel with a [`Start`], in this order; a missing one of the first three is `/dev/null`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    pub(super) has_input: bool,
    pub(super) has_output: bool,
    pub(super) has_error: bool,
    /// The child's descriptor 3.
    pub(super) has_socket: bool,
}

/// From the keeper to the runner.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// A worker was started.
    Started { id: ChildId, pid: u32 },
    /// The program was not executed.
    Failed { id: ChildId, failure: Failure },
    /// The child exited and nothing of its subtree is left.
    Gone { id: ChildId, end: End },
}

/// How a child and its subtree ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct End {
    /// As wait(2) gives it.
    pub(super) status: i32,
    /// The end was asked for before the child exited.
    pub(super) was_asked: bool,
    /// The subtree was ended because it had so many processes, more than its limit.
    pub(super) crowd: Option<u64>,
    pub(super) cpu: Duration,
    /// Processes that KILL did not end.
    pub(super) stuck: Vec<u32>,
}

/// Why a program was not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// This error number of posix_spawn or execve.
    Execute(i32),
    /// The user can't be taken on.
    User(String),
    /// A limit can't be set.
    Limit(String),
}

impl Request {
    /// The packet.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Request::Start(start) => start.encode(),
            Request::End(id) => {
                let mut to = Encoder(Vec::with_capacity(16));
                to.number(1);
                to.number(*id);
                to.0
            }
        }
    }

    /// `None` for anything that [`Request::encode`] does not make.
    pub(super) fn decode(packet: &[u8]) -> Option<Request> {
        let mut from = Decoder(packet);
        let request = match from.number()? {
            0 => Request::Start(Box::new(Start::decode(&mut from)?)),
            1 => Request::End(from.number()?),
            _ => return None,
        };
        from.0.is_empty().then_some(request)
    }
}

impl Start {
    /// The packet of [`Request::Start`].
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Encoder(Vec::with_capacity(512));
        to.number(0);
        to.number(self.id);
        to.number(u64::from(self.kind == ChildKind::Worker));
        let Descriptors { has_input, has_output, has_error, has_socket } = self.descriptors;
        for flag in [has_input, has_output, has_error, has_socket] {
            to.number(u64::from(flag));
        }
        to.duration(self.grace);
        to.optional(self.limits.memory);
        to.optional(self.limits.cpu.map(|cpu| cpu.as_micros() as u64));
        to.optional(self.limits.files);
        to.optional(self.limits.processes);
        to.list(self.user.as_slice().iter());
        to.text(&self.folder);
        to.text(&self.program);
        to.list(self.arguments.iter());
        to.list(self.environment.iter().map(|(name, _)| name));
        to.list(self.environment.iter().map(|(_, value)| value));
        to.0
    }

    fn decode(from: &mut Decoder<'_>) -> Option<Start> {
        let id = from.number()?;
        let kind = if from.flag()? { ChildKind::Worker } else { ChildKind::Once };
        let descriptors = Descriptors {
            has_input: from.flag()?,
            has_output: from.flag()?,
            has_error: from.flag()?,
            has_socket: from.flag()?,
        };
        let grace = from.duration()?;
        let limits = Limits {
            memory: from.optional()?,
            cpu: from.optional()?.map(Duration::from_micros),
            files: from.optional()?,
            processes: from.optional()?,
        };
        let user = from.list()?.pop();
        let (folder, program, arguments) = (from.text()?, from.text()?, from.list()?);
        let (names, values) = (from.list()?, from.list()?);
        let environment = names.into_iter().zip(values).collect();
        Some(Start { id, kind, descriptors, grace, limits, user, folder, program, arguments, environment })
    }
}

impl Report {
    /// The packet.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut to = Encoder(Vec::with_capacity(64));
        match self {
            Report::Started { id, pid } => {
                to.number(0);
                to.number(*id);
                to.number(u64::from(*pid));
            }
            Report::Failed { id, failure } => {
                to.number(1);
                to.number(*id);
                failure.encode(&mut to);
            }
            Report::Gone { id, end: End { status, was_asked, crowd, cpu, stuck } } => {
                to.number(2);
                to.number(*id);
                to.number(u64::from(status.cast_unsigned()));
                to.number(u64::from(*was_asked));
                to.optional(*crowd);
                to.duration(*cpu);
                for pid in stuck {
                    to.number(u64::from(*pid));
                }
            }
        }
        to.0
    }

    /// `None` for anything that [`Report::encode`] does not make.
    pub(super) fn decode(packet: &[u8]) -> Option<Report> {
        let mut from = Decoder(packet);
        let kind = from.number()?;
        let id = from.number()?;
        match kind {
            0 => Some(Report::Started { id, pid: from.small()? }),
            1 => Some(Report::Failed { id, failure: Failure::decode(&mut from)? }),
            2 => {
                let status = from.small()?.cast_signed();
                let was_asked = from.flag()?;
                let crowd = from.optional()?;
                let cpu = from.duration()?;
                let mut stuck = Vec::new();
                while !from.0.is_empty() {
                    stuck.push(from.small()?);
                }
                Some(Report::Gone { id, end: End { status, was_asked, crowd, cpu, stuck } })
            }
            _ => None,
        }
    }
}

impl Failure {
    fn encode(&self, to: &mut Encoder) {
        let (kind, code, text) = match self {
            Failure::Execute(code) => (0, *code, ""),
            Failure::User(text) => (1, 0, text.as_str()),
            Failure::Limit(text) => (2, 0, text.as_str()),
        };
        to.number(kind);
        to.number(u64::from(code.cast_unsigned()));
        to.text(OsStr::new(text));
    }

    fn decode(from: &mut Decoder<'_>) -> Option<Failure> {
        let kind = from.number()?;
        let code = from.small()?.cast_signed();
        let text = from.text()?.to_string_lossy().into_owned();
        match kind {
            0 => Some(Failure::Execute(code)),
            1 => Some(Failure::User(text)),
            2 => Some(Failure::Limit(text)),
            _ => None,
        }
    }

    /// As the trampoline writes it into its pipe.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut to = Encoder(Vec::new());
        self.encode(&mut to);
        to.0
    }

    /// `None` for anything that [`Failure::to_bytes`] does not make, the empty text of an executed program above all.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Failure> {
        Failure::decode(&mut Decoder(bytes))
    }
}

/// Numbers are 8 bytes, texts a number and their bytes, lists a number and their texts.
struct Encoder(Vec<u8>);

impl Encoder {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn duration(&mut self, duration: Duration) {
        self.number(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    fn optional(&mut self, number: Option<u64>) {
        self.number(u64::from(number.is_some()));
        self.number(number.unwrap_or(0));
    }

    fn text(&mut self, text: &OsStr) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn list<'a>(&mut self, texts: impl ExactSizeIterator<Item = &'a OsString>) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }
}

/// What is left of a packet; every read may find it too short.
struct Decoder<'a>(&'a [u8]);

impl Decoder<'_> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn small(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.number()? != 0)
    }

    fn duration(&mut self) -> Option<Duration> {
        self.number().map(Duration::from_micros)
    }

    fn optional(&mut self) -> Option<Option<u64>> {
        let is_some = self.flag()?;
        let number = self.number()?;
        Some(is_some.then_some(number))
    }

    fn text(&mut self) -> Option<OsString> {
        let size = usize::try_from(self.number()?).ok()?;
        let (text, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(OsString::from_vec(text.to_vec()))
    }

    fn list(&mut self) -> Option<Vec<OsString>> {
        let count = self.number()?;
        (0..count).map(|_| self.text()).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn start() -> Request {
        Request::Start(Box::new(Start {
            id: 7,
            kind: ChildKind::Worker,
            descriptors: Descriptors { has_output: true, has_socket: true, ..Descriptors::default() },
            grace: Duration::from_millis(1500),
            limits: Limits {
                memory: Some(1 << 30),
                cpu: Some(Duration::from_secs(3)),
                files: None,
                processes: Some(50),
            },
            user: Some("nobody".into()),
            folder: "/tmp".into(),
            program: "/bin/sh".into(),
            arguments: vec!["sh".into(), OsString::from_vec(vec![0xff, b'\n'])],
            environment: vec![("A".into(), "1".into()), ("B".into(), "".into())],
        }))
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(Request::decode(&start().encode()), Some(start()));
        assert_eq!(Request::decode(&Request::End(3).encode()), Some(Request::End(3)));
        for failure in [Failure::Execute(2), Failure::User("u".into()), Failure::Limit("l".into())] {
            let report = Report::Failed { id: 1, failure };
            assert_eq!(Report::decode(&report.encode()), Some(report));
        }
        let end = End { status: 9, was_asked: true, crowd: Some(60), cpu: Duration::from_micros(7), stuck: vec![4, 5] };
        let gone = Report::Gone { id: 1, end };
        assert_eq!(Report::decode(&gone.encode()), Some(gone));
        assert_eq!(Failure::from_bytes(b""), None);
    }

    #[test]
    fn a_shortened_packet_is_refused() {
        let whole = start().encode();
        for size in 0..whole.len() {
            assert_eq!(Request::decode(&whole[..size]), None);
        }
    }

    proptest! {
        #[test]
        fn no_packet_panics(packet in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Request::decode(&packet);
            let _ = Report::decode(&packet);
        }
    }
}
