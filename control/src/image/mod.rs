//! What is particular to images: their commands and events, whom their names mean, how many copies there are, and how
//! many bytes people may have. The
//! rows themselves are [`crate::model::image`], the rules are in [`crate::decide`].

pub mod catalog;
pub mod command;
pub mod copies;
pub mod event;
pub mod quota;
