//! A request in the environment of a child: never in its command line, where a value could become code.

use dropstar::Request;

use crate::value::{Map, Value, to_text};

/// What a variable of an argument begins with.
const PREFIX: &str = "ARG_";

/// A longer value, in bytes, is only on standard input: the system bounds one variable by 128 KiB.
const VALUE_MAX: usize = 64 * 1024;

/// All variables together, in bytes: the system bounds the environment.
const TOTAL_MAX: usize = 512 * 1024;

/// `ARG_NAME` for each argument whose name can be one of a variable, and `REQUEST_METHOD`, `REQUEST_PATH`,
/// `REQUEST_USER`. What does not fit is left out; everything is on standard input as JSON.
pub(super) fn environment(request: &Request) -> Map {
    let mut variables = Map::new();
    let mut total = 0;
    let mut add = |name: String, value: String| {
        total += name.len() + value.len() + 2;
        if value.len() <= VALUE_MAX && total <= TOTAL_MAX && !value.contains('\0') {
            variables.insert(name, Value::String(value));
        }
    };
    for name in ["method", "path", "user"] {
        if let Some(value) = request.state.get(name) {
            add(format!("REQUEST_{}", name.to_uppercase()), to_text(&value));
        }
    }
    for (name, value) in request.arguments.iter().filter(|(name, _)| is_variable(name)) {
        add(format!("{PREFIX}{name}"), to_text(value));
    }
    variables
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.len() <= 128 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
