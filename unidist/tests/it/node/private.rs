//! What belongs to one process is seen by no other.

use serde_json::json;
use tempfile::tempdir;

use super::{once, open};
use crate::common::AT_ONCE;
use unidist::{AddOptions, NameFilter, Search, Stop, WatchFilter};

#[test]
fn names_of_the_owner_alone_are_neither_listed_nor_told() {
    let folder = tempdir().unwrap();
    let (owner, other, stop) = (open(folder.path()), open(folder.path()), Stop::new());
    let states = other.sharedstate().watch(WatchFilter::default(), None).unwrap();
    let counters = other.sharedcounter().watch(NameFilter::All, None).unwrap();
    let queues = other.messagequeue().watch(NameFilter::All, None).unwrap();
    for name in ["__a", "b"] {
        owner.sharedcounter().increment(name, 1).unwrap();
        owner.sharedstate().set(name, "k", json!("found")).unwrap();
        owner.messagequeue().add(name, json!(1), &AddOptions::default(), &stop).unwrap();
        owner.sharedlog().append(name, json!(1)).unwrap();
    }
    let _locks = ["__a", "b"].map(|name| owner.sharedlock().acquire(name, &once(), &stop).unwrap());

    assert_eq!(other.sharedcounter().all().unwrap().into_keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(other.sharedcounter().snapshot().unwrap().values.into_keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(other.sharedstate().buckets().unwrap(), ["b"]);
    let search = Search { pattern: "found".to_owned(), ..Search::default() };
    assert_eq!(other.sharedstate().search(&search).unwrap().len(), 1);
    assert_eq!(other.messagequeue().list().unwrap(), ["b"]);
    assert_eq!(other.sharedlog().list().unwrap(), ["b"]);
    assert_eq!(other.sharedlock().find_all_locked().unwrap().len(), 1);
    assert_eq!(&*states.next(AT_ONCE, &stop).unwrap().unwrap().bucket, "b");
    assert_eq!(&*counters.next(AT_ONCE, &stop).unwrap().unwrap().name, "b");
    assert_eq!(&*queues.next(AT_ONCE, &stop).unwrap().unwrap().queue, "b");
}
