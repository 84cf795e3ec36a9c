//! What else than vclusters is in the trash: who may have it back, and what must go for good so that something else has a
//! place. Since version 3 (ADR 0044).

use crate::id::{Digest, LogIndex, UnixMs, UserId};
use crate::image::quota;
use crate::model::User;
use crate::model::kept::{Kept, KeptKind, KeptThing};
use crate::notice;
use crate::permit;
use crate::state::State;
use crate::template;

/// Gone for good by one entry at most; the rest follow in the next.
const DROPPED_MAX: usize = 200;

/// Whether `asker` may have it back: whoever may delete what it is, and for whom there is something to have it back to.
#[must_use]
pub fn is_theirs(state: &State, kept: &Kept, asker: &User) -> bool {
    match &kept.thing {
        KeptThing::Image { .. } | KeptThing::ImageVersion { .. } => permit::owns(asker, kept.owner),
        KeptThing::Snapshots { vcluster, .. } => {
            permit::owns(asker, kept.owner)
                && !state.is_trashed(*vcluster)
                && !state.is_going(*vcluster)
        }
        KeptThing::Group(_) | KeptThing::Account(_) => asker.is_admin(),
        KeptThing::Template { template } => template::is_kept_by(state, template, asker),
        // What somebody was told alone and dropped is their own matter.
        KeptThing::Notice(gone) => {
            let theirs = gone.notice.is_announcement() || kept.by == asker.id;
            theirs && notice::is_kept_by(state, &gone.notice, asker)
        }
    }
}

/// What `asker` may have back; the newest first.
#[must_use]
pub fn of<'s>(state: &'s State, asker: &User) -> Vec<&'s Kept> {
    let all = state.kept.values();
    let mut theirs: Vec<&Kept> = all.filter(|kept| is_theirs(state, kept, asker)).collect();
    theirs.reverse();
    theirs
}

/// The one of this kind and number, if the asker may have it back.
#[must_use]
pub fn find<'s>(
    state: &'s State,
    asker: &User,
    kind: KeptKind,
    number: LogIndex,
) -> Option<&'s Kept> {
    let kept = state.kept.get(&number);
    kept.filter(|kept| kept.kind() == kind && is_theirs(state, kept, asker))
}

/// What has been in the trash for long enough, the first to go first.
pub(crate) fn over(state: &State, now: UnixMs) -> impl Iterator<Item = &Kept> {
    state.kept_ending_by(now).take(DROPPED_MAX)
}

/// What goes for good so that `new` has a place: the oldest of its kind and owner that are too many; and the oldest images of theirs,
/// while those in the trash have more bytes than they may have of images. Else deleting would be a way to have more.
pub(crate) fn too_many<'s>(state: &'s State, new: &Kept) -> Vec<&'s Kept> {
    if !new.kind().is_bounded() {
        return Vec::new();
    }
    let there = state.kept_of(new.owner);
    let there: Vec<&Kept> = there.filter(|kept| kept.kind().is_as(new.kind())).collect();
    let mut surplus = (there.len() + 1).saturating_sub(Kept::PER_OWNER_MAX);
    let mut bytes = bytes_of(state, new.digests());
    bytes += there
        .iter()
        .map(|kept| bytes_of(state, kept.digests()))
        .sum::<u64>();
    let most = state.users.get(&new.owner);
    let most = most.and_then(|owner| quota::of(state, owner).bytes);
    let brings = new.digests().next().is_some();
    let mut gone = Vec::new();
    for kept in there {
        let of_it = bytes_of(state, kept.digests());
        let too_large = brings && of_it > 0 && most.is_some_and(|most| bytes > most);
        if surplus == 0 && !too_large {
            continue;
        }
        surplus = surplus.saturating_sub(1);
        bytes -= of_it;
        gone.push(kept);
    }
    gone
}

fn bytes_of(state: &State, digests: impl Iterator<Item = Digest>) -> u64 {
    let images = digests.filter_map(|digest| state.images.get(&digest));
    images.map(|image| image.blob_bytes).sum()
}

/// Whether it goes with the account of `user`: images do, and snapshots with their vnodes; a group, a template or another's
/// account is not theirs.
#[must_use]
pub(crate) fn goes_with(kept: &Kept, user: UserId) -> bool {
    match &kept.thing {
        KeptThing::Image { .. } | KeptThing::ImageVersion { .. } | KeptThing::Snapshots { .. } => {
            kept.owner == user
        }
        KeptThing::Group(_)
        | KeptThing::Template { .. }
        | KeptThing::Account(_)
        | KeptThing::Notice(_) => false,
    }
}
