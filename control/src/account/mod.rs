//! What is particular to accounts: requests for them, locking and deleting them, logins, tokens of programs with what
//! they may do, second factors. The rows are [`crate::model::account`], the rules are in [`crate::decide`]. Since version 3.

pub mod command;
pub mod due;
pub mod event;
pub mod likeness;
pub mod refusal;
pub mod scope;
pub mod standing;
