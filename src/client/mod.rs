//! The client side: commands that talk to a cluster's public listener.

pub mod access;
pub mod account;
pub mod amount;
pub mod audit;
pub mod backup;
pub mod beans;
pub mod bug;
mod caller;
pub mod connection;
pub mod context;
pub mod contexts;
mod doctor;
pub mod drain;
pub mod drill;
pub mod events;
pub mod exec;
pub mod explain;
pub mod files;
pub mod forward;
mod gpus;
pub mod group;
pub mod health;
pub mod home;
pub mod identity;
mod input;
pub mod login;
pub mod machine;
pub mod mail;
pub mod master;
pub mod moves;
pub mod names;
pub mod notice;
mod operation;
pub mod output;
pub mod port;
pub mod quota;
pub mod rebalance;
pub mod recipe;
pub mod rules;
mod seen;
pub mod service;
pub mod setting;
pub mod share;
pub mod shell;
mod silence;
pub mod snapshot;
pub mod socket;
pub mod ssh;
pub mod state;
mod stream;
pub mod template;
pub mod tls;
pub mod trash;
pub mod usage;
pub mod vc;
pub mod vnode;
pub mod watch;
pub mod what_if;

use docklet_control::name::Name;

use crate::exit::{Class, Failure};

/// A name of a command line. What is none could be another path of the interface, and is refused here.
pub fn name(kind: &'static str, text: &str) -> Result<Name, Failure> {
    Name::parse(kind, text).map_err(|refusal| Failure::new(Class::Invalid, refusal.to_string()))
}

/// The same of what may also be named by its number. Whether it is a name, the masters say.
pub fn name_or_number<'t>(kind: &'static str, text: &'t str) -> Result<&'t str, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if !text.is_empty() && text.chars().all(plain) {
        return Ok(text);
    }
    let text = text.escape_debug();
    let message = format!("\"{text}\" is no {kind}'s name: use a-z, 0-9 and -");
    Err(Failure::new(Class::Invalid, message))
}

/// `VC/host-N` of a command line.
#[derive(Clone, Debug)]
pub struct VnodeName {
    pub vcluster: String,
    pub vnode: String,
}

impl std::fmt::Display for VnodeName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.vcluster, self.vnode)
    }
}

impl std::str::FromStr for VnodeName {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let plain = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        match text.split_once('/') {
            Some((vcluster, vnode)) if plain(vcluster) && plain(vnode) => Ok(Self {
                vcluster: vcluster.to_owned(),
                vnode: vnode.to_owned(),
            }),
            _ => Err(Failure::new(
                Class::Invalid,
                format!(
                    "\"{}\" is no vnode: name it as VCLUSTER/host-0",
                    text.escape_debug()
                ),
            )),
        }
    }
}
