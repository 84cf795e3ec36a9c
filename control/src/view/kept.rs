//! What else than vclusters is in the trash, as those see it who may have it back.

use serde::{Deserialize, Serialize};

use crate::id::{LogIndex, UnixMs, UserId, VclusterId};
use crate::model::User;
use crate::model::kept::{Kept, KeptKind, KeptThing};
use crate::refusal::size;
use crate::state::State;
use crate::trash;

/// One thing in the trash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct KeptView {
    pub number: LogIndex,
    pub kind: KeptKind,
    pub name: String,
    /// What it has, in a few words.
    pub about: String,
    /// Whose it was; of groups, templates, accounts and notices who deleted them.
    pub owner: String,
    pub by: String,
    pub at: UnixMs,
    /// When it is gone for good.
    pub until: UnixMs,
    /// Of snapshots.
    pub vcluster: Option<VclusterId>,
}

/// What `asker` may have back, the newest first.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<KeptView> {
    let kept = trash::kept::of(state, asker).into_iter();
    kept.map(|kept| show(state, kept)).collect()
}

fn show(state: &State, kept: &Kept) -> KeptView {
    KeptView {
        number: kept.number,
        kind: kept.kind(),
        name: name(state, kept),
        about: about(state, kept),
        owner: person(state, kept.owner),
        by: person(state, kept.by),
        at: kept.at,
        until: kept.until,
        vcluster: vcluster(kept),
    }
}

fn person(state: &State, id: UserId) -> String {
    let user = state.users.get(&id);
    user.map_or_else(String::new, |user| user.name.to_string())
}

fn vcluster(kept: &Kept) -> Option<VclusterId> {
    match &kept.thing {
        KeptThing::Snapshots { vcluster, .. } => Some(*vcluster),
        KeptThing::Image { .. }
        | KeptThing::ImageVersion { .. }
        | KeptThing::Group(_)
        | KeptThing::Template { .. }
        | KeptThing::Account(_)
        | KeptThing::Notice(_) => None,
    }
}

/// Snapshots as people write them.
fn name(state: &State, kept: &Kept) -> String {
    match &kept.thing {
        KeptThing::Snapshots { vcluster, name, .. } => {
            let vcluster = state.vclusters.get(vcluster);
            let vcluster = vcluster.map_or_else(String::new, |row| row.name.to_string());
            format!("{vcluster}@{name}")
        }
        KeptThing::Image { .. }
        | KeptThing::ImageVersion { .. }
        | KeptThing::Group(_)
        | KeptThing::Template { .. }
        | KeptThing::Account(_)
        | KeptThing::Notice(_) => kept.name().to_string(),
    }
}

fn about(state: &State, kept: &Kept) -> String {
    let digests = kept.digests();
    let images = digests.filter_map(|digest| state.images.get(&digest));
    let bytes: u64 = images.map(|image| image.blob_bytes).sum();
    match &kept.thing {
        KeptThing::Image { title, .. } => {
            let versions = counted(title.versions.len(), "version");
            format!("{versions}, {}", size(bytes))
        }
        KeptThing::ImageVersion { version, .. } if version.label.is_empty() => {
            let digest: String = version.digest.to_string().chars().take(12).collect();
            format!("{digest}, {}", size(bytes))
        }
        KeptThing::ImageVersion { version, .. } => format!("{}, {}", version.label, size(bytes)),
        KeptThing::Snapshots { of, .. } => format!("of {}", counted(of.len(), "vnode")),
        KeptThing::Group(kept) => counted(kept.group.members.len(), "member"),
        KeptThing::Template { template } => counted_vnodes(template.recipe.vnodes),
        KeptThing::Account(kept) => counted(kept.vclusters.len(), "vcluster"),
        KeptThing::Notice(kept) => kept.notice.title.clone(),
    }
}

fn counted_vnodes(count: u32) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "vnode")
}

fn counted(count: usize, word: &str) -> String {
    match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    }
}
