//! `system`: this machine's own numbers. The only module that names procfs.

mod devices;
mod read;
mod top;

use std::time::Duration;

use parking_lot::Mutex;

use crate::block::Compiler;
use crate::error::RunError;
use crate::host::BoxFuture;
use crate::load::{Entry, nearest};
use crate::spec::{Example, Expected, FieldKind};
use crate::step::spec::StepSpec;
use crate::step::{Attributes, Step, StepAction, StepResult, StepRun};
use crate::value::Map;
use devices::Which;
use read::CpuTimes;
use top::Snapshot;

const GROUPS: &[&str] = &[
    "cpu",
    "cores",
    "memory",
    "load",
    "disks",
    "all disks",
    "disk io",
    "all disk io",
    "network",
    "processes",
    "top processes",
    "machine",
];

/// How long the first reading of the CPU watches it: later ones cover the time since the last.
const FIRST_READING: Duration = Duration::from_millis(200);

/// `system: [cpu, memory, …]`.
pub(super) struct System;

impl Step for System {
    fn spec(&self) -> &'static StepSpec {
        &StepSpec {
            name: "system",
            summary: "Reads this machine's own numbers from /proc.",
            text: "`cpu`: cpu_user, cpu_system, cpu_iowait, cpu_irq, cpu_steal, cpu_idle, cpu_used in percent of all cores since the \
                   last reading, and cpu_cores. `cores`: `cores`, number -> user, system, iowait, irq, steal, idle, used of each core. \
                   `memory`: memory_total, memory_used, memory_available, memory_cached, memory_free, swap_total, swap_used in \
                   bytes. `load`: load_1, load_5, load_15. `disks`: `disks`, mount point -> device, type, total, used, available in \
                   bytes, percent, inodes_percent; `all disks`: with those in memory and images, but no network ones, which may \
                   not answer. `disk io`: `disk_io`, device -> read_bytes, write_bytes, reads, writes, busy_ms, counted since the \
                   machine started; `all disk io`: with loop devices and ram disks. `network`: `network`, interface -> rx_bytes, \
                   tx_bytes, rx_packets, tx_packets, rx_errors, tx_errors, rx_dropped, tx_dropped, counted, state (`up`, `down`, …), \
                   speed in bits per second. `processes`: processes_total, processes_running, processes_blocked, \
                   processes_threads. `top processes`: `top_cpu` and `top_memory`, 20 of each, most first: pid, name, user, \
                   state, threads, cpu (percent of one core since the last reading), memory in bytes, memory_percent. `machine`: \
                   machine_name, machine_system, machine_kernel, machine_processor, machine_uptime in seconds.",
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
        Some(Box::new(SystemAction { groups, last: Mutex::default() }))
    }
}

struct SystemAction {
    groups: Vec<&'static str>,
    last: Mutex<Last>,
}

/// The last readings, of what is told since then.
#[derive(Default)]
struct Last {
    cpu: Option<CpuTimes>,
    processes: Option<Snapshot>,
}

impl SystemAction {
    fn wants_cpu(&self) -> bool {
        self.groups.iter().any(|group| matches!(*group, "cpu" | "cores"))
    }

    fn wants_processes(&self) -> bool {
        self.groups.contains(&"top processes")
    }

    /// Takes the readings that the first run is told against; true when some were missing.
    fn begin(&self) -> Result<bool, RunError> {
        let mut last = self.last.lock();
        let is_first = (self.wants_cpu() && last.cpu.is_none()) || (self.wants_processes() && last.processes.is_none());
        if is_first && self.wants_cpu() {
            last.cpu = Some(read::cpu_times()?);
        }
        if is_first && self.wants_processes() {
            last.processes = Some(Snapshot::take()?);
        }
        Ok(is_first)
    }

    fn read(&self) -> Result<Map, RunError> {
        let mut result = Map::new();
        let mut last = self.last.lock();
        if self.wants_cpu() {
            let now = read::cpu_times()?;
            let before = last.cpu.replace(now.clone()).unwrap_or_else(|| now.clone());
            if self.groups.contains(&"cpu") {
                now.since(&before, &mut result);
            }
            if self.groups.contains(&"cores") {
                now.cores_since(&before, &mut result);
            }
        }
        if self.wants_processes() {
            let now = Snapshot::take()?;
            if let Some(before) = &last.processes {
                now.since(before, &mut result)?;
            }
            last.processes = Some(now);
        }
        drop(last);
        for group in &self.groups {
            match *group {
                "memory" => read::memory(&mut result)?,
                "load" => read::load(&mut result)?,
                "disks" => devices::disks(Which::Real, &mut result)?,
                "all disks" => devices::disks(Which::All, &mut result)?,
                "disk io" => devices::disk_io(Which::Real, &mut result)?,
                "all disk io" => devices::disk_io(Which::All, &mut result)?,
                "network" => devices::network(&mut result)?,
                "processes" => read::processes(&mut result)?,
                "machine" => read::machine(&mut result)?,
                _ => {}
            }
        }
        Ok(result)
    }
}

impl StepAction for SystemAction {
    fn run<'a>(&'a self, step: &'a mut StepRun<'_>) -> BoxFuture<'a, StepResult> {
        Box::pin(async move {
            if self.begin()? {
                crate::thread::sleep(FIRST_READING, &step.run.stop).await;
            }
            // File systems and hundreds of processes may take their time: another worker takes this one's place.
            Ok(tokio::task::block_in_place(|| self.read())?)
        })
    }
}
