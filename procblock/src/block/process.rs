//! Running a compiled block: its tags in order of priority, then of the document.

use std::sync::Arc;

use crate::block::{Failed, Processed, Run, TagOutcome, TagResult, placed};
use crate::error::RunError;
use crate::load::Mark;
use crate::tag::{TagAction, When};
use crate::value::{Map, Value};

/// One compiled tag of a block.
pub struct TagEntry {
    /// The key as the user wrote it.
    pub key: String,
    /// Where it stands.
    pub mark: Mark,
    /// Its place in the order; lower runs first.
    pub priority: i32,
    /// What it does.
    pub action: Box<dyn TagAction>,
}

/// A compiled block.
pub struct Block {
    /// In the order in which they run.
    pub tags: Vec<TagEntry>,
    /// The tag whose value the block returns instead of its result.
    pub return_tag: Option<(String, Mark)>,
    /// Its YAML, for scripts that look at it.
    pub source: Arc<Value>,
}

/// How far a block has come.
#[derive(Default)]
struct Progress {
    error: Option<Box<RunError>>,
    has_left: bool,
}

impl Progress {
    fn runs(&self, when: When) -> bool {
        match when {
            When::Normal => self.error.is_none() && !self.has_left,
            When::AfterFailure => self.error.is_some(),
            When::Always => true,
        }
    }
}

impl Block {
    /// Runs the block. Locks it took are released when this returns, whatever happened.
    pub async fn process(self: &Arc<Self>, run: &mut Run) -> Processed {
        run.block = Arc::clone(&self.source);
        let error = self.run_tags(run).await;
        run.release_locks();
        let mut result = std::mem::take(&mut run.results);
        let returned = self.returned(&result);
        result.retain(|key, _| !key.starts_with("__"));
        match (error, returned) {
            (None, None) => Processed { result: Value::Object(result), error: None },
            (None, Some(Ok(value))) => Processed { result: value, error: None },
            (None, Some(Err(missing))) => Processed { result: Value::Object(result), error: Some(Box::new(missing)) },
            (Some(error), _) => Processed { result: Value::Object(result), error: Some(error) },
        }
    }

    /// Runs the tags into the surrounding run's own data and results, as a branch of `if` does.
    pub(crate) async fn process_within(&self, run: &mut Run) -> TagResult {
        let visible = Arc::clone(&run.outer);
        run.outer = run.outer_with_results();
        let outside = std::mem::take(&mut run.results);
        let error = self.run_tags(run).await;
        run.outer = visible;
        let merged = std::mem::replace(&mut run.results, outside);
        match error {
            None => Ok(TagOutcome::Merge(merged)),
            Some(error) => Err(Failed { error, so_far: TagOutcome::Merge(merged) }),
        }
    }

    async fn run_tags(&self, run: &mut Run) -> Option<Box<RunError>> {
        let mut progress = Progress::default();
        for tag in &self.tags {
            if !progress.runs(tag.action.when()) {
                continue;
            }
            match tag.action.apply(run).await {
                Ok(TagOutcome::Leave) if tag.action.when() == When::AfterFailure => {
                    run.failure = None;
                    progress.error = None;
                }
                Ok(TagOutcome::Leave) => progress.has_left = true,
                Ok(outcome) => save(run, &tag.key, outcome),
                Err(failure) => {
                    save(run, &tag.key, failure.so_far);
                    let error = of_tag(*failure.error, tag);
                    match &progress.error {
                        Some(_) => log::error!("{error}"),
                        None => {
                            run.failure = Some(Arc::new(error.clone()));
                            progress.error = Some(Box::new(error));
                        }
                    }
                }
            }
        }
        progress.error
    }

    fn returned(&self, result: &Map) -> Option<Result<Value, RunError>> {
        let (name, mark) = self.return_tag.as_ref()?;
        Some(result.get(name).cloned().ok_or_else(|| {
            let known: Vec<&str> = result.keys().map(String::as_str).collect();
            let text = format!("\"{name}\" is not in the result; it has: {}", known.join(", "));
            RunError { step: Some("__return_tag".into()), ..placed(RunError::failed(text), mark) }
        }))
    }
}

/// A failure that happened in no step happened in the tag: `error.step` and `error.place` always say where.
fn of_tag(error: RunError, tag: &TagEntry) -> RunError {
    let mut error = placed(error, &tag.mark);
    error.step.get_or_insert_with(|| tag.key.clone());
    error
}

fn save(run: &mut Run, key: &str, outcome: TagOutcome) {
    match outcome {
        TagOutcome::Save(value) => {
            run.results.insert(key.to_string(), value);
        }
        TagOutcome::Merge(map) => run.results.extend(map),
        TagOutcome::Discard | TagOutcome::Leave => {}
    }
}
