//! Watching queues.

use serde_json::json;

use crate::common::{AT_ONCE, Store, each_engine, each_engine_with, seconds};
use unidist::{
    AddOptions, Failure, Limits, MessageId, NameFilter, QueueChange, QueueOptions, QueueWatcher, Stop, WhenFull,
};

fn seen(watcher: &QueueWatcher) -> Vec<(QueueChange, usize)> {
    let stop = Stop::new();
    let next = || watcher.next(AT_ONCE, &stop).ok().flatten().map(|event| (event.change, event.count));
    std::iter::from_fn(next).collect()
}

fn id(number: u64) -> MessageId {
    MessageId::Number(number)
}

#[test]
fn everything_that_happens_to_a_message_is_told_with_the_count_after_it() {
    each_engine(|store| {
        let (queues, stop) = (store.shared.messagequeue(), Stop::new());
        let options = QueueOptions { attempts_max: Some(2), ..QueueOptions::default() };
        queues.configure("q", options).unwrap();
        let watcher = queues.watch(NameFilter::One("q".to_owned()), None).unwrap();
        let delayed = AddOptions { delay: seconds(5), id: Some("late".to_owned()), ..AddOptions::default() };
        queues.add("q", json!(1), &AddOptions::default(), &stop).unwrap();
        queues.add("q", json!(2), &delayed, &stop).unwrap();
        queues.add("q", json!(2), &delayed, &stop).unwrap();
        queues.take("q", AT_ONCE, &stop).unwrap();
        store.advance(5.0);
        queues.claim("q", seconds(1), AT_ONCE, &stop).unwrap();
        store.advance(1.0);
        queues.claim("q", seconds(1), AT_ONCE, &stop).unwrap();
        queues.fail("q", "late", None, Failure { reason: "no", delay: seconds(0) }).unwrap();
        let late = || MessageId::Text("late".into());
        let expected = [
            (QueueChange::Added(id(1)), 1),
            (QueueChange::Added(late()), 2),
            (QueueChange::Taken(id(1)), 1),
            (QueueChange::Ready(late()), 1),
            (QueueChange::Claimed(late(), 1), 1),
            (QueueChange::Returned(late()), 1),
            (QueueChange::Claimed(late(), 2), 1),
            (QueueChange::Dead(late()), 0),
        ];
        assert_eq!(seen(&watcher), expected);
    });
}

#[test]
fn drops_removals_acknowledgements_and_the_end_of_a_queue_are_told() {
    each_engine(|Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        let options = QueueOptions { length_max: 2, when_full: WhenFull::DropOldest, ..QueueOptions::default() };
        queues.configure("q", options).unwrap();
        let watcher = queues.watch(NameFilter::Prefix("q".to_owned()), None).unwrap();
        for number in 0..3 {
            queues.add("q", json!(number), &AddOptions::default(), &stop).unwrap();
        }
        queues.claim("q", seconds(60), AT_ONCE, &stop).unwrap();
        queues.ack("q", "#2", None).unwrap();
        queues.remove("q", "#3").unwrap();
        queues.add("q", json!(4), &AddOptions::default(), &stop).unwrap();
        queues.purge("q").unwrap();
        queues.purge("q").unwrap();
        queues.delete("q").unwrap();
        queues.add("other", json!(4), &AddOptions::default(), &stop).unwrap();
        let expected = [
            (QueueChange::Added(id(1)), 1),
            (QueueChange::Added(id(2)), 2),
            (QueueChange::Dropped(id(1)), 1),
            (QueueChange::Added(id(3)), 2),
            (QueueChange::Claimed(id(2), 1), 2),
            (QueueChange::Acknowledged(id(2)), 1),
            (QueueChange::Removed(id(3)), 0),
            (QueueChange::Added(id(4)), 1),
            (QueueChange::Purged, 0),
            (QueueChange::Deleted, 0),
        ];
        assert_eq!(seen(&watcher), expected);
    });
}

#[test]
fn a_watch_from_a_snapshot_misses_nothing_and_repeats_nothing() {
    each_engine(|Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        let add = || queues.add("q", json!(1), &AddOptions::default(), &stop).unwrap();
        assert_eq!(queues.snapshot("q").unwrap().status, None);
        add();
        let snapshot = queues.snapshot("q").unwrap();
        assert_eq!(snapshot.status.unwrap().ready, 1);
        add();
        let watcher = queues.watch(NameFilter::All, Some(snapshot.revision)).unwrap();
        add();
        assert_eq!(seen(&watcher), [(QueueChange::Added(id(2)), 2), (QueueChange::Added(id(3)), 3)]);
    });
}

#[test]
fn a_slow_watcher_is_told_that_it_fell_behind() {
    each_engine_with(Limits { watch_events_max: 3, ..Limits::default() }, |Store { shared, .. }| {
        let (queues, stop) = (shared.messagequeue(), Stop::new());
        let watcher = queues.watch(NameFilter::All, None).unwrap();
        for number in 0..4 {
            queues.add("q", json!(number), &AddOptions::default(), &stop).unwrap();
        }
        for _ in 0..2 {
            assert_eq!(watcher.next(AT_ONCE, &stop).unwrap_err().code(), "fell_behind");
        }
    });
}

#[test]
fn counts_told_while_many_threads_add_and_take_fit_the_changes() {
    each_engine_with(Limits { watch_events_max: 1_000_000, ..Limits::default() }, |Store { shared, .. }| {
        let watcher = shared.messagequeue().watch(NameFilter::All, None).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let (queues, stop) = (shared.messagequeue(), Stop::new());
                    for number in 0..200 {
                        queues.add("q", json!(number), &AddOptions::default(), &stop).unwrap();
                        queues.take("q", None, &stop).unwrap();
                    }
                });
            }
        });
        let (mut count, mut total) = (0_usize, 0);
        for (change, counted) in seen(&watcher) {
            match change {
                QueueChange::Added(_) => count += 1,
                QueueChange::Taken(_) => count -= 1,
                other => panic!("{other:?}"),
            }
            assert_eq!(count, counted);
            total += 1;
        }
        assert_eq!((count, total), (0, 3_200));
    });
}
