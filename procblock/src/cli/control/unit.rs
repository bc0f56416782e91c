//! `procblock unit`: a systemd unit that runs a file.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use nix::unistd::{User, geteuid};

use super::failure::Failure;
use super::output::print;
use crate::cli::{EXIT_BAD_FILE, EXIT_DONE, EXIT_USAGE};
use crate::control::socket_stem;
use crate::runner::{RunOptions, Runner, StartError, load};

/// A sign of life is wanted this often, in seconds.
const WATCHDOG_SECONDS: u32 = 30;

/// What a service needs no right to. Scripts may do anything else that their user may, so that the unit fits any file.
const HARDENING: &str = "NoNewPrivileges=yes
ProtectSystem=full
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
";

#[derive(Args)]
pub(crate) struct UnitArgs {
    /// Who it runs as; unless given, who asks.
    #[arg(long)]
    user: Option<String>,
    /// The instance's name.
    #[arg(long)]
    name: Option<String>,
    /// The block file, then its own options and arguments.
    #[arg(required = true, value_name = "FILE", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// What a unit is made from.
struct Service {
    name: String,
    user: String,
    is_longrunning: bool,
    executable: PathBuf,
    file: PathBuf,
    words: Vec<String>,
}

pub(super) fn run(arguments: &UnitArgs) -> Result<u8, Failure> {
    let Some((file, words)) = arguments.words.split_first() else {
        return Err(Failure::new(EXIT_USAGE, "name a file"));
    };
    let path = Path::new(file);
    let bad_file = |text: String| Failure::new(EXIT_BAD_FILE, text);
    let compiled = load(path).map_err(|error| bad_file(error.to_string()))?;
    let options = RunOptions { name: arguments.name.clone(), ..RunOptions::default() };
    let runner = Runner::new(path, compiled, words, options).map_err(|error| match error {
        StartError::Load(error) => bad_file(error.to_string()),
        other => Failure::new(EXIT_USAGE, other.to_string()),
    })?;
    let user = match &arguments.user {
        Some(user) => user.clone(),
        None => User::from_uid(geteuid()).ok().flatten().map_or_else(|| geteuid().to_string(), |user| user.name),
    };
    let service = Service {
        name: runner.name(),
        user,
        is_longrunning: runner.is_longrunning(),
        executable: std::env::current_exe().map_err(|error| Failure::failed(error.to_string()))?,
        file: std::path::absolute(path).map_err(|error| bad_file(error.to_string()))?,
        words: words.to_vec(),
    };
    print(&service.to_unit());
    Ok(EXIT_DONE)
}

impl Service {
    fn to_unit(&self) -> String {
        let stem = specifiers(&socket_stem(&self.name));
        let mut unit = format!("[Unit]\nDescription=procblock {}\n", specifiers(&one_line(&self.name)));
        unit.push_str("Wants=network-online.target\nAfter=network-online.target\n\n[Service]\n");
        unit.push_str(if self.is_longrunning { "Type=notify\nNotifyAccess=main\n" } else { "Type=oneshot\n" });
        let _ = writeln!(unit, "User={}", specifiers(&one_line(&self.user)));
        let _ = writeln!(unit, "WorkingDirectory={}", specifiers(&folder(&self.file)));
        let program = quote(&self.executable.to_string_lossy());
        let file = quote(&self.file.to_string_lossy());
        let name = quote(&self.name);
        let words: String = self.words.iter().map(|word| format!(" {}", quote(word))).collect();
        let _ = writeln!(unit, "ExecStart={program} run --name {name} {file}{words}");
        if self.is_longrunning {
            let _ = writeln!(unit, "ExecReload={program} reload {name}");
            let _ = writeln!(unit, "WatchdogSec={WATCHDOG_SECONDS}");
            unit.push_str("Restart=on-failure\nRestartSec=5\nRestartPreventExitStatus=2 78\n");
            unit.push_str("TimeoutStopSec=30\nKillMode=mixed\n");
        }
        let _ = writeln!(unit, "RuntimeDirectory=procblock-{stem}\nRuntimeDirectoryMode=0700");
        let _ = writeln!(unit, "StateDirectory=procblock/{stem}\nStateDirectoryMode=0700");
        unit.push_str(HARDENING);
        if self.is_longrunning {
            unit.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        }
        unit
    }
}

fn folder(file: &Path) -> String {
    one_line(&file.parent().unwrap_or(Path::new("/")).to_string_lossy())
}

/// A value takes one line of a unit.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// `%` begins a specifier (systemd.unit(5)).
fn specifiers(text: &str) -> String {
    text.replace('%', "%%")
}

/// A word of a command line (systemd.service(5), "Command lines"): nothing in it is expanded.
fn quote(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:=@,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_string();
    }
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_so_that_systemd_expands_nothing() {
        assert_eq!(quote("/usr/bin/procblock"), "/usr/bin/procblock");
        assert_eq!(quote("a b$HOME%n\"\\\n"), "\"a b$$HOME%%n\\\"\\\\\\n\"");
        assert_eq!(quote(""), "\"\"");
    }

    #[test]
    fn a_unit_has_absolute_commands_and_a_watchdog() {
        let service = Service {
            name: "a/b".into(),
            user: "monitor".into(),
            is_longrunning: true,
            executable: "/usr/bin/procblock".into(),
            file: "/srv/my files/x.yaml".into(),
            words: vec!["--rate".into(), "50%".into()],
        };
        let unit = service.to_unit();
        for line in [
            "Type=notify",
            "User=monitor",
            "WorkingDirectory=/srv/my files",
            "ExecStart=/usr/bin/procblock run --name a/b \"/srv/my files/x.yaml\" --rate \"50%%\"",
            "ExecReload=/usr/bin/procblock reload a/b",
            "WatchdogSec=30",
            "RuntimeDirectory=procblock-a%%2fb",
            "StateDirectory=procblock/a%%2fb",
            "NoNewPrivileges=yes",
            "WantedBy=multi-user.target",
        ] {
            assert!(unit.lines().any(|found| found == line), "{line} is not in\n{unit}");
        }
        let short = Service { is_longrunning: false, ..service }.to_unit();
        assert!(short.contains("Type=oneshot\n") && !short.contains("Watchdog") && !short.contains("[Install]"));
    }
}
