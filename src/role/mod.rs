//! The two roles of a machine: master and agent.

pub mod agent;
pub mod config;
pub mod master;
mod removed;
