//! A stand-in for the driver of GPUs: its library, built of C in the moment, and what that shall say.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use docklet_agent::gpu::GpuSettings;
use tempfile::TempDir;

/// A driver in a directory of its own.
pub struct Stub {
    dir: TempDir,
}

impl Stub {
    /// Builds the library; it has no cards yet.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("docklet-agent-test-gpu-")
            .tempdir_in("/var/tmp")
            .expect("a directory");
        let stub = Self { dir };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gpu/nvml_stub.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .arg(stub.library())
            .arg(source)
            .output()
            .expect("a C compiler");
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{errors}");
        stub.say(&[]);
        stub
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub fn library(&self) -> PathBuf {
        self.path("libnvidia-ml.so.1")
    }

    /// What an agent is told of it.
    pub fn settings(&self) -> GpuSettings {
        GpuSettings {
            library: Some(self.library()),
            dev_dir: self.path("dev"),
            driver_dir: Some(self.path("driver")),
        }
    }

    /// From now on the library says this; half of it is never seen.
    pub fn say(&self, lines: &[String]) {
        let next = self.path("cards.next");
        fs::write(&next, lines.join("\n") + "\n").expect("written");
        fs::rename(next, self.path("cards")).expect("renamed");
    }
}

/// A line for a card that is well.
pub fn card(uuid: &str, minor: u32) -> String {
    bad_card(uuid, minor, "0|0|0|0")
}

/// A line for a card with these last four fields: memory errors, MIG, code of its errors, XID.
pub fn bad_card(uuid: &str, minor: u32, end: &str) -> String {
    format!("{uuid}|NVIDIA A100-SXM4-40GB|{minor}|40960|1024|25|51|97500|{end}")
}
