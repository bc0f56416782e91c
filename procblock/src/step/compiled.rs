//! One step with its attributes: condition, repetition, loop, retry, failure.

use std::sync::Arc;
use std::time::Duration;

use crate::block::{Compiler, Run, placed};
use crate::error::{RunError, RunErrorKind};
use crate::expr::Scope;
use crate::load::{Entry, Mark, Node, nearest};
use crate::step::attributes::{ATTRIBUTES, Attributes, OnError, is_attribute};
use crate::step::foreign_words::word_of_ours;
use crate::step::limits::refuse_without_effect;
use crate::step::retry::Retry;
use crate::step::{ALL, COMING_STEPS, StepAction, StepFailure, StepRun};
use crate::tag::expression_error;
use crate::tag::spec::Pattern;
use crate::thread::RunThread;
use crate::value::{Map, Value, check_depth, kind_name};

/// The most rounds that a `loop` may have.
const ROUNDS_MAX: usize = 1_000_000;

/// The most that gathered output may hold, in bytes: what one child may print.
const GATHERED_MAX: usize = 8 * 1024 * 1024;

/// A compiled step.
pub struct CompiledStep {
    /// Its name, else its kind: for messages and log lines.
    pub label: String,
    /// Where it stands.
    pub mark: Mark,
    /// The YAML item, for scripts that look at it.
    pub item: Value,
    /// What any step may say.
    pub attributes: Attributes,
    action: Box<dyn StepAction>,
}

impl CompiledStep {
    /// Compiles one item of a run list.
    pub(super) fn compile(item: &Node, compiler: &mut Compiler) -> Option<Self> {
        let Some(entries) = item.entries() else {
            let what = format!("a step is a {}", item.kind_name());
            compiler.problems.error(&item.mark, what, "expected a mapping such as \"- shell: uptime\"");
            return None;
        };
        let (attributes, others): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(|entry| is_attribute(&entry.key));
        let (step, entry) = find_step(item, &others, compiler)?;
        let attributes = Attributes::compile(item, attributes.into_iter(), compiler);
        refuse_without_effect(item, step.spec().name, &entry.value, &mut compiler.problems);
        let good = crate::spec::check_kind(&entry.value, &step.spec().value, step.spec().name, &mut compiler.problems);
        let action = good.then(|| step.compile(entry, &attributes, compiler)).flatten()?;
        let label = attributes.name.clone().unwrap_or_else(|| step.spec().name.to_string());
        Some(CompiledStep { label, mark: item.mark.clone(), item: item.to_value(), attributes, action })
    }

    /// Runs the step as its attributes say and merges its result into pipe data.
    ///
    /// # Errors
    /// It failed, and its list is to end.
    pub async fn run(self: &Arc<Self>, run: &mut Run) -> Result<(), RunError> {
        if let Some(condition) = &self.attributes.condition
            && !condition.is_true(run).map_err(|error| self.placed(expression_error(&error)))?
        {
            return Ok(());
        }
        if self.attributes.repeat.is_some() {
            let thread = self.start_thread(run, 1)?;
            return self.fetch(&thread, run).await;
        }
        let timeout = self.timeout(run)?;
        match self.run_rounds(run, timeout).await {
            Ok(()) => Ok(()),
            Err(failure) => self.failed(run, failure).await,
        }
    }

    /// Whether it is a run-thread that starts whatever earlier run-threads give.
    pub(super) fn starts_unasked(&self) -> bool {
        self.attributes.repeat.is_some() && self.attributes.condition.is_none()
    }

    /// Starts the step's run-thread if it is not there, as one of `together` that start in a row.
    ///
    /// # Errors
    /// As [`crate::thread::RunThreads::start`].
    pub(super) fn start_thread(self: &Arc<Self>, run: &Run, together: usize) -> Result<Arc<RunThread>, RunError> {
        run.instance.threads.start(self, run, together).map_err(|error| self.placed(error))
    }

    /// Waits for the first result of the step's run-thread, and merges the newest.
    ///
    /// # Errors
    /// Its first run failed, and the list is to end.
    pub(super) async fn fetch(&self, thread: &RunThread, run: &mut Run) -> Result<(), RunError> {
        let instance = Arc::clone(&run.instance);
        let fetched = instance.threads.fetch(thread, self, run).await.map_err(|error| self.placed(error))?;
        run.merge_fetched(fetched);
        Ok(())
    }

    /// One run of a repeated step: starts from `run`'s pipe data, gives only what the step returned.
    ///
    /// # Errors
    /// The step failed, after as many attempts as it may have.
    pub async fn run_repeated(self: &Arc<Self>, run: &mut Run) -> Result<Map, RunError> {
        let timeout = match &self.attributes.timeout {
            Some(_) => self.timeout(run)?,
            None => self.attributes.repeat.as_ref().map(|repeat| repeat.every.max(Duration::from_secs(60))),
        };
        let ran = if self.attributes.loop_over.is_some() {
            let before = run.pipe_data.clone();
            self.run_rounds(run, timeout).await.map(|()| changed(&before, &run.pipe_data))
        } else {
            self.attempts(run, timeout).await.and_then(|result| Ok(checked(result)?))
        };
        match ran {
            Ok(result) => Ok(result),
            Err(failure) => {
                let error = self.placed(*failure.error);
                if let OnError::Handle(handler) = &self.attributes.on_error {
                    Box::pin(run.handle(handler, Some(&error))).await?;
                }
                Err(error)
            }
        }
    }

    fn timeout(&self, run: &Run) -> Result<Option<Duration>, RunError> {
        self.attributes.timeout.as_ref().map(|timeout| timeout.get(run)).transpose()
    }

    fn placed(&self, mut error: RunError) -> RunError {
        error.step.get_or_insert_with(|| self.label.clone());
        placed(error, &self.mark)
    }

    async fn run_rounds(&self, run: &mut Run, timeout: Option<Duration>) -> Result<(), StepFailure> {
        let Some(over) = &self.attributes.loop_over else {
            let result = self.attempts(run, timeout).await?;
            return Ok(self.merge(run, result)?);
        };
        let items = rounds(&over.render(run)?)?;
        let outside = (run.pipe_data.get("item").cloned(), run.pipe_data.get("index").cloned());
        let mut outcome = Ok(());
        for (index, item) in items.into_iter().enumerate() {
            run.pipe_data.insert("item".into(), item);
            run.pipe_data.insert("index".into(), index.into());
            outcome = match self.attempts(run, timeout).await {
                Ok(result) => self.merge(run, result).map_err(StepFailure::from),
                Err(failure) => Err(failure),
            };
            let is_over = match (&outcome, &self.attributes.until) {
                (Err(_), _) => true,
                (Ok(()), None) => false,
                (Ok(()), Some(until)) => until.is_true(run).map_err(|error| self.placed(expression_error(&error)))?,
            };
            if is_over {
                break;
            }
        }
        restore(&mut run.pipe_data, "item", outside.0);
        restore(&mut run.pipe_data, "index", outside.1);
        outcome
    }

    /// Tries the step as `retry` says; with `until` and no loop, until that holds.
    async fn attempts(&self, run: &mut Run, timeout: Option<Duration>) -> Result<Map, StepFailure> {
        let until = self.attributes.until.as_ref().filter(|_| self.attributes.loop_over.is_none());
        let default = Retry::default();
        let retry = match (&self.attributes.retry, until) {
            (Some(retry), _) => Some(retry),
            (None, Some(_)) => Some(&default),
            (None, None) => None,
        };
        let Some(retry) = retry else { return self.attempt(run, timeout).await };
        let attempts = retry.attempts(run)?;
        for attempt in 1..=attempts {
            let (mut failure, level) = match self.attempt(run, timeout).await {
                Ok(result) if self.holds(until, run, &result)? => return Ok(result),
                Ok(result) => (until_does_not_hold(result), log::Level::Info),
                Err(failure) if run.is_failure_known => (failure, log::Level::Info),
                Err(failure) => (failure, log::Level::Warn),
            };
            failure.error.attempts = attempt;
            if attempt == attempts || failure.error.kind == RunErrorKind::Stopped {
                return Err(failure);
            }
            let delay = retry.delay(attempt, run)?;
            let text = &failure.error.message;
            log::log!(level, "{}: {text}; attempt {attempt} of {attempts}, next in {delay:.1?}", self.label);
            wait(run, delay).await?;
        }
        Err(RunError::failed("not tried at all").into())
    }

    fn holds(&self, until: Option<&crate::expr::Expr>, run: &Run, result: &Map) -> Result<bool, RunError> {
        let Some(until) = until else { return Ok(true) };
        let scope = Over { result, run };
        until.is_true(&scope).map_err(|error| self.placed(expression_error(&error)))
    }

    async fn attempt(&self, run: &mut Run, timeout: Option<Duration>) -> Result<Map, StepFailure> {
        run.give_way().await;
        run.check_stop()?;
        let stop = run.stop.clone();
        let mut step = StepRun {
            run,
            attributes: &self.attributes,
            item: &self.item,
            name: &self.label,
            source: &self.mark.source,
            timeout,
        };
        match timeout.filter(|_| !self.action.keeps_time()) {
            None => self.action.run(&mut step).await,
            Some(limit) => {
                tokio::select! {
                    result = self.action.run(&mut step) => result,
                    () = crate::thread::sleep(limit, &stop) => {
                        step.run.check_stop()?;
                        let limit = crate::units::format_duration(limit);
                        Err(RunError::new(RunErrorKind::TimedOut, format!("timed out after {limit}")).into())
                    }
                }
            }
        }
    }

    fn merge(&self, run: &mut Run, result: Map) -> Result<(), RunError> {
        let result = checked(result)?;
        if !self.action.gathers() {
            run.merge(result);
            return Ok(());
        }
        if let Some(name) = &self.attributes.name {
            run.pipe_data.insert(name.clone(), Value::Object(result.clone()));
        }
        for (key, value) in result {
            gather(run.pipe_data.entry(key).or_insert(Value::Null), value);
        }
        Ok(())
    }

    async fn failed(self: &Arc<Self>, run: &mut Run, failure: StepFailure) -> Result<(), RunError> {
        let error = self.placed(*failure.error);
        let merged = self.merge(run, failure.result).map_err(|error| self.placed(error));
        match &self.attributes.on_error {
            OnError::Unset | OnError::Stop => Err(error),
            _ if error.kind == RunErrorKind::Stopped => Err(error),
            OnError::Continue => {
                // An exit code stands in the result; of another failure nothing would be left.
                let is_in_result = error.status.is_some() && error.kind == RunErrorKind::Failed;
                let level = if is_in_result { log::Level::Info } else { log::Level::Warn };
                log::log!(level, "{error}; the list goes on");
                merged
            }
            OnError::Handle(handler) => {
                Box::pin(run.handle(handler, Some(&error))).await?;
                if handler.continues() { merged } else { Err(error) }
            }
        }
    }
}

/// A step's own result over the names of its run.
struct Over<'a> {
    result: &'a Map,
    run: &'a Run,
}

impl Scope for Over<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.result.get(name).or_else(|| self.run.get(name))
    }

    fn names(&self) -> Vec<&str> {
        self.result.keys().map(String::as_str).chain(self.run.names()).collect()
    }
}

fn find_step<'n>(
    item: &Node,
    others: &[&'n Entry],
    compiler: &mut Compiler,
) -> Option<(&'static dyn crate::step::Step, &'n Entry)> {
    let mut found = None;
    let mut is_good = true;
    for entry in others {
        match ALL.iter().find(|step| step.spec().name == entry.key) {
            Some(step) if found.is_none() => found = Some((*step, *entry)),
            Some(step) => {
                let what = format!(
                    "a step has both \"{}\" and \"{}\"",
                    found.map_or("", |(_, e)| e.key.as_str()),
                    step.spec().name
                );
                compiler.problems.error(&entry.mark, what, "make two steps of it, each with its own \"- \"");
                is_good = false;
            }
            None => unknown_key(entry, found.is_some(), compiler),
        }
    }
    if others.is_empty() {
        let names: Vec<&str> = ALL.iter().map(|step| step.spec().name).collect();
        compiler.problems.error(&item.mark, "a step says nothing to do", format!("add one of: {}", names.join(", ")));
    }
    found.filter(|_| is_good)
}

fn unknown_key(entry: &Entry, has_step: bool, compiler: &mut Compiler) {
    if COMING_STEPS.contains(&entry.key.as_str()) {
        let what = format!("the step \"{}\" is not available in this version", entry.key);
        compiler.problems.error(&entry.mark, what, "remove it");
        return;
    }
    if let Some((tag, variable)) = crate::tag::find(&entry.key) {
        let remedy = match tag.spec().pattern {
            Pattern::Prefix { prefix: "set", .. } => format!("write - set: {{{variable}: value}}"),
            _ => "move it beside \"run\", into the block that holds the list; to do it here, call a block that has it"
                .into(),
        };
        compiler.problems.error(&entry.mark, format!("\"{}\" is a tag of a block, no step", entry.key), remedy);
        return;
    }
    let steps = ALL.iter().map(|step| step.spec().name);
    let attributes = ATTRIBUTES.iter().map(|attribute| attribute.name);
    let spaced = entry.key.replace('_', " ");
    let known = word_of_ours(&spaced).or_else(|| nearest(&spaced, steps.clone().chain(attributes.clone())));
    let remedy = match known {
        Some(word) => format!("did you mean \"{word}\"?"),
        None if has_step => format!("expected one of: {}", attributes.collect::<Vec<_>>().join(", ")),
        None => format!("expected one of: {}", steps.collect::<Vec<_>>().join(", ")),
    };
    compiler.problems.error(&entry.mark, format!("unknown key \"{}\" in a step", entry.key), remedy);
}

fn rounds(over: &Value) -> Result<Vec<Value>, RunError> {
    let too_many = |count: usize| RunError::failed(format!("loop has {count} rounds, more than {ROUNDS_MAX}"));
    match over {
        Value::Array(items) if items.len() <= ROUNDS_MAX => Ok(items.clone()),
        Value::Array(items) => Err(too_many(items.len())),
        Value::Object(map) => Ok(map
            .iter()
            .map(|(key, value)| {
                Value::Object(Map::from_iter([("key".into(), key.clone().into()), ("value".into(), value.clone())]))
            })
            .collect()),
        Value::Number(number) => {
            let count = number.as_u64().and_then(|count| usize::try_from(count).ok());
            let count = count.ok_or_else(|| RunError::failed(format!("loop is {number}, not a count")))?;
            if count > ROUNDS_MAX { Err(too_many(count)) } else { Ok((0..count).map(Value::from).collect()) }
        }
        other => Err(RunError::failed(format!("loop is a {}, not a list, a mapping or a count", kind_name(other)))),
    }
}

fn restore(map: &mut Map, key: &str, value: Option<Value>) {
    match value {
        Some(value) => map.insert(key.into(), value),
        None => map.shift_remove(key),
    };
}

/// A result that may become pipe data.
fn checked(result: Map) -> Result<Map, RunError> {
    let refused = result.iter().find_map(|(name, value)| check_depth(name, value).err());
    refused.map_or(Ok(result), |text| Err(RunError::failed(text)))
}

/// What differs in `after`.
fn changed(before: &Map, after: &Map) -> Map {
    let is_new = |(key, value): &(&String, &Value)| before.get(*key) != Some(*value);
    after.iter().filter(is_new).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Adds to what earlier steps gathered: lists and texts grow, anything else is replaced.
fn gather(slot: &mut Value, value: Value) {
    match (slot, value) {
        (Value::Array(list), Value::Array(more)) => list.extend(more),
        (Value::String(text), Value::String(more)) if text.len() + more.len() <= GATHERED_MAX => text.push_str(&more),
        (Value::String(text), Value::String(more)) => {
            if !text.ends_with(CUT_MARK) {
                let room = GATHERED_MAX.saturating_sub(text.len()).min(more.len());
                text.push_str(more.get(..more.floor_char_boundary(room)).unwrap_or_default());
                text.push_str(CUT_MARK);
            }
        }
        (slot, value) => *slot = value,
    }
}

const CUT_MARK: &str = "\n[gathered output cut at 8 MiB]\n";

/// A round of waiting for something: not a failure until the last one.
fn until_does_not_hold(result: Map) -> StepFailure {
    StepFailure { error: Box::new(RunError::failed("until does not hold")), result }
}

/// Waits between attempts; a stop ends the wait.
async fn wait(run: &Run, delay: Duration) -> Result<(), RunError> {
    crate::thread::sleep(delay, &run.stop).await;
    run.check_stop()
}
