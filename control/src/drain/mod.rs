//! Emptying workers by moves, and bringing back what was moved away. Since version 3.

pub mod command;
pub mod due;
pub mod event;
