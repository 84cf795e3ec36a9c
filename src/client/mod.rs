//! The client side: commands that talk to a cluster's public listener.

pub mod access;
pub mod account;
pub mod amount;
pub mod backup;
pub mod beans;
pub mod connection;
pub mod context;
mod doctor;
pub mod drain;
pub mod drill;
pub mod events;
pub mod exec;
pub mod explain;
mod gpus;
pub mod group;
pub mod home;
mod input;
pub mod login;
pub mod machine;
pub mod master;
pub mod moves;
pub mod output;
pub mod port;
pub mod quota;
pub mod rebalance;
pub mod recipe;
pub mod rules;
pub mod shell;
pub mod snapshot;
pub mod socket;
pub mod state;
pub mod template;
pub mod usage;
pub mod vc;
pub mod vnode;
pub mod what_if;

use docklet_control::name::Name;

use crate::exit::{Class, Failure};

/// A name of a command line. What is none could be another path of the interface, and is refused here.
pub fn name(kind: &'static str, text: &str) -> Result<Name, Failure> {
    Name::parse(kind, text).map_err(|refusal| Failure::new(Class::Invalid, refusal.to_string()))
}

/// `VC/host-N` of a command line.
#[derive(Clone, Debug)]
pub struct VnodeName {
    pub vcluster: String,
    pub vnode: String,
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
