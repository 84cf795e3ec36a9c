//! What admins say of workers for the scheduler, and owners of where their vnodes shall be. Since version 3.

pub mod command;
pub mod event;
