//! The machines that masters run on: room on their disks, and clocks. Asked for when somebody looks, and kept nowhere else.

use std::collections::BTreeMap;
use std::time::Duration;

use docklet_control::id::MasterId;
use docklet_control::view::health::{MachineFacts, MachineSeen, Space};
use futures_util::future::join_all;
use nix::sys::statvfs::statvfs;
use tokio::time::Instant;

use crate::master::Master;
use crate::wire;

/// A master that is slower than this is shown without.
const TELL_DEADLINE: Duration = Duration::from_millis(300);

impl Master {
    /// The machines of this master and of all others that answer now.
    pub async fn machines(&self) -> BTreeMap<MasterId, MachineSeen> {
        let links = &self.inner.links;
        let told = self.other_members().into_iter().map(async |(id, address)| {
            let lines = links.to(id, &address);
            let asked = Instant::now();
            let facts = lines.calls.call(wire::MACHINE, &(), TELL_DEADLINE).await;
            let half_way = asked.elapsed() / 2;
            let seen = MachineSeen::from_afar(facts.ok()?, self.machine().at, half_way);
            Some((MasterId(id), seen))
        });
        let told = join_all(told).await.into_iter().flatten();
        let own = (self.inner.id, MachineSeen::here(self.machine()));
        let machines: BTreeMap<_, _> = told.chain([own]).collect();
        self.inner.last_view.keep_machines(machines.clone());
        machines
    }

    /// What this master tells of its machine.
    pub(crate) fn machine(&self) -> MachineFacts {
        let dir = self.inner.data_dir.get();
        let disk = dir.and_then(|dir| statvfs(dir.as_path()).ok());
        MachineFacts {
            at: (self.inner.world.clock)(),
            disk: disk.map(|disk| Space {
                free_bytes: disk.blocks_available() * disk.fragment_size(),
                bytes: disk.blocks() * disk.fragment_size(),
            }),
        }
    }
}
