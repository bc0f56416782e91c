//! A language for tests: a script is a JSON mapping of what it does.
//!
//! `declare` is its declaration, `answer` its values; `echo` answers the arguments and the state under `echo`; `fail`,
//! `panic` and `wait` do that. A package is a JSON mapping of `static`, `http` and `rpc`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dropstar::{
    Answer, Argument, ArgumentKind, BoxFuture, Declaration, Failure, FailureKind, LoadFailure, Loaded, Loader, Map,
    Need, Package, Program, Purpose, Request, Template, Value,
};
use unidist::Stop;

/// What scripts did, for the tests to wait for.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) loads: AtomicUsize,
    pub(crate) waiting: AtomicUsize,
    pub(crate) stopped: AtomicUsize,
    /// Lets the scripts that wait go on.
    pub(crate) go_on: Stop,
}

impl Seen {
    /// Waits until a count has come to a number.
    pub(crate) fn until(&self, count: impl Fn(&Seen) -> &AtomicUsize, number: usize) {
        let deadline = std::time::Instant::now() + super::DEADLINE;
        while count(self).load(Ordering::SeqCst) < number {
            assert!(std::time::Instant::now() < deadline, "it did not come to {number}");
            std::thread::yield_now();
        }
    }
}

pub(crate) struct Json {
    seen: Arc<Seen>,
}

impl Json {
    pub(crate) fn new(seen: Arc<Seen>) -> Json {
        Json { seen }
    }

    fn loaded(&self, value: &Value, folder: &Path) -> Loaded {
        let declared = &value["declare"];
        let program = Script { value: value.clone(), seen: Arc::clone(&self.seen) };
        let is_alone = value["alone"].as_bool() == Some(true);
        Loaded {
            declaration: Arc::new(declaration(declared)),
            program: (!is_alone).then(|| Arc::new(program) as Arc<dyn Program>),
            template: match (value["template"].as_str(), value["template text"].as_str()) {
                (Some(path), _) => Some(Template::File(folder.join(path))),
                (_, Some(text)) => Some(Template::Text { text: text.into(), folder: folder.to_path_buf() }),
                _ => None,
            },
        }
    }
}

fn declaration(value: &Value) -> Declaration {
    let argument = |(name, value): (&String, &Value)| Argument {
        name: name.clone(),
        kind: match value["type"].as_str() {
            Some("integer") => ArgumentKind::Integer,
            Some("list") => ArgumentKind::List,
            _ => ArgumentKind::Text,
        },
        is_required: value["required"].as_bool() == Some(true),
        default: value.get("default").cloned(),
        summary: None,
    };
    Declaration {
        title: value["title"].as_str().map(ToString::to_string),
        need: match value["needs"].as_str() {
            Some("nobody") => Some(Need::Nobody),
            Some("login") => Some(Need::Login),
            Some("call") => Some(Need::Call),
            Some("admin") => Some(Need::Admin),
            _ => None,
        },
        is_read_only: value["read only"].as_bool() == Some(true),
        arguments: value["args"].as_object().into_iter().flatten().map(argument).collect(),
        timeout: value["timeout"].as_f64().map_or(Duration::from_secs(10), Duration::from_secs_f64),
        ..Declaration::default()
    }
}

impl Loader for Json {
    fn endings(&self) -> &[&str] {
        &["json", "alt"]
    }

    fn load(&self, file: &Path, _purpose: Purpose) -> Result<(Loaded, Vec<PathBuf>), LoadFailure> {
        self.seen.loads.fetch_add(1, Ordering::SeqCst);
        let files = vec![file.to_path_buf()];
        let value = read(file, &files)?;
        Ok((self.loaded(&value, file.parent().unwrap()), files))
    }

    fn load_package(&self, file: &Path) -> Result<(Package, Vec<PathBuf>), LoadFailure> {
        let files = vec![file.to_path_buf()];
        let value = read(file, &files)?;
        let folder = file.parent().unwrap();
        let entries = |key: &str| {
            let entries = value[key].as_object().cloned().unwrap_or_default();
            entries.into_iter().map(|(name, value)| (name, self.loaded(&value, folder))).collect()
        };
        let package = Package {
            static_folder: value["static"].as_str().map(|path| folder.join(path)),
            public_folder: value["public"].as_str().map(|path| folder.join(path)),
            pages: entries("http"),
            procedures: entries("rpc"),
        };
        Ok((package, files))
    }
}

fn read(file: &Path, files: &[PathBuf]) -> Result<Value, LoadFailure> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let value = text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
    value.map_err(|text| LoadFailure { text: format!("{}:1:1: {text}", file.display()), files: files.to_vec() })
}

struct Script {
    value: Value,
    seen: Arc<Seen>,
}

impl Program for Script {
    fn run<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Answer, Failure>> {
        Box::pin(async move {
            let mut values = self.value["answer"].as_object().cloned().unwrap_or_default();
            if let Some(text) = self.value["fail"].as_str() {
                let place = Some("pages/x.json:7".to_string());
                return Err(Failure { kind: FailureKind::Failed, text: text.into(), place });
            }
            if let Some(text) = self.value["panic"].as_str() {
                panic!("{text}");
            }
            if self.value.get("wait").is_some() {
                self.wait(request).await;
            }
            if self.value.get("echo").is_some() {
                let state = Value::Object(request.state.to_map());
                let arguments = Value::Object(Map::clone(&request.arguments));
                values.insert("echo".into(), serde_json::json!({"arguments": arguments, "state": state}));
            }
            if let Some(file) = request.arguments.get("f").and_then(|file| file["file"].as_str()) {
                values.insert("content".into(), std::fs::read_to_string(file).unwrap_or_default().into());
            }
            Ok(Answer { values })
        })
    }
}

impl Script {
    /// Until the test lets it go on; if it is stopped before, that is counted.
    async fn wait(&self, request: &Request) {
        struct Count(Stop, Arc<Seen>);
        impl Drop for Count {
            fn drop(&mut self) {
                if self.0.is_requested() {
                    self.1.stopped.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
        let watched = Count(request.stop.clone(), Arc::clone(&self.seen));
        self.seen.waiting.fetch_add(1, Ordering::SeqCst);
        tokio::select! {
            () = self.seen.go_on.requested() => {}
            () = watched.0.requested() => {}
        }
    }
}
