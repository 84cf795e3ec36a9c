//! liblxc behind sound calls.
//!
//! The crate `lxc` frees strings that liblxc still reads and writes beyond its buffers, so only its types are
//! used (docs/adr/0004), and the library is loaded by name. Calls that make liblxc fork, move the caller to another cgroup or change its namespaces
//! are made in a single-threaded [`helper`], a process of its own, never in the agent.

pub(crate) mod alive;
mod checkpoint;
mod container;
mod copies;
mod descriptors;
pub mod helper;
pub mod helpers;
mod in_place;
mod kernel_objects;
mod library;
mod mount;
pub(crate) mod quota;
mod session;

pub use checkpoint::{CheckpointRequest, Extent, RestoreRequest};
pub use container::Container;
pub use helper::{
    AttachRequest, FilesRequest, HelperRequest, MountRequest, StartRequest, StopRequest,
};
pub use helpers::Helpers;
pub use in_place::InPlace;
pub use library::version;
