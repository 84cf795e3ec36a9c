//! Every door: pages, live updates, API, terminals, and the one for agents.
//!
//! A door establishes who asks and puts the question; whether they may is control's to say. Every master serves
//! everything: writes go to the leader inside, decisions read linearizably, pages show the local state.

mod accounts;
pub mod agents_door;
mod api;
mod asker;
mod assets;
mod audit;
mod brake;
mod dispatch;
mod events;
mod follow;
mod images;
mod intake;
mod live;
mod login;
mod mail;
mod masters;
mod meters;
mod metrics;
mod pages;
mod password;
mod past;
mod problem;
mod qr;
mod register;
mod router;
mod serve;
mod service;
mod terminal;
mod totp;
mod worker;

pub use dispatch::Dispatcher;
pub use password::hash as hash_password;
pub use serve::{Portal, PortalConfig, serve};
