//! What `/dropstar.js` does in pages.

use std::fs;

use crate::browser::Browser;
use crate::site::Served;

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
