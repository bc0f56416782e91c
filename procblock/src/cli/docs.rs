//! `procblock docs [TOPIC]`: the reference in the terminal.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::cli::run::print;
use crate::cli::{EXIT_DONE, EXIT_FAILED, EXIT_USAGE, command};
use crate::docs::{self, Part, Topic};

/// The width of lines unless the terminal says otherwise.
const WIDTH_DEFAULT: usize = 90;

/// Longer lines are hard to read, whatever the terminal's width.
const WIDTH_MAX: usize = 110;

#[derive(Args)]
pub(super) struct DocsArgs {
    /// A tag, step, attribute, key of __usage, function, module or command, or a page; without it the list of pages.
    #[arg(value_name = "TOPIC")]
    topic: Vec<String>,
    /// Write every page as Markdown into this folder.
    #[arg(long, value_name = "FOLDER", hide = true)]
    write: Option<PathBuf>,
}

pub(super) fn run(arguments: &DocsArgs) -> ExitCode {
    let commands = command();
    if let Some(folder) = &arguments.write {
        return write(folder, &commands);
    }
    let word = arguments.topic.join(" ");
    if word.is_empty() {
        print(&docs::terminal(&index(&commands), width()));
        return ExitCode::from(EXIT_DONE);
    }
    match docs::find(&word, &commands) {
        Topic::Found(parts) => {
            print(&docs::terminal(&parts, width()));
            ExitCode::from(EXIT_DONE)
        }
        Topic::Unknown(near) => {
            let remedy = near
                .map_or_else(|| "procblock docs lists the pages".into(), |near| format!("did you mean \"{near}\"?"));
            eprintln!("error: there is no topic \"{word}\"; {remedy}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

/// What there is to read.
fn index(commands: &clap::Command) -> Vec<Part> {
    let rows = docs::pages(commands).into_iter().map(|page| vec![page.name.to_string(), page.summary.to_string()]);
    let rows = rows.collect();
    vec![
        Part::Heading(1, "The reference of procblock".into()),
        Part::Paragraph(
            "procblock docs TOPIC shows a page of this list, or what it says about one tag, step, attribute, key of \
             __usage, function, module or command: procblock docs run workers, procblock docs timeout."
                .into(),
        ),
        Part::Table(vec!["page", "holds"], rows),
    ]
}

fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<usize>().ok());
    let columns = columns.filter(|_| std::io::stdout().is_terminal());
    columns.unwrap_or(WIDTH_DEFAULT).clamp(40, WIDTH_MAX)
}

fn write(folder: &Path, commands: &clap::Command) -> ExitCode {
    for page in docs::pages(commands) {
        let path = folder.join(format!("{}.md", page.name));
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, docs::markdown(&page.parts)));
        if let Err(error) = written {
            eprintln!("error: {} can't be written: {error}", path.display());
            return ExitCode::from(EXIT_FAILED);
        }
    }
    ExitCode::from(EXIT_DONE)
}
