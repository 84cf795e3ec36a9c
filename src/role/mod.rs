//! The two roles of a machine: master and agent, and clusters that begin anew.

pub mod again;
pub mod agent;
pub mod anew;
mod certificate;
pub mod config;
pub mod master;
pub mod pam;
mod removed;
