//! Every rule of Docklet and nothing else.
//!
//! `decide` looks at a frozen [`State`] and an [`Entry`] and answers with events or a [`Refusal`]; `evolve`
//! turns a state and an event into the next state and never refuses; [`apply`] is both, as each master runs
//! them for each entry of the log. What acts in the world only follows: [`assignment`] says what a worker
//! must run, [`duties`] what the leader must propose, [`view`] what a person may see.
//!
//! Nothing here reads a clock, draws a random number, waits or does I/O: time, identities and secrets' hashes
//! arrive inside the entry.

pub mod account;
pub mod acme;
pub mod agent_wire;
pub mod amount;
pub mod apply;
pub mod assignment;
pub mod audit;
pub mod bean;
mod calendar;
pub mod certificate;
pub mod command;
pub mod decide;
pub mod drain;
pub mod drill;
pub mod duties;
pub mod event;
pub mod evolve;
pub mod file_path;
pub mod file_wire;
pub mod generation;
pub mod gpus;
pub mod group;
pub mod id;
pub mod identity;
pub mod idle;
pub mod image;
pub mod invariants;
pub mod limit;
pub mod lost;
pub mod meter;
pub mod model;
pub mod moves;
pub mod name;
pub mod notice;
pub mod permit;
pub mod place;
pub mod quorum;
pub mod quota;
pub mod rebalance;
pub mod refusal;
pub mod report;
pub mod row_map;
pub mod rows;
pub mod schedule;
mod schema;
pub mod service;
pub mod setting;
pub mod snapshot;
pub mod state;
pub mod template;
pub mod terminal;
pub mod touched;
pub mod trash;
pub mod version;
pub mod view;
pub mod what_if;

pub use apply::{Applied, apply};
pub use command::{Actor, Command, Entry, NewVcluster};
pub use event::{Change, Event};
pub use refusal::{Refusal, RefusalClass};
pub use state::State;
