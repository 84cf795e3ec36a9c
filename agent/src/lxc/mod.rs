//! liblxc behind sound calls.
//!
//! The crate `lxc` frees strings that liblxc still reads and writes beyond its buffers, so only its bindings are
//! used (docs/adr/0004). Calls that make liblxc fork, move the caller to another cgroup or change its namespaces
//! are made in a re-executed, single-threaded [`helper`], never in the agent.

pub(crate) mod alive;
mod checkpoint;
mod container;
pub mod helper;
mod kernel_objects;
mod mount;
pub(crate) mod quota;

pub use checkpoint::{CheckpointRequest, RestoreRequest};
pub use container::Container;
pub use helper::{AttachRequest, HelperRequest, MountRequest, StartRequest, StopRequest};

/// liblxc's version.
#[must_use]
pub fn version() -> String {
    lxc::version()
}
