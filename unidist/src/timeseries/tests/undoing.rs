//! What a killed process leaves half done.

use std::fs;

use super::super::{FieldType, SeriesFile, Undo};
use super::{START, column, one, samples};

#[test]
fn a_header_noted_by_a_dead_process_is_put_back_and_the_samples_given_again_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let spec = one(&path, FieldType::Gauge);
    let values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
    let mut file = SeriesFile::open(&spec, START).unwrap();
    file.update_many(&samples(&values[..3])).unwrap();
    let mut undo = Undo::new(0);
    assert!(undo.note(&file).is_some());
    file.update_many(&samples(&values)).unwrap();
    let journal =
        fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()).find(|p| *p != path).unwrap();
    assert_eq!(Undo::new(0).enter(&path).unwrap(), 0, "the journal of a living process is left alone");
    // Dead: the lock is gone, the journal is not.
    let copy = fs::read(&journal).unwrap();
    drop(undo);
    fs::write(&journal, copy).unwrap();
    let mut next = Undo::new(0);
    assert_eq!(next.enter(&path).unwrap(), 1);
    assert!(!journal.exists());
    let mut file = SeriesFile::open(&spec, START).unwrap();
    assert_eq!(file.last_update(), START + 10);
    file.update_many(&samples(&values)).unwrap();
    assert_eq!(column(&path, START - 5, START + 25), values.map(Some));
}

#[test]
fn what_is_done_or_replaced_or_torn_is_not_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap();
    let mut undo = Undo::new(0);
    let noted = undo.note(&file).unwrap();
    file.update_many(&samples(&[1.0])).unwrap();
    let journal =
        fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()).find(|p| *p != path).unwrap();
    let pending = fs::read(&journal).unwrap();
    undo.done(&file, noted);
    undo.settle();
    let done = fs::read(&journal).unwrap();
    undo.clear();
    assert!(!journal.exists());
    let mut flipped = pending.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (what, bytes) in [
        ("done", done),
        ("torn", pending[..pending.len() - 1].to_vec()),
        ("flipped", flipped),
        ("junk", vec![b'P'; 99]),
    ] {
        fs::write(&journal, bytes).unwrap();
        assert_eq!(Undo::new(0).enter(&path).unwrap(), 0, "{what}");
    }
    fs::copy(&path, folder.path().join("b")).unwrap();
    fs::rename(folder.path().join("b"), &path).unwrap();
    fs::write(&journal, pending).unwrap();
    assert_eq!(Undo::new(0).enter(&path).unwrap(), 0, "another file");
    assert_eq!(column(&path, START - 5, START), [Some(1.0)]);
}

#[test]
fn a_note_marks_what_was_done_before_it_in_whatever_folder() {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["a.rrd", "b.rrd", "other/c.rrd"].map(|name| folder.path().join(name));
    let mut undo = Undo::new(0);
    let mut files = paths.each_ref().map(|path| SeriesFile::open(&one(path, FieldType::Gauge), START).unwrap());
    for file in &mut files {
        let noted = undo.note(file).unwrap();
        file.update_noted([(START, [1.0].as_slice())], &noted).unwrap();
        undo.done(file, noted);
        let again = undo.note(file).unwrap();
        undo.done(file, again);
    }
    let pending = |folder: &std::path::Path| {
        let journals = fs::read_dir(folder)
            .unwrap()
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "undo"));
        journals.map(|journal| fs::read(journal.path()).unwrap()).next().unwrap()
    };
    // Only the very last one is not marked: it waits for a note after it, or for the end.
    let states = |bytes: &[u8]| {
        let header = files[0].header_bytes() as usize;
        bytes.chunks(23 + "a.rrd".len() + header).map(|entry| entry[0]).collect::<Vec<u8>>()
    };
    assert_eq!(states(&pending(folder.path())), b"DDDD");
    assert_eq!(states(&pending(&folder.path().join("other"))), b"DP");
    undo.settle();
    assert_eq!(states(&pending(&folder.path().join("other"))), b"DD");
}

#[test]
fn a_file_that_was_replaced_after_it_was_opened_is_opened_anew_with_a_note_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.rrd");
    let mut file = SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap();
    fs::remove_file(&path).unwrap();
    SeriesFile::open(&one(&path, FieldType::Gauge), START).unwrap();
    let mut undo = Undo::new(0);
    let noted = undo.note(&file).unwrap();
    file.update_noted([(START, [3.0].as_slice())], &noted).unwrap();
    undo.done(&file, noted);
    assert!(file.is_current());
    assert_eq!(column(&path, START - 5, START), [Some(3.0)]);
}
