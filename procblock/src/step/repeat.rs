//! Repeated steps: what makes a step a run-thread.

use std::time::Duration;

use crate::block::Compiler;
use crate::load::Node;
use crate::spec::Fields;
use crate::step::collect::Collect;

/// How many results are kept unless `history` says otherwise.
const HISTORY_DEFAULT: usize = 100;

/// The most that `history` may say.
const HISTORY_MAX: i64 = 10_000;

/// The shortest period.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// What `every` (or the original's `cache`) says.
pub struct Repeat {
    /// The run-thread's name.
    pub name: String,
    /// From start to start.
    pub every: Duration,
    /// How many results are kept.
    pub history: usize,
    /// How long it lives.
    pub duration: Option<Duration>,
    /// What is kept of its results.
    pub collect: Vec<Collect>,
}

impl Repeat {
    /// Reads the attributes of a repeated step; `None` for a plain one.
    pub(super) fn compile(item: &Node, fields: &Fields<'_>, compiler: &mut Compiler) -> Option<Self> {
        let period = ["every", "interval", "cache"].into_iter().find_map(|name| Some((name, fields.entry(name)?)));
        let Some((word, entry)) = period else {
            for name in ["history", "duration", "timeseries collect"] {
                if let Some(entry) = fields.entry(name) {
                    let what = format!("{name} is for repeated steps");
                    compiler.problems.error(&entry.mark, what, "add every: 5s and name: NAME to the step");
                }
            }
            return None;
        };
        compiler.repeats = true;
        let problems = &mut compiler.problems;
        let every: Duration = fields.literal(word, problems)?;
        if every < PERIOD_MIN {
            problems.error(&entry.value.mark, format!("{word} is too short"), "expected at least 1ms");
        }
        let name_key = if fields.entry("name").is_some() { "name" } else { "thread_id" };
        let Some(name) = fields.literal::<String>(name_key, problems) else {
            if fields.entry(name_key).is_some() {
                return None;
            }
            let (what, remedy) = if word == "cache" {
                ("a step with cache has no thread_id", "add thread_id: NAME, by which the run-thread is known")
            } else {
                ("a repeated step has no name", "add name: NAME, by which the run-thread is known")
            };
            problems.error(&item.mark, what, remedy);
            return None;
        };
        let history = fields.literal::<i64>("history", problems);
        if let (Some(history), Some(node)) =
            (history.filter(|n| !(1..=HISTORY_MAX).contains(n)), fields.node("history"))
        {
            problems.error(
                &node.mark,
                format!("history {history} is out of range"),
                format!("expected 1 to {HISTORY_MAX}"),
            );
        }
        let duration = fields.literal("duration", problems);
        let name_mark = fields.entry(name_key).map_or(&item.mark, |entry| &entry.mark).clone();
        if let Some(earlier) = compiler.thread_names.get(&name).filter(|earlier| **earlier != name_mark) {
            let what = format!("two repeated steps have the name \"{name}\", the other at {earlier}");
            compiler.problems.error(
                &name_mark,
                what,
                "give one of them another name; to read its newest result use thread: NAME",
            );
        }
        compiler.thread_names.insert(name.clone(), name_mark);
        let collect = fields.node("timeseries collect").map(|node| Collect::compile_all(node, every, compiler));
        Some(Repeat {
            name,
            every,
            history: history.and_then(|n| usize::try_from(n).ok()).unwrap_or(HISTORY_DEFAULT),
            duration,
            collect: collect.unwrap_or_default(),
        })
    }
}
