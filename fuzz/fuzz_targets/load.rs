//! Any bytes as a block file: the loader may refuse them, and must not panic, hang or grow.

#![no_main]

use libfuzzer_sys::fuzz_target;
use procblock::load::{Kind, Node, Source, load_data_text, load_text};

/// Text of a message beyond which something is not bounded: 100 problems with two cut lines each.
const MESSAGE_MAX: usize = 200_000;

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let source = || Source::new("fuzz.yaml", "/nonexistent", text.as_ref());
    if let Err(error) = load_text(source()) {
        assert!(error.to_string().len() < MESSAGE_MAX, "a message without bounds");
    }
    if let Ok(document) = load_data_text(source()) {
        ask_for_places(&document.root);
    }
});

fn ask_for_places(node: &Node) {
    assert!(node.mark.line >= 1 && node.mark.column >= 1, "a place before the file");
    let _ = node.comment_after();
    match &node.kind {
        Kind::Scalar(..) => {
            let length = node.as_text().map_or(0, |text| text.chars().count());
            for offset in [0, 1, length / 2, length, length + 1] {
                let _ = node.mark_within(offset);
            }
        }
        Kind::List(items) => items.iter().for_each(ask_for_places),
        Kind::Mapping(entries) => entries.iter().for_each(|entry| ask_for_places(&entry.value)),
    }
}
