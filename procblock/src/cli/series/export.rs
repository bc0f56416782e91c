//! `procblock series export`: everything that a file keeps, streamed.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use unidist::timeseries::{Archive, Definition, Row, format_number};

use super::Failed;
use crate::series::{ArchiveRows, SeriesClient};
use crate::value::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One object with the rows of each archive.
    Json,
    /// `consolidation,seconds,time,FIELD,…`; unknown is empty.
    Csv,
}

/// Writes every archive of the file; it is never whole in memory.
pub(super) async fn export(
    client: &SeriesClient,
    path: &Path,
    format: Format,
    out: &mut impl Write,
) -> Result<(), Failed> {
    let definition = client.info(path).await?;
    begin(path, &definition, format, out)?;
    for (index, archive) in definition.archives.iter().enumerate() {
        let mut rows = ArchiveRows::new(client, path, &definition, archive);
        let seconds = rows.seconds();
        if format == Format::Json {
            let comma = if index > 0 { "," } else { "" };
            let way = archive.consolidation.as_str();
            write!(out, "{comma}\n{{\"consolidation\": \"{way}\", \"seconds\": {seconds}, \"rows\": [")?;
        }
        let mut is_first = true;
        while let Some(table) = rows.next().await? {
            for row in &table.rows {
                match format {
                    Format::Csv => csv_row(archive, seconds, row, out)?,
                    Format::Json => json_row(row, std::mem::replace(&mut is_first, false), out)?,
                }
            }
        }
        if format == Format::Json {
            out.write_all(b"]}")?;
        }
    }
    if format == Format::Json {
        out.write_all(b"\n]}\n")?;
    }
    Ok(())
}

fn begin(path: &Path, definition: &Definition, format: Format, out: &mut impl Write) -> io::Result<()> {
    let fields: Vec<&str> = definition.columns.iter().map(|column| column.name.as_str()).collect();
    match format {
        Format::Csv => writeln!(out, "consolidation,seconds,time,{}", fields.join(",")),
        Format::Json => {
            let (path, fields) = (Value::from(path.display().to_string()), serde_json::json!(fields));
            let (step, last) = (definition.step, definition.last_update);
            write!(
                out,
                "{{\"path\": {path}, \"step\": {step}, \"last_update\": {last}, \"fields\": {fields}, \"archives\": ["
            )
        }
    }
}

fn csv_row(archive: &Archive, seconds: i64, row: &Row, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{},{seconds},{}", archive.consolidation.as_str(), row.time)?;
    for value in &row.values {
        write!(out, ",{}", value.map(format_number).unwrap_or_default())?;
    }
    writeln!(out)
}

fn json_row(row: &Row, is_first: bool, out: &mut impl Write) -> io::Result<()> {
    let comma = if is_first { "" } else { "," };
    write!(out, "{comma}\n[{}", row.time)?;
    for value in &row.values {
        write!(out, ", {}", value.map_or(Value::Null, Value::from))?;
    }
    out.write_all(b"]")
}
