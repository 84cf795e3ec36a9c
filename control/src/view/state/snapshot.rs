//! The fields of snapshots and of the schedules by which they are taken.

use super::{Building, Noun, Shown};
use crate::model::{RestoreSeen, SnapshotRestore, SnapshotSeen};
use crate::permit;

impl Shown<'_> {
    pub(super) fn snapshots(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let snapshots = state.snapshots.values();
        for snapshot in snapshots.filter(|snapshot| permit::owns(asker, snapshot.owner)) {
            let restore = state.snapshot_restores.get(&snapshot.vnode);
            let restored = restore.filter(|restore| restore.snapshot == snapshot.number);
            let kept = state.kept_as(snapshot.key()).is_some();
            let mut fields = Building::default()
                .number("number", snapshot.number.0)
                .text("why", snapshot.why.word())
                .text("trash", if kept { "yes" } else { "no" })
                .number("asked_at", snapshot.asked_at.0)
                .number_if("expires_at", snapshot.expires_at.map(|at| at.0))
                .text("seen", seen(&snapshot.seen))
                .text_if("restored", restored.map(was_restored));
            if let SnapshotSeen::Taken {
                at,
                disk_mib,
                used_bytes,
                still_us,
            } = &snapshot.seen
            {
                fields = fields
                    .number("taken_at", at.0)
                    .number("disk_mib", disk_mib.0)
                    .number("used_bytes", *used_bytes)
                    .number("still_us", *still_us);
            }
            let vnode = state.vnodes.get(&snapshot.vnode);
            let vnode = vnode.map_or_else(String::new, |vnode| self.vnode(vnode));
            let name = format!("{vnode}@{}", snapshot.name);
            self.add(Noun::Snapshots, name, snapshot.number, fields.0);
        }
    }

    pub(super) fn schedules(&mut self) {
        let (state, asker) = (self.state, self.asker);
        let schedules = state.snapshot_schedules.values();
        for schedule in schedules.filter(|schedule| permit::owns(asker, schedule.owner)) {
            let rhythm = schedule.rhythm;
            let trouble = Some(&schedule.trouble).filter(|trouble| !trouble.is_empty());
            let fields = Building::default()
                .number("every_ms", rhythm.every_ms)
                .number("keep", rhythm.keep)
                .number_if("ttl_ms", rhythm.ttl_ms)
                .number("set_at", schedule.set_at.0)
                .number("next_at", schedule.next_at.0)
                .text_if("trouble", trouble);
            let vcluster = state.vclusters.get(&schedule.vcluster);
            let name = vcluster.map_or_else(String::new, |vcluster| vcluster.name.to_string());
            let name = self.theirs(schedule.owner, &name);
            self.add(Noun::Schedules, name, schedule.vcluster, fields.0);
        }
    }
}

fn seen(seen: &SnapshotSeen) -> String {
    match seen {
        SnapshotSeen::Wanted => "wanted".to_owned(),
        SnapshotSeen::Taken { .. } => "taken".to_owned(),
        SnapshotSeen::Failed { cause } => format!("failed: {cause}"),
    }
}

fn was_restored(restore: &SnapshotRestore) -> String {
    match &restore.seen {
        RestoreSeen::Wanted => "wanted".to_owned(),
        RestoreSeen::Done { at } => format!("done at {}", at.0),
        RestoreSeen::Failed { cause } => format!("failed: {cause}"),
    }
}
