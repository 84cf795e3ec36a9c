//! What is particular to groups of people: their commands and events. The rows are [`crate::model::group`], the rules
//! are in [`crate::decide`].

pub mod command;
pub mod event;
