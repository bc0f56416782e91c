//! A browser as a person uses it.

use std::path::Path;

use base64::Engine;
use serde_json::{Value, json};

use crate::driver::Driver;
use crate::support::eventually;

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window and a profile of its own. Dropped, it is ended.
pub(crate) struct Browser {
    driver: Driver,
}

impl Browser {
    /// Opens an empty window of 1,200 by 900.
    pub(crate) fn open() -> Self {
        Browser { driver: Driver::start() }
    }

    /// Goes to an address and waits until the page is loaded.
    pub(crate) fn go(&self, url: &str) {
        self.driver.post("/url", json!({ "url": url })).unwrap_or_else(|text| panic!("{url}: {text}"));
    }

    /// Loads the page again.
    pub(crate) fn reload(&self) {
        self.driver.post("/refresh", json!({})).unwrap();
    }

    /// Runs the body of a function in the page and gives what it returns, a promise's value once it is there.
    pub(crate) fn script(&self, body: &str, arguments: Value) -> Value {
        let call = json!({"script": body, "args": arguments});
        self.driver.post("/execute/sync", call).unwrap_or_else(|text| panic!("{body}: {text}"))
    }

    /// Clicks, as a person does: it must be in sight.
    pub(crate) fn click(&self, selector: &str) {
        let path = format!("/element/{}/click", self.element(selector));
        self.driver.post(&path, json!({})).unwrap_or_else(|text| panic!("{selector}: {text}"));
    }

    /// Types into a field, behind what is there; `\n` is the enter key.
    pub(crate) fn type_into(&self, selector: &str, text: &str) {
        // The enter key's own code point in WebDriver.
        let keys = text.replace('\n', "\u{e007}");
        let path = format!("/element/{}/value", self.element(selector));
        self.driver.post(&path, json!({ "text": keys })).unwrap_or_else(|text| panic!("{selector}: {text}"));
    }

    /// Draws the pointer with its button held across an element, from one part of its width to another (0 to 1).
    pub(crate) fn drag(&self, selector: &str, from: f64, to: f64) {
        let element = json!({ ELEMENT: self.element(selector) });
        let width = self.script("return arguments[0].getBoundingClientRect().width", json!([element]));
        let width = width.as_f64().unwrap();
        // Offsets are from the element's middle.
        let at = |part: f64| {
            let x = ((part - 0.5) * width).round();
            json!({"type": "pointerMove", "duration": 50, "origin": element, "x": x, "y": 0})
        };
        let steps = [at(from), json!({"type": "pointerDown", "button": 0}), at(f64::midpoint(from, to)), at(to)];
        let steps: Vec<Value> = steps.into_iter().chain([json!({"type": "pointerUp", "button": 0})]).collect();
        let pointer =
            json!({"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": steps});
        self.driver.post("/actions", json!({"actions": [pointer]})).unwrap_or_else(|text| panic!("{selector}: {text}"));
    }

    /// Moves a slider, or sets a field, as a person who lets go of it.
    pub(crate) fn set(&self, selector: &str, value: &str) {
        let body = "const field = document.querySelector(arguments[0]); field.value = arguments[1];
            for (const name of ['input', 'change']) field.dispatchEvent(new Event(name, {bubbles: true}));";
        self.script(body, json!([selector, value]));
    }

    /// Waits until there is such an element, and gives the text that it shows.
    pub(crate) fn text(&self, selector: &str) -> String {
        let path = format!("/element/{}/text", self.element(selector));
        self.driver.get(&path).unwrap().as_str().unwrap_or_default().to_string()
    }

    /// The texts that all such elements show, in their order.
    pub(crate) fn texts(&self, selector: &str) -> Vec<String> {
        let body = "return [...document.querySelectorAll(arguments[0])].map(element => element.innerText)";
        serde_json::from_value(self.script(body, json!([selector]))).unwrap()
    }

    /// How many such elements there are.
    pub(crate) fn count(&self, selector: &str) -> u64 {
        let body = "return document.querySelectorAll(arguments[0]).length";
        self.script(body, json!([selector])).as_u64().unwrap()
    }

    /// Waits until an expression holds in the page, such as `document.title === "a"`.
    pub(crate) fn wait_for(&self, expression: &str) {
        let body = format!("return Boolean({expression})");
        eventually(&format!("{expression}, in:\n{}", self.shown()), || self.script(&body, json!([])) == json!(true));
    }

    /// Waits until an element shows this text.
    pub(crate) fn wait_for_text(&self, selector: &str, text: &str) {
        let body = "return document.querySelector(arguments[0])?.innerText ?? null";
        eventually(&format!("{text:?} in {selector}, in:\n{}", self.shown()), || {
            self.script(body, json!([selector])).as_str().is_some_and(|shown| shown.contains(text))
        });
    }

    /// Answers the question that `data-confirm` asks.
    pub(crate) fn answer(&self, is_yes: bool) {
        let path = if is_yes { "/alert/accept" } else { "/alert/dismiss" };
        eventually("a question", || self.driver.post(path, json!({})).is_ok());
    }

    /// The size of what shows the page, as another device has it.
    pub(crate) fn size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.developer("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Whether the system prefers dark colours.
    pub(crate) fn dark(&self, is_dark: bool) {
        let value = if is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": value}]});
        self.developer("Emulation.setEmulatedMedia", features);
    }

    /// Whether a page is wider than what shows it, so that a person must scroll sideways.
    pub(crate) fn is_too_wide(&self) -> bool {
        let body = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
        self.script(body, json!([])) == json!(true)
    }

    /// Calls something of the browser's own protocol for developers.
    pub(crate) fn developer(&self, command: &str, parameters: Value) -> Value {
        let call = json!({"cmd": command, "params": parameters});
        self.driver.post("/goog/cdp/execute", call).unwrap_or_else(|text| panic!("{command}: {text}"))
    }

    /// Writes a picture of what is in sight, a PNG.
    pub(crate) fn screenshot(&self, path: &Path) {
        let picture = self.driver.get("/screenshot").unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture.as_str().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// What the console has of errors since it was asked last: exceptions, files that are missing (but for the icon, which
    /// no page asked for), what the Content-Security-Policy forbade.
    pub(crate) fn problems(&self) -> Vec<String> {
        let lines = self.driver.post("/se/log", json!({"type": "browser"})).unwrap();
        let lines = lines.as_array().cloned().unwrap_or_default();
        let severe = lines.iter().filter(|line| line["level"] == "SEVERE").filter_map(|line| line["message"].as_str());
        severe.filter(|text| !text.contains("/favicon.ico")).map(str::to_string).collect()
    }

    /// Waits for an element; gives its name in WebDriver.
    fn element(&self, selector: &str) -> String {
        let find = || self.driver.post("/element", json!({"using": "css selector", "value": selector}));
        let found = std::cell::RefCell::new(None);
        eventually(selector, || {
            *found.borrow_mut() = find().ok();
            found.borrow().is_some()
        });
        found.into_inner().unwrap()[ELEMENT].as_str().unwrap().to_string()
    }

    fn shown(&self) -> String {
        self.script("return document.body?.innerText ?? ''", json!([])).as_str().unwrap_or_default().to_string()
    }
}
