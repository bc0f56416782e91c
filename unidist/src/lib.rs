//! unidist: locks, counters, queues, state and logs that programs share.

mod stop;

pub use stop::Stop;
