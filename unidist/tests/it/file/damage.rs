//! Flipped bits and cut files: damage is named or harmless, never served.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{open, rounds, try_open};
use crate::common::{AT_ONCE, seconds};
use unidist::{AddOptions, Error, Stop, Unidist, file};

/// Everything that the store holds, as text.
type Contents = BTreeMap<String, Value>;

fn fill(folder: &Path) -> Result<(), Error> {
    let (shared, stop) = (open(folder), Stop::new());
    for number in 0..120 {
        let name = format!("name {number}");
        shared.sharedcounter().set(&name, number)?;
        shared.sharedstate().set("bucket", &name, json!({"number": number, "text": "x".repeat(40)}))?;
        shared.messagequeue().add("queue", json!(number), &AddOptions::default(), &stop)?;
        shared.sharedlog().append("log", json!(number))?;
    }
    shared.sharedstate().set("bucket", "large", json!("y".repeat(20_000)))?;
    for number in 0..60 {
        shared.sharedstate().remove("bucket", &format!("name {number}"))?;
    }
    shared.messagequeue().claim("queue", seconds(86_400), AT_ONCE, &stop)?;
    Ok(())
}

fn contents(shared: &Unidist) -> Result<Contents, Error> {
    let mut all = Contents::new();
    for (name, value) in shared.sharedcounter().all()? {
        all.insert(format!("counter {name}"), json!(value));
    }
    for bucket in shared.sharedstate().buckets()? {
        for (key, entry) in shared.sharedstate().bucket(&bucket)?.entries {
            all.insert(format!("state {bucket} {key}"), json!([*entry.value, entry.revision]));
        }
    }
    for queue in shared.messagequeue().list()? {
        let status = shared.messagequeue().status(&queue)?.unwrap_or_default();
        all.insert(format!("queue {queue}"), json!([status.ready, status.claimed, status.added]));
        for message in shared.messagequeue().all(&queue, 1_000)? {
            all.insert(format!("message {queue} {}", message.id), message.message);
        }
    }
    for log in shared.sharedlog().list()? {
        for entry in shared.sharedlog().read(&log, 0, 1_000)?.entries {
            all.insert(format!("log {log} {}", entry.offset), (*entry.value).clone());
        }
    }
    Ok(all)
}

/// Opens a store of these bytes: either it is what it was, or its damage is told.
fn judge(bytes: &[u8], expected: &Contents) -> Result<&'static str, String> {
    let folder = tempdir().map_err(|error| error.to_string())?;
    fs::write(folder.path().join("store.sqlite"), bytes).map_err(|error| error.to_string())?;
    fs::write(folder.path().join("format"), "").map_err(|error| error.to_string())?;
    let checked = file::check(folder.path());
    match try_open(folder.path()) {
        Ok(shared) => {
            let found = contents(&shared).map_err(|error| error.to_string())?;
            if found != *expected {
                return Err("a wrong value was served".to_owned());
            }
            shared.sharedcounter().increment("name 7", 1).map_err(|error| error.to_string())?;
            match checked {
                Ok(report) if report.is_whole() => Ok("harmless"),
                other => Err(format!("it opens, but the check says {other:?}")),
            }
        }
        Err(Error::StoreDamaged { damage, .. }) if !damage.is_empty() => Ok("named"),
        Err(Error::Store { reason, .. }) if !reason.is_empty() => Ok("refused"),
        Err(other) => Err(other.to_string()),
    }
}

fn original() -> (Vec<u8>, Contents) {
    let folder = tempdir().unwrap_or_else(|error| panic!("{error}"));
    fill(folder.path()).unwrap_or_else(|error| panic!("{error}"));
    let expected = contents(&open(folder.path())).unwrap_or_else(|error| panic!("{error}"));
    let bytes = fs::read(folder.path().join("store.sqlite")).unwrap_or_else(|error| panic!("{error}"));
    (bytes, expected)
}

#[test]
fn soak_a_flipped_bit_is_named_or_refused_or_harmless() {
    let (bytes, expected) = original();
    let mut runner =
        TestRunner::new(Config { cases: rounds(300) as u32, failure_persistence: None, ..Config::default() });
    let tally = std::cell::RefCell::new(BTreeMap::<&str, u32>::new());
    // Half of the flips in the first page and the headers of pages, where a flip does most.
    let place =
        prop_oneof![0..bytes.len(), 0..400_usize, (0..bytes.len() / 4096, 0..16_usize).prop_map(|(p, o)| p * 4096 + o)];
    let outcome = runner.run(&(place, 0..8_u8), |(place, bit)| {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << bit;
        let judged = judge(&flipped, &expected).map_err(TestCaseError::fail)?;
        *tally.borrow_mut().entry(judged).or_default() += 1;
        Ok(())
    });
    println!("bit flips: {:?}", tally.borrow());
    outcome.unwrap();
}

#[test]
fn soak_a_store_that_is_cut_is_refused_or_lacks_nothing() {
    let (bytes, expected) = original();
    let mut runner =
        TestRunner::new(Config { cases: rounds(40) as u32, failure_persistence: None, ..Config::default() });
    let length = prop_oneof![0..bytes.len(), (0..bytes.len() / 4096).prop_map(|page| page * 4096)];
    let outcome = runner.run(&length, |length| {
        let judged = judge(&bytes[..length], &expected).map_err(TestCaseError::fail)?;
        // Only the unused end of the last page can be missed by nobody.
        prop_assert!(judged != "harmless" || length > bytes.len() - 4096, "{judged} at {length}");
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_header_that_forbids_writing_is_told_when_the_store_is_opened() {
    let (mut bytes, expected) = original();
    // The version for writers (sqlite.org/fileformat2.html, 1.3.3).
    bytes[18] = 3;
    assert_eq!(judge(&bytes, &expected), Ok("refused"));
}

/// The place of these bytes in the file.
fn find(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap_or_else(|| panic!("no {text}"))
}

#[test]
fn the_damaged_key_is_named_and_the_rest_can_be_salvaged() {
    let (mut bytes, mut expected) = original();
    let place = find(&bytes, "{\"number\":77");
    bytes[place + 10] = b'8';
    let folder = tempdir().unwrap();
    let (damaged, saved) = (folder.path().join("damaged"), folder.path().join("saved"));
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("store.sqlite"), &bytes).unwrap();
    let error = try_open(&damaged).map(drop).unwrap_err();
    let text = "state \"bucket\" \"name 77\": it does not fit its checksum";
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(file::restore(&damaged, &folder.path().join("x")).unwrap_err().code(), "damaged");
    let report = file::salvage(&damaged, &saved).unwrap();
    assert_eq!(report.damages.iter().map(ToString::to_string).collect::<Vec<_>>(), [text]);
    expected.remove("state bucket name 77");
    assert_eq!(contents(&open(&saved)).unwrap(), expected);
    let after = fs::read(damaged.join("store.sqlite")).unwrap();
    let changed: Vec<_> = (0..bytes.len()).filter(|place| after.get(*place) != bytes.get(*place)).collect();
    assert_eq!(changed, [0; 0]);
}

#[test]
fn a_store_of_a_newer_version_is_refused_with_the_remedy() {
    let (mut bytes, _) = original();
    // The version for users of the file is at offset 60, the highest byte first (sqlite.org/fileformat2.html, 1.3.15).
    bytes[63] = 9;
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("store.sqlite"), &bytes).unwrap();
    let error = try_open(folder.path()).map(drop).unwrap_err();
    assert!(error.to_string().contains("written by a newer version (format 9, this one knows 1): update"), "{error}");
}
