//! `rpc.call`: a procedure of another instance, for scripts.

use crate::host::api::Api;
use crate::host::{Caller, HostError};
use crate::rpc::Call;
use crate::value::{Map, Value};

pub(super) const FUNCTIONS: &[&str] = &["rpc.call"];

/// `rpc.call(url, name, {arguments}, {timeout, token, json_rpc, …})` gives the reply.
pub(super) async fn call(api: &Api, caller: &Caller, name: &str, arguments: &[Value]) -> Result<Value, HostError> {
    if name != "rpc.call" {
        return Err(HostError::new("unknown_function", format!("there is no function {name}; there is rpc.call")));
    }
    let bad = |text: String| HostError::new("bad_argument", text);
    let (Some(Value::String(url)), Some(Value::String(procedure))) = (arguments.first(), arguments.get(1)) else {
        return Err(bad("rpc.call takes a URL, a name, arguments and options".into()));
    };
    let empty = Map::new();
    let mapping = |index: usize, what: &str| match arguments.get(index) {
        None | Some(Value::Null) => Ok(&empty),
        Some(Value::Object(map)) => Ok(map),
        Some(_) => Err(bad(format!("the {what} of rpc.call are a mapping"))),
    };
    let call = Call::read(url, procedure, mapping(2, "arguments")?, mapping(3, "options")?, &caller.folder);
    let reply = call.map_err(|text| bad(format!("rpc.call: {text}")))?.send(&api.http, &api.stop).await;
    reply.map(Value::Object).map_err(|error| HostError::new(error.code(), error.text))
}
