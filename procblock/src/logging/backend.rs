//! The logger: from a record to the ring, standard error and the file.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use log::kv::Key;
use log::{Level, LevelFilter, Log, Metadata, Record};
use parking_lot::Mutex;

use super::file::{LogFile, News};
use super::flood::{FLOOD_LINES_MAX, Flood, Verdict};
use super::line::{Colors, Line};
use super::ring::Ring;
use super::sink::Sink;
use super::{Format, LoggingError, LoggingOptions, SECRETS, run_thread_name};

/// A longer text is cut, in bytes.
const TEXT_MAX: usize = 64 * 1024;

/// Lines that are not ours to bound otherwise: of children and scripts.
const FOREIGN_TARGETS: &[&str] = &["output", "script"];

/// Where our own lines come from; lines of libraries are told from warnings on.
const OWN_TARGETS: &[&str] = &["procblock", "unidist", "dropstar", "audit", "output", "script", "log"];

/// Who changed what through a web server: told wherever warnings are, because it is of use only when it is there.
const AUDIT_TARGET: &str = "audit";

/// The target of our own lines.
const OURS: &str = "procblock";

/// The process's logger.
pub(super) struct Backend {
    level: LevelFilter,
    /// A `LevelFilter` as a number.
    kept: AtomicUsize,
    spelling: Spelling,
    screen: Sink,
    file: Option<Mutex<LogFile>>,
    ring: Arc<Ring>,
    flood: Flood,
}

#[derive(Debug, Clone, Copy)]
enum Spelling {
    Text(Colors),
    Json,
}

impl Spelling {
    fn spell(self, line: &Line) -> String {
        match self {
            Spelling::Text(colors) => line.to_text(colors),
            Spelling::Json => line.to_json(),
        }
    }
}

impl Backend {
    pub(super) fn new(options: &LoggingOptions) -> Result<Self, LoggingError> {
        let error = std::io::stderr();
        let screen = match error.as_fd().try_clone_to_owned() {
            Ok(descriptor) => File::from(descriptor),
            Err(_) => OpenOptions::new()
                .write(true)
                .open("/dev/null")
                .map_err(|error| LoggingError::File { path: "/dev/null".into(), reason: error.to_string() })?,
        };
        Self::with_screen(options, screen, error.is_terminal())
    }

    fn with_screen(options: &LoggingOptions, screen: File, is_terminal: bool) -> Result<Self, LoggingError> {
        let spelling = match options.format {
            Format::Json => Spelling::Json,
            Format::Auto if !is_terminal => Spelling::Json,
            Format::Auto | Format::Text => Spelling::Text(Colors::for_terminal(is_terminal)),
        };
        let file = options.file.as_deref().map(LogFile::open).transpose()?;
        Ok(Backend {
            level: options.level,
            kept: AtomicUsize::new(options.kept as usize),
            spelling,
            screen: Sink::new(screen),
            file: file.map(Mutex::new),
            ring: Arc::default(),
            flood: Flood::default(),
        })
    }

    pub(super) fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// What the ring keeps from now on; returns the level that anything still wants.
    pub(super) fn keep(&self, level: LevelFilter) -> LevelFilter {
        self.kept.store(level as usize, Ordering::Relaxed);
        level.max(self.level)
    }

    pub(super) fn reopen(&self) {
        let Some(file) = &self.file else { return };
        let reopened = file.lock().reopen();
        if let Err(error) = reopened {
            self.tell(Level::Warn, format!("{error}; the lines go on in the file that was open"));
        }
    }

    pub(super) fn finish(&self, limit: Duration) {
        self.tell_left_out(Instant::now() + Duration::from_secs(1));
        self.screen.finish(limit);
    }

    fn is_kept(&self, level: Level) -> bool {
        level as usize <= self.kept.load(Ordering::Relaxed)
    }

    fn write(&self, line: Line) {
        if weight(line.level, &line.target) <= self.level {
            self.screen.write(self.spelling.spell(&line).as_bytes());
            if let Some(file) = &self.file {
                let news = file.lock().write(line.to_json().as_bytes());
                self.tell_news(news);
            }
        }
        if self.is_kept(weight(line.level, &line.target)) {
            self.ring.push(line);
        }
    }

    fn tell_news(&self, news: News) {
        match news {
            News::None => {}
            News::Failing(reason) => self.tell(Level::Warn, format!("the log file takes no more lines: {reason}")),
            News::Recovered => self.tell(Level::Warn, "the log file takes lines again".into()),
        }
    }

    /// Whether a line of a child or script is logged; tells when lines begin to be left out, and how many were.
    fn admit(&self, record: &Record<'_>) -> bool {
        let now = Instant::now();
        self.tell_left_out(now);
        if !FOREIGN_TARGETS.contains(&record.target()) {
            return true;
        }
        let verdict = self.flood.admit(now);
        if verdict == Verdict::LeaveOutFirst {
            let text = format!("more than {FLOOD_LINES_MAX} lines or 8 MiB in a second: some are left out of the log");
            self.tell(Level::Info, text);
        }
        verdict == Verdict::Log
    }

    fn tell_left_out(&self, now: Instant) {
        if let Some(left_out) = self.flood.take_left_out(now) {
            self.tell(Level::Info, format!("{left_out} lines of children and scripts were left out of the log"));
        }
    }

    /// A line about the log itself: to standard error and the ring, not to the file.
    fn tell(&self, level: Level, text: String) {
        let line = Line {
            time: Timestamp::now(),
            level,
            target: Cow::Borrowed(OURS),
            step: None,
            thread: run_thread_name(),
            text: text.into(),
        };
        if level <= self.level {
            self.screen.write(self.spelling.spell(&line).as_bytes());
        }
        if self.is_kept(level) {
            self.ring.push(line);
        }
    }
}

impl Log for Backend {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let level = weight(metadata.level(), metadata.target());
        let is_wanted = level <= self.level || self.is_kept(level);
        is_wanted && (level <= Level::Warn || is_own(metadata.target()))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) || !self.admit(record) {
            return;
        }
        let text = record.args().as_str().map_or_else(|| Cow::Owned(record.args().to_string()), Cow::Borrowed);
        self.flood.add(text.len());
        let step = record.key_values().get(Key::from("step"));
        let step =
            step.as_ref().map(|step| step.to_borrowed_str().map_or_else(|| step.to_string().into(), Cow::Borrowed));
        self.write(Line {
            time: Timestamp::now(),
            level: record.level(),
            target: target(record),
            step: step.map(|step| SECRETS.hide(&step).into()),
            thread: run_thread_name(),
            text: shorten(SECRETS.hide(&text)).into(),
        });
    }

    fn flush(&self) {
        self.finish(Duration::from_secs(1));
    }
}

/// The level at which a line is wanted.
fn weight(level: Level, target: &str) -> Level {
    if target == AUDIT_TARGET { level.min(Level::Warn) } else { level }
}

/// What a line is: of a child, of a script, of a library by its name, else ours. Modules of ours are no user's matter.
fn target(record: &Record<'_>) -> Cow<'static, str> {
    let root = record.target().split("::").next().unwrap_or_default();
    let mut kept = FOREIGN_TARGETS.iter().chain([&AUDIT_TARGET]);
    match kept.find(|known| **known == record.target()) {
        Some(known) => Cow::Borrowed(known),
        None if OWN_TARGETS.contains(&root) => Cow::Borrowed(OURS),
        None => Cow::Owned(root.to_string()),
    }
}

fn is_own(target: &str) -> bool {
    OWN_TARGETS.contains(&target.split("::").next().unwrap_or(target))
}

fn shorten(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= TEXT_MAX {
        return text;
    }
    let end = text.floor_char_boundary(TEXT_MAX);
    let shown = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{shown} … ({} bytes more)", text.len() - end))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    fn with_file(options: &LoggingOptions, is_terminal: bool) -> (Backend, File) {
        let file = tempfile::tempfile().unwrap();
        (Backend::with_screen(options, file.try_clone().unwrap(), is_terminal).unwrap(), file)
    }

    fn read(mut file: File) -> String {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    fn log(backend: &Backend, level: Level, target: &str, text: &str) {
        backend.log(&Record::builder().level(level).target(target).args(format_args!("{text}")).build());
    }

    #[test]
    fn standard_error_gets_its_level_and_the_ring_more() {
        let (backend, file) = with_file(&LoggingOptions::default(), false);
        for level in [Level::Error, Level::Warn, Level::Info, Level::Debug] {
            log(&backend, level, "procblock::x", level.as_str());
        }
        log(&backend, Level::Info, "mio::poll", "a library's own");
        let kept: Vec<String> = backend.ring.newest(9).lines.iter().map(|line| line.text.to_string()).collect();
        assert_eq!(kept, ["ERROR", "WARN", "INFO"]);
        assert_eq!(read(file).lines().count(), 2);
        assert_eq!(backend.keep(LevelFilter::Off), LevelFilter::Warn);
        assert!(!backend.enabled(&Metadata::builder().level(Level::Info).target("output").build()));
    }

    #[test]
    fn who_changed_what_is_told_without_being_asked_for() {
        let (backend, file) = with_file(&LoggingOptions::default(), false);
        log(&backend, Level::Info, "audit", "ann from 192.0.2.1: POST /rpc/deploy: 200");
        log(&backend, Level::Info, "procblock::x", "not wanted");
        assert_eq!(read(file).lines().count(), 1);
    }

    #[test]
    fn a_text_with_a_line_end_stays_one_json_line_without_secrets() {
        SECRETS.add("s3cret-of-backend");
        let (backend, file) = with_file(&LoggingOptions::default(), false);
        log(&backend, Level::Warn, "procblock", "a\n{\"level\":\"error\"} s3cret-of-backend Authorization: Bearer x");
        let text = read(file);
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["text"], "a\n{\"level\":\"error\"} *** Authorization: ***");
    }

    #[test]
    fn the_file_gets_json_while_a_terminal_gets_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let options = LoggingOptions { file: Some(path.clone()), ..LoggingOptions::with_verbosity(1) };
        let (backend, file) = with_file(&options, true);
        log(&backend, Level::Info, "procblock", "Importing YAML: simplest.yaml");
        backend.reopen();
        assert!(read(file).ends_with("Importing YAML: simplest.yaml\n"));
        let line: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(line["text"], "Importing YAML: simplest.yaml");
    }

    #[test]
    fn a_step_given_beside_the_text_is_a_field_of_its_own() {
        let (backend, file) = with_file(&LoggingOptions::with_verbosity(1), false);
        let pairs = [("step", "greet: a")];
        let mut builder = Record::builder();
        let record = builder.level(Level::Info).target("output").key_values(&pairs);
        backend.log(&record.args(format_args!("hello")).build());
        let line: serde_json::Value = serde_json::from_str(&read(file)).unwrap();
        assert_eq!(
            (&line["target"], &line["step"], &line["text"]),
            (&"output".into(), &"greet: a".into(), &"hello".into())
        );
    }

    #[test]
    fn a_flood_of_output_is_bounded_and_told_while_our_own_lines_go_on() {
        let (backend, _file) = with_file(&LoggingOptions::default(), false);
        for _ in 0..4 * FLOOD_LINES_MAX {
            log(&backend, Level::Info, "output", "y");
        }
        log(&backend, Level::Info, "procblock", "ours");
        let page = backend.ring.newest(5);
        let texts: Vec<&str> = page.lines.iter().map(|line| &*line.text).collect();
        assert_eq!(texts.last(), Some(&"ours"));
        let told = texts.iter().any(|text| text.contains("are left out of the log") || text.contains("were left out"));
        assert!(told, "{texts:?}");
    }

    #[test]
    fn a_very_long_text_is_cut_with_a_mark() {
        let (backend, _file) = with_file(&LoggingOptions::default(), false);
        log(&backend, Level::Warn, "procblock", &"ü".repeat(TEXT_MAX));
        let page = backend.ring.newest(1);
        assert!(page.lines[0].text.ends_with("ü … (65536 bytes more)"), "{}", page.lines[0].text.len());
    }

    #[test]
    fn no_module_and_no_thread_of_ours_is_shown() {
        let (backend, _file) = with_file(&LoggingOptions::default(), false);
        for target in ["procblock::cli::run", "unidist::timer", "output", "hyper::proto::h1"] {
            log(&backend, Level::Warn, target, "x");
        }
        let page = backend.ring.newest(9);
        let shown: Vec<(&str, Option<&str>)> =
            page.lines.iter().map(|line| (&*line.target, line.thread.as_deref())).collect();
        assert_eq!(shown, [("procblock", None), ("procblock", None), ("output", None), ("hyper", None)]);
    }

    #[tokio::test]
    async fn lines_of_a_run_thread_carry_its_name() {
        let (backend, _file) = with_file(&LoggingOptions::default(), false);
        super::super::within("simplest".into(), async { log(&backend, Level::Warn, "procblock", "x") }).await;
        assert_eq!(backend.ring.newest(1).lines[0].thread.as_deref(), Some("simplest"));
    }
}
