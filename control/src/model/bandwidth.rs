//! How much a vnode may send and receive.

use serde::{Deserialize, Serialize};

/// Thousands of bits per second.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct KbitPerS(pub u32);

/// Limits of a vnode's network device, both ways; none where there is no limit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Bandwidth {
    /// What it sends.
    pub sent: Option<KbitPerS>,
    /// What it receives.
    pub received: Option<KbitPerS>,
}

impl Bandwidth {
    /// Below, nothing useful works; above, no device is so fast.
    pub const KBIT_PER_S_RANGE: std::ops::RangeInclusive<u32> = 64..=400_000_000;
}
