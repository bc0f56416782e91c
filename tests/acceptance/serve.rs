//! `procblock serve`, the tag `serve`, and the demos that are sites, over HTTP.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use crate::support::{Run, Running, Web, eventually};

fn demo(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demos").join(name).canonicalize().unwrap()
}

/// Serves what lies in the run's folder under this name.
fn serve(run: Run, what: &str) -> (Running, Web) {
    let running = run.own(["serve", "--port", "0", what]).start();
    let web = Web::of(&running);
    (running, web)
}

const PAGE: &str =
    "function ProcessBlock(pipe_data, block, request_state, input_data)\n  return {who = input_data.who}\nend\n";

#[test]
fn the_smallest_site_greets_and_counts() {
    let (running, web) = serve(Run::bare().copy(&demo("hello_site")), ".");
    let reply = web.get("/");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.head.contains("content-type: text/html"), "{reply:?}");
    assert!(reply.body.contains("<h1>Hello world</h1>") && reply.body.contains("visit 1."), "{reply:?}");
    let reply = web.get("/?who=%3Cb%3Eme&output=x&visits=99");
    assert!(reply.body.contains("Hello &lt;b&gt;me") && reply.body.contains("visit 2."), "{reply:?}");
    assert_eq!(web.get("/?format=json&title=x").json(), json!({"who": "world", "visits": 3}));
    let ended = running.interrupt();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended}");
    assert!(TcpStream::connect(&web.address).is_err(), "the listener is closed");
}

#[test]
fn a_client_that_leaves_ends_its_page() {
    let held = "--: timeout: 60s\nfunction ProcessBlock(pipe_data, block, request_state, input_data)\n  \
                unidist.sharedlock.acquire('held')\n  \
                if input_data.how == 'computes' then while true do end end\n  time.sleep(60)\n  return {}\nend";
    let is_held = "function ProcessBlock() return {held = unidist.sharedlock.is_locked('held')} end";
    let run = Run::bare().file("site/pages/held.lua", held).file("site/pages/is_held.lua", is_held);
    let (running, web) = serve(run, "site");
    let is_held = || web.get("/is_held").json()["held"] == true;
    for how in ["waits", "computes"] {
        let mut client = TcpStream::connect(&web.address).unwrap();
        write!(client, "GET /held?how={how} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        eventually("the lock", is_held);
        let left = Instant::now();
        drop(client);
        eventually("the end of the page", || !is_held());
        assert!(left.elapsed() < Duration::from_secs(20), "{how}: ended by itself");
    }
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn the_original_example_package_is_served() {
    let (running, web) = serve(Run::bare().copy(&demo("example_site")), "example_site.yaml");
    let reply = web.get("/example-page?who=%3Ci%3E");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.body.contains("<h1>Example page of ") && reply.body.contains("for &lt;i&gt;."), "{reply:?}");
    assert!(reply.body.contains("data-rpc=\"example-rpc\"") && reply.body.contains("id=\"rpc_write_target\""));
    let reply = web.get("/rpc/example-rpc?x=1&y[]=2&y[]=3");
    assert!(reply.head.contains("content-type: application/json"), "{reply:?}");
    let value = reply.json();
    let told = value["rpc_write_target"].as_str().unwrap();
    assert!(told.ends_with("given x = 1, y = ['2', '3']"), "{told}");
    let mut names: Vec<&String> = value.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(names, ["no_such_element", "rpc_write_target"], "no argument, no render, no time");
    assert!(
        web.post("/rpc/example-rpc", r#"{"x": "5"}"#).json()["rpc_write_target"].as_str().unwrap().ends_with("x = 5")
    );
    assert!(web.get("/example.css").head.contains("content-type: text/css"));
    for (path, status) in [("/nothing", 404), ("/../../../etc/hostname", 400), ("/%2e%2e/example_site.yaml", 400)] {
        assert_eq!(web.get(path).status, status, "{path}");
    }
    // An edit of the package is live at the next request.
    let package = std::fs::read_to_string(running.path("example/package.yaml")).unwrap();
    std::fs::write(running.path("example/package.yaml"), package.replace("example-page:", "new-page:")).unwrap();
    assert_eq!((web.get("/new-page").status, web.get("/example-page").status), (200, 404));
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn what_is_dropped_in_or_edited_is_live_and_what_is_broken_fails_alone() {
    let run = Run::bare().file("site/pages/a.lua", PAGE).file("site/templates/a.html", "<p>{{ who }}</p>");
    let (running, web) = serve(run, "site");
    assert_eq!(web.get("/a?who=x").body, "<p>x</p>");
    assert_eq!(web.get("/b").status, 404);
    std::fs::write(running.path("site/pages/b.lua"), PAGE).unwrap();
    assert_eq!(web.get("/b?who=y").json(), json!({"who": "y"}));
    std::fs::write(running.path("site/templates/a.html"), "<b>{{ who }}</b>").unwrap();
    assert_eq!(web.get("/a?who=x").body, "<b>x</b>");
    std::fs::write(running.path("site/pages/a.lua"), "function ProcessBlock()\n  return {\nend\n").unwrap();
    let broken = web.get("/a");
    assert_eq!(broken.status, 500);
    assert!(!broken.body.contains(".lua"), "nothing of the inside is shown: {broken:?}");
    running.wait_for_error_text("site/pages/a.lua:3");
    assert_eq!(web.get("/b?who=y").status, 200);
    std::fs::write(running.path("site/pages/a.lua"), "--: tittle: x\n").unwrap();
    assert_eq!(web.get("/a").status, 500);
    running.wait_for_error_text("did you mean \\\"title\\\"?");
    std::fs::write(running.path("site/pages/a.lua"), PAGE).unwrap();
    assert_eq!(web.get("/a?who=z").body, "<b>z</b>");
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn pages_of_all_languages_get_the_arguments_as_data() {
    let python = "def ProcessBlock(pipe_data, block, request_state, input_data, tag=None, cwd=None, env=None, block_parent=None):\n    return {'x': input_data['x'], 'path': request_state['path']}\n";
    let shell = "#!/bin/sh\n#: args: {n: integer}\nprintf '%s|%s|%s' \"$ARG_x\" \"$ARG_n\" \"$REQUEST_METHOD\"\n";
    let json = "#!/bin/sh\ncat\n";
    let yaml = "data: {secret: s}\ntemplate: '{{ output }}|{{ who }}'\nwho: ${args.x}\nrun:\n  - shell: printf '%s' ${args.x}\n";
    let run = Run::bare()
        .file("site/pages/python.py", python)
        .executable("site/pages/shell.sh", shell)
        .executable("site/rpc/json.sh", json)
        .file("site/pages/yaml.yaml", yaml);
    let (running, web) = serve(run, "site");
    let hostile = "%24(touch%20pwned);%60id%60";
    let plain = "$(touch pwned);`id`";
    assert_eq!(web.get(&format!("/python?x={hostile}")).json(), json!({"x": plain, "path": "/python"}));
    let reply = web.get(&format!("/shell?x={hostile}&n=5"));
    assert_eq!(reply.body, format!("{plain}|5|GET"));
    assert!(reply.head.contains("content-type: text/plain"), "{reply:?}");
    assert_eq!(web.get("/shell?n=five").status, 400);
    let given = web.post("/rpc/json", r#"{"x": {"y": [1]}}"#).json();
    assert_eq!(given["input_data"], json!({"x": {"y": [1]}}));
    assert_eq!((&given["pipe_data"], &given["request_state"]["protocol"]), (&json!({}), &json!("rpc")));
    assert_eq!(web.get(&format!("/yaml?x={hostile}")).body, format!("{plain}|{plain}"));
    assert_eq!(
        web.get("/yaml?format=json&x=1").json(),
        json!({"who": "1", "output": "1", "status": [0], "output_error": ""})
    );
    assert!(!running.path("site/pwned").exists() && !running.path("pwned").exists());
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_block_serves_what_its_run_threads_change_and_a_reload_keeps_the_listener() {
    let block = "__usage: {name: shop}\nrun:\n  - {name: tick, every: 20ms, counter: {increment: ticks}}\nserve: {folder: one, port: 0}\n";
    let page = "function ProcessBlock() return {ticks = unidist.sharedcounter.get('ticks')} end";
    let run = Run::named("shop.yaml", block)
        .file("one/pages/index.lua", page)
        .file("one/pages/old.lua", page)
        .file("two/pages/index.lua", page);
    let running = run.start();
    let web = Web::of(&running);
    let result = running.wait_for_result();
    assert_eq!(result["serve"], json!([format!("http://{}/", web.address)]));
    eventually("the run-thread", || web.get("/").json()["ticks"].as_i64().unwrap() > 2);
    assert_eq!(web.get("/old").status, 200);
    std::fs::write(running.path("shop.yaml"), block.replace("folder: one", "folder: two")).unwrap();
    running.signal(Signal::SIGHUP);
    eventually("the other folder", || web.get("/old").status == 404);
    assert_eq!(web.get("/").status, 200);
    std::fs::write(running.path("shop.yaml"), block.replace("folder: one", "folder: none")).unwrap();
    running.signal(Signal::SIGHUP);
    running.wait_for_error_text("reload refused");
    assert_eq!(web.get("/").status, 200);
    assert_eq!(running.terminate().code, Some(0));
}

#[test]
fn hosts_choose_sites_and_packages_have_mounts() {
    let site = "a.example:\n  port: 0\n  aliases: [alias.example]\n  packages:\n    - a.yaml\n    - {path: b.yaml, mount: /tools/}\n";
    let page = |text: &str| {
        format!(
            "http: {{page: {{template: '{text}'}}}}\nrpc: {{ping: {{read only: true, run: [{{set: {{of: {text}}}}}]}}}}\n"
        )
    };
    let run = Run::bare().file("site.yaml", site).file("a.yaml", &page("first")).file("b.yaml", &page("second"));
    let (running, web) = serve(run, "site.yaml");
    for (host, path, body) in [
        ("a.example", "/page", "first"),
        ("alias.example", "/tools/page", "second"),
        ("a.example", "/rpc/ping", r#"{"of":"first"}"#),
        ("a.example", "/tools/rpc/ping", r#"{"of":"second"}"#),
    ] {
        let reply = web.get_of(host, path);
        assert_eq!((reply.status, reply.body.trim_end()), (200, body), "{host}{path}");
    }
    assert_eq!(web.get_of("evil.example", "/page").status, 421);
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_request_under_way_is_answered_when_the_server_ends() {
    let page = "function ProcessBlock()\n  unidist.sharedcounter.increment('begun')\n  time.sleep(1)\n  return {done = true}\nend";
    let begun = "function ProcessBlock() return {begun = unidist.sharedcounter.get('begun')} end";
    let run = Run::bare().file("site/pages/slow.lua", page).file("site/pages/begun.lua", begun);
    let (running, web) = serve(run, "site");
    let address = web.address.clone();
    let slow = std::thread::spawn(move || Web { address }.get("/slow"));
    eventually("the slow page", || web.get("/begun").json()["begun"] == 1);
    let ended = running.interrupt();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(ended.took < Duration::from_secs(10), "{ended}");
    assert_eq!(slow.join().unwrap().json(), json!({"done": true}));
}

#[test]
fn what_can_not_be_served_is_refused_with_its_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = || Run::bare().file("site/pages/index.lua", PAGE);
    let ended = run().own(["serve", "site", "--port", &port]).end();
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains(&format!("127.0.0.1:{port} is in use by another program")), "{ended}");
    let ended = run().own(["serve", "site", "--port", "0", "--listen", "0.0.0.0"]).end();
    assert_eq!(ended.code, Some(1), "{ended}");
    for line in ["neither users nor TLS", "procblock user add NAME", "tls: {certificate: FILE.pem", "insecure: true"] {
        assert!(ended.stderr.contains(line), "{line}: {ended}");
    }
    let ended = run().own(["serve", "sit"]).end();
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(78), "error: there is no folder or site file \"sit\"; did you mean \"site\"?\n")
    );
    let ended = Run::bare().file("site.yaml", "a: {packages: [b.yaml]}\n").own(["serve", "site.yaml"]).end();
    assert!(ended.refusal().starts_with("site.yaml:1:16: there is no package file \"b.yaml\""), "{ended}");
}

#[test]
fn dev_shows_the_failure_on_the_page() {
    let run = Run::bare().file("site/pages/a.lua", "function ProcessBlock()\n  error('<no disk>')\nend\n");
    let running = run.own(["serve", "--dev", "--port", "0", "site"]).start();
    let reply = Web::of(&running).get("/a");
    assert_eq!(reply.status, 500);
    assert!(reply.body.contains("pages/a.lua:2") && reply.body.contains("&lt;no disk&gt;"), "{reply:?}");
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_new_page_is_served_as_it_is_written() {
    let made = Run::bare().own(["new", "site", "tools"]).end();
    assert_eq!(made.stdout, "procblock serve tools\n", "{made}");
    let made = Run::again(&made).own(["new", "page", "disks", "--folder", "tools"]).end();
    assert_eq!(made.code, Some(0), "{made}");
    let (running, web) = serve(Run::again(&made), "tools");
    assert!(web.get("/").body.contains("<h1>tools</h1>"));
    assert!(web.get("/disks").body.contains("Hello world"));
    assert_eq!(web.post("/rpc/press", "{}").json(), json!({"presses": 1}));
    assert_eq!(web.get("/rpc/press").status, 405);
    assert!(web.get("/style.css").head.contains("text/css"));
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn procedures_are_called_from_blocks_scripts_and_the_command_line() {
    let add = "--: args: {a: {type: integer, required: true}, b: {type: integer, default: 1}}\nfunction ProcessBlock(p, b, r, input_data)\n  if input_data.a < 0 then error('below zero') end\n  return {sum = input_data.a + input_data.b}\nend\n";
    let (running, web) = serve(Run::bare().file("site/rpc/add.lua", add), "site");
    let url = format!("http://{}", web.address);
    let block = format!(
        "data: {{url: '{url}'}}
run:
  - rpc: {{url: '${{url}}', name: add, args: {{a: 2}}}}
  - rpc: {{url: '${{url}}/rpc', name: add, args: {{a: '${{sum}}', b: 10}}, json rpc: true, into: second}}
  - lua: return {{third = rpc.call(pipe_data.url, 'add', {{a = 5}}, {{timeout = 20}}).sum}}
  - python: |
      import unidist
      return {{'fourth': unidist.rpc.call(pipe_data['url'] + '/', 'add', {{'a': 6, 'b': 7}})['sum']}}
"
    );
    let run = Run::block(&block).end().result()["run"].clone();
    assert_eq!(
        (&run["sum"], &run["second"], &run["third"], &run["fourth"]),
        (&json!(3), &json!({"sum": 13}), &json!(6), &json!(13))
    );
    let call = |words: &[&str]| Run::bare().own(["rpc", &url]).words(words).end();
    assert_eq!(call(&["add", "a=4", "b=5"]).result(), json!({"sum": 9}));
    let failed = call(&["add", "a=-1"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (Some(1), ""), "{failed}");
    assert!(
        failed.stderr.contains("/rpc/add: add: ") && failed.stderr.contains("the server's log has more under"),
        "{failed}"
    );
    let failed = call(&["ad", "a=1"]);
    assert!(failed.code == Some(1) && failed.stderr.contains("(404)"), "{failed}");
    assert_eq!(call(&["add", "a"]).code, Some(2));
    assert_eq!(running.interrupt().code, Some(0));
}

#[test]
fn a_page_may_not_call_others_unless_it_says_so() {
    let code = "function ProcessBlock() return rpc.call('http://127.0.0.1:1', 'x') end";
    let run = Run::bare()
        .file("site/pages/refused.lua", code)
        .file("site/pages/allowed.lua", &format!("--: allow: [rpc]\n{code}"));
    let (running, web) = serve(run, "site");
    assert_eq!((web.get("/refused").status, web.get("/allowed").status), (500, 500));
    running.wait_for_error_text("rpc.call is not allowed here; add \\\"allow: [rpc]\\\"");
    running.wait_for_error_text("connection refused");
    assert_eq!(running.interrupt().code, Some(0));
}
