//! What the system knows of this process: memory, processor time, open files. Read from `/proc`, see proc(5).

use super::exposition::{Exposition, Kind};

/// The unit of times in `/proc/PID/stat`; 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// One reading.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Process {
    /// Memory in use, in bytes.
    pub(super) memory: Option<f64>,
    /// Processor time used, in seconds.
    pub(super) processor: Option<f64>,
    threads: Option<f64>,
    files: Option<f64>,
    /// In seconds since 1970.
    started: Option<f64>,
}

impl Process {
    /// Reads it. Blocks for as long as `/proc` takes; what it does not tell is left out.
    pub(super) fn read() -> Process {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let system = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let booted = system.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|text| text.parse().ok());
        let mut process = Process::parse(&stat, &status, booted);
        #[expect(clippy::cast_precision_loss, reason = "a process has far fewer files than 2^53")]
        let files = std::fs::read_dir("/proc/self/fd").map(|files| files.count() as f64);
        process.files = files.ok();
        process
    }

    fn parse(stat: &str, status: &str, booted: Option<f64>) -> Process {
        // The program's name, in parentheses, may hold anything; fields are counted from behind it, where the third is.
        let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
        let kilobytes = memory.and_then(|text| text.parse::<f64>().ok());
        Process {
            memory: kilobytes.map(|kilobytes| kilobytes * 1024.0),
            processor: field(14).zip(field(15)).map(|(user, system)| (user + system) / TICKS_PER_SECOND),
            threads: field(20),
            files: None,
            started: field(22).zip(booted).map(|(ticks, booted)| booted + ticks / TICKS_PER_SECOND),
        }
    }

    /// Writes it, with the names that Prometheus's own clients have.
    pub(super) fn write(&self, to: &mut Exposition) {
        let numbers = [
            ("process_resident_memory_bytes", Kind::Gauge, "Memory in use.", self.memory),
            ("process_cpu_seconds_total", Kind::Counter, "Processor time used.", self.processor),
            ("process_threads", Kind::Gauge, "Threads of the operating system.", self.threads),
            ("process_open_fds", Kind::Gauge, "Open file descriptors.", self.files),
            ("process_start_time_seconds", Kind::Gauge, "When the process started, since 1970.", self.started),
        ];
        for (name, kind, help, value) in numbers {
            if let Some(value) = value {
                to.single(name, kind, help, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_name_with_parentheses_and_blanks_shifts_nothing() {
        let stat = "7 (a ) (b) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 1000 1 1";
        let process = Process::parse(stat, "Name:\ta\nVmRSS:\t    7 kB\n", Some(5.0));
        assert_eq!((process.processor, process.threads, process.started), (Some(2.0), Some(9.0), Some(15.0)));
        assert_eq!(process.memory, Some(7168.0));
        assert_eq!(Process::parse("", "", None), Process::default());
    }

    #[test]
    fn this_process_is_read() {
        let process = Process::read();
        assert!(process.memory > Some(1e6) && process.files > Some(2.0) && process.started > Some(1e9), "{process:?}");
    }
}
