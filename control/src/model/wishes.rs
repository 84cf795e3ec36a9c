//! What a vnode wants beyond CPU, memory and processes: how much its disk holds, and GPUs of its own.

use serde::{Deserialize, Serialize};

use super::{ClusterVersion, Gpu};
use crate::amount::{DiskMib, VnodeSize};
use crate::id::{VclusterId, VnodeId};

/// GPUs that one vnode wants for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GpuWish {
    pub count: u32,
    /// Words of the product's name, as `A100` or `RTX 4090`; none if any will do.
    pub model: Option<String>,
}

impl GpuWish {
    /// What the usual machine for it has.
    pub const COUNT_MAX: u32 = 8;
    /// Longest name of a model, in bytes.
    pub const MODEL_BYTES_MAX: usize = 64;

    /// Whether `gpu` is of the kind that is wanted: the words follow each other somewhere in the product's name,
    /// whatever their case. `A10` is not `A100`.
    #[must_use]
    pub fn fits(&self, gpu: &Gpu) -> bool {
        let Some(model) = &self.model else {
            return true;
        };
        let (wanted, has) = (words(model), words(&gpu.model));
        has.windows(wanted.len().max(1)).any(|part| part == wanted)
    }
}

/// The letters and digits of a name in lower case, word by word.
fn words(name: &str) -> Vec<String> {
    name.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// What one vnode wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Wishes {
    /// What its disk holds. It takes only what is written to it.
    pub disk_mib: DiskMib,
    pub gpus: GpuWish,
}

/// What whoever wishes nothing gets.
static USUAL: Wishes = Wishes {
    disk_mib: VnodeSize::DISK,
    gpus: GpuWish {
        count: 0,
        model: None,
    },
};

impl Wishes {
    /// Since when they are kept, and disks are counted.
    pub const SINCE: ClusterVersion = ClusterVersion(3);
    /// Less holds no journal and nothing else; more is no file on some file systems.
    pub const DISK_MIB_RANGE: std::ops::RangeInclusive<u64> = 64..=8 << 20;

    /// What whoever wishes nothing gets.
    #[must_use]
    pub fn usual() -> &'static Self {
        &USUAL
    }
}

impl Default for Wishes {
    fn default() -> Self {
        USUAL.clone()
    }
}

/// What vnodes that are added to a vcluster want. Without a row it is the usual.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VclusterWishes {
    pub vcluster: VclusterId,
    pub wishes: Wishes,
}

/// What a vnode wants, and which GPUs it was given for it. Without a row it is the usual, and none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VnodeWishes {
    pub vnode: VnodeId,
    pub wishes: Wishes,
    /// Unique names of GPUs that it was given when it was placed. They are its own until nothing of it is left on its
    /// worker, whether it runs or stands still, and whether the worker still has them or not.
    pub gpus: Vec<String>,
}

/// How much disk may be promised on a worker, in hundredths of what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskOvercommit {
    pub percent: u32,
}

impl DiskOvercommit {
    /// Disks are sparse files, images are shared, and most vnodes write a small part of what they may.
    pub const USUAL: Self = Self { percent: 1_000 };
    /// Below, a worker could not even fill its disk with vnodes.
    pub const PERCENT_RANGE: std::ops::RangeInclusive<u32> = 100..=100_000;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amount::MemoryMib;

    #[test]
    fn a_model_is_meant_by_whole_words_of_its_name() {
        let fits = |model: &str, name: &str| {
            let wish = GpuWish {
                count: 1,
                model: Some(model.to_owned()),
            };
            wish.fits(&Gpu {
                uuid: String::new(),
                model: name.to_owned(),
                memory_mib: MemoryMib(0),
            })
        };
        let a100 = "NVIDIA A100-SXM4-80GB";
        assert!(fits("A100", a100) && fits("a100-sxm4", a100) && fits(a100, a100));
        assert!(!fits("A10", a100) && !fits("100", a100) && !fits("A100 80GB", a100));
        assert!(fits("RTX 4090", "NVIDIA GeForce RTX 4090"));
        assert!(!fits("RTX 4090", "RTX") && !fits("RTX", ""));
        assert!(GpuWish::default().fits(&Gpu {
            uuid: String::new(),
            model: String::new(),
            memory_mib: MemoryMib(0),
        }));
    }
}
