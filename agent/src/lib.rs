//! Makes one worker match its assignment, and chooses nothing.
//!
//! The loop in [`agent`] receives an assignment, observes the [`host`], plans the difference in [`plan`], lets the
//! host act, and reports what is now true. Containers outlive this process; a restarted agent adopts them. The
//! [`door`] is the data port: terminals, exec, images and [`meter`]s.

pub mod act;
pub mod agent;
pub mod command;
pub mod config;
pub mod door;
pub mod fault;
pub mod home;
pub mod host;
pub mod images;
pub mod inventory;
pub mod lxc;
pub mod masters;
pub mod members;
pub mod meter;
pub mod network;
pub mod open_files;
pub mod plan;
pub mod rootfs;
pub mod vnode_dir;

pub use agent::run;
pub use config::AgentConfig;
pub use fault::AgentFault;
