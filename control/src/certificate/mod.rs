//! What is particular to certificates of workers between them and masters: commands, events, refusals. The row is
//! [`crate::model::certificate`], the rules are in [`crate::decide`]; who signs is the master that is asked.

pub mod command;
pub mod event;
pub mod refusal;
