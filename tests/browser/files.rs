//! Files that a form with `data-rpc` sends.

use crate::browser::Browser;
use crate::site::Served;

const PAGE: &str = "<!doctype html><script src=\"/dropstar.js\" defer></script>
<form data-rpc=\"keep\"><input name=note><input type=checkbox name=is_good checked><input type=file name=photo><button>Send</button></form>
<p id=told></p><p data-error></p>";

const KEEP: &str = r#"--: args: {photo: {type: file, required: true}, is_good: boolean}
function ProcessBlock(pipe_data, block, request_state, input_data)
  local photo = input_data.photo
  return {told = input_data.note .. ": " .. photo.name .. " " .. photo.size .. " " .. tostring(input_data.is_good)}
end
"#;

#[test]
fn a_form_sends_its_chosen_files_and_the_rest_of_its_fields() {
    let served =
        Served::folder([("templates/index.html", PAGE), ("rpc/keep.lua", KEEP), ("a photo.bin", "\u{0}123456")]);
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.click("button");
    browser.wait_for_text("[data-error]", "photo is missing");
    browser.type_into("[name=note]", "a note");
    browser.type_into("[name=photo]", &served.path("site/a photo.bin").display().to_string());
    browser.click("button");
    browser.wait_for_text("#told", "a note: a photo.bin 7 true");
}
