//! `procblock counter`: counters of an instance.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::instance::InstanceArgs;
use super::output::{Format, FormatArgs, print};
use super::table::Table;
use crate::cli::EXIT_DONE;
use crate::value::{Value, to_text};

#[derive(Subcommand)]
pub(crate) enum CounterCommand {
    /// Print a counter's value; 0 when it was never set.
    Get {
        /// The counter.
        counter: String,
        #[command(flatten)]
        common: Common,
    },
    /// Replace a counter's value.
    Set {
        /// The counter.
        counter: String,
        /// A whole number.
        #[arg(allow_negative_numbers = true)]
        value: i64,
        #[command(flatten)]
        common: Common,
    },
    /// Add to a counter, 1 unless told otherwise, and print its new value.
    Increment {
        /// The counter.
        counter: String,
        /// How much; a negative number subtracts.
        #[arg(allow_negative_numbers = true)]
        by: Option<i64>,
        /// The same as an option.
        #[arg(long = "by", value_name = "NUMBER", allow_negative_numbers = true, conflicts_with = "by")]
        by_option: Option<i64>,
        #[command(flatten)]
        common: Common,
    },
    /// List all counters with their values.
    List {
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
pub(crate) struct Common {
    #[command(flatten)]
    instance: InstanceArgs,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) fn run(command: CounterCommand) -> Result<u8, Failure> {
    let (common, value) = match command {
        CounterCommand::Get { counter, common } => {
            let value = common.instance.call("sharedcounter.get", vec![counter.into()])?;
            (common, value)
        }
        CounterCommand::Set { counter, value, common } => {
            let value = common.instance.call("sharedcounter.set", vec![counter.into(), value.into()])?;
            (common, value)
        }
        CounterCommand::Increment { counter, by, by_option, common } => {
            let by = by.or(by_option).unwrap_or(1);
            let value = common.instance.call("sharedcounter.increment", vec![counter.into(), by.into()])?;
            (common, value)
        }
        CounterCommand::List { common } => {
            let value = common.instance.call("sharedcounter.all", Vec::new())?;
            (common, value)
        }
    };
    match (common.format.output, &value) {
        (Format::Text, Value::Object(counters)) => {
            let mut table = Table::new(&["COUNTER", "VALUE"]);
            counters.iter().for_each(|(name, value)| table.add([name.clone(), to_text(value)]));
            print(&table.to_text());
        }
        _ => common.format.print(&value),
    }
    Ok(EXIT_DONE)
}
