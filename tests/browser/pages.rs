//! What `/dropstar.js` does in pages.

use std::fs;

use dropstar::users::{Scope, UsersFile};

use crate::browser::Browser;
use crate::site::Served;
use crate::support::Run;

const PAGE: &str = "<!doctype html><title>example</title><script src=\"/dropstar.js\"></script>
<button data-rpc=\"target\">press</button><div id=\"rpc_write_target\">nothing</div>
<div id=\"marked_up\" data-html></div>
";

const PROCEDURE: &str = "function ProcessBlock()
    return {rpc_write_target = '<b>bold</b> & more', marked_up = '<b>bold</b>', no_such_element = 1}
end
";

#[test]
fn a_button_fills_elements_with_the_keys_of_the_reply() {
    let served = Served::folder([("templates/index.html", PAGE), ("rpc/target.lua", PROCEDURE)]);
    let browser = Browser::open();
    browser.go(&served.url("/"));
    assert_eq!(browser.text("#rpc_write_target"), "nothing");
    browser.click("button");
    browser.wait_for_text("#rpc_write_target", "<b>bold</b> & more");
    assert_eq!(browser.text("#marked_up"), "bold");
    assert_eq!(browser.count("#rpc_write_target b"), 0);
    assert_eq!(browser.count("#marked_up b"), 1);
    assert_eq!(browser.problems(), [""; 0]);
    // An edit shows with the next call.
    fs::write(served.path("site/rpc/target.lua"), PROCEDURE.replace("more", "edited")).unwrap();
    browser.click("button");
    browser.wait_for_text("#rpc_write_target", "edited");
}

#[test]
fn attributes_call_procedures() {
    let page = "<!doctype html><title>attributes</title><script src=\"/dropstar.js\"></script>
<form data-rpc=\"echo\"><input name=\"said\"><input type=\"checkbox\" name=\"loud\" checked>
  <input name=\"parts[]\" value=\"a\"><input name=\"parts[]\" value=\"b\"><button name=\"by\" value=\"form\">send</button></form>
<input type=\"range\" id=\"delay\" min=\"0\" max=\"9\" value=\"1\" data-rpc=\"echo\">
<button id=\"json\" data-rpc=\"echo\" data-args='{\"n\": 7}'>json</button>
<button id=\"fields\" data-rpc=\"echo\" data-args=\".some\">fields</button><input class=\"some\" name=\"x\" value=\"1\">
<button id=\"sure\" data-rpc=\"echo\" data-args='{\"sure\": true}' data-confirm=\"Sure?\">sure</button>
<button id=\"broken\" data-rpc=\"broken\">broken</button><p data-error hidden></p>
<p id=\"got\"></p><ul id=\"list\"></ul><table><tbody id=\"rows\" data-columns=\"b,a\"></tbody></table>
<p id=\"ticks\" data-rpc=\"tick\" data-every=\"200ms\"></p>
";
    let echo = "function ProcessBlock(pipe_data, block, request_state, input_data)
    local keys, shown = {}, {}
    for key in pairs(input_data) do keys[#keys + 1] = key end
    table.sort(keys)
    for at, key in ipairs(keys) do shown[at] = key .. '=' .. json.encode(input_data[key]) end
    return {got = table.concat(shown, ' '), list = {'<i>', 2}, rows = {{a = 1, b = '<i>'}, {a = 3, b = 4}}}
end
";
    let tick = "function ProcessBlock() return {ticks = unidist.sharedcounter.increment('ticks')} end\n";
    let served = Served::folder([
        ("templates/index.html", page),
        ("rpc/echo.lua", echo),
        ("rpc/tick.lua", tick),
        ("rpc/broken.lua", "function ProcessBlock() error('secret') end\n"),
    ]);
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.type_into("form input", "<hello>\n");
    browser.wait_for_text("#got", r#"by="form" loud=true parts=["a","b"] said="<hello>""#);
    browser.wait_for("document.querySelector('form input').value === ''");
    assert_eq!(browser.texts("#list li"), ["<i>", "2"]);
    assert_eq!(browser.texts("#rows td"), ["<i>", "1", "4", "3"]);
    browser.set("#delay", "5");
    browser.wait_for_text("#got", r#"delay="5""#);
    browser.drag("#delay", 0.5, 0.99);
    browser.wait_for_text("#got", r#"delay="9""#);
    browser.click("#json");
    browser.wait_for_text("#got", "n=7");
    browser.click("#fields");
    browser.wait_for_text("#got", r#"x="1""#);
    browser.click("#sure");
    browser.answer(false);
    browser.click("#sure");
    browser.answer(true);
    browser.wait_for_text("#got", "sure=true");
    browser.wait_for("Number(document.querySelector('#ticks').textContent) >= 3");
    assert_eq!(browser.problems(), [""; 0]);
    browser.click("#broken");
    browser.wait_for_text("[data-error]", "broken: something went wrong on the server");
    assert!(!browser.text("[data-error]").contains("secret"));
}

#[test]
fn elements_follow_shared_things_in_all_browsers() {
    let page = "<!doctype html><title>live</title><meta name=\"viewport\" content=\"width=device-width\"><style>pre { white-space: pre-wrap; overflow-wrap: anywhere }</style><script src=\"/dropstar.js\"></script>
<button data-rpc=\"post\" data-args=\"input\">post</button><input name=\"text\">
<b data-counter=\"posts\">?</b><i data-state=\"wall/newest\" data-default=\"nothing\"></i><u data-queue=\"waiting\"></u>
<ul data-state=\"wall/line*\"></ul><tt data-thread=\"slow\" data-field=\"number\"></tt><pre data-log></pre>
";
    let post = "function ProcessBlock(pipe_data, block, request_state, input_data)
    local number = unidist.sharedcounter.increment('posts')
    unidist.sharedstate.set('wall', 'newest', input_data.text)
    unidist.sharedstate.set('wall', 'line' .. number, input_data.text)
    unidist.messagequeue.add('waiting', {text = input_data.text})
    log.warn('posted <' .. number .. '>')
    return {}
end
";
    let run = Run::block(
        "serve: {port: 0, folder: site}\nrun:\n  - name: slow\n    every: 1h\n    lua: return {number = 42}\n",
    );
    let served = Served::start(run.file("site/templates/index.html", page).file("site/rpc/post.lua", post));
    let (one, other) = (Browser::open(), Browser::open());
    for browser in [&one, &other] {
        browser.go(&served.url("/"));
        browser.wait_for_text("b", "0");
        browser.wait_for_text("tt", "42");
    }
    one.type_into("input", "<b>hello</b>");
    one.click("button");
    for browser in [&one, &other] {
        browser.wait_for_text("i", "<b>hello</b>");
        browser.wait_for_text("b", "1");
        browser.wait_for_text("u", "1");
        browser.wait_for_text("ul", "<b>hello</b>");
        browser.wait_for_text("pre", "posted <1>");
        assert_eq!(browser.problems(), [""; 0]);
    }
    other.reload();
    other.wait_for_text("i", "<b>hello</b>");
    // As a phone at night shows it.
    other.size(390, 800);
    other.dark(true);
    other.wait_for("matchMedia('(prefers-color-scheme: dark) and (max-width: 400px)').matches");
    assert!(!other.is_too_wide());
    let picture = served.path("phone.png");
    other.screenshot(&picture);
    assert!(fs::read(picture).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn pages_work_below_a_path_and_behind_a_log_in() {
    let page = "<!doctype html><title>below</title><script src=\"{{ prefix }}/dropstar.js\"></script>
<button data-rpc=\"target\">press</button><div id=\"rpc_write_target\"></div><b data-counter=\"posts\">?</b>
";
    let run = Run::block("serve: {port: 0, folder: site, prefix: /tools}\n");
    let run = run.file("site/templates/index.html", page).file("site/rpc/target.lua", PROCEDURE);
    let users = UsersFile::new(run.path("site/users.json"));
    users.change(|users| users.add_user("ann", Some("correct horse battery"), Scope::Call)).unwrap();
    let served = Served::start(run);
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.type_into("input[name=user]", "ann");
    browser.type_into("input[name=password]", "correct horse battery\n");
    browser.wait_for_text("b", "0");
    browser.click("button");
    browser.wait_for_text("#rpc_write_target", "bold");
    assert_eq!(browser.problems(), [""; 0]);
}
