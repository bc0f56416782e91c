//! Marks of keys and values, and of the characters inside of texts.

use crate::load::{Kind, Node, Source, load_data_text, load_text};
use crate::value::Value;

fn load(text: &str) -> Node {
    load_data_text(Source::new("t.yaml", "/", text)).unwrap_or_else(|error| panic!("{text:?}: {error}")).root
}

fn texts<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    match &node.kind {
        Kind::Scalar(Value::String(_), _) => found.push(node),
        Kind::Scalar(..) => {}
        Kind::List(items) => items.iter().for_each(|item| texts(item, found)),
        Kind::Mapping(entries) => entries.iter().for_each(|entry| texts(&entry.value, found)),
    }
}

/// Every `§`, `¶` and `$` of every text must be found where the file has it.
fn check_signs(text: &str) {
    let root = load(text);
    let mut nodes = Vec::new();
    texts(&root, &mut nodes);
    let mut found = Vec::new();
    for node in nodes {
        for (offset, c) in node.as_text().unwrap_or_default().chars().enumerate() {
            if "§¶$".contains(c) {
                let place = node.mark_within(offset);
                assert!(place.rest().starts_with(c), "{text:?}: {c} was looked for at {place}: {:?}", place.rest());
                found.push((place.line, place.column));
            }
        }
    }
    assert_eq!(found.len(), text.chars().filter(|c| "§¶$".contains(*c)).count(), "{text:?}");
    assert!(found.is_sorted_by(|a, b| a < b), "{text:?}: {found:?}");
}

#[test]
fn characters_are_found_in_every_kind_of_scalar() {
    let files = [
        "a: §x¶y$\n",
        "a: é §\nü: [ö §, ä ¶, \"ß §\"]\n",
        "a: !!str §x\nb: &b §\nc: &c !!str\n  # &d a comment !e\n  §\n",
        "a: 'it''s §'\nb: '''§'''\n",
        "a: \"\\t\\\"\\x41\\u00e9\\U0001F600§\\\\¶\"\n",
        "a: one §\n  two ¶\n\n\n  three $\n",
        "a: 'one §  \n  two ¶\n\n  three $'\n",
        "a: \"one §\\\n  two ¶\n\n  three\\n $\"\n",
        "a: \"one \\\n\n  §\"\n",
        "a: |\n  one §\n    two ¶\n\n  three $\n",
        "a: |-\n\n\n  one §\n",
        "a: | # | a comment\n  §\n",
        "a: |2\n    one §\n  two ¶\n",
        "run:\n  - lua: |\n      §\n  - |-\n   ¶",
        "- >\n  one §\n  two ¶\n\n  three $\n",
        "- >-\n\n  one §\n    two ¶\n    three\n\n\n  four $\n",
        "a: |\r\n  one §\r\n  two ¶\r\nb: x §\r\n",
        "a: >\r\n  one §\r\n  two ¶\r\n\r\n  three $\r\n",
        "\u{feff}a: §\nb: |\n  §\n",
        "\"x | # y\": |\n  §\n",
        "- - |\n   §\n  - x\n- |\n  ¶\n",
        "? k\n: x ¶\n",
        "--- |\n§\n",
        "# a comment | of the file\n|\n  §\n",
        "x: |\n\r §\n   ",
        "\"a\": &b \"§\"\nc: 'é'\n",
        "a: |\n  x\nb: !!str |\n  §\nc: &c >\n  ¶\n",
        "a: §\rb: ¶\r",
    ];
    for text in files {
        check_signs(text);
    }
}

#[test]
fn keys_and_values_stand_where_they_begin() {
    let root = load("run:\n- shell: a\n  name:\n-\n  x: {y: 1}\nlast: |\n  text\n");
    let place = |node: &Node| (node.mark.line, node.mark.column);
    let run = root.get("run").unwrap();
    assert_eq!((run.mark.line, run.mark.column), (1, 1));
    assert_eq!(place(&run.value), (2, 1));
    let first = &run.value.items().unwrap()[0];
    assert_eq!(place(first), (2, 3));
    assert_eq!(place(&first.get("shell").unwrap().value), (2, 10));
    // What is not written stands where its key does.
    assert_eq!(place(&first.get("name").unwrap().value), (3, 3));
    let second = &run.value.items().unwrap()[1];
    assert_eq!(place(&second.get("x").unwrap().value), (5, 6));
    assert_eq!(place(&root.get("last").unwrap().value), (6, 7));
}

#[test]
fn a_comment_behind_a_text_without_quotes_is_found() {
    let table = [
        ("a: echo #1\n", Some((1, 9))),
        ("a: echo  \t# x\nb: 1\n", Some((1, 11))),
        ("a: echo#1\n", None),
        ("a: echo\n# x\n", None),
        ("a: echo   \n", None),
        ("a: 'echo' # x\n", None),
        ("a: |\n  echo # x\n", None),
        ("a: one\n  two # x\n", Some((2, 7))),
        ("a: [b, c # x\n  ]\n", None),
        ("a: é # x", Some((1, 6))),
        ("a: 12 # x", None),
    ];
    for (text, expected) in table {
        let root = load(text);
        let found = root.get("a").and_then(|entry| entry.value.comment_after());
        assert_eq!(found.map(|mark| (mark.line, mark.column)), expected, "{text:?}");
    }
}

#[test]
fn an_alias_stands_where_its_anchor_does() {
    let root = load("a: &x {b: 1}\nc: *x\n");
    let alias = &root.get("c").unwrap().value;
    assert_eq!((alias.mark.line, alias.mark.column), (1, 4));
}

#[test]
fn only_the_loader_of_data_takes_any_root() {
    for text in ["- a\n", "text\n", "12\n", "null\n"] {
        assert!(load_text(Source::new("t.yaml", "/", text)).is_err(), "{text:?}");
        assert!(load_data_text(Source::new("t.yaml", "/", text)).is_ok(), "{text:?}");
    }
    assert!(load("").is_null());
    assert!(load("__load: nothing.yaml\n").get("__load").is_some());
}
