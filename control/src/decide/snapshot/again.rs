//! Snapshots that come back out of the trash.

use super::{called, check_room, given_name, named};
use crate::decide::Ground;
use crate::id::{LogIndex, VnodeId};
use crate::model::VnodeWanted;
use crate::name::Name;
use crate::permit;
use crate::quota::{self, Amounts};
use crate::refusal::Refusal;

/// Refuses what has no place or no name. They come back as such that somebody asked for: no schedule lets them go.
pub(in crate::decide) fn check_again(
    ground: Ground<'_>,
    of: &[(VnodeId, LogIndex)],
    name: &Name,
    is_new: bool,
) -> Result<(), Refusal> {
    let state = ground.state;
    if is_new {
        given_name(name.as_str())?;
    }
    let mut more = Vec::new();
    for (vnode, _) in of {
        let vnode = permit::visible_vnode(state, ground.entry.actor, *vnode)?;
        if vnode.wanted == VnodeWanted::Removed {
            continue;
        }
        if named(state, vnode, name).is_some() {
            return Err(Refusal::NameTaken {
                kind: "snapshot".to_owned(),
                name: called(vnode, name),
            });
        }
        check_room(state, vnode)?;
        more.push(vnode.owner);
    }
    match more.first() {
        Some(owner) => quota::check(state, *owner, &Amounts::of_snapshots(more.len())),
        None => Ok(()),
    }
}
