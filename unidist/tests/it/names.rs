//! Names and values at their limits, the same for all shared things.

use serde_json::{Value, json};

use crate::common::{AT_ONCE, Store, each_engine, each_engine_with};
use unidist::{AcquireOptions, AddOptions, Error, Limits, NAME_BYTES_MAX, Stop, Unidist};

/// Names that a file name, a shell, a pattern or SQL would stumble over; all are different things.
fn strange() -> Vec<String> {
    let short = [
        " ",
        ".",
        "..",
        "/",
        "../../etc/passwd",
        "a/b",
        "a\\b",
        "$(id)",
        "`id`",
        "'; DROP TABLE state; --",
        "%",
        "%2F",
        "*",
        "?",
        "[a-z]",
        "{}",
        "null",
        "0",
        "-1",
        "#1",
        "#",
        "\"",
        "a\u{200b}b",
        "日本語",
        "é",
        "e\u{301}",
        "🦀",
        "\u{202e}drow",
        "ß",
        "SS",
        "ss",
        "a ",
        " a",
        "\u{ffff}",
        "\u{10ffff}",
        "q.dead",
        "a.dead.dead",
        "_",
        "_a",
    ];
    let long = ["x".repeat(NAME_BYTES_MAX), "ü".repeat(NAME_BYTES_MAX / 2), "🦀".repeat(NAME_BYTES_MAX / 4)];
    short.iter().map(|name| (*name).to_owned()).chain(long).collect()
}

fn refused() -> Vec<String> {
    let short = ["", "\0", "a\0b", "a\nb", "\r", "\t", "\u{1}answers", "\u{1b}[31m", "\u{7f}"];
    let long = ["x".repeat(NAME_BYTES_MAX + 1), "ü".repeat(NAME_BYTES_MAX / 2 + 1), "x".repeat(1_000_000)];
    short.iter().map(|name| (*name).to_owned()).chain(long).collect()
}

/// One act with each kind of name.
fn acts(shared: &Unidist, name: &str) -> Vec<Result<(), Error>> {
    let (stop, once) = (Stop::new(), AcquireOptions { wait: AT_ONCE, ..AcquireOptions::default() });
    vec![
        shared.sharedlock().acquire(name, &once, &stop).map(drop),
        shared.sharedcounter().increment(name, 1).map(drop),
        shared.sharedstate().set(name, "k", json!(name)).map(drop),
        shared.sharedstate().set("b", name, json!(name)).map(drop),
        shared.messagequeue().add(name, json!(name), &AddOptions::default(), &stop).map(drop),
        shared.sharedlog().append(name, json!(name)).map(drop),
    ]
}

fn check(shared: &Unidist, name: &str) -> Result<(), Error> {
    assert_eq!(shared.sharedcounter().get(name)?, 1, "{name:?}");
    assert_eq!(shared.sharedstate().get(name, "k")?, Some(json!(name)));
    assert_eq!(shared.sharedstate().get("b", name)?, Some(json!(name)));
    assert_eq!(shared.messagequeue().count(name)?, Some(1), "{name:?}");
    assert_eq!(shared.messagequeue().oldest(name)?.map(|message| message.message), Some(json!(name)));
    let page = shared.sharedlog().read(name, 0, 10)?;
    assert_eq!(page.entries.iter().map(|entry| (*entry.value).clone()).collect::<Vec<Value>>(), [json!(name)]);
    Ok(())
}

#[test]
fn strange_names_are_names_like_any_other_and_never_meet() {
    each_engine(|Store { shared, .. }| {
        for name in strange() {
            for (index, done) in acts(&shared, &name).into_iter().enumerate() {
                assert!(done.is_ok(), "{name:?}, act {index}: {done:?}");
            }
        }
        for name in strange() {
            check(&shared, &name).unwrap();
        }
        assert_eq!(shared.sharedcounter().all().unwrap().len(), strange().len());
    });
}

#[cfg(feature = "file")]
#[test]
fn strange_names_come_back_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file:{}", folder.path().join("日本 語%").display());
    let shared = Unidist::open(&format!("{url}?sync=interval")).unwrap();
    for name in strange() {
        assert!(acts(&shared, &name).iter().all(Result::is_ok), "{name:?}");
    }
    drop(shared);
    let shared = Unidist::open(&url).unwrap();
    for name in strange() {
        check(&shared, &name).unwrap();
    }
    assert_eq!(shared.messagequeue().list().unwrap().len(), strange().len());
}

#[test]
fn names_that_are_none_are_refused_by_everything() {
    each_engine(|Store { shared, .. }| {
        for name in refused() {
            for (index, done) in acts(&shared, &name).into_iter().enumerate() {
                let shown: String = name.chars().take(20).collect();
                let error = done.unwrap_err();
                assert_eq!(error.code(), "bad_argument", "{shown:?}, act {index}");
                assert!(error.to_string().len() < 1_000, "{error}");
            }
        }
        assert!(shared.sharedcounter().all().unwrap().is_empty());
        assert!(shared.sharedstate().buckets().unwrap().is_empty());
    });
}

/// A text whose size as JSON, as the limit counts it, is this.
fn text_of(bytes: usize) -> Value {
    Value::from("ü".repeat((bytes - 2) / 2))
}

fn puts(shared: &Unidist, value: &Value) -> Vec<Result<(), Error>> {
    vec![
        shared.sharedstate().set("b", "k", value.clone()).map(drop),
        shared.sharedstate().get_set("b", "k", value.clone()).map(drop),
        shared.messagequeue().add("q", value.clone(), &AddOptions::default(), &Stop::new()).map(drop),
        shared.sharedlog().append("l", value.clone()).map(drop),
    ]
}

#[test]
fn values_from_nothing_to_the_limit_come_back_as_they_were_and_past_it_are_refused() {
    const LIMIT: usize = 100_000;
    each_engine_with(Limits { value_bytes_max: LIMIT, ..Limits::default() }, |Store { shared, .. }| {
        let small =
            [json!(null), json!(""), json!([]), json!({}), json!(0), json!({"": {"": []}}), json!("\0\u{1}\"\\")];
        for value in small.into_iter().chain([text_of(LIMIT - 2), text_of(LIMIT)]) {
            assert!(puts(&shared, &value).iter().all(Result::is_ok));
            assert_eq!(shared.sharedstate().get("b", "k").unwrap(), Some(value.clone()));
            let message = shared.messagequeue().take("q", AT_ONCE, &Stop::new()).unwrap().unwrap();
            assert_eq!(message.message, value);
            let next = shared.sharedlog().status("l").unwrap().unwrap().next;
            assert_eq!(*shared.sharedlog().read("l", next - 1, 1).unwrap().entries[0].value, value);
        }
        for value in [text_of(LIMIT + 2), text_of(LIMIT * 10), json!([text_of(LIMIT)])] {
            for refused in puts(&shared, &value) {
                let error = refused.unwrap_err();
                assert_eq!(error.code(), "too_large");
                assert!(error.to_string().ends_with("the limit is 100000"), "{error}");
            }
        }
        assert_eq!(shared.sharedstate().get("b", "k").unwrap(), Some(text_of(LIMIT)));
    });
}
