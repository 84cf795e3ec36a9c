//! What is particular to drills: their commands, events and refusals, what to do next, and how gaps are measured. The
//! record itself is [`crate::model::drill`], its rules are in [`crate::decide`].

pub mod command;
pub mod course;
pub mod event;
pub mod gauge;
pub mod loss;
pub mod refusal;
