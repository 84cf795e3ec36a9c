//! A place for one cluster on this machine: its number decides names and addresses. Slots are taken by a file lock, so
//! that tests of several checkouts may run at once; what a killed test left behind is cleared by the next taker.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::process;

const DIR: &str = "/run/docklet-chaos";
/// Clusters that may run at once.
const SLOTS: u8 = 60;

/// A taken slot; dropping it gives it back.
pub struct Slot {
    pub number: u8,
    file: File,
}

impl Slot {
    /// Takes the first free slot and ends the processes that its last owner left.
    pub fn take() -> anyhow::Result<Self> {
        fs::create_dir_all(DIR).with_context(|| format!("make {DIR} (tests need root)"))?;
        for number in 0..SLOTS {
            let path = Path::new(DIR).join(number.to_string());
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .with_context(|| format!("open {}", path.display()))?;
            if file.try_lock().is_ok() {
                let mut slot = Self { number, file };
                slot.clear()?;
                return Ok(slot);
            }
        }
        bail!("{SLOTS} chaos clusters run on this machine already")
    }

    fn clear(&mut self) -> anyhow::Result<()> {
        let mut text = String::new();
        self.file.read_to_string(&mut text)?;
        text.lines().for_each(process::kill_noted);
        self.file.set_len(0)?;
        Ok(self.file.rewind()?)
    }

    /// Notes a process, for whoever must clear up if this one is killed.
    pub fn note(&mut self, pid: u32) -> anyhow::Result<()> {
        if let Some(note) = process::note(pid) {
            writeln!(self.file, "{note}")?;
        }
        Ok(())
    }
}
