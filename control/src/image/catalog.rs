//! What names of images mean, and to whom. Each person has names of their own; what is public has a name for everybody.

use std::collections::BTreeMap;

use crate::id::{Digest, UserId};
use crate::model::image::{ImageTitle, Visibility};
use crate::model::{User, VnodeWanted};
use crate::name::Name;
use crate::state::State;

/// What `text` means to `asker`: a name of their own, a public one, or `owner/name` of whatever they may see. None for
/// what is not there and for what they may not see alike.
#[must_use]
pub fn find<'s>(state: &'s State, asker: &User, text: &str) -> Option<&'s ImageTitle> {
    let title = match text.split_once('/') {
        Some((owner, name)) => {
            let owner = state.user_named(&Name::parse("user", owner).ok()?)?.id;
            state
                .image_titles
                .get(&(owner, Name::parse("image", name).ok()?))
        }
        None => {
            let name = Name::parse("image", text).ok()?;
            let own = state.image_titles.get(&(asker.id, name.clone()));
            own.or_else(|| state.public_image(&name))
        }
    };
    title.filter(|title| sees(state, asker, title))
}

/// Whether `asker` may see and use it.
#[must_use]
pub fn sees(state: &State, asker: &User, title: &ImageTitle) -> bool {
    let mut groups = state.groups_of_image(title);
    title.visibility == Visibility::Public
        || title.owner == asker.id
        || asker.is_admin()
        || title.shared_with.contains(&asker.id)
        || groups.any(|group| group.members.contains(&asker.id))
}

/// All that `asker` may see, their own first.
#[must_use]
pub fn visible<'s>(state: &'s State, asker: &User) -> Vec<&'s ImageTitle> {
    let titles = state.image_titles.values();
    let mut titles: Vec<&ImageTitle> = titles.filter(|title| sees(state, asker, title)).collect();
    titles.sort_by_key(|title| (title.owner != asker.id, &title.name, title.owner));
    titles
}

/// The shortest text that means it to `asker`.
#[must_use]
pub fn called(state: &State, asker: &User, title: &ImageTitle) -> String {
    let short = title.name.as_str();
    let meant = find(state, asker, short);
    if meant.is_some_and(|meant| meant.key() == title.key()) {
        return short.to_owned();
    }
    let owner = state.users.get(&title.owner);
    let owner = owner.map_or_else(|| title.owner.to_string(), |owner| owner.name.to_string());
    format!("{owner}/{short}")
}

/// Whether any name means or has meant it, or may again when it is had back out of the trash.
#[must_use]
pub fn is_titled(state: &State, digest: Digest) -> bool {
    let mut titles = state.image_titles.values();
    titles.any(|title| title.has(digest)) || state.kept_with(digest).next().is_some()
}

/// Names of vnodes that are made of it: those that `asker` may know of, and how many others there are.
#[must_use]
pub fn users_of(state: &State, asker: &User, digest: Digest) -> (Vec<String>, usize) {
    let (mut known, mut others) = (Vec::new(), 0);
    let vnodes = state.vnodes.values();
    for vnode in vnodes.filter(|v| v.image == digest && v.wanted != VnodeWanted::Removed) {
        let vcluster = state.vclusters.get(&vnode.vcluster);
        match vcluster.filter(|_| owns(asker, vnode.owner)) {
            Some(vcluster) => {
                let own = vnode.owner == asker.id;
                let owner = state.users.get(&vnode.owner).filter(|_| !own);
                let owner = owner.map_or_else(String::new, |owner| format!("{}/", owner.name));
                known.push(format!("{owner}{}/{}", vcluster.name, vnode.hostname()));
            }
            None => others += 1,
        }
    }
    (known, others)
}

/// Names of the person's own vnodes, by what they are made of.
#[must_use]
pub fn used_by(state: &State, owner: &User) -> BTreeMap<Digest, Vec<String>> {
    let vnodes = state.vnodes.values();
    let own = vnodes.filter(|v| v.owner == owner.id && v.wanted != VnodeWanted::Removed);
    let mut used: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for vnode in own {
        if let Some(vcluster) = state.vclusters.get(&vnode.vcluster) {
            let name = format!("{}/{}", vcluster.name, vnode.hostname());
            used.entry(vnode.image).or_default().push(name);
        }
    }
    used
}

fn owns(asker: &User, owner: UserId) -> bool {
    crate::permit::owns(asker, owner)
}
