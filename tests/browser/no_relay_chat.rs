//! `demos/no_relay_chat` as its README says, each person in a browser of their own.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::site::Served;
use crate::support::Run;

/// The demo in a folder of its own, on a free port.
fn demo() -> Served {
    let folder = root();
    let text = fs::read_to_string(folder.join("no_relay_chat.yaml")).unwrap();
    assert!(text.contains("  folder: site\n"));
    let text = text.replace("  folder: site\n", "  folder: site\n  port: 0\n");
    Served::start(Run::named("no_relay_chat.yaml", "").copy(&folder).file("no_relay_chat.yaml", &text))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demos/no_relay_chat")
}

/// A browser in which somebody has logged in.
fn person(served: &Served, name: &str) -> Browser {
    let browser = Browser::open();
    browser.go(&served.url("/"));
    browser.type_into("#log_in input", &format!("{name}\n"));
    browser.wait_for_text("#my_name", name);
    browser
}

/// Opens a part of the page that is folded up.
fn unfold(browser: &Browser, selector: &str) {
    browser.script("document.querySelector(arguments[0]).open = true", json!([selector]));
}

fn create(browser: &Browser, name: &str, ticked: &[&str]) {
    unfold(browser, "#creating");
    for box_name in ticked {
        browser.click(&format!("#create [name={box_name}]"));
    }
    browser.type_into("#create [name=channel]", &format!("{name}\n"));
    browser.wait_for_text("#talk_name", &format!("#{name}"));
}

fn join(browser: &Browser, name: &str) {
    unfold(browser, "#joining");
    browser.type_into("#join [name=channel]", &format!("{name}\n"));
    browser.wait_for_text("#talk_name", &format!("#{name}"));
}

fn say(browser: &Browser, text: &str) {
    browser.type_into("#say input", &format!("{text}\n"));
}

/// Clicks the one of these elements that shows a text.
fn click_text(browser: &Browser, selector: &str, text: &str) {
    let found = format!(
        "[...document.querySelectorAll({})].find(one => one.textContent.includes({}))",
        json!(selector),
        json!(text)
    );
    browser.wait_for(&found);
    browser.script(&format!("{found}.click()"), json!([]));
}

/// What was said and by whom, in the order in which it is shown.
fn said(browser: &Browser) -> Vec<(String, String)> {
    let body = "return [...document.querySelectorAll('#messages .text')].map(text =>
        [text.previousSibling.textContent, text.textContent])";
    serde_json::from_value(browser.script(body, json!([]))).unwrap()
}

fn wait_for_said(browser: &Browser, count: usize) {
    browser.wait_for(&format!("document.querySelectorAll('#messages .text').length === {count}"));
}

#[test]
fn two_see_the_messages_of_both_in_the_same_order_and_who_joins_sees_them_too() {
    let served = demo();
    let (ann, ben) = (person(&served, "Ann"), person(&served, "Ben"));
    create(&ann, "garden", &[]);
    click_text(&ben, "#channels button", "#garden");
    ben.wait_for_text("#talk_name", "#garden");
    for number in 1..=10 {
        say(&ann, &format!("ann {number}"));
        say(&ben, &format!("ben {number}"));
    }
    for browser in [&ann, &ben] {
        wait_for_said(browser, 20);
    }
    let seen = said(&ann);
    assert_eq!(seen, said(&ben));
    for (name, word) in [("Ann", "ann"), ("Ben", "ben")] {
        let own: Vec<&str> = seen.iter().filter(|(who, _)| who == name).map(|(_, text)| text.as_str()).collect();
        let expected: Vec<String> = (1..=10).map(|number| format!("{word} {number}")).collect();
        assert_eq!(own, expected, "in the order in which {name} wrote");
    }
    let cleo = person(&served, "Cleo");
    join(&cleo, "garden");
    wait_for_said(&cleo, 20);
    assert_eq!(said(&cleo), seen);
    ann.wait_for_text("#member_count", "3 members");
    ben.reload();
    ben.wait_for_text("#my_name", "Ben");
    wait_for_said(&ben, 20);
    for browser in [&ann, &ben, &cleo] {
        assert_eq!(browser.problems(), [""; 0]);
    }
}

#[test]
fn a_closed_channel_is_delivered_no_more_and_a_new_one_of_its_name_is_another() {
    let served = demo();
    let (ann, ben) = (person(&served, "Ann"), person(&served, "Ben"));
    for round in 1..=5 {
        create(&ann, "garden", &[]);
        click_text(&ben, "#channels button", "#garden");
        ben.wait_for_text("#talk_name", "#garden");
        wait_for_said(&ben, 0);
        say(&ann, &format!("round {round}"));
        wait_for_said(&ben, 1);
        assert_eq!(said(&ben), [("Ann".to_string(), format!("round {round}"))]);
        ann.click("#close");
        ann.answer(true);
        ben.wait_for_text("#notice", "#garden was closed by Ann");
        for browser in [&ann, &ben] {
            browser.wait_for("document.querySelector('#open_talk').hidden");
            assert_eq!(browser.count("#messages:not(#open_talk[hidden] *)"), 0);
        }
        // The page forgot how far it had read, and the server has nothing left to be read.
        let news = ben.script("return rpc('news', {at: {}}, {fill: false})", json!([]));
        assert_eq!(news["channels"], json!([]));
        assert!(!news.to_string().contains("round"), "{news}");
    }
}

#[test]
fn who_leaves_or_is_kicked_sees_nothing_more() {
    let served = demo();
    let (ann, ben) = (person(&served, "Ann"), person(&served, "Ben"));
    create(&ann, "garden", &[]);
    join(&ben, "garden");
    assert!(ben.script("return document.querySelector('#close').hidden", json!([])) == json!(true));
    ben.click("#leave");
    ben.wait_for("document.querySelector('#open_talk').hidden");
    ann.wait_for_text("#messages", "Ben has left");
    say(&ann, "nobody hears this");
    wait_for_said(&ann, 1);
    join(&ben, "garden");
    wait_for_said(&ben, 1);
    unfold(&ann, "#member_list");
    ann.click("#members .kick");
    ben.wait_for_text("#notice", "You were kicked from #garden by Ann");
    ben.wait_for("document.querySelector('#open_talk').hidden");
    say(&ann, "secret of Ann");
    wait_for_said(&ann, 2);
    unfold(&ben, "#joining");
    ben.type_into("#join [name=channel]", "garden\n");
    ben.wait_for_text("#problem", "you were kicked");
    assert!(!ben.script("return document.documentElement.outerHTML", json!([])).to_string().contains("secret of Ann"));
    // An operator can let them in again.
    click_text(&ann, "#invite option", "Ben");
    ann.click("#invite button");
    ben.wait_for_text("#notice", "You were invited to #garden by Ann");
    ben.click("#join button");
    wait_for_said(&ben, 2);
    ann.wait_for("document.querySelector('#members .op')");
    ann.click("#members .op");
    ben.wait_for("!document.querySelector('#close').hidden");
}

#[test]
fn names_and_messages_are_text_whatever_they_hold() {
    let served = demo();
    let hostile = "<img src=x onerror=a()>";
    let (ann, eve) = (person(&served, "Ann"), person(&served, hostile));
    for browser in [&ann, &eve] {
        browser.script("window.a = () => document.title = 'broken in'", json!([]));
    }
    create(&eve, "<b onclick=a()>x</b>", &[]);
    click_text(&ann, "#channels button", "#<b onclick");
    for text in
        ["<script>a()</script>", "</li></ol><h1>hm</h1>", "{{ 7 * 7 }}", "javascript:a()", "&lt;b&gt;", "\u{1f98a} %s"]
    {
        eve.script("return rpc('say', {channel: document.querySelector('#messages').dataset.talk, text: arguments[0]}, {fill: false}).then(() => 1)", json!([text]));
    }
    wait_for_said(&ann, 6);
    let texts: Vec<String> = said(&ann).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts[..3], ["<script>a()</script>", "</li></ol><h1>hm</h1>", "{{ 7 * 7 }}"]);
    click_text(&eve, "#people button", "Ann");
    say(&eve, "<i>psst</i>");
    click_text(&ann, "#people button", hostile);
    ann.wait_for_text("#messages", "<i>psst</i>");
    for browser in [&ann, &eve] {
        browser.wait_for_text("#talk_marks", "private");
        assert_eq!(browser.count("main b[onclick], main img, main script, main h1, main i"), 0);
        assert_eq!(browser.script("return document.title.includes('broken in')", json!([])), json!(false));
        assert_eq!(browser.problems(), [""; 0]);
    }
}

#[test]
fn a_secret_channel_is_seen_by_its_members_alone_and_private_messages_by_two() {
    let served = demo();
    let (ann, ben, eve) = (person(&served, "Ann"), person(&served, "Ben"), person(&served, "Eve"));
    create(&ann, "cellar", &["secret", "invite_only"]);
    say(&ann, "the treasure");
    unfold(&ann, "#member_list");
    click_text(&ann, "#invite option", "Ben");
    ann.script(
        "const all = document.querySelector('#invite select');
         all.value = [...all.options].find(one => one.textContent === 'Ben').value;",
        json!([]),
    );
    ann.click("#invite button");
    ben.wait_for_text("#notice", "You were invited to #cellar by Ann");
    ben.click("#join button");
    wait_for_said(&ben, 1);
    click_text(&ann, "#people button", "Ben");
    say(&ann, "for Ben alone");
    click_text(&ben, "#people button", "Ann");
    ben.wait_for_text("#messages", "for Ben alone");
    // What comes later is there: Eve has been told of everything before it that she may know.
    create(&ann, "open", &[]);
    eve.wait_for_text("#channels", "#open");
    unfold(&eve, "#joining");
    eve.type_into("#join [name=channel]", "cellar\n");
    eve.wait_for_text("#problem", "there is no such channel");
    let seen = eve.script("return document.documentElement.outerHTML", json!([])).to_string();
    let told: Value = eve.script(
        "return Promise.all([rpc('news', {at: {}}, {fill: false}), rpc('lobby', {}, {fill: false})])",
        json!([]),
    );
    for secret in ["cellar", "treasure", "for Ben alone"] {
        assert!(!seen.contains(secret) && !told.to_string().contains(secret), "{secret}: {told}");
    }
}

#[test]
fn the_page_is_whole_in_light_and_dark_and_on_a_phone() {
    let served = demo();
    let ann = Browser::open();
    ann.go(&served.url("/"));
    ann.wait_for("!document.querySelector('#log_in_page').hidden");
    picture(&ann, "log_in");
    ann.type_into("#log_in input", "Ann\n");
    ann.wait_for_text("#my_name", "Ann");
    let ben = person(&served, &"Benedict_".repeat(3)[..24]);
    create(&ann, "garden", &[]);
    create(&ann, "cellar", &["secret"]);
    click_text(&ann, "#channels button", "#garden");
    join(&ben, "garden");
    for text in ["Good morning!", "Have the beans come up?", &format!("a long word: {}", "x".repeat(300))] {
        say(&ben, text);
    }
    say(&ann, "They have, all of them. I put the sticks beside the shed.");
    wait_for_said(&ann, 4);
    wait_for_said(&ben, 4);
    unfold(&ann, "#member_list");
    picture(&ann, "chat");
    ann.size(390, 800);
    assert!(ann.script("return getComputedStyle(document.querySelector('#side')).display", json!([])) == json!("none"));
    ann.click("#open_side");
    picture(&ann, "side");
    assert_eq!(ann.problems(), [""; 0]);
}

/// The page is not too wide for a phone, in light and dark; with `SCREENSHOTS=FOLDER` its pictures are kept.
fn picture(browser: &Browser, name: &str) {
    for (width, height, form) in [(1200, 900, "wide"), (390, 800, "phone")] {
        browser.size(width, height);
        for (is_dark, colours) in [(false, "light"), (true, "dark")] {
            browser.dark(is_dark);
            assert!(!browser.is_too_wide(), "{name} is too wide: {form}, {colours}");
            if let Some(folder) = std::env::var_os("SCREENSHOTS") {
                browser.screenshot(&Path::new(&folder).join(format!("{name}_{form}_{colours}.png")));
            }
        }
    }
    browser.size(1200, 900);
    browser.dark(false);
}
