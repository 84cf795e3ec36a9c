//! Followers of a cluster, and whether they were told the truth: viewers read the stream of events as a browser or
//! program does, agents get their assignments as workers do.

mod agents;
mod arrivals;
mod oracle;
mod viewers;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

pub use agents::{AgentRecord, HEARTBEAT, IMAGE, Worker, Workers, follow_about};
pub use arrivals::{Arrival, Arrivals};
pub use oracle::{Tally, Truth};
pub use viewers::{Pace, Step, ViewerRecord, stall, view};

/// What stands for a message that is too long to keep.
pub type Print = u64;

fn print_of(message: &[u8]) -> Print {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}
