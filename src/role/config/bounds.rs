//! How much people may hold open at a master.

use docklet_portal::Bounds;

use super::MasterFile;

impl MasterFile {
    /// For a process that may have so many files open: half of them are for what a master does by itself.
    pub fn bounds(&self, files: u64) -> Bounds {
        let room = u32::try_from(files / 2).unwrap_or(u32::MAX);
        Bounds {
            streams_per_person: self.streams_per_person,
            terminals_per_person: self.terminals_per_person,
            transfers_per_person: self.transfers_per_person,
            tunnels_per_person: self.tunnels_per_person,
            persons_per_address: self.persons_per_address,
            connections_per_address: self.connections_per_address,
            connections_max: self.connections_max.min(room),
        }
    }
}

pub fn streams_per_person() -> u32 {
    Bounds::default().streams_per_person
}

pub fn terminals_per_person() -> u32 {
    Bounds::default().terminals_per_person
}

pub fn transfers_per_person() -> u32 {
    Bounds::default().transfers_per_person
}

pub fn tunnels_per_person() -> u32 {
    Bounds::default().tunnels_per_person
}

pub fn persons_per_address() -> u32 {
    Bounds::default().persons_per_address
}

pub fn connections_per_address() -> u32 {
    Bounds::default().connections_per_address
}

pub fn connections_max() -> u32 {
    Bounds::default().connections_max
}
