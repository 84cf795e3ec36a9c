//! What is particular to public certificates that the cluster gets itself: their commands and events. The row is
//! [`crate::model::acme`], the rules are in [`crate::decide`]; who asks the authority is the leader's portal.

pub mod command;
pub mod event;
