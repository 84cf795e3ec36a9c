//! What is particular to images: their commands and events, whom their names mean, and how many copies there are. The
//! rows themselves are [`crate::model::image`], the rules are in [`crate::decide`].

pub mod catalog;
pub mod command;
pub mod copies;
pub mod event;
