//! Samples through a running rrdcached, Debian's, on a socket of the test.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use procblock::series::FailureKind;
use unidist::timeseries::{Consolidation, FieldSpec, GraphSpec, SeriesSpec, Window};

use super::{LONG, START, client, column, eventually, logged, spec, wait, watch_log};

/// A daemon that writes only when it is told, in a folder of its own.
struct Daemon {
    folder: PathBuf,
    listen: String,
    child: Child,
}

impl Daemon {
    fn start(folder: &Path) -> Daemon {
        Self::listening(folder, format!("unix:{}", folder.join("socket").display()))
    }

    fn listening(folder: &Path, listen: String) -> Daemon {
        let child = Command::new("rrdcached")
            .args(["-g", "-F", "-R", "-w", "3600", "-f", "7200", "-l", &listen, "-p"])
            .arg(folder.join("pid"))
            .arg("-b")
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rrdcached is installed: tools/setup test");
        let daemon = Daemon { folder: folder.to_owned(), listen, child };
        eventually("rrdcached", || daemon.answers());
        daemon
    }

    fn answers(&self) -> bool {
        match self.listen.strip_prefix("unix:") {
            Some(path) => UnixStream::connect(path).is_ok(),
            None => std::net::TcpStream::connect(&self.listen).is_ok(),
        }
    }

    /// Ends it as a service manager does: what it holds is written.
    fn end(mut self) -> PathBuf {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
        self.folder.clone()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn through(daemon: &Daemon, path: &Path, fields: &[&str]) -> SeriesSpec {
    SeriesSpec { rrdcached: Some(daemon.listen.clone()), ..spec(path, fields) }
}

#[test]
fn samples_go_through_a_running_rrdcached_and_are_flushed_before_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    let path = folder.path().join("new folder/a\\b'\"$(id);c:d.rrd");
    let client = client();
    let series = client.declare(through(&daemon, &path, &["a", "b c"])).unwrap();
    client.store(&series, START as f64, &[1.0, 0.5]);
    client.store(&series, (START + 5) as f64, &[2.0, f64::NAN]);
    client.store(&series, (START + 10) as f64, &[12.5, -3.0]);
    wait(client.flush()).unwrap();
    assert_eq!((client.totals().stored, client.totals().held), (3, 0));
    assert!(column(&path, START - 5, START + 10).iter().all(|(_, value)| value.is_none()), "it is in memory only");
    let table = wait(client.fetch(&path, Consolidation::Average, Window::new(START - 5, START + 10))).unwrap();
    let rows: Vec<_> = table.rows.iter().map(|row| row.values.clone()).collect();
    assert_eq!(rows, [[Some(1.0), Some(0.5)], [Some(2.0), None], [Some(12.5), Some(-3.0)]]);
    client.store(&series, (START + 15) as f64, &[4.0, 4.0]);
    assert_eq!(wait(client.last(&path)).unwrap().rows[0].time, START + 15);
    client.store(&series, (START + 20) as f64, &[5.0, 5.0]);
    let picture = folder.path().join("a.png");
    client.graph(&series, Arc::new(GraphSpec::new(&picture, "A")), (START + 20) as f64);
    eventually("the graph", || client.totals().graphs == 1);
    assert_eq!(column(&path, START + 15, START + 20), [(START + 20, Some(5.0))], "drawn with everything");
    assert!(wait(client.shutdown(LONG)));
}

#[test]
fn late_and_repeated_samples_are_counted_as_with_files() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    let path = folder.path().join("a.rrd");
    for (round, expected) in [(0, (3, 1, 2)), (1, (0, 5, 1))] {
        // The second one finds what the daemon holds of the first one's.
        let client = client();
        let series = client.declare(through(&daemon, &path, &["a"])).unwrap();
        for (after, value) in [(0.0, 1.0), (5.0, 2.0), (6.0, 9.0), (1.0, 9.0), (9.0, 9.0), (10.0, 3.0)] {
            client.store(&series, START as f64 + after, &[value]);
        }
        wait(client.flush()).unwrap();
        let status = client.status().remove(0);
        assert_eq!((status.stored, status.late, status.repeated), expected, "round {round}");
        assert!(wait(client.shutdown(LONG)));
    }
    daemon.end();
    assert_eq!(column(&path, START - 5, START + 10).iter().filter(|(_, value)| value.is_some()).count(), 3);
}

#[test]
fn changed_fields_keep_the_history_and_what_the_daemon_held() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    let path = folder.path().join("a.rrd");
    for (index, fields) in [&["a"][..], &["b", "a"]].into_iter().enumerate() {
        let client = client();
        let series = client.declare(through(&daemon, &path, fields)).unwrap();
        for step in 0..3 {
            client.store(&series, (START + (index as i64 * 3 + step) * 5) as f64, &[7.0, 8.0][..fields.len()]);
        }
        wait(client.flush()).unwrap();
        assert_eq!(client.totals().stored, 3, "{:?}", client.status());
        assert!(wait(client.shutdown(LONG)));
    }
    let client = client();
    client.read_through(Some(daemon.listen.clone())).unwrap();
    let table = wait(client.fetch(&path, Consolidation::Average, Window::new(START - 5, START + 25))).unwrap();
    assert_eq!(table.fields, ["b", "a"]);
    let a: Vec<_> = table.rows.iter().map(|row| row.values[1]).collect();
    assert_eq!(a, [7.0, 7.0, 7.0, 8.0, 8.0, 8.0].map(Some));
}

#[test]
fn a_daemon_that_is_away_is_one_warning_and_no_sample_is_lost_or_told_as_repeated() {
    watch_log();
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    let path = folder.path().join("a.rrd");
    let client = client();
    let spec = through(&daemon, &path, &["a"]);
    let address = spec.rrdcached.clone().unwrap();
    let all: Vec<_> =
        (0..4).map(|n| SeriesSpec { path: folder.path().join(format!("{n}.rrd")), ..spec.clone() }).collect();
    let all: Vec<_> = all.into_iter().map(|spec| client.declare(spec).unwrap()).collect();
    let store =
        |round: i64| all.iter().for_each(|series| client.store(series, (START + round * 5) as f64, &[round as f64]));
    store(0);
    wait(client.flush()).unwrap();
    let gone = daemon.end();
    for round in 1..4 {
        store(round);
        wait(client.flush()).unwrap();
    }
    assert_eq!((client.totals().stored, client.totals().held), (4, 12));
    let told = client.status()[0].last_error.clone().unwrap();
    assert!(told.starts_with(&format!("cannot reach rrdcached at {address}: ")), "{told}");
    let daemon = Daemon::start(&gone);
    eventually("storing", || client.totals().stored == 16);
    store(4);
    assert!(wait(client.shutdown(LONG)));
    daemon.end();
    let totals = client.totals();
    assert_eq!((totals.stored, totals.late, totals.repeated, totals.dropped, totals.restarts), (20, 0, 0, 0, 0));
    for number in 0..4 {
        let rows = column(&folder.path().join(format!("{number}.rrd")), START - 5, START + 20);
        let expected: Vec<_> = (0..5).map(|round| (START + round * 5, Some(round as f64))).collect();
        assert_eq!(rows, expected);
    }
    let warned: Vec<_> =
        logged(&folder.path().join("socket")).into_iter().filter(|line| line.starts_with("WARN")).collect();
    assert!(warned.len() <= 2 && warned[0].contains("samples are kept"), "{warned:?}");
}

#[test]
fn a_series_that_the_daemon_refuses_does_not_hold_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(folder.path());
    fs::write(folder.path().join("bad.rrd"), "no RRD").unwrap();
    let client = client();
    let bad = client.declare(through(&daemon, &folder.path().join("bad.rrd"), &["a"])).unwrap();
    let good = client.declare(through(&daemon, &folder.path().join("good.rrd"), &["a"])).unwrap();
    let fields: Vec<FieldSpec> = (0..200).map(|n| FieldSpec::gauge(format!("a_long_name_{n}"))).collect();
    let wide_spec =
        SeriesSpec { fields, archives: Vec::new(), ..through(&daemon, &folder.path().join("w.rrd"), &["a"]) };
    let wide = client.declare(SeriesSpec { archives: spec(Path::new("x"), &["a"]).archives, ..wide_spec }).unwrap();
    for round in 0..400 {
        client.store(&bad, (START + round * 5) as f64, &[1.0]);
        client.store(&good, (START + round * 5) as f64, &[1.0]);
        client.store(&wide, (START + round * 5) as f64, &[1.0; 200]);
    }
    wait(client.flush()).unwrap();
    let status = client.status();
    assert_eq!((status[0].stored, status[1].stored, status[2].stored), (0, 400, 400), "{:?}", status[2].last_error);
    let told = status[0].last_error.clone().unwrap();
    assert!(told.contains("bad.rrd: rrdcached at unix:") && told.contains(" refuses: RRD Error"), "{told}");
    assert_eq!(fs::read(folder.path().join("bad.rrd")).unwrap(), b"no RRD");
}

#[test]
fn rrdcached_is_reached_by_tcp_and_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let daemon = Daemon::listening(folder.path(), format!("127.0.0.1:{port}"));
    let path = folder.path().join("a.rrd");
    let writer = client();
    let series = writer.declare(through(&daemon, &path, &["a"])).unwrap();
    writer.store(&series, START as f64, &[1.0]);
    assert!(wait(writer.shutdown(LONG)));
    let last = |address: &str| {
        let words = ["series", "last", "a.rrd", "-o", "csv", "--rrdcached", address];
        let output = Command::new(env!("CARGO_BIN_EXE_procblock")).args(words).current_dir(&folder).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap() + &error)
    };
    assert_eq!(last(&daemon.listen), (0, format!("time,a\n{START},1\n")));
    let (code, error) = last("nonsense:x");
    assert_eq!((code, &error[..60]), (2, "error: rrdcached is at \"nonsense:x\", expected unix:/PATH (at"));
    let (code, error) = last("/none/socket");
    assert_eq!((code, error.matches('\n').count()), (78, 1));
    assert!(error.starts_with("error: cannot reach rrdcached at unix:/none/socket: No such file"), "{error}");
    let reader = client();
    reader.read_through(Some("unix:/none/socket".into())).unwrap();
    assert_eq!(wait(reader.last(&path)).unwrap_err().kind, FailureKind::Refused);
}
