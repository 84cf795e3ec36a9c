//! What is particular to limits that change while vnodes run: commands, events and refusals. The rows themselves are
//! [`crate::model::limit`], the rules are in [`crate::decide`].

pub mod command;
pub mod event;
pub mod refusal;
