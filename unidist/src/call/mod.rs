//! Every function by name, with JSON arguments: what scripts of any language, shell commands and sockets go through.
//!
//! A name is `module.function`. Arguments are positional; a mapping after them holds named options. Durations are
//! seconds. Results are JSON: a message, claim or entry is a mapping, nothing is null. Each function is declared once,
//! in [`FUNCTIONS`], from which documentation is generated; dispatch goes through the same table. What changes something
//! takes the option `fence`, `{"lock": NAME, "number": N}`: see [`Unidist::fenced`].

mod arguments;
mod counter;
mod lock;
mod log;
mod queue;
mod state;
mod table;
mod watch;

use std::future::Future;
use std::pin::Pin;

use serde_json::Value;

use self::arguments::Arguments;
use crate::Unidist;
use crate::error::Error;

pub use self::table::FUNCTIONS;

/// A function that can be called by name.
pub struct FunctionSpec {
    /// `module.function`.
    pub name: &'static str,
    /// Its arguments for people: `name, by?, {wait, lease}`; `?` marks what may be left out, braces hold options.
    pub arguments: &'static str,
    /// What it does and returns, in one sentence.
    pub summary: &'static str,
    positions: &'static [Position],
    options: &'static [&'static str],
    run: Run,
}

/// One positional argument.
#[derive(Clone, Copy)]
struct Position {
    name: &'static str,
    is_optional: bool,
    /// Any value, a mapping too; elsewhere a mapping in last place is the options.
    is_any: bool,
}

type Waiting<'a> = Pin<Box<dyn Future<Output = Result<Value, Error>> + Send + 'a>>;

#[derive(Clone, Copy)]
enum Run {
    /// Answers at once.
    Now(fn(&Unidist, &Arguments<'_>) -> Result<Value, Error>),
    /// May wait.
    Later(for<'a> fn(&'a Unidist, Arguments<'a>) -> Waiting<'a>),
}

/// Calls the function `name`. Locks are taken and released in the name of `owner` unless the option `owner` says
/// otherwise. Dropping the future ends a wait and leaves nothing behind.
///
/// ```
/// # use serde_json::json;
/// # async fn run() -> Result<(), unidist::Error> {
/// let shared = unidist::Unidist::open("memory:")?;
/// let value = unidist::call::call(&shared, "sharedcounter.increment", &[json!("requests"), json!(5)], "block 1").await?;
/// assert_eq!(value, json!(5));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `UnknownFunction`, `Argument`, or what the function itself refuses. `sharedlock.acquire` returns false, not an
/// error, when the lock is not had in time.
pub async fn call(shared: &Unidist, name: &str, args: &[Value], owner: &str) -> Result<Value, Error> {
    let spec = find(name)?;
    let arguments = Arguments::split(spec, args, owner)?;
    let fenced = arguments.fence()?.map(|fence| shared.fenced(fence));
    let shared = fenced.as_ref().unwrap_or(shared);
    match spec.run {
        Run::Now(run) => run(shared, &arguments),
        Run::Later(run) => run(shared, arguments).await,
    }
}

/// `call`, which blocks the thread.
///
/// # Errors
/// As `call`.
pub fn call_blocking(shared: &Unidist, name: &str, args: &[Value], owner: &str) -> Result<Value, Error> {
    crate::wait::block_on(call(shared, name, args, owner))
}

/// Calls a function that answers at once, without a future; none for one that may wait.
///
/// # Errors
/// As `call`.
pub fn call_now(shared: &Unidist, name: &str, args: &[Value], owner: &str) -> Option<Result<Value, Error>> {
    let prepared = find(name).and_then(|spec| Ok((spec, Arguments::split(spec, args, owner)?)));
    match prepared {
        Err(error) => Some(Err(error)),
        Ok((FunctionSpec { run: Run::Now(run), .. }, arguments)) => Some(match arguments.fence() {
            Ok(None) => run(shared, &arguments),
            Ok(Some(fence)) => run(&shared.fenced(fence), &arguments),
            Err(error) => Err(error),
        }),
        Ok(_) => None,
    }
}

fn find(name: &str) -> Result<&'static FunctionSpec, Error> {
    match FUNCTIONS.binary_search_by_key(&name, |spec| spec.name).ok().and_then(|index| FUNCTIONS.get(index)) {
        Some(spec) => Ok(spec),
        None => Err(unknown(name)),
    }
}

#[cold]
fn unknown(name: &str) -> Error {
    let module = name.split('.').next().unwrap_or("");
    let prefix = format!("{module}.");
    let known: Vec<&str> = FUNCTIONS.iter().filter_map(|spec| spec.name.strip_prefix(&prefix)).collect();
    let remedy = if known.is_empty() {
        "the modules are messagequeue, sharedcounter, sharedlock, sharedlog, sharedstate".to_owned()
    } else {
        format!("{module} has {}", known.join(", "))
    };
    Error::UnknownFunction { name: name.chars().take(100).collect(), remedy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::block_on;
    use serde_json::json;

    #[test]
    fn the_table_is_sorted_without_repetition() {
        assert!(FUNCTIONS.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn the_arguments_as_text_are_those_that_are_read() {
        for spec in FUNCTIONS {
            let mut parts: Vec<String> = spec
                .positions
                .iter()
                .map(|position| format!("{}{}", position.name, if position.is_optional { "?" } else { "" }))
                .collect();
            if !spec.options.is_empty() {
                parts.push(format!("{{{}}}", spec.options.join(", ")));
            }
            assert_eq!(spec.arguments, parts.join(", "), "{}", spec.name);
        }
    }

    /// A fitting argument for each name in the table.
    fn sample(position: &Position) -> Value {
        match position.name {
            "by" | "revision" | "from" | "offset" | "lease" => json!(1),
            "value" if !position.is_any => json!(1),
            _ => json!("x"),
        }
    }

    #[test]
    fn each_listed_function_dispatches() {
        for spec in FUNCTIONS {
            let shared = Unidist::builder().host_locks(crate::HostLocks::Off).open("memory:").unwrap();
            let args: Vec<Value> = spec.positions.iter().map(sample).collect();
            let result = block_on(call(&shared, spec.name, &args, "owner"));
            let code = result.as_ref().err().map_or("ok", Error::code);
            assert!(matches!(code, "ok" | "not_found" | "fell_behind"), "{}: {result:?}", spec.name);
        }
    }

    #[test]
    fn a_function_without_its_arguments_is_an_error_that_names_the_first_missing_one() {
        let shared = Unidist::builder().host_locks(crate::HostLocks::Off).open("memory:").unwrap();
        for spec in FUNCTIONS {
            let Some(first) = spec.positions.iter().find(|position| !position.is_optional) else { continue };
            let error = block_on(call(&shared, spec.name, &[], "owner")).unwrap_err();
            assert_eq!(error.code(), "bad_argument", "{}", spec.name);
            assert!(error.to_string().contains(first.name), "{error}");
        }
    }

    #[test]
    fn the_future_may_move_between_threads() {
        fn is_send<T: Send>(_: &T) {}
        let shared = Unidist::open("memory:").unwrap();
        is_send(&call(&shared, "sharedcounter.get", &[], "owner"));
    }
}
