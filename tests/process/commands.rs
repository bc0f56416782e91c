//! What one command is given, and what it gives back.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use procblock::process::{Command, Ended, Limits, LineSink, Output, OutputStream, SpawnError, Status, Stdin};
use unidist::Stop;

use crate::support::{LONG, keeper, run, shell};

#[tokio::test]
async fn an_exit_code_comes_back_with_both_outputs() {
    let finished = run(shell("echo out; echo error >&2; exit 3")).await.unwrap();
    assert_eq!(finished.status, Status::Exited(3));
    assert_eq!(finished.ended, Ended::Itself);
    assert_eq!((finished.output.text(), finished.error.text()), ("out\n".into(), "error\n".into()));
    assert_eq!((finished.output.cut, finished.error.cut), (0, 0));
}

#[tokio::test]
async fn a_signal_comes_back_even_a_real_time_one() {
    let keeper = keeper();
    for (signal, text) in [(9, "was killed by signal 9 (SIGKILL)"), (34, "was killed by signal 34")] {
        let finished = keeper.run(shell(&format!("kill -{signal} $$")), &Stop::new()).await.unwrap();
        assert_eq!(finished.status, Status::Signaled(signal));
        assert_eq!(finished.status.to_string(), text);
        assert_eq!(finished.ended, Ended::Itself);
    }
    keeper.shutdown().await;
}

#[tokio::test]
async fn a_missing_program_is_127_and_says_where_it_was_looked_for() {
    let by_name = Command { environment: vec![("PATH".into(), "/bin:/sbin".into())], ..Command::new(["no-such"]) };
    let error = run(by_name).await.unwrap_err();
    assert_eq!(error.to_string(), "no-such: no such program in PATH (/bin:/sbin)");
    assert_eq!(error.exit_code(), 127);
    let by_path = Command { folder: "/tmp".into(), ..Command::new(["./no-such"]) };
    let error = run(by_path).await.unwrap_err();
    assert_eq!(error.to_string(), "./no-such: no such program in /tmp");
    assert_eq!(error.exit_code(), 127);
}

#[tokio::test]
async fn a_file_that_is_no_program_is_126_and_says_what_helps() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let plain = file("plain", "#!/bin/sh\n", 0o644);
    let cases = [
        (plain.clone(), format!("permission denied: chmod +x {}", plain.display())),
        (file("text", "hello", 0o755), "it is no program: a script needs a first line such as #!/bin/sh".into()),
        (file("lost", "#!/no/such\n", 0o755), "its interpreter does not exist: see the first line of the file".into()),
        (folder.path().to_owned(), "it is a folder".into()),
    ];
    for (path, reason) in cases {
        let error = run(Command::new([path.as_os_str()])).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{}: can't be executed: {reason}", path.display()));
        assert_eq!(error.exit_code(), 126);
    }
    let in_path = Command { environment: vec![("PATH".into(), folder.path().into())], ..Command::new(["plain"]) };
    assert_eq!(run(in_path).await.unwrap_err().exit_code(), 126);
}

#[tokio::test]
async fn a_missing_working_folder_is_named() {
    let error = run(Command { folder: "/no/such".into(), ..Command::new(["/bin/true"]) }).await.unwrap_err();
    assert_eq!(error.to_string(), "working folder /no/such: it does not exist");
    let error = run(Command { folder: "/etc/passwd".into(), ..Command::new(["/bin/true"]) }).await.unwrap_err();
    assert_eq!(error.to_string(), "working folder /etc/passwd: it is not a folder");
}

#[tokio::test]
async fn what_no_system_could_pass_on_is_refused() {
    let cases = [
        (Command::new(Vec::<String>::new()), "no program to execute: the list of arguments is empty"),
        (Command::new(["/bin/echo", "a\0b"]), "argument \"a\\0b\" holds a zero byte, which no argument can"),
        (
            Command { environment: vec![("A=B".into(), "".into())], ..Command::new(["/bin/true"]) },
            "\"A=B\" can't be the name of an environment variable",
        ),
        (
            Command { environment: vec![("A".into(), "\0".into())], ..Command::new(["/bin/true"]) },
            "environment variable A holds a zero byte, which none can",
        ),
    ];
    for (command, text) in cases {
        assert_eq!(run(command).await.unwrap_err().to_string(), text);
    }
    let huge = Command::new(["/bin/true".to_owned(), "x".repeat(3 << 20)]);
    assert!(matches!(run(huge).await, Err(SpawnError::TooLarge { .. })));
    let long = Command::new(["/bin/true".to_owned(), "x".repeat(200 << 10)]);
    assert!(matches!(run(long).await, Err(SpawnError::TooLarge { .. })));
}

#[tokio::test]
async fn arguments_are_passed_as_they_are() {
    let hostile: Vec<OsString> =
        ["$(id)", "`id`", "a b", "'", "\"", ";", "*", "-n", "a\nb", ""].iter().map(Into::into).collect();
    let not_text = OsString::from_vec(vec![0xff, 0xfe]);
    let mut arguments: Vec<OsString> = vec!["printf".into(), "<%s>".into()];
    arguments.extend(hostile.clone());
    arguments.push(not_text);
    let finished = run(Command::new(arguments)).await.unwrap();
    let expected: Vec<u8> = hostile
        .iter()
        .flat_map(|argument| format!("<{}>", argument.to_string_lossy()).into_bytes())
        .chain(*b"<\xff\xfe>")
        .collect();
    assert_eq!(finished.output.bytes, expected);
    let large = "x".repeat(100 << 10);
    let finished = run(Command::new(["/usr/bin/printf", "%s", &large])).await.unwrap();
    assert_eq!(finished.output.text(), large);
}

#[tokio::test]
async fn a_child_has_its_own_environment_group_and_folder_and_nothing_else() {
    let command = Command {
        environment: vec![("GREETING".into(), "hello".into()), ("PATH".into(), "/bin:/usr/bin".into())],
        folder: "/usr".into(),
        ..shell(
            "echo $GREETING; echo ${HOME:+home}; pwd; echo ${PROCBLOCK_STEP:+step}; ls /proc/self/fd | tr '\\n' ' '; \
             ps -o pgid= -p $$ | tr -d ' '; echo $$; grep -E 'Sig(Blk|Ign)' /proc/self/status; readlink /proc/$$/fd/0",
        )
    };
    let text = run(command).await.unwrap().output.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], ["hello", "home", "/usr", "step"]);
    let (descriptors, group) = lines[4].rsplit_once(' ').unwrap();
    assert_eq!(descriptors, "0 1 2 3", "3 is that of ls");
    assert_eq!(group, lines[5]);
    assert_eq!(lines[6], "SigBlk:\t0000000000000000");
    // Signals 32 and 33 are libc's own: nobody can set them.
    let ignored = u64::from_str_radix(lines[7].strip_prefix("SigIgn:\t").unwrap(), 16).unwrap();
    assert_eq!(ignored & !(0b11 << 31), 0);
    assert_eq!(lines[8], "/dev/null");
}

#[tokio::test]
async fn ten_megabytes_of_input_reach_a_reader_and_hold_up_nobody_who_does_not_read() {
    let bytes = vec![b'x'; 10 << 20];
    let command = Command { stdin: Stdin::Bytes(bytes.clone()), ..shell("wc -c") };
    assert_eq!(run(command).await.unwrap().output.text().trim(), "10485760");
    let command = Command { stdin: Stdin::Bytes(bytes), ..shell("echo unread") };
    assert_eq!(run(command).await.unwrap().output.text(), "unread\n");
}

#[tokio::test]
async fn output_may_go_to_a_file_or_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out");
    std::fs::write(&path, "what was there before, longer").unwrap();
    let command = Command { output: Output::File(path.clone()), ..shell("echo kept; echo beside >&2") };
    let finished = run(command).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept\n");
    assert_eq!((finished.output.text(), finished.error.text()), (String::new(), "beside\n".into()));
    let finished = run(Command { output: Output::Discard, ..shell("echo lost") }).await.unwrap();
    assert_eq!(finished.output.text(), "");
    let missing = folder.path().join("no/such");
    let error = run(Command { output: Output::File(missing.clone()), ..shell("true") }).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("output file {}: ", missing.display())), "{error}");
}

struct Kept(Mutex<Vec<(OutputStream, String)>>, tokio::sync::Notify);

impl LineSink for Kept {
    fn line(&self, stream: OutputStream, line: &str) {
        self.0.lock().push((stream, line.to_owned()));
        self.1.notify_one();
    }
}

#[tokio::test]
async fn lines_come_while_the_child_runs() {
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let kept = Arc::new(Kept(Mutex::new(Vec::new()), tokio::sync::Notify::new()));
    let command = Command {
        environment: vec![("GATE".into(), gate.clone().into())],
        sink: Some(kept.clone()),
        ..shell("echo first; read line <$GATE; echo $line >&2; printf last")
    };
    let running = tokio::spawn(run(command));
    kept.1.notified().await;
    assert_eq!(*kept.0.lock(), [(OutputStream::Output, "first".to_owned())]);
    tokio::task::spawn_blocking(move || std::fs::write(gate, "second\n").unwrap()).await.unwrap();
    running.await.unwrap().unwrap();
    let mut lines = kept.0.lock().clone();
    lines[1..].sort_by_key(|(stream, _)| *stream == OutputStream::Output);
    let second = (OutputStream::Error, "second".to_owned());
    let last = (OutputStream::Output, "last".to_owned());
    assert_eq!(lines[1..], [second, last]);
}

#[tokio::test]
async fn limits_end_what_is_over_them() {
    let limited = |limits: Limits, text: &str| Command { limits, ..shell(text) };
    let cpu = Limits { cpu: Some(Duration::from_millis(200)), ..Limits::default() };
    let finished = run(limited(cpu, "while :; do :; done")).await.unwrap();
    assert_eq!(finished.status, Status::Signaled(nix::libc::SIGXCPU));
    // The kernel's limit counts time that a virtual machine was not running, the report does not.
    assert!(finished.cpu >= Duration::from_millis(300), "{:?}", finished.cpu);
    let files = Limits { files: Some(5), ..Limits::default() };
    assert_eq!(run(limited(files, "ulimit -n; ulimit -Hn")).await.unwrap().output.text(), "5\n5\n");
    let memory = Limits { memory: Some(64 << 20), ..Limits::default() };
    let finished = run(limited(memory, "ulimit -v; head -c 200m /dev/zero | sort -S 150M | wc -c")).await.unwrap();
    assert!(finished.output.text().starts_with("65536\n"), "{}", finished.output.text());
    assert!(!finished.output.text().contains("209715200"));
}

#[tokio::test]
async fn a_child_that_becomes_more_processes_than_it_may_is_ended() {
    let limits = Limits { processes: Some(20), ..Limits::default() };
    let limited = |text: &str| Command { limits, timeout: Some(LONG), ..shell(text) };
    // Among them orphans, and ones in sessions of their own.
    for start in ["sleep 1000 &", "(sleep 1000 &);", "setsid sleep 1000 &"] {
        let text = format!("n=0; while [ $n -lt 60 ]; do {start} n=$((n + 1)); done; echo all; sleep 1000");
        let finished = run(limited(&text)).await.unwrap();
        assert!(matches!(finished.ended, Ended::Crowded(21..=70)), "{start} {:?}", finished.ended);
    }
    let few = "for n in 1 2 3 4 5; do sleep 0.05 & done; wait; echo all";
    let finished = run(limited(few)).await.unwrap();
    assert_eq!((finished.ended, finished.output.text().as_str()), (Ended::Itself, "all\n"));
    let own = run(shell("nice")).await.unwrap().output.text();
    assert_eq!(run(limited("nice")).await.unwrap().output.text(), own);
    // Neither has one that is started beside it the keeper's niceness.
    let keeper = keeper();
    let (counted, stop) = (limited("sleep 1000"), Stop::new());
    let running = tokio::spawn({
        let (keeper, stop) = (keeper.clone(), stop.clone());
        async move { keeper.run(counted, &stop).await }
    });
    assert_eq!(keeper.run(shell("nice"), &Stop::new()).await.unwrap().output.text(), own);
    stop.request();
    running.await.unwrap().unwrap();
    keeper.shutdown().await;
}

#[tokio::test]
async fn a_fork_bomb_is_ended_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // It goes on while the file is there, and to 2^8 processes, so that a fault of ours does not take the machine down.
    let fuse = folder.path().join("fuse");
    std::fs::write(&fuse, "").unwrap();
    let text = format!(
        "b() {{ [ -e {0} ] && [ $1 -gt 0 ] && {{ b $(($1 - 1)) | b $(($1 - 1)) & }}; while [ -e {0} ]; do sleep 1; done; }}; b 7",
        fuse.display()
    );
    let limits = Limits { processes: Some(50), ..Limits::default() };
    let bomb = Command { limits, timeout: Some(Duration::from_secs(60)), ..shell(&text) };
    let finished = run(bomb).await;
    std::fs::remove_file(&fuse).unwrap();
    let finished = finished.unwrap();
    assert!(matches!(finished.ended, Ended::Crowded(51..)), "{:?}", finished.ended);
    let line = fuse.display().to_string();
    let is_left = |entry: &std::fs::DirEntry| {
        std::fs::read_to_string(entry.path().join("cmdline")).is_ok_and(|text| text.contains(&line))
    };
    assert_eq!(std::fs::read_dir("/proc").unwrap().flatten().filter(is_left).count(), 0);
}

#[tokio::test]
async fn a_program_that_fails_behind_limits_is_told_from_its_own_exit() {
    let limits = Limits { files: Some(100), ..Limits::default() };
    let error = run(Command { limits, ..Command::new(["/no/such"]) }).await.unwrap_err();
    assert_eq!(error.exit_code(), 127);
    let error = run(Command { limits, ..Command::new(["/etc/passwd"]) }).await.unwrap_err();
    assert_eq!(error.exit_code(), 126);
    let finished = run(Command { limits, ..shell("exit 127") }).await.unwrap();
    assert_eq!(finished.status, Status::Exited(127));
    let descriptors = run(Command { limits, ..Command::new(["ls", "/proc/self/fd"]) }).await.unwrap();
    assert_eq!(descriptors.output.text(), "0\n1\n2\n3\n");
}

#[tokio::test]
async fn a_limit_that_may_not_be_set_is_named() {
    let limits = Limits { files: Some(u64::from(u32::MAX)), ..Limits::default() };
    let error = run(Command { limits, ..shell("true") }).await.unwrap_err();
    assert!(matches!(error, SpawnError::Limit(_)));
    assert!(error.to_string().starts_with("limit files 4294967295: "), "{error}");
}

#[tokio::test]
async fn an_unknown_user_is_named() {
    let error = run(Command { user: Some("nosuchuser".into()), ..shell("true") }).await.unwrap_err();
    assert_eq!(error.to_string(), "user nosuchuser: no such user on this machine");
}

#[tokio::test]
async fn a_user_comes_with_its_groups_and_variables() {
    if !nix::unistd::geteuid().is_root() {
        let error = run(Command { user: Some("root".into()), ..shell("true") }).await.unwrap_err();
        assert!(error.to_string().contains("only root can change users"), "{error}");
        return;
    }
    let print = "id -un; id -Gn; echo $HOME $USER $LOGNAME";
    let account = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let expected_groups = std::process::Command::new("id").args(["-Gn", "nobody"]).output().unwrap().stdout;
    let finished = run(Command { user: Some("nobody".into()), ..shell(print) }).await.unwrap();
    let expected =
        format!("nobody\n{}{} nobody nobody\n", String::from_utf8(expected_groups).unwrap(), account.dir.display());
    assert_eq!(finished.output.text(), expected);
    let own_home = vec![("HOME".into(), "/tmp".into())];
    let by_number =
        Command { user: Some(account.uid.to_string()), environment: own_home, ..shell("id -un; echo $HOME") };
    assert_eq!(run(by_number).await.unwrap().output.text(), "nobody\n/tmp\n");
}

#[tokio::test]
async fn a_child_that_waits_for_a_place_in_vain_is_out_of_time() {
    let keeper = procblock::process::Keeper::with_children_max(env!("CARGO_BIN_EXE_procblock").into(), 1);
    let stop = Stop::new();
    let first = tokio::spawn({
        let (keeper, stop) = (keeper.clone(), stop.clone());
        async move { keeper.run(shell("sleep 1000"), &stop).await }
    });
    while keeper.places_left() > 0 {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    let second = Command { timeout: Some(Duration::from_millis(50)), ..shell("true") };
    let error = keeper.run(second, &Stop::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "not started within its time limit: 1 children are running");
    assert!(begun.elapsed() < LONG);
    stop.request();
    assert_eq!(first.await.unwrap().unwrap().ended, Ended::Stopped);
    assert!(keeper.run(shell("true"), &Stop::new()).await.unwrap().status.is_success());
    assert!(matches!(keeper.run(shell("true"), &stop).await, Err(SpawnError::Stopped)));
    keeper.shutdown().await;
    assert!(matches!(keeper.run(shell("true"), &Stop::new()).await, Err(SpawnError::Stopped)));
}
