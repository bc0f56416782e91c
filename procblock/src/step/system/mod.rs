//! `system`: this machine's own numbers. The only module that names procfs.

mod read;

use crate::block::Compiler;
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::load::{Entry, nearest};
use crate::spec::{Example, Expected, FieldKind};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::Map;
use read::CpuTimes;

const GROUPS: &[&str] = &["cpu", "memory", "load", "disks", "disk io", "network", "processes"];

/// How long the first reading of the CPU watches it, in milliseconds: later ones cover the time since the last.
const FIRST_CPU_MILLISECONDS: u64 = 200;

/// `system: [cpu, memory, …]`.
pub(super) struct System;

impl Step for System {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "system",
            summary: "Reads this machine's own numbers from /proc.",
            text: "`cpu`: cpu_user, cpu_system, cpu_iowait, cpu_irq, cpu_steal, cpu_idle, cpu_used in percent of all cores since the \
                   last reading, and cpu_cores. `memory`: memory_total, memory_used, memory_available, memory_cached, memory_free, \
                   swap_total, swap_used in bytes. `load`: load_1, load_5, load_15. `disks`: `disks`, mount point -> total, used, \
                   available in bytes, percent, inodes_percent. `disk io`: `disk_io`, device -> read_bytes, write_bytes, reads, \
                   writes, counted since the machine started. `network`: `network`, interface -> rx_bytes, tx_bytes, rx_packets, \
                   tx_packets, rx_errors, tx_errors, counted. `processes`: processes_total, processes_running, processes_blocked, \
                   processes_threads.",
            value: FieldKind::ListOf(&FieldKind::Choice(GROUPS)),
            examples: &[
                Example {
                    yaml: "run:\n  - system: [load, memory]\n  - assert: load_1 >= 0 and memory_total > memory_used\n__return_tag: answer\nanswer: 1\n",
                    expected: Expected::Result("1"),
                },
                Example { yaml: "run:\n  - system: [cpus]\n", expected: Expected::Refused("cpu") },
            ],
        }
    }

    fn compile(&self, entry: &Entry, _: &Attributes, compiler: &mut Compiler) -> Option<Box<dyn StepAction>> {
        let mut groups = Vec::new();
        for item in entry.value.items().unwrap_or_default() {
            let word = item.as_text().unwrap_or_default();
            match GROUPS.iter().find(|group| crate::spec::same_key(word, group)) {
                Some(group) => groups.push(*group),
                None => {
                    let near = nearest(word, GROUPS.iter().copied()).unwrap_or("cpu");
                    compiler.problems.error(
                        &item.mark,
                        format!("unknown group \"{word}\""),
                        format!("did you mean \"{near}\"?"),
                    );
                }
            }
        }
        Some(Box::new(SystemAction { groups, cpu: parking_lot::Mutex::new(None) }))
    }
}

struct SystemAction {
    groups: Vec<&'static str>,
    cpu: parking_lot::Mutex<Option<CpuTimes>>,
}

impl SystemAction {
    async fn cpu(&self, step: &StepRun<'_>, result: &mut Map) -> Result<(), RunError> {
        let before = *self.cpu.lock();
        let before = match before {
            Some(before) => before,
            None => {
                let first = read::cpu_times()?;
                let pause = std::time::Duration::from_millis(FIRST_CPU_MILLISECONDS);
                crate::thread::sleep(pause, &step.run.stop).await;
                first
            }
        };
        let after = read::cpu_times()?;
        *self.cpu.lock() = Some(after);
        after.since(&before, result);
        Ok(())
    }
}

impl StepAction for SystemAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            let mut result = Map::new();
            for group in &self.groups {
                match *group {
                    "cpu" => self.cpu(step, &mut result).await?,
                    "memory" => read::memory(&mut result)?,
                    "load" => read::load(&mut result)?,
                    "disks" => read::disks(&mut result)?,
                    "disk io" => read::disk_io(&mut result)?,
                    "network" => read::network(&mut result)?,
                    _ => read::processes(&mut result)?,
                }
            }
            Ok(result)
        })
    }
}
