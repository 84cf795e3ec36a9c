//! What workers measure of vnodes and of themselves. Soft state: agents keep it, masters ask for it, and no entry of
//! the log ever holds any of it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::amount::VnodeSize;
use crate::id::{UnixMs, VnodeId};
use crate::model::Gpu;

/// One thing that is measured. The order is that of the agents' files: what is new goes to the end.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Thousandths of a core in use.
    CpuMilli,
    /// The highest that `CpuMilli` was in one second.
    CpuMilliMax,
    /// Memory in use, without files that could be dropped from the cache.
    MemoryBytes,
    /// The highest that `MemoryBytes` was in one second.
    MemoryBytesMax,
    /// Bytes on disk.
    DiskBytes,
    /// Processes and threads.
    Processes,
    /// Bytes a second from the network.
    ReceivedBytes,
    /// Bytes a second to the network.
    SentBytes,
    /// Packets a second from the network.
    ReceivedPackets,
    /// Packets a second to the network.
    SentPackets,
    /// Bytes a second read from disks.
    ReadBytes,
    /// Bytes a second written to disks.
    WrittenBytes,
    /// Reads a second.
    Reads,
    /// Writes a second.
    Writes,
    /// Part of the time in which something waited for a CPU.
    CpuStall,
    /// Part of the time in which something waited for memory.
    MemoryStall,
    /// Part of the time in which something waited for a disk.
    IoStall,
    /// Part of the time in which the CPU limit held something back.
    Throttled,
    /// Use of its GPUs: 1 is one GPU wholly in use.
    Gpu,
    /// Memory in use on its GPUs.
    GpuMemoryBytes,
}

/// How several values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// Over time the mean, over vnodes the sum.
    Amount,
    /// The highest over time; over vnodes the sum, which they may not have reached together.
    Peak,
    /// Over time the mean, over vnodes the highest: parts of a whole do not add up.
    Part,
}

impl Measure {
    /// How many there are.
    pub const COUNT: usize = 20;

    /// All of them, in order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::CpuMilli,
        Self::CpuMilliMax,
        Self::MemoryBytes,
        Self::MemoryBytesMax,
        Self::DiskBytes,
        Self::Processes,
        Self::ReceivedBytes,
        Self::SentBytes,
        Self::ReceivedPackets,
        Self::SentPackets,
        Self::ReadBytes,
        Self::WrittenBytes,
        Self::Reads,
        Self::Writes,
        Self::CpuStall,
        Self::MemoryStall,
        Self::IoStall,
        Self::Throttled,
        Self::Gpu,
        Self::GpuMemoryBytes,
    ];

    /// Its name in the interface.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::CpuMilli => "cpu_milli",
            Self::CpuMilliMax => "cpu_milli_max",
            Self::MemoryBytes => "memory_bytes",
            Self::MemoryBytesMax => "memory_bytes_max",
            Self::DiskBytes => "disk_bytes",
            Self::Processes => "processes",
            Self::ReceivedBytes => "received_bytes",
            Self::SentBytes => "sent_bytes",
            Self::ReceivedPackets => "received_packets",
            Self::SentPackets => "sent_packets",
            Self::ReadBytes => "read_bytes",
            Self::WrittenBytes => "written_bytes",
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::CpuStall => "cpu_stall",
            Self::MemoryStall => "memory_stall",
            Self::IoStall => "io_stall",
            Self::Throttled => "throttled",
            Self::Gpu => "gpu",
            Self::GpuMemoryBytes => "gpu_memory_bytes",
        }
    }

    /// The measure of this name.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.word() == word)
    }

    /// How several values of it become one.
    #[must_use]
    pub fn joining(self) -> Joining {
        match self {
            Self::CpuMilliMax | Self::MemoryBytesMax => Joining::Peak,
            Self::CpuStall | Self::MemoryStall | Self::IoStall | Self::Throttled => Joining::Part,
            Self::CpuMilli
            | Self::MemoryBytes
            | Self::DiskBytes
            | Self::Processes
            | Self::ReceivedBytes
            | Self::SentBytes
            | Self::ReceivedPackets
            | Self::SentPackets
            | Self::ReadBytes
            | Self::WrittenBytes
            | Self::Reads
            | Self::Writes
            | Self::Gpu
            | Self::GpuMemoryBytes => Joining::Amount,
        }
    }
}

/// A value for each measure; NaN where there is none.
#[derive(Clone, Copy, Debug)]
pub struct Values(pub [f32; Measure::COUNT]);

impl Default for Values {
    fn default() -> Self {
        Self([f32::NAN; Measure::COUNT])
    }
}

impl Values {
    /// The value of this measure, if there is one.
    #[must_use]
    pub fn get(&self, measure: Measure) -> Option<f32> {
        let value = self.0[measure as usize];
        (!value.is_nan()).then_some(value)
    }

    /// Sets the value of this measure.
    pub fn set(&mut self, measure: Measure, value: f32) {
        self.0[measure as usize] = value;
    }

    /// Adds what another vnode used in the same time.
    pub fn add(&mut self, other: &Self) {
        for measure in Measure::ALL {
            let Some(more) = other.get(measure) else {
                continue;
            };
            let joined = match (self.get(measure), measure.joining()) {
                (None, _) => more,
                (Some(own), Joining::Amount | Joining::Peak) => own + more,
                (Some(own), Joining::Part) => own.max(more),
            };
            self.set(measure, joined);
        }
    }
}

impl Serialize for Values {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = Measure::ALL.into_iter();
        let known = known.filter_map(|measure| Some((measure.word(), self.get(measure)?)));
        serializer.collect_map(known)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let known = BTreeMap::<String, f32>::deserialize(deserializer)?;
        let mut values = Self::default();
        for (word, value) in known {
            // A newer worker may measure what this program has no name for.
            if let Some(measure) = Measure::named(&word) {
                values.set(measure, value);
            }
        }
        Ok(values)
    }
}

impl JsonSchema for Values {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Values".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let number = || serde_json::json!({"type": "number"});
        let known = Measure::ALL.map(|measure| (measure.word().to_owned(), number()));
        let known: serde_json::Map<_, _> = known.into_iter().collect();
        schemars::json_schema!({"type": "object", "properties": known})
    }
}

/// Amounts since the vnode started, or since the worker did; they begin anew when it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    pub cpu_us: u64,
    pub throttled_us: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
    pub received_packets: u64,
    pub sent_packets: u64,
    pub read_bytes: u64,
    pub written_bytes: u64,
    pub reads: u64,
    pub writes: u64,
}

/// What one vnode or a worker uses now.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Over the last second.
    #[serde(flatten)]
    pub values: Values,
    pub totals: Totals,
}

/// What a worker and all vnodes on it use now.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Live {
    /// By the worker's clock.
    pub at: UnixMs,
    pub worker: Usage,
    pub vnodes: Vec<(VnodeId, Usage)>,
    /// All that the worker has, also those that it offers to nobody.
    #[serde(default)]
    pub gpus: Vec<GpuNow>,
    /// What is wrong with the driver of its GPUs.
    pub gpu_problem: Option<String>,
    /// Whether vnodes are told by lxcfs what they have; none of an agent that does not say.
    pub lxcfs: Option<bool>,
}

/// One GPU of a worker, now. What the driver does not tell is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GpuNow {
    pub gpu: Gpu,
    /// Why the worker offers it to nobody; none if it is well.
    pub problem: Option<String>,
    /// The vnode that runs with it.
    pub vnode: Option<VnodeId>,
    /// 1 is wholly in use.
    pub used: Option<f32>,
    pub memory_bytes: Option<u64>,
    pub temperature_c: Option<u32>,
    pub power_w: Option<f32>,
}

/// The GPUs of one worker, as an admin sees them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerGpus {
    pub worker: String,
    /// What is wrong with all of them; also that the worker does not answer.
    pub problem: Option<String>,
    pub gpus: Vec<HeldGpu>,
}

/// One of them, and who has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HeldGpu {
    #[serde(flatten)]
    pub now: GpuNow,
    /// The vnode that runs with it, as `user/vcluster/host-0`.
    pub holder: Option<String>,
}

/// What one vnode uses, as its owner sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct VnodeUsage {
    pub id: VnodeId,
    /// `host-0`, `host-1`, …
    pub vnode: String,
    /// Name of its worker; none while it waits for one.
    pub worker: Option<String>,
    /// What it may use.
    pub size: VnodeSize,
    /// None if its worker does not tell.
    pub usage: Option<Usage>,
}

/// Measured values over time, and who could not be asked for the rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    #[serde(flatten)]
    pub series: Series,
    /// Workers that did not answer: what they know is missing.
    pub unanswered: Vec<String>,
}

/// How far back, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Span {
    #[serde(rename = "10m")]
    TenMinutes,
    #[serde(rename = "4h")]
    FourHours,
    #[serde(rename = "1d")]
    Day,
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "31d")]
    Month,
    #[serde(rename = "1y")]
    Year,
}

impl Span {
    /// All of them, the shortest first.
    pub const ALL: [Self; 6] = [
        Self::TenMinutes,
        Self::FourHours,
        Self::Day,
        Self::Week,
        Self::Month,
        Self::Year,
    ];

    /// As it is written.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::TenMinutes => "10m",
            Self::FourHours => "4h",
            Self::Day => "1d",
            Self::Week => "7d",
            Self::Month => "31d",
            Self::Year => "1y",
        }
    }

    /// The span that is written so.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.word() == word)
    }

    /// Seconds of one value.
    #[must_use]
    pub fn step_s(self) -> u32 {
        match self {
            Self::TenMinutes => 1,
            Self::FourHours => 10,
            Self::Day => 60,
            Self::Week | Self::Month => 600,
            Self::Year => 3_600,
        }
    }

    /// Values that it has at most.
    #[must_use]
    pub fn slots(self) -> u32 {
        match self {
            Self::TenMinutes => 600,
            Self::FourHours | Self::Day => 1_440,
            Self::Week => 1_008,
            Self::Month => 4_464,
            Self::Year => 8_784,
        }
    }
}

/// Whose history is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The worker itself.
    Worker,
    /// These vnodes together.
    Vnodes(Vec<VnodeId>),
}

/// What a master asks of a worker at its data port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeterQuestion {
    /// [`Live`] now, and each second from then on.
    Live,
    /// [`Series`], once.
    History {
        of: Subject,
        span: Span,
        measures: Vec<Measure>,
    },
}

/// Measured values over time, a column for each measure.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Series {
    /// Seconds of one value.
    pub step_s: u32,
    /// Where each value's time begins, in seconds since 1970, ascending, without gaps.
    pub times: Vec<u64>,
    /// Values by the measure's name; none where nothing was measured.
    pub columns: BTreeMap<Measure, Vec<Option<f32>>>,
}

impl Series {
    /// Adds another worker's part of the same span. Clocks may differ: a time that only one of them has is kept.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        if self.times.is_empty() {
            return other;
        }
        let mut times = [self.times.as_slice(), other.times.as_slice()].concat();
        times.sort_unstable();
        times.dedup();
        let columns = self.columns.iter().map(|(measure, own)| {
            let theirs = other.columns.get(measure);
            let at = |series: &Self, column: &[Option<f32>], time: &u64| {
                let place = series.times.binary_search(time).ok()?;
                column.get(place).copied().flatten()
            };
            let value = |time: &u64| {
                let mut sum = Values::default();
                let mine = at(&self, own, time);
                let theirs = theirs.and_then(|column| at(&other, column, time));
                for part in [mine, theirs].into_iter().flatten() {
                    let mut values = Values::default();
                    values.set(*measure, part);
                    sum.add(&values);
                }
                sum.get(*measure)
            };
            (*measure, times.iter().map(value).collect())
        });
        Self {
            step_s: self.step_s,
            columns: columns.collect(),
            times: times.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
