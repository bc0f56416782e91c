//! Requests of steps and scripts to servers of the tests' own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::support::{LONG, Run};

/// A server on loopback that answers one request for each connection. Its threads end with the test's process.
struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    closed: Receiver<()>,
}

impl Server {
    /// `answer` is given the number of the request, from 0, and its head; `None` never answers.
    fn start(answer: impl Fn(usize, &str) -> Option<String> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, count, answer) = (Arc::new(Mutex::new(Vec::new())), AtomicUsize::new(0), Arc::new(answer));
        let (tell, closed) = channel();
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let (seen, answer, tell) = (Arc::clone(&seen), Arc::clone(&answer), tell.clone());
                let number = count.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    let head = head(&mut stream);
                    seen.lock().unwrap().push(head.clone());
                    match answer(number, &head) {
                        Some(text) => drop(stream.write_all(text.as_bytes())),
                        None => drop(stream.read_to_end(&mut Vec::new())),
                    }
                    // A test that is over hears nothing any more.
                    let _ = tell.send(());
                });
            }
        });
        Server { address, asked, closed }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn head(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).map(|line| line + "\n").collect()
}

fn reply(status: &str, kind: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

#[test]
fn steps_and_scripts_of_all_languages_get_answers() {
    let server = Server::start(|_, _| reply("200 OK", "application/json", r#"{"jobs": {"waiting": 7}}"#));
    let block = format!(
        "data: {{url: 'http://{}/q'}}
run:
  - http: {{url: '${{url}}', query: {{a: [1, 2]}}, values: {{jobs: json.jobs.waiting, is_fast: duration < 30}}}}
  - lua: \"return {{lua = http.post(pipe_data.url, {{json = {{n = pipe_data.jobs}}}}).json.jobs.waiting}}\"
  - python: |
      import unidist
      return {{'python': unidist.http.request(pipe_data['url'], method='DELETE', timeout=20)['json']['jobs']['waiting']}}
",
        server.address
    );
    let run = Run::block(&block).end().result()["run"].clone();
    assert_eq!((&run["jobs"], &run["lua"], &run["python"]), (&json!(7), &json!(7), &json!(7)));
    assert_eq!((&run["is_fast"], &run["http"]["status"]), (&json!(true), &json!(200)));
    let lines: Vec<String> = server.asked().iter().map(|head| head.lines().next().unwrap().to_string()).collect();
    assert_eq!(lines, ["GET /q?a=1&a=2 HTTP/1.1", "POST /q HTTP/1.1", "DELETE /q HTTP/1.1"]);
}

#[test]
fn a_request_is_retried_until_its_status_is_a_good_one() {
    let server = Server::start(|number, _| match number {
        0 | 1 => reply("503 Service Unavailable", "text/plain", "later"),
        _ => reply("200 OK", "text/plain", "ready"),
    });
    let block = format!("run:\n  - {{http: 'http://{}/', retry: {{attempts: 5, delay: 10ms}}}}\n", server.address);
    let ended = Run::block(&block).end();
    assert_eq!(ended.result()["run"]["http"]["body"], "ready");
    assert_eq!(server.asked().len(), 3);
    assert_eq!(ended.stderr.matches("expected status 2xx, got 503 Service Unavailable").count(), 2, "{ended}");
}

#[test]
fn a_request_is_repeated_until_a_condition_holds() {
    let server =
        Server::start(|number, _| reply("202 Accepted", "text/json", &format!(r#"{{"done": {}}}"#, number > 1)));
    let step = format!("http: {{url: 'http://{}/', values: {{done: json.done}}}}", server.address);
    let block = format!("run:\n  - {step}\n    until: done\n    retry: {{attempts: 9, delay: 10ms}}\n");
    assert_eq!(Run::block(&block).end().result()["run"]["done"], true);
    assert_eq!(server.asked().len(), 3);
}

#[test]
fn a_request_past_its_time_fails_and_its_connection_is_closed() {
    let server = Server::start(|_, _| None);
    let ended = Run::block(&format!("run:\n  - {{http: 'http://{}/', timeout: 300ms}}\n", server.address)).end();
    let failure = ended.failure();
    assert!(ended.took < Duration::from_secs(10), "{ended}");
    let message = failure["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("timed out after 300ms while waiting for the answer"), "{message}");
    server.closed.recv_timeout(LONG).unwrap();
}

#[test]
fn a_stop_ends_requests_of_steps_and_scripts_at_once() {
    let server = Server::start(|_, _| None);
    let block = format!(
        "__usage: {{longrunning: true}}
run simultaneous:
  step:
    - http: http://{0}/
  lua:
    - lua: \"return http.get('http://{0}/', {{timeout = '1h'}})\"
  python:
    - python: |
        import unidist
        return unidist.http.get('http://{0}/', timeout='1h')
",
        server.address
    );
    let running = Run::block(&block).start();
    crate::support::eventually("all three have asked", || server.asked().len() == 3);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    for _ in 0..3 {
        server.closed.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn secrets_stand_in_no_line_and_no_error() {
    let server = Server::start(|_, head| reply("500 No", "text/plain", &format!("you sent {head}")));
    let address = server.address;
    let block = format!(
        "run:
  - {{http: 'http://al:hunter2@{address}/a?key=hunter2', on error: continue}}
  - {{http: {{url: 'http://{address}/b', user: al, password: hunter2}}, on error: continue}}
  - {{http: {{url: 'http://{address}/c', token: hunter2, expect: 200}}, on error: continue}}
  - {{http: {{url: 'http://{address}/c', headers: {{Authorization: 'Token hunter2'}}}}, on error: continue}}
  - lua: |
      local ok, text = pcall(http.get, 'http://al:hunter2@{address}/d?key=hunter2', {{expect = 200, token = 'hunter2'}})
      log.warn(text)
  - set: {{http: null}}
  - http: {{url: 'http://{address}/e', token: hunter2, into: last}}
"
    );
    let ended = Run::block(&block).own(["-vv"]).end();
    assert_eq!((ended.code, server.asked().len()), (Some(1), 6), "{ended}");
    assert!(ended.stderr.contains("/d?…: expected status 200, got 500"), "{ended}");
    for secret in ["hunter2", "YWw6aHVudGVyMg=="] {
        assert!(!ended.stderr.contains(secret), "{ended}");
        assert!(!ended.failure()["error"].to_string().contains(secret), "{ended}");
    }
}

#[test]
fn proxies_of_the_environment_are_used_but_for_loopback() {
    let proxy = Server::start(|_, _| reply("200 OK", "text/plain", "proxy"));
    let server = Server::start(|_, _| reply("200 OK", "text/plain", "server"));
    let block = format!(
        "run:
  - http: {{url: 'http://host.example/a', values: {{far: body}}}}
  - http: {{url: 'http://{}/', values: {{near: body}}}}
",
        server.address
    );
    let ended = Run::block(&block).variable("http_proxy", &format!("http://{}", proxy.address)).end();
    let run = &ended.result()["run"];
    assert_eq!((&run["far"], &run["near"]), (&json!("proxy"), &json!("server")));
    assert!(proxy.asked()[0].starts_with("GET http://host.example/a HTTP/1.1"));
}

#[test]
fn a_hundred_requests_that_wait_leave_others_on_time() {
    let server =
        Server::start(
            |_, head| {
                if head.starts_with("GET /slow") { None } else { reply("200 OK", "text/plain", "fast") }
            },
        );
    let slow: String = (0..100)
        .map(|n| format!("  - {{http: 'http://{}/slow', every: 1h, name: slow{n}}}\n", server.address))
        .collect();
    let block = format!(
        "__usage: {{longrunning: true}}\nrun simultaneous:\n  slow:\n{}  fast:\n    - {{http: 'http://{}/fast'}}\n    - log: {{text: 'fast: ${{http.body}}', level: warn}}\n",
        slow.lines().map(|line| format!("  {line}\n")).collect::<String>(),
        server.address
    );
    let running = Run::block(&block).start();
    running.wait_for_error_text("fast: fast");
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
}

#[cfg(feature = "series")]
#[test]
fn numbers_of_answers_become_a_series() {
    let server = Server::start(|_, _| reply("200 OK", "application/json", r#"{"jobs": {"waiting": 7}}"#));
    let block = format!(
        "__usage: {{longrunning: true}}
run:
  - http: {{url: 'http://{}/', values: {{waiting: json.jobs.waiting, seconds: duration}}}}
    every: 1s
    name: queue
    timeseries collect: {{path: queue.rrd, fields: [waiting, seconds]}}
",
        server.address
    );
    let running = Run::block(&block).own(["-v"]).start();
    running.wait_for_error_texts("Storing RRD occurrence", 3);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    let waiting = crate::support::rows(&ended.path("queue.rrd"), "waiting", 300);
    assert!(waiting.len() >= 2 && waiting.iter().all(|(_, value)| *value == 7.0), "{waiting:?}");
    assert!(!crate::support::rows(&ended.path("queue.rrd"), "seconds", 300).is_empty());
}
