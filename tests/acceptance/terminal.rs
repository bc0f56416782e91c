//! What asks on a terminal, with a terminal of the test's own: what is shown, what is typed, how it is left.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

use crate::support::LONG;

const PASSWORD: &str = "correct horse";

/// A terminal on which a command runs.
struct Terminal {
    master: File,
    /// The other end, so that it stays as the command leaves it.
    slave: File,
    command: Child,
    shown: String,
}

impl Terminal {
    /// Runs procblock in a session of its own, which this terminal controls.
    fn run(folder: &Path, words: &[&str]) -> Terminal {
        let pair = openpty(None, None).unwrap();
        let slave = File::from(pair.slave);
        let end = || Stdio::from(slave.try_clone().unwrap());
        let mut command = Command::new("setsid");
        command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_procblock")]).args(words).current_dir(folder);
        let command = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Terminal { master: File::from(pair.master), slave, command, shown: String::new() }
    }

    /// Reads until this is shown.
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + LONG;
        while !self.shown.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{text:?} is never shown: {:?}", self.shown);
            let mut ends = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
            if poll(&mut ends, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)).unwrap() == 0 {
                continue;
            }
            let mut bytes = [0; 1024];
            match self.master.read(&mut bytes) {
                Ok(count) => self.shown.push_str(&String::from_utf8_lossy(&bytes[..count])),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("{error}: {:?}", self.shown),
            }
        }
    }

    fn press(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// How the command ended, and whether what is typed is shown again.
    fn end(mut self) -> (Option<i32>, bool, String) {
        let code = self.command.wait().unwrap().code();
        let is_shown = tcgetattr(&self.slave).unwrap().local_flags.contains(LocalFlags::ECHO | LocalFlags::ICANON);
        (code, is_shown, self.shown)
    }
}

fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("site/pages")).unwrap();
    folder
}

const ADD: [&str; 4] = ["user", "add", "ann", "site"];

#[test]
fn a_password_is_asked_for_twice_and_never_shown() {
    let folder = site();
    let mut terminal = Terminal::run(folder.path(), &ADD);
    terminal.until("password for ann: ");
    // A wrong letter is taken back, and a whole line too.
    terminal.press("nonsense\u{15}correct horsx\u{7f}e\n");
    terminal.until("once more: ");
    terminal.press(&format!("{PASSWORD}\r"));
    terminal.until("added user ann");
    let (code, is_shown, text) = terminal.end();
    assert_eq!((code, is_shown), (Some(0), true), "{text}");
    assert!(!text.contains("horse") && !text.contains("nonsense"), "{text:?}");
    let file = std::fs::read_to_string(folder.path().join("site/users.json")).unwrap();
    assert!(file.contains("$argon2id$") && !file.contains("horse"), "{file}");
}

#[test]
fn two_passwords_that_differ_change_nothing() {
    let folder = site();
    let mut terminal = Terminal::run(folder.path(), &ADD);
    terminal.until("password for ann: ");
    terminal.press("correct horse\n");
    terminal.until("once more: ");
    terminal.press("battery staple\n");
    terminal.until("the two passwords differ; nothing was changed");
    let (code, is_shown, _) = terminal.end();
    assert_eq!((code, is_shown), (Some(1), true));
    assert!(!folder.path().join("site/users.json").exists());
}

#[test]
fn giving_up_leaves_the_terminal_as_it_was() {
    for key in ["\u{3}", "\u{4}"] {
        let folder = site();
        let mut terminal = Terminal::run(folder.path(), &ADD);
        terminal.until("password for ann: ");
        terminal.press("corr");
        terminal.press(key);
        terminal.until("no password was given; nothing was changed");
        let (code, is_shown, _) = terminal.end();
        assert_eq!((code, is_shown), (Some(1), true), "{key:?}");
        assert!(!folder.path().join("site/users.json").exists());
    }
}
