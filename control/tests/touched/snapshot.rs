//! What may happen to snapshots, so that whoever has the vnode is told.

use docklet_control::State;
use docklet_control::amount::DiskMib;
use docklet_control::event::{Event, VnodeRef};
use docklet_control::id::{LogIndex, UnixMs, VnodeId};
use docklet_control::model::{
    RestoreSeen, Snapshot, SnapshotCopy, SnapshotRestore, SnapshotRhythm, SnapshotSchedule,
    SnapshotSeen, SnapshotWhy, Vnode,
};
use docklet_control::name::Name;
use docklet_control::snapshot::event::SnapshotEvent;
use proptest::prelude::*;

/// Of a vnode, by number.
#[derive(Clone, Debug)]
pub enum Happening {
    Asked(u64),
    Taken(u64),
    Failed(u64),
    Deleted(u64),
    Restored(u64),
    Done(u64),
    Scheduled(u64),
    CopyWanted(u64),
    Copied(u64),
}

pub fn happening(vnode: impl Strategy<Value = u64>) -> impl Strategy<Value = Happening> {
    let kinds: [fn(u64) -> Happening; 9] = [
        Happening::Asked,
        Happening::Taken,
        Happening::Failed,
        Happening::Deleted,
        Happening::Restored,
        Happening::Done,
        Happening::Scheduled,
        Happening::CopyWanted,
        Happening::Copied,
    ];
    (vnode, prop::sample::select(kinds.to_vec())).prop_map(|(id, kind)| kind(id))
}

/// None if the vnode is not there, or on no worker.
pub fn event(state: &State, happening: Happening) -> Option<Event> {
    let seen = |id: u64, seen: SnapshotSeen| {
        let about = VnodeRef::from(vnode(state, id)?);
        let number = LogIndex(id);
        Some(SnapshotEvent::Seen {
            about,
            number,
            seen,
        })
    };
    let event = match happening {
        Happening::Asked(id) => asked(vnode(state, id)?)?,
        Happening::Taken(id) => seen(id, taken())?,
        Happening::Failed(id) => {
            let cause = String::new();
            seen(id, SnapshotSeen::Failed { cause })?
        }
        Happening::Deleted(id) => SnapshotEvent::Deleted {
            about: VnodeRef::from(vnode(state, id)?),
            number: LogIndex(id),
            name: name(),
        },
        Happening::Restored(id) => restore(vnode(state, id)?, RestoreSeen::Wanted)?,
        Happening::Done(id) => restore(vnode(state, id)?, RestoreSeen::Done { at: UnixMs(1) })?,
        Happening::Scheduled(id) => scheduled(vnode(state, id)?),
        Happening::CopyWanted(id) => copy(vnode(state, id)?),
        Happening::Copied(id) => SnapshotEvent::Copied {
            about: VnodeRef::from(vnode(state, id)?),
        },
    };
    Some(Event::Snapshot(event))
}

fn vnode(state: &State, id: u64) -> Option<&Vnode> {
    state.vnodes.get(&VnodeId(id))
}

fn name() -> Name {
    Name::parse("snapshot", "s").expect("a name")
}

fn taken() -> SnapshotSeen {
    SnapshotSeen::Taken {
        at: UnixMs(1),
        disk_mib: DiskMib(1),
        used_bytes: 1,
        still_us: 1,
    }
}

fn asked(vnode: &Vnode) -> Option<SnapshotEvent> {
    let snapshot = Snapshot {
        vnode: vnode.id,
        number: LogIndex(vnode.id.0),
        name: name(),
        vcluster: vnode.vcluster,
        owner: vnode.owner,
        epoch: vnode.placement?.epoch,
        why: SnapshotWhy::Asked,
        asked_at: UnixMs(0),
        expires_at: Some(UnixMs(5)),
        seen: SnapshotSeen::Wanted,
    };
    Some(SnapshotEvent::Asked { snapshot })
}

fn restore(vnode: &Vnode, seen: RestoreSeen) -> Option<SnapshotEvent> {
    let restore = SnapshotRestore {
        vnode: vnode.id,
        number: LogIndex(100),
        epoch: vnode.placement?.epoch,
        snapshot: LogIndex(vnode.id.0),
        name: name(),
        asked_at: UnixMs(0),
        seen,
    };
    let about = VnodeRef::from(vnode);
    Some(SnapshotEvent::RestoreSeen { about, restore })
}

fn copy(vnode: &Vnode) -> SnapshotEvent {
    let about = VnodeRef::from(vnode);
    let copy = SnapshotCopy {
        vnode: vnode.id,
        from: VnodeId(vnode.id.0 + 1),
        snapshot: LogIndex(vnode.id.0),
        name: name(),
    };
    SnapshotEvent::CopyWanted { about, copy }
}

fn scheduled(vnode: &Vnode) -> SnapshotEvent {
    let rhythm = SnapshotRhythm {
        every_ms: 60_000,
        keep: 1,
        ttl_ms: None,
    };
    SnapshotEvent::Scheduled {
        schedule: SnapshotSchedule {
            vcluster: vnode.vcluster,
            owner: vnode.owner,
            rhythm,
            set_at: UnixMs(0),
            next_at: UnixMs(60_000),
            trouble: String::new(),
        },
    }
}
