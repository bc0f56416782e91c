//! Groups of workers that each serve a queue, of one instance.
//!
//! A worker claims a message, runs its list on it and acknowledges it or gives it back. What the groups did is known as
//! long as the instance runs, also of groups that have ended.

mod crew;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use unidist::QueueOptions;

use crate::block::Run;
use crate::error::RunError;
use crate::step::StepList;
use crate::value::{Map, Value};
use crew::Crew;

/// The workers of one name.
pub struct Group {
    /// Their name.
    pub name: String,
    /// The queue they serve.
    pub queue: String,
    /// What is done with each message.
    pub list: StepList,
    /// How many there always are.
    pub least: usize,
    /// How many there are while messages wait.
    pub most: usize,
    /// How long one may be silent.
    pub lease: Duration,
    /// After so many failures a message goes to the dead letters.
    pub attempts: u32,
    /// The queue of dead letters.
    pub dead_letters: Option<String>,
    /// How long a failed message waits.
    pub retry_delay: Duration,
    /// Whether they end when the queue is empty.
    pub until_empty: bool,
    /// Their YAML: the same again means that they go on.
    pub definition: Value,
}

impl Group {
    fn options(&self) -> QueueOptions {
        QueueOptions {
            attempts_max: Some(self.attempts),
            dead_letters: self.dead_letters.clone(),
            ..QueueOptions::default()
        }
    }
}

/// The groups of an instance, by name.
#[derive(Default)]
pub struct Workers {
    crews: Mutex<IndexMap<String, Arc<Crew>>>,
}

impl Workers {
    /// Runs a group: to its end and with what it did, when it works until its queue is empty; else beside the block,
    /// unless the same group is at work already.
    ///
    /// # Errors
    /// The queue's name or options are refused, or blocks are nested too deeply.
    pub(crate) async fn run(&self, group: &Arc<Group>, run: &Run) -> Result<Value, RunError> {
        let store = run.instance.store_of(&group.queue).clone();
        let configured = store.messagequeue().configure(&group.queue, group.options());
        configured.map_err(|error| RunError::failed(error.to_string()))?;
        let crew = Arc::new(Crew::new(group, store, run.instance.store_calls));
        let mut inner = run.nested()?;
        if group.until_empty {
            self.add(&crew);
            Arc::clone(&crew).work_all(inner).await;
            return Ok(crew.outcome());
        }
        run.instance.note(&group.name);
        run.instance.background.start(&group.name, &group.definition, &run.instance.stop, |stop| {
            self.add(&crew);
            async move {
                inner.stop = stop;
                crew.work_all(inner).await;
            }
        });
        // Counts of this moment would be those of no work at all.
        let shown = [("is_running", true.into()), ("queue", group.queue.clone().into())];
        Ok(Value::Object(shown.map(|(name, value): (&str, Value)| (name.to_string(), value)).into_iter().collect()))
    }

    /// Every group's state, by name, in the order of their starts.
    pub fn status(&self) -> Map {
        let crews: Vec<Arc<Crew>> = self.crews.lock().values().cloned().collect();
        crews.iter().map(|crew| (crew.group.name.clone(), crew.status())).collect()
    }

    /// Forgets the groups that stay and whose names are not among `names`.
    pub fn retain(&self, names: &HashSet<String>) {
        self.crews.lock().retain(|name, crew| crew.group.until_empty || names.contains(name));
    }

    fn add(&self, crew: &Arc<Crew>) {
        self.crews.lock().insert(crew.group.name.clone(), Arc::clone(crew));
    }
}
