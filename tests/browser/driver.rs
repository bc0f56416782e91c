//! `chromedriver`: its process, and WebDriver (W3C) as JSON over HTTP.
//!
//! A dozen calls of the protocol are used: a client library would bring forty crates for them.

use std::cell::OnceCell;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::Signal;
use procblock::http::{HttpClient, read_request};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use unidist::Stop;

use crate::support::process::{MARK, marked};
use crate::support::{LONG, Process, kill};

/// How long an orderly end may take.
const END_MAX: Duration = Duration::from_secs(10);

/// What precedes the port in the line that says that it is ready.
const READY: &str = "started successfully on port ";

/// A driver with one session, which is one browser with a profile of its own.
pub(crate) struct Driver {
    process: Child,
    url: String,
    session: OnceCell<String>,
    client: HttpClient,
    runtime: Runtime,
    folder: TempDir,
}

impl Driver {
    /// Starts a driver and its browser.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut process = spawn(folder.path());
        let port = port_of(&mut process);
        let driver = Driver {
            process,
            url: format!("http://127.0.0.1:{port}"),
            session: OnceCell::new(),
            client: HttpClient::default(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            folder,
        };
        let wanted = json!({"capabilities": {"alwaysMatch": capabilities(&driver.folder.path().join("profile"))}});
        let session = driver.send("POST", "/session", Some(wanted)).unwrap_or_else(|text| panic!("no browser: {text}"));
        driver.session.set(session["sessionId"].as_str().unwrap().to_string()).unwrap();
        driver
    }

    /// Calls something of the session.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        self.send("POST", &self.of_session(path), Some(body))
    }

    /// Reads something of the session.
    ///
    /// # Errors
    /// What the driver says.
    pub(crate) fn get(&self, path: &str) -> Result<Value, String> {
        self.send("GET", &self.of_session(path), None)
    }

    fn of_session(&self, path: &str) -> String {
        format!("/session/{}{path}", self.session.get().unwrap())
    }

    fn send(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, String> {
        let mut options = json!({"method": method, "url": format!("{}{path}", self.url), "timeout": LONG.as_secs()});
        if let Some(body) = body {
            options["json"] = body;
        }
        let request = read_request(options.as_object().unwrap(), Path::new("/")).map_err(|error| error.what)?;
        let answer = self.runtime.block_on(self.client.send(&request, &Stop::new())).map_err(|error| error.text)?;
        let mut reply = answer.json().map_err(|error| error.text)?;
        let value = reply["value"].take();
        match value["error"].as_str() {
            Some(error) if answer.status() != 200 => {
                let message = value["message"].as_str().unwrap_or_default();
                Err(format!("{error}: {}", message.lines().next().unwrap_or_default()))
            }
            _ => Ok(value),
        }
    }

    fn end_session(&self) {
        let Some(session) = self.session.get() else { return };
        let options = json!({"method": "DELETE", "url": format!("{}/session/{session}", self.url), "timeout": "10s"});
        if let Ok(request) = read_request(options.as_object().unwrap(), Path::new("/")) {
            // Whatever comes of it, both processes are ended next.
            let _ = self.runtime.block_on(self.client.send(&request, &Stop::new()));
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end_session();
        let pid = i32::try_from(self.process.id()).unwrap();
        kill(pid, Signal::SIGTERM);
        if !Process::open(pid).ends_within(END_MAX) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
        for (pid, _) in marked(self.folder.path()) {
            kill(pid, Signal::SIGKILL);
        }
    }
}

/// It dies with the thread that starts it, however that ends, and the browser with it, by the end of their pipe.
fn spawn(folder: &Path) -> Child {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "chromedriver", "--port=0", "--log-level=SEVERE"]);
    command.env(MARK, folder).env("HOME", folder).env("TMPDIR", folder).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("setpriv: {error}; run tools/setup test"))
}

/// Waits until it is ready.
fn port_of(process: &mut Child) -> u16 {
    let (tell, told) = mpsc::channel();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    std::thread::spawn(move || {
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, rest) = line.split_once(READY)?;
            rest.trim_end_matches('.').parse().ok()
        });
        let _ = tell.send(port);
        // Read on, so that it can never wait for room in the pipe.
        lines.for_each(drop);
    });
    let port = told.recv_timeout(LONG).ok().flatten();
    port.unwrap_or_else(|| panic!("chromedriver does not start; run tools/setup test"))
}

fn capabilities(profile: &Path) -> Value {
    let mut arguments = vec![
        "--headless=new".to_string(),
        "--remote-debugging-pipe".into(),
        "--disable-dev-shm-usage".into(),
        "--disable-gpu".into(),
        "--disable-background-networking".into(),
        "--disable-component-update".into(),
        "--disable-sync".into(),
        "--no-first-run".into(),
        "--window-size=1200,900".into(),
        format!("--user-data-dir={}", profile.display()),
    ];
    if nix::unistd::geteuid().is_root() {
        arguments.push("--no-sandbox".into());
    }
    json!({
        "browserName": "chrome",
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL"},
        "unhandledPromptBehavior": "ignore",
        "timeouts": {"script": LONG.as_millis(), "pageLoad": LONG.as_millis()},
    })
}
