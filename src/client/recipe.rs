//! What a vcluster is made of, as it is given on the command line: for one, or for a template of many.

use clap::Args;
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::model::{GpuWish, Wishes};
use serde_json::{Value, json};

use super::amount;
use super::rules::Placing;

#[derive(Args)]
pub struct Recipe {
    #[arg(long, default_value = "busybox")]
    image: String,
    /// Number of vnodes
    #[arg(long, default_value_t = 1)]
    vnodes: u32,
    /// CPU of each vnode, in thousandths of a core
    #[arg(long, default_value_t = VnodeSize::default().cpu_milli.0)]
    cpu_milli: u32,
    /// Memory of each vnode, in MiB
    #[arg(long, default_value_t = VnodeSize::default().memory_mib.0)]
    memory_mib: u32,
    /// Processes of each vnode at most
    #[arg(long, default_value_t = VnodeSize::default().pids_max)]
    pids_max: u32,
    /// What the disk of each vnode holds, as 20GiB; it takes only what is written to it [default: 10GiB, or as much as
    /// that of the snapshot]
    #[arg(long, value_name = "SIZE", value_parser = amount::disk)]
    disk: Option<DiskMib>,
    /// What each vnode may send, and as much receive, in Mbit/s; the site's setting if absent
    #[arg(long, value_name = "MBIT")]
    bandwidth_mbit: Option<u32>,
    /// GPUs of each vnode, its own also while it stands still
    #[arg(long, default_value_t = 0)]
    gpus: u32,
    /// Kind of GPU, by words of the product's name, as A100 or "RTX 4090"; any if absent
    #[arg(long, value_name = "MODEL", requires = "gpus")]
    gpu_model: Option<String>,
    #[command(flatten)]
    placing: Placing,
}

impl Recipe {
    /// What the API is asked for, of an image.
    pub fn body(&self) -> Value {
        let mut body = self.common();
        body["image"] = json!(self.image);
        let wishes = Wishes {
            disk_mib: self.disk.unwrap_or(VnodeSize::DISK),
            gpus: self.gpus(),
        };
        // Masters of before have no word for it, nor for what follows.
        if wishes != Wishes::default() {
            body["wishes"] = json!(wishes);
        }
        body
    }

    /// The part that is the same whatever vnodes are made of.
    pub fn common(&self) -> Value {
        let size = VnodeSize {
            cpu_milli: CpuMilli(self.cpu_milli),
            memory_mib: MemoryMib(self.memory_mib),
            pids_max: self.pids_max,
        };
        let mut body = json!({"vnodes": self.vnodes, "size": size});
        if let Some(mbit) = self.bandwidth_mbit {
            body["bandwidth_kbit_per_s"] = json!(amount::kbit(mbit));
        }
        if let Some(rules) = self.placing.rules() {
            body["rules"] = rules;
        }
        body
    }

    pub fn disk(&self) -> Option<DiskMib> {
        self.disk
    }

    pub fn gpus(&self) -> GpuWish {
        GpuWish {
            count: self.gpus,
            model: self.gpu_model.clone(),
        }
    }
}
