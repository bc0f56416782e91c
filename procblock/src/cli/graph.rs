//! `procblock graph FILE OUT`: a picture of any window of a round-robin file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use unidist::timeseries::{GraphFormat, GraphMethod, GraphSpec};

use crate::cli::EXIT_DONE;
use crate::cli::series::{Ends, Failed, Source, ask};

/// How far back a picture reaches unless told.
const FROM_DEFAULT: &str = "-1d";

/// Arguments of `graph`.
#[derive(Args, Debug)]
pub(super) struct GraphArgs {
    #[command(flatten)]
    source: Source,
    /// The picture: NAME.png or NAME.svg; an older one is replaced.
    #[arg(value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    ends: Ends,
    /// Above the picture; the file's name unless given.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Which fields, in this order, with commas between them; all of them unless given.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    fields: Vec<String>,
    /// How they are drawn: STACK, LINE or AREA.
    #[arg(long, value_name = "HOW", default_value = "STACK", value_parser = parse_method)]
    method: GraphMethod,
    /// Width of the canvas in pixels, 50 to 4000.
    #[arg(long, value_name = "PIXELS", default_value_t = 600)]
    width: u32,
    /// Height of the canvas in pixels, 30 to 4000.
    #[arg(long, value_name = "PIXELS", default_value_t = 200)]
    height: u32,
    /// Beside the vertical axis.
    #[arg(long, value_name = "TEXT", default_value = "")]
    vertical_label: String,
    /// The axis begins here, or lower if a value does.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, allow_hyphen_values = true)]
    lower_limit: f64,
    /// The axis reaches at least so far.
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    upper_limit: Option<f64>,
}

pub(super) fn run(arguments: &GraphArgs) -> ExitCode {
    ask(async |client| {
        let (spec, format) = arguments.spec()?;
        let window = arguments.ends.window(FROM_DEFAULT)?;
        let bytes = client.graph_bytes(arguments.source.through(client)?, spec, window, format).await?;
        let out = &arguments.out;
        write(out, &bytes).map_err(|error| {
            let remedy = if error.kind() == std::io::ErrorKind::NotFound { "; create its folder first" } else { "" };
            Failed::Other(format!("cannot write {}: {error}{remedy}", out.display()))
        })?;
        Ok(EXIT_DONE)
    })
}

impl GraphArgs {
    fn spec(&self) -> Result<(GraphSpec, GraphFormat), Failed> {
        let ending = self.out.extension().map(|ending| ending.to_ascii_lowercase());
        let format = match ending.as_ref().and_then(|ending| ending.to_str()) {
            Some("png") => GraphFormat::Png,
            Some("svg") => GraphFormat::Svg,
            _ => {
                let text = format!("{} is no picture's name; expected NAME.png or NAME.svg", self.out.display());
                return Err(Failed::Usage(text));
            }
        };
        let name = || self.source.file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let spec = GraphSpec {
            title: self.title.clone().unwrap_or_else(name),
            fields: self.fields.clone(),
            method: self.method,
            vertical_label: self.vertical_label.clone(),
            width: self.width,
            height: self.height,
            lower_limit: Some(self.lower_limit),
            upper_limit: self.upper_limit,
            ..GraphSpec::default()
        };
        spec.validate().map_err(Failed::Usage)?;
        Ok((spec, format))
    }
}

/// Replaces the picture at once: no reader sees half of it.
fn write(out: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(out.file_name().unwrap_or_default());
    name.push(format!(".{}.part", std::process::id()));
    let part = out.with_file_name(name);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, out));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

fn parse_method(text: &str) -> Result<GraphMethod, String> {
    GraphMethod::from_name(text).ok_or_else(|| "expected STACK, LINE or AREA".into())
}
