//! What goes over a worker's socket: four bytes of length (big endian), then JSON.

use std::io;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::value::{Map, Value};

/// The longest message, in bytes.
const MESSAGE_MAX: u32 = 256 * 1024 * 1024;

/// From the runner, once.
#[derive(Debug, Serialize)]
pub(super) struct Start<'a> {
    pub(super) functions: &'a [String],
}

/// From the runner: run this.
#[derive(Debug, Serialize)]
pub(super) struct Order<'a> {
    pub(super) source: Source<'a>,
    pub(super) arguments: Arguments<'a>,
    /// Bytes of address space.
    pub(super) memory: Option<u64>,
    /// Seconds of processor time, whole ones.
    pub(super) cpu: Option<u64>,
    /// Open descriptors, those of the worker included.
    pub(super) files: Option<u64>,
}

/// Where the code comes from.
#[derive(Debug, Serialize)]
pub(super) struct Source<'a> {
    pub(super) name: &'a str,
    pub(super) folder: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_line: Option<u32>,
}

/// The arguments of `ProcessBlock`.
#[derive(Debug, Serialize)]
pub(super) struct Arguments<'a> {
    pub(super) pipe_data: &'a Map,
    pub(super) block: &'a Value,
    pub(super) request_state: &'a Map,
    pub(super) input_data: &'a Map,
    pub(super) tag: &'a str,
    pub(super) cwd: &'a str,
    pub(super) env: &'a Map,
    pub(super) block_parent: &'a Value,
}

/// From the runner: what a function of the host gave.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    Value(Value),
    Error { code: String, text: String },
}

/// From the worker.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Message {
    Ready,
    Log { level: String, line: Option<usize>, text: String },
    Host { name: String, arguments: Vec<Value> },
    Result { value: Map, resident: u64 },
    Failure { message: String, place: Option<String>, trace: String, is_limit: bool, resident: u64 },
}

/// Sends the worker its program, before anything else.
pub(super) async fn send_program(socket: &mut UnixStream, program: &str) -> io::Result<()> {
    let length = u32::try_from(program.len()).map_err(io::Error::other)?;
    socket.write_u32(length).await?;
    socket.write_all(program.as_bytes()).await
}

/// Sends one message.
pub(super) async fn send(socket: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).ok().filter(|length| *length <= MESSAGE_MAX);
    let length = length.ok_or_else(|| io::Error::other("the data is larger than 256 MiB"))?;
    for (place, byte) in bytes.iter_mut().zip(length.to_be_bytes()) {
        *place = byte;
    }
    socket.write_all(&bytes).await
}

/// Reads one message. Not to be given up half-way and tried again.
pub(super) async fn receive(socket: &mut UnixStream) -> io::Result<Message> {
    let length = socket.read_u32().await?;
    if length > MESSAGE_MAX {
        return Err(io::Error::other("the worker sent more than 256 MiB"));
    }
    let mut bytes = Vec::new();
    socket.take(u64::from(length)).read_to_end(&mut bytes).await?;
    Ok(serde_json::from_slice(&bytes)?)
}
