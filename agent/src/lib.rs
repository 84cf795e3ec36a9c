//! Makes one worker match its assignment, and chooses nothing.
//!
//! The loop in [`agent`] receives an assignment, observes the [`host`], plans the difference in [`plan`], lets the
//! host act, and reports what is now true. Containers outlive this process; a restarted agent adopts them. The
//! [`door`] is the data port: terminals, exec, images, [`meter`]s, [`files`] and vnodes
//! on their way to other workers ([`transfer`]).

pub mod act;
pub mod activity;
mod agent;
mod apparmor;
pub mod archive;
mod arp;
mod arriving;
mod boot;
pub mod certificate;
pub mod cgroup;
pub mod checkpoint;
pub mod command;
pub mod config;
pub mod container_config;
mod disk;
pub mod doctor;
pub mod door;
mod drill;
pub mod fault;
pub mod files;
pub mod gpu;
pub mod home;
pub mod host;
pub mod images;
mod inside;
pub mod inventory;
pub mod lease;
pub mod limits;
pub mod loop_device;
pub mod lxc;
mod lxcfs;
pub mod masters;
pub mod members;
pub mod meter;
pub mod network;
pub mod open_files;
mod per_vnode;
pub mod plan;
mod ready;
pub mod rootfs;
pub mod save;
mod seccomp;
pub mod snapshot;
mod surroundings;
pub mod tally;
pub mod transfer;
pub mod vnode_dir;

pub use agent::run;
pub use config::AgentConfig;
pub use fault::AgentFault;
