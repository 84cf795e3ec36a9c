//! What happened, entry by entry, in sentences: for whom, about what, and to which things.

mod said;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::audit;
use crate::audit::record::Who;
use crate::event::{Change, Event};
use crate::id::{LogIndex, UnixMs};
use crate::model::User;
use crate::permit;
use crate::state::State;

/// Sentences of one entry.
const SAYS_MAX: usize = 4;

/// What an event belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    Vclusters,
    Vnodes,
    Images,
    Snapshots,
    Services,
    People,
    Groups,
    Beans,
    Notices,
    Moves,
    Workers,
    Masters,
    Drills,
    Settings,
}

impl Topic {
    /// All of them, as they are offered.
    pub const ALL: [Self; 14] = [
        Self::Vclusters,
        Self::Vnodes,
        Self::Images,
        Self::Snapshots,
        Self::Services,
        Self::People,
        Self::Groups,
        Self::Beans,
        Self::Notices,
        Self::Moves,
        Self::Workers,
        Self::Masters,
        Self::Drills,
        Self::Settings,
    ];

    /// As a word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Vclusters => "vclusters",
            Self::Vnodes => "vnodes",
            Self::Images => "images",
            Self::Snapshots => "snapshots",
            Self::Services => "services",
            Self::People => "people",
            Self::Groups => "groups",
            Self::Beans => "beans",
            Self::Notices => "notices",
            Self::Moves => "moves",
            Self::Workers => "workers",
            Self::Masters => "masters",
            Self::Drills => "drills",
            Self::Settings => "settings",
        }
    }

    pub(super) fn of(event: &Event) -> Self {
        match event {
            Event::VclusterCreated { .. }
            | Event::VclusterWantedChanged { .. }
            | Event::VclusterDeleted { .. }
            | Event::VclusterWished { .. }
            | Event::NetworkCreated { .. }
            | Event::Limit(_)
            | Event::Idle(_)
            | Event::Trash(_) => Self::Vclusters,
            Event::VnodeCreated { .. }
            | Event::VnodeWantedChanged { .. }
            | Event::VnodePlaced { .. }
            | Event::VnodeUnplaceable { .. }
            | Event::VnodeSeen { .. }
            | Event::VnodeRemoved { .. }
            | Event::VnodeWished { .. }
            | Event::GpusGiven { .. } => Self::Vnodes,
            Event::ImageRegistered { .. }
            | Event::ImageHeld { .. }
            | Event::ImageLost { .. }
            | Event::Image(_) => Self::Images,
            Event::Snapshot(_) => Self::Snapshots,
            Event::PortAdded { .. }
            | Event::PortRemoved { .. }
            | Event::Service(_)
            | Event::Terminal(_) => Self::Services,
            Event::UserCreated { .. }
            | Event::PasswordChanged { .. }
            | Event::SessionOpened { .. }
            | Event::SessionClosed { .. }
            | Event::RoleSet { .. }
            | Event::Account(_)
            | Event::Identity(_) => Self::People,
            Event::Audit(event) if event.master().is_some() => Self::Masters,
            Event::Audit(_) => Self::People,
            Event::Group(_) | Event::Quota(_) | Event::Template(_) => Self::Groups,
            Event::Bean(_) => Self::Beans,
            Event::Notice(_) => Self::Notices,
            Event::Moved(_) | Event::Drain(_) | Event::Rebalance(_) | Event::Schedule(_) => {
                Self::Moves
            }
            Event::WorkerJoined { .. }
            | Event::WorkerDescribed { .. }
            | Event::WorkerMarked { .. }
            | Event::Certificate(_) => Self::Workers,
            Event::ClusterInitialised { .. }
            | Event::MasterJoined { .. }
            | Event::MasterDiverged { .. }
            | Event::MasterRemoved { .. }
            | Event::MasterReplacementWanted { .. }
            | Event::MasterReplacementJoined { .. }
            | Event::MasterReplacementForgotten { .. }
            | Event::JoinTokenCreated { .. }
            | Event::JoinTokenSpent { .. }
            | Event::JoinTokenForgotten { .. }
            | Event::ClusterRestored { .. }
            | Event::ClusterRecovered { .. }
            | Event::ProgramReported { .. }
            | Event::VersionRaised { .. }
            | Event::BackupTaken { .. } => Self::Masters,
            Event::Drill(_) => Self::Drills,
            Event::AutopilotSet { .. }
            | Event::BandwidthLimited { .. }
            | Event::DiskOvercommitSet { .. }
            | Event::Acme(_) => Self::Settings,
        }
    }
}

/// What one entry changed, as somebody may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// The entry.
    pub index: LogIndex,
    pub at: UnixMs,
    pub who: String,
    /// Of its first event.
    pub topic: Topic,
    /// The first sentences.
    pub says: Vec<String>,
    /// How many there are beside them.
    pub more: usize,
}

/// What is wanted of what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    pub topic: Option<Topic>,
    /// A part of the name of a thing.
    pub thing: String,
    /// Who did it.
    pub who: String,
    /// A vcluster, as `alice/lab`: only what concerns it and what it has.
    pub of: Option<String>,
}

impl Wish {
    /// Of all that happens to a vcluster and what it has, called so by its owner.
    #[must_use]
    pub fn of_vcluster(owner: &str, name: &str) -> Self {
        Self {
            of: Some(format!("{owner}/{name}")),
            ..Self::default()
        }
    }

    fn is_about(&self, things: &[String]) -> bool {
        let part = |thing: &String| thing.contains(&self.thing);
        let of = |wanted: &str| {
            let names = things.iter().filter_map(|thing| thing.split_once(' '));
            let mut rests = names.filter_map(|(_, name)| name.strip_prefix(wanted));
            rests.any(|rest| rest.is_empty() || rest.starts_with(['/', '@']))
        };
        (self.thing.is_empty() || things.iter().any(part)) && self.of.as_deref().is_none_or(of)
    }
}

/// What of an entry `asker` may see and wishes to, with the names of `state`.
#[must_use]
pub fn show(state: &State, asker: &User, change: &Change, wish: &Wish) -> Option<Happened> {
    let change = permit::visible_change(asker, change)?;
    let who = Who::of(state, change.actor).label();
    let is_who = |wanted: &str| {
        let kind = who.strip_suffix(wanted);
        kind.is_some_and(|kind| kind.is_empty() || kind.ends_with(' '))
    };
    if !wish.who.is_empty() && !is_who(&wish.who) {
        return None;
    }
    let mut says: Vec<String> = Vec::new();
    let mut said = BTreeSet::new();
    let mut topic = None;
    for event in &change.events {
        let own = Topic::of(event);
        if wish.topic.is_some_and(|wanted| wanted != own) {
            continue;
        }
        let (kind, things) = audit::about(state, event);
        if !wish.is_about(&things) {
            continue;
        }
        topic = topic.or(Some(own));
        let detail = match kind.as_str() {
            // The same as that the session was opened, of which it knows more.
            "Account.LoginOpened" => Some(said::LOGGED_IN.to_owned()),
            _ => said::detail(state, event),
        };
        let sentence = sentence(&kind, &things, detail);
        if said.insert(sentence.clone()) {
            says.push(sentence);
        }
    }
    let more = says.len().saturating_sub(SAYS_MAX);
    says.truncate(SAYS_MAX);
    Some(Happened {
        index: change.index,
        at: change.at,
        who,
        topic: topic?,
        says,
        more,
    })
}

/// What the thing itself says already, or what is said better without.
const OUTER: [&str; 12] = [
    "Account", "Acme", "Bean", "Drill", "Group", "Identity", "Image", "Notice", "Quota", "Service",
    "Template", "Trash",
];
/// Of kinds whose own words say too little.
const SAID: [(&str, &str); 14] = [
    ("Group.Formed", "who is in it, or who manages it, was set"),
    ("JoinTokenCreated", "made"),
    ("JoinTokenSpent", "used"),
    (
        "Moved.CheckpointingReported",
        "told whether it can move vnodes that run",
    ),
    ("Notice.ReaderSet", "has read notices, or wants other mails"),
    ("ProgramReported", "told what it runs"),
    ("Quota.OfGroupSet", "what it gives was set"),
    ("Quota.OfUserSet", "what they may have was set"),
    ("Quota.ShareSet", "what a group gives them was set"),
    ("Snapshot.Seen", "its snapshot came on"),
    ("Trash.Kept", "kept in the trash"),
    ("VclusterWished", "what its vnodes want was set"),
    ("VnodeWished", "what it wants was set"),
    ("WorkerDescribed", "told what it offers"),
];
/// Letters of a digest by which people tell it from others.
const DIGEST_LEN: usize = 12;

/// A thing and what became of it; of those without a thing, what happened.
fn sentence(kind: &str, things: &[String], detail: Option<String>) -> String {
    let things: Vec<String> = things.iter().map(|thing| short(thing)).collect();
    let said = detail.unwrap_or_else(|| became(kind, &things));
    let text = if things.is_empty() {
        said
    } else {
        format!("{}: {said}", things.join(", "))
    };
    let mut letters = text.trim_end_matches('.').chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn became(kind: &str, things: &[String]) -> String {
    if let Some((_, said)) = SAID.iter().find(|(said, _)| *said == kind) {
        return (*said).to_owned();
    }
    let inner = kind.split_once('.');
    let inner = inner.filter(|(outer, _)| !things.is_empty() && OUTER.contains(outer));
    let words = match inner {
        Some((_, inner)) => spoken(inner),
        None => spoken(kind).replacen("moved ", "move ", 1),
    };
    let subject = things.first().and_then(|thing| thing.split(' ').next());
    let own = subject.and_then(|subject| words.strip_prefix(subject));
    let own = own.map(str::trim).filter(|rest| !rest.is_empty());
    own.map(str::to_owned).unwrap_or(words)
}

fn short(thing: &str) -> String {
    let long = |digest: &&str| digest.len() > DIGEST_LEN;
    match thing.strip_prefix("blob ").filter(long) {
        Some(digest) => {
            let begin: String = digest.chars().take(DIGEST_LEN).collect();
            format!("blob {begin}…")
        }
        None => thing.trim().to_owned(),
    }
}

/// `Account.HashUpgraded` as `account hash upgraded`.
fn spoken(kind: &str) -> String {
    let mut text = String::new();
    for letter in kind.chars() {
        if letter == '.' || letter.is_ascii_uppercase() {
            if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
            }
            if letter == '.' {
                continue;
            }
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    use crate::command::Actor;
    use crate::id::{UserId, WorkerId};
    use crate::model::{Role, WorkerStatus};
    use crate::name::Name;

    fn person(id: u64, role: Role) -> User {
        User {
            id: UserId(id),
            name: Name::parse("user", "ada").expect("a name"),
            role,
            password_hash: String::new(),
            created_at: UnixMs(0),
        }
    }

    #[test]
    fn one_is_told_what_one_may_see_and_wishes_to() {
        let change = Change {
            index: LogIndex(9),
            at: UnixMs(5),
            actor: Actor::Duty,
            command: Cow::Borrowed("MarkWorker"),
            events: vec![Event::WorkerMarked {
                worker: WorkerId(4),
                status: WorkerStatus::Down,
            }],
        };
        let state = State::default();
        let told = |role, wish: &Wish| show(&state, &person(1, role), &change, wish);
        let any = Wish::default();
        assert_eq!(told(Role::User, &any), None);
        let seen = told(Role::Admin, &any).expect("admins see workers");
        assert_eq!(seen.topic, Topic::Workers);
        assert!(seen.says[0].ends_with(": lost."), "{:?}", seen.says);
        let of = |topic| Wish {
            topic: Some(topic),
            ..Wish::default()
        };
        assert_eq!(told(Role::Admin, &of(Topic::Beans)), None);
        assert!(told(Role::Admin, &of(Topic::Workers)).is_some());
        let who = Wish {
            who: "ada".to_owned(),
            ..Wish::default()
        };
        assert_eq!(told(Role::Admin, &who), None);
        let thing = Wish {
            thing: "nothing like it".to_owned(),
            ..Wish::default()
        };
        assert_eq!(told(Role::Admin, &thing), None);
    }

    #[test]
    fn kinds_are_spoken_and_things_stand_first() {
        let things = |thing: &str| vec![thing.to_owned()];
        let say = |kind: &str, thing: &str| sentence(kind, &things(thing), None);
        assert_eq!(
            say("VclusterCreated", "vcluster ada/lab"),
            "Vcluster ada/lab: created."
        );
        assert_eq!(say("Bean.Set", "setting beans"), "Setting beans: set.");
        assert_eq!(
            say("Moved.Begun", "vnode ada/lab/host-0"),
            "Vnode ada/lab/host-0: move begun."
        );
        let digest = format!("blob {}", "7e".repeat(32));
        assert_eq!(say("ImageHeld", &digest), "Blob 7e7e7e7e7e7e…: image held.");
        assert_eq!(
            sentence("Rebalance.BecameEven", &[], None),
            "Rebalance became even."
        );
    }
}
