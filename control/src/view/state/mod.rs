//! A state as a person may see it: nouns, then names, then fields. It is what looking back shows, and what a follower
//! begins with that missed too much. Every field is named here on purpose, so that no hash of a password, session or
//! token can slip in.

mod accounts;
mod acme;
mod bean;
mod diff;
mod group;
mod identity;
mod kept;
mod moves;
mod notice;
mod nouns;
mod people;
mod rebalance;
mod scheduling;
mod service;
mod snapshot;
mod template;
mod terminal;

pub use diff::{FieldChange, NameDiff, StateDiff, diff};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::LogIndex;
use crate::model::{Receipt, User};
use crate::permit;
use crate::state::State;

/// What there is one or more of.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Noun {
    Cluster,
    Masters,
    Workers,
    Tokens,
    Users,
    Applications,
    Groups,
    Sessions,
    Images,
    Templates,
    Networks,
    Vclusters,
    Vnodes,
    Ports,
    Snapshots,
    Schedules,
    Moves,
    Drills,
    Receipts,
    Notices,
    Bugs,
    Mails,
    Beans,
    Charges,
    Tallies,
    Services,
    Shares,
    Deleted,
}

impl Noun {
    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Masters => "masters",
            Self::Workers => "workers",
            Self::Tokens => "tokens",
            Self::Users => "users",
            Self::Applications => "applications",
            Self::Groups => "groups",
            Self::Sessions => "sessions",
            Self::Images => "images",
            Self::Templates => "templates",
            Self::Networks => "networks",
            Self::Vclusters => "vclusters",
            Self::Vnodes => "vnodes",
            Self::Ports => "ports",
            Self::Snapshots => "snapshots",
            Self::Schedules => "schedules",
            Self::Moves => "moves",
            Self::Drills => "drills",
            Self::Receipts => "receipts",
            Self::Notices => "notices",
            Self::Bugs => "bugs",
            Self::Mails => "mails",
            Self::Beans => "beans",
            Self::Charges => "charges",
            Self::Tallies => "tallies",
            Self::Services => "services",
            Self::Shares => "shares",
            Self::Deleted => "deleted",
        }
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Field {
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<String>),
    Group(BTreeMap<String, Field>),
}

/// Fields by their names.
pub type Fields = BTreeMap<String, Field>;

/// What a person may see of a state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct StateView(pub BTreeMap<Noun, BTreeMap<String, Fields>>);

/// Receipts shown at most, the newest.
const RECEIPTS_MAX: usize = 100;

/// What `asker` may see of `state`: an admin all of it, an operator machines and where vnodes are, a person what is theirs, and
/// images. Who asks is decided by what
/// they are now, whatever they were then.
#[must_use]
pub fn show(state: &State, asker: &User) -> StateView {
    let mut shown = Shown {
        state,
        asker,
        view: StateView::default(),
    };
    if asker.operates() {
        shown.machines();
        shown.drills();
        shown.applications();
    }
    shown.people();
    shown.groups();
    shown.images();
    shown.templates();
    shown.beans();
    shown.networks();
    shown.vclusters();
    shown.vnodes();
    shown.moves();
    shown.ports();
    shown.services();
    shown.snapshots();
    shown.schedules();
    shown.notices();
    shown.bugs();
    shown.mails();
    shown.shared_terminals();
    shown.kept();
    shown.view
}

/// The receipts that `asker` may see of entries up to `upto`, as far as `current` still keeps them: an admin all of
/// them, a person those of their own requests.
#[must_use]
pub fn receipts(current: &State, asker: &User, upto: LogIndex) -> BTreeMap<String, Fields> {
    let theirs = |receipt: &&Receipt| match receipt.actor.user() {
        Some(user) => permit::owns(asker, user),
        None => asker.is_admin(),
    };
    let kept = current.receipts.range(..=upto).rev();
    let receipts = kept.map(|(_, receipt)| receipt).filter(theirs);
    receipts
        .take(RECEIPTS_MAX)
        .map(|receipt| (receipt.index.to_string(), nouns::receipt(receipt)))
        .collect()
}

/// A view in the making.
struct Shown<'s> {
    state: &'s State,
    asker: &'s User,
    view: StateView,
}

impl Shown<'_> {
    /// Adds what has a name; if another has it already, `id` tells them apart.
    fn add(&mut self, noun: Noun, name: String, id: impl std::fmt::Display, fields: Fields) {
        let named = self.view.0.entry(noun).or_default();
        let name = if named.contains_key(&name) {
            format!("{name}#{id}")
        } else {
            name
        };
        named.insert(name, fields);
    }
}

/// Builds fields.
#[derive(Default)]
struct Building(Fields);

impl Building {
    fn text(mut self, name: &str, value: impl ToString) -> Self {
        self.0
            .insert(name.to_owned(), Field::Text(value.to_string()));
        self
    }

    fn number(mut self, name: &str, value: impl Into<u64>) -> Self {
        self.0.insert(name.to_owned(), Field::Number(value.into()));
        self
    }

    fn flag(mut self, name: &str, value: bool) -> Self {
        self.0.insert(name.to_owned(), Field::Flag(value));
        self
    }

    /// What is not there has no field.
    fn text_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    fn number_if(self, name: &str, value: Option<u64>) -> Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    fn list(mut self, name: &str, values: impl IntoIterator<Item = String>) -> Self {
        let values = values.into_iter().collect();
        self.0.insert(name.to_owned(), Field::List(values));
        self
    }

    fn group_if(self, name: &str, fields: Option<Fields>) -> Self {
        match fields {
            Some(fields) => self.group(name, fields),
            None => self,
        }
    }

    fn group(mut self, name: &str, fields: Fields) -> Self {
        self.0.insert(name.to_owned(), Field::Group(fields));
        self
    }
}
