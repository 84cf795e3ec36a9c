//! One line of the trail.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::command::Actor;
use crate::id::{LogIndex, UnixMs, UserId};
use crate::model::User;
use crate::name::Name;
use crate::state::State;

/// Who asked for what from where, and what came of it. Names are those of that time; nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Record {
    /// Its place in the trail, from 1 on.
    pub number: u64,
    /// The entry of the log.
    pub index: LogIndex,
    pub at: UnixMs,
    pub who: Who,
    /// The address of the client, as the master's door saw it; none where no person asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<IpAddr>,
    /// The number of the login or token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<LogIndex>,
    /// What the token is called, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Name>,
    pub command: String,
    /// The code of the refusal, if nothing came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// What it was about, as `vcluster alice/lab`; the first of them.
    pub things: Vec<String>,
    #[serde(default, skip_serializing_if = "is_none")]
    pub more_things: usize,
    /// Kinds of events, and how many of each.
    pub effects: BTreeMap<String, u32>,
    /// Whose things they were.
    pub owners: BTreeSet<UserId>,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// The effect of what a door refused; how many of it is how often it was tried.
pub(super) const NOTED: &str = "Audit.Refused";

/// Who asks, with the name of that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    User {
        id: UserId,
        name: String,
    },
    /// A master's door, for somebody who is nobody yet.
    Master {
        name: String,
    },
    Worker {
        name: String,
    },
    /// The leader by itself.
    Cluster,
}

impl Who {
    pub(crate) fn of(state: &State, actor: Actor) -> Self {
        match actor {
            Actor::User(id) | Actor::Login { user: id, .. } => Self::User {
                id,
                name: user_name(state, id),
            },
            Actor::Door(id) => Self::Master {
                name: named(state.masters.get(&id).map(|master| &master.name), id),
            },
            Actor::Worker(id) => Self::Worker {
                name: named(state.workers.get(&id).map(|worker| &worker.name), id),
            },
            Actor::Duty => Self::Cluster,
        }
    }

    /// For tables.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::User { name, .. } => name.clone(),
            Self::Master { name } => format!("master {name}"),
            Self::Worker { name } => format!("worker {name}"),
            Self::Cluster => "the cluster".to_owned(),
        }
    }
}

impl Record {
    /// The person who asked.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match &self.who {
            Who::User { id, .. } => Some(*id),
            Who::Master { .. } | Who::Worker { .. } | Who::Cluster => None,
        }
    }

    /// As `asker` may see it: what they asked for themselves, or what others did to things of theirs. From where others
    /// came, and what else those touched, is for admins.
    #[must_use]
    pub fn shown_to(self, asker: &User) -> Option<Self> {
        if asker.is_admin() {
            return Some(self);
        }
        // Whoever was refused learns nothing of what there is from that it was noted.
        let noted = self.effects.contains_key(NOTED);
        if self.user() == Some(asker.id) && !noted {
            return Some(self);
        }
        if !self.owners.contains(&asker.id) {
            return None;
        }
        if self.owners.len() == 1 {
            // Where one logged in from is one's own.
            let by_door = matches!(self.who, Who::Master { .. });
            return Some(Self {
                from: self.from.filter(|_| by_door),
                login: None,
                token: None,
                ..self
            });
        }
        let own = |thing: &String| {
            let path = thing.split_once(' ').map_or("", |(_, path)| path);
            path.split('/').next() == Some(asker.name.as_str())
        };
        Some(Self {
            from: None,
            login: None,
            token: None,
            things: self.things.into_iter().filter(own).collect(),
            more_things: 0,
            effects: BTreeMap::new(),
            owners: BTreeSet::from([asker.id]),
            ..self
        })
    }
}

/// The name, or the number of what has none any more.
pub(super) fn named(name: Option<&Name>, id: impl ToString) -> String {
    name.map_or_else(|| id.to_string(), ToString::to_string)
}

pub(super) fn user_name(state: &State, user: UserId) -> String {
    named(state.users.get(&user).map(|row| &row.name), user)
}
