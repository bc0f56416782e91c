//! unidist: locks, counters, queues, state and logs that programs share.

mod stop;
pub mod timeseries;

pub use stop::Stop;
