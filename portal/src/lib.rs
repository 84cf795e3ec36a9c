//! Every door: pages, live updates, API, terminals, and the one for agents.
//!
//! A door establishes who asks and puts the question; whether they may is control's to say. Every master serves
//! everything: writes go to the leader inside, decisions read linearizably, pages show the local state.

mod accept;
mod accounts;
mod acme;
pub mod agents_door;
mod api;
mod asker;
mod assets;
mod attend;
mod audit;
pub mod between;
mod bounds;
mod brake;
mod connect;
mod csrf;
mod dispatch;
mod events;
mod files;
mod follow;
mod forward;
mod happened;
mod health;
mod images;
mod intake;
mod live;
mod login;
mod looks;
mod mail;
mod masters;
mod meters;
mod metrics;
mod next;
mod oidc;
mod openapi;
mod pages;
mod pam;
mod part;
mod password;
mod past;
mod places;
mod problem;
mod proxy;
pub mod public;
mod qr;
mod receipt;
mod refused;
mod register;
mod rest;
mod router;
mod rows;
mod serve;
mod service;
mod shared;
mod terminal;
mod totp;
mod worker;

pub use bounds::Bounds;
pub use dispatch::Dispatcher;
pub use openapi::document as openapi_document;
pub use pam::{PAM_HELPER, PamAnswer, PamQuestion};
pub use password::hash as hash_password;
pub use proxy::ProxyPlace;
pub use serve::{HEADERS_DEADLINE, IDLE_DEADLINE, Portal, PortalConfig, serve};
