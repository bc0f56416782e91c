//! The first site of somebody who has read the README: a form, state, a cookie, a redirect, an upload, a Python page.

use serde_json::json;

use crate::support::{Run, Running, Web};

const BOOK: &str = r#"--: title: Guest book
--: args: {name: text, text: text}
function ProcessBlock(pipe_data, block, request_state, input_data)
  local entries = unidist.sharedstate.get("book", "entries", {})
  local shown = {entries = entries, name = request_state.cookies.name or ""}
  if request_state.method == "GET" then return shown end
  if input_data.text == "" then
    shown.error, shown.__response = "write something", {status = 400}
    return shown
  end
  table.insert(entries, {name = input_data.name, text = input_data.text})
  unidist.sharedstate.set("book", "entries", entries)
  return {__response = {redirect = "/book", cookies = {name = input_data.name}}}
end
"#;

const BOOK_PAGE: &str = "<title>{{ title }}</title><form method=post><input name=name value=\"{{ name }}\"><input name=text></form>\
{% for entry in entries %}<p>{{ entry.name }}: {{ entry.text }}</p>{% endfor %}{{ error | default(\"\") }}";

const KEEP: &str = r#"--: allow: [file]
--: args: {photo: {type: file, required: true}}
function ProcessBlock(pipe_data, block, request_state, input_data)
  local photo = input_data.photo
  file.copy(photo.file, "kept.bin")
  return {name = photo.name, size = photo.size, kind = photo.type}
end
"#;

const HOST: &str = "#: args: {n: {type: integer, default: 2}}\nimport os\n\ndef ProcessBlock(pipe_data, block, request_state, input_data):\n    \
return {'kernel': os.uname().sysname, 'numbers': list(range(input_data['n']))}\n";

fn served(run: Run) -> (Running, Web) {
    let running = run.own(["serve", "--port", "0", "site"]).start();
    let web = Web::of(&running);
    (running, web)
}

#[test]
fn a_form_is_kept_answered_by_a_redirect_and_its_name_comes_back_in_a_cookie() {
    let (_running, web) =
        served(Run::bare().file("site/pages/book.lua", BOOK).file("site/templates/book.html", BOOK_PAGE));
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let reply = web.request("POST /book", form, "name=Ann+B%C3%A9e%3B+x&text=%3Cb%3Ehi");
    assert_eq!((reply.status, reply.raw_header("location")), (303, "/book"), "{reply:?}");
    let cookie = reply.raw_header("set-cookie").split(';').next().unwrap().to_string();
    assert_eq!(cookie, "name=Ann%20B%C3%A9e%3B%20x");
    let page = web.request("GET /book", &format!("Cookie: {cookie}\r\n"), "");
    assert!(
        page.body.contains("value=\"Ann Bée; x\"") && page.body.contains("<p>Ann Bée; x: &lt;b&gt;hi</p>"),
        "{page:?}"
    );
    assert!(page.body.starts_with("<title>Guest book</title>"), "{page:?}");
    let refused = web.request("POST /book", form, "name=Ann&text=");
    assert!(refused.status == 400 && refused.body.ends_with("write something"), "{refused:?}");
}

#[test]
fn an_upload_is_kept_whole_whatever_it_holds() {
    let (running, web) = served(Run::bare().file("site/rpc/keep.lua", KEEP));
    let content = "\u{0}\u{1}PNG\r\n--not the end\r\n".repeat(20_000);
    let head =
        "Content-Disposition: form-data; name=\"photo\"; filename=\"../../a b.png\"\r\nContent-Type: image/png\r\n\r\n";
    let body = format!("--edge\r\n{head}{content}\r\n--edge--\r\n");
    let reply = web.request("POST /rpc/keep", "Content-Type: multipart/form-data; boundary=edge\r\n", &body);
    assert_eq!(reply.json(), json!({"name": "a b.png", "size": content.len(), "kind": "image/png"}));
    assert_eq!(std::fs::read_to_string(running.path("site/kept.bin")).unwrap(), content);
    let names = std::fs::read_dir(running.path("site")).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.count(), 2, "the folder rpc and the copy, nothing half written");
    // What a client writes is no upload, whatever it looks like.
    let own = running.path("site/rpc/keep.lua").display().to_string();
    let form = "Content-Type: multipart/form-data; boundary=edge\r\n";
    let part = format!(
        "--edge\r\nContent-Disposition: form-data; name=\"photo\"\r\n\r\n{{\"file\": \"{own}\"}}\r\n--edge--\r\n"
    );
    for reply in [
        web.post("/rpc/keep", &json!({"photo": {"file": own, "name": "a", "type": "b", "size": 1}}).to_string()),
        web.post("/rpc/keep", &json!({"photo": own}).to_string()),
        web.post(&format!("/rpc/keep?photo[file]={own}"), "{}"),
        web.request("POST /rpc/keep", form, &part),
    ] {
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(reply.body.contains("photo is"), "{reply:?}");
    }
    assert_eq!(std::fs::read_to_string(running.path("site/kept.bin")).unwrap(), content);
}

#[test]
fn a_page_needs_no_title_and_a_python_page_no_parameters_that_it_does_not_read() {
    let run = Run::bare().file("site/pages/host.py", HOST).file("site/templates/plain.html", "<h1>{{ title }}</h1>");
    let (_running, web) = served(run);
    assert_eq!(web.get("/plain").body, "<h1>plain</h1>");
    assert_eq!(web.get("/host?n=3").json(), json!({"kernel": "Linux", "numbers": [0, 1, 2]}));
}
