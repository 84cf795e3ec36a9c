//! What a benchmark tells: a table for people, and `target/bench/NAME.json`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

use crate::members::target_dir;

/// One measured thing, ours beside the peer's.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub measure: String,
    pub ours: f64,
    pub peer: Option<f64>,
    pub unit: &'static str,
    /// Of ours to the peer's, pair by pair.
    pub ratio_median: Option<f64>,
    pub ratio_min: Option<f64>,
    pub ratio_max: Option<f64>,
    pub goal: String,
    pub met: bool,
}

/// What is demanded of a figure.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The median ratio to the peer.
    RatioAtLeast(f64),
    RatioAtMost(f64),
    /// Our own value.
    AtMost(f64),
    /// Both.
    AtMostAndRatio(f64, f64),
    /// It is only told.
    None,
}

impl Figure {
    /// A figure from interleaved pairs: ours, the peer's.
    #[must_use]
    pub fn of_pairs(measure: &str, unit: &'static str, pairs: &[(f64, f64)], goal: Goal) -> Self {
        let mut ratios: Vec<f64> = pairs.iter().map(|(ours, peer)| ours / peer).collect();
        ratios.sort_by(f64::total_cmp);
        let ours: Vec<f64> = pairs.iter().map(|(ours, _)| *ours).collect();
        let peer: Vec<f64> = pairs.iter().map(|(_, peer)| *peer).collect();
        Self {
            measure: measure.to_owned(),
            ours: rounded(median(&ours)),
            peer: Some(rounded(median(&peer))),
            unit,
            ratio_median: Some(rounded(median(&ratios))),
            ratio_min: ratios.first().copied().map(rounded),
            ratio_max: ratios.last().copied().map(rounded),
            goal: String::new(),
            met: true,
        }
        .against(goal)
    }

    /// A figure of two series that are no pairs: only their own values are compared.
    #[must_use]
    pub fn of_two(measure: &str, unit: &'static str, ours: f64, peer: f64, goal: Goal) -> Self {
        Self::of_pairs(measure, unit, &[(ours, peer)], goal)
    }

    /// A figure without a peer.
    #[must_use]
    pub fn alone(measure: &str, unit: &'static str, ours: f64, goal: Goal) -> Self {
        Self {
            measure: measure.to_owned(),
            ours: rounded(ours),
            peer: None,
            unit,
            ratio_median: None,
            ratio_min: None,
            ratio_max: None,
            goal: String::new(),
            met: true,
        }
        .against(goal)
    }

    fn against(self, goal: Goal) -> Self {
        let ratio = self.ratio_median.unwrap_or(f64::NAN);
        let (text, met) = match goal {
            Goal::RatioAtLeast(least) => (format!("ratio >= {least}"), ratio >= least),
            Goal::RatioAtMost(most) => (format!("ratio <= {most}"), ratio <= most),
            Goal::AtMost(most) => (format!("<= {most}"), self.ours <= most),
            Goal::AtMostAndRatio(most, limit) => (
                format!("<= {most}, ratio <= {limit}"),
                self.ours <= most && ratio <= limit,
            ),
            Goal::None => ("told only".to_owned(), true),
        };
        Self {
            goal: text,
            met,
            ..self
        }
    }
}

fn rounded(value: f64) -> f64 {
    let factor = if value.abs() < 10.0 { 1_000.0 } else { 10.0 };
    (value * factor).round() / factor
}

/// The middle value; of an even number, the upper of the two in the middle.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

/// The value that so many percent do not exceed; 0 of nothing.
#[must_use]
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of a list that fits in memory"
    )]
    let index = (sorted.len() as f64 * percent / 100.0) as usize;
    let last = sorted.len().saturating_sub(1);
    sorted.get(index.min(last)).copied().unwrap_or_default()
}

/// A time in milliseconds.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Prints the table and writes `target/bench/NAME.json`; `notes` say how it was measured.
#[expect(clippy::print_stdout, reason = "a benchmark's table is its output")]
pub fn tell(name: &str, notes: serde_json::Value, figures: &[Figure]) -> anyhow::Result<()> {
    let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
    println!("\n| measure | ours | peer | unit | ratio: median (min to max) | goal | met |");
    println!("|---|---|---|---|---|---|---|");
    for figure in figures {
        println!(
            "| {} | {} | {} | {} | {} ({} to {}) | {} | {} |",
            figure.measure,
            figure.ours,
            optional(figure.peer),
            figure.unit,
            optional(figure.ratio_median),
            optional(figure.ratio_min),
            optional(figure.ratio_max),
            figure.goal,
            if figure.met { "yes" } else { "no" },
        );
    }
    let report = json!({
        "machine": machine(),
        "versions": versions()?,
        "notes": notes,
        "measures": figures,
    });
    let dir = target_dir()?.join("bench");
    fs::create_dir_all(&dir)?;
    let path = dir.join(format!("{name}.json"));
    fs::write(&path, format!("{report:#}\n")).with_context(|| format!("write {}", path.display()))
}

fn machine() -> serde_json::Value {
    let line = |path: &str, start: &str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(start));
        let value = line.and_then(|line| line.split_once(':'));
        value.map(|(_, value)| value.trim().to_owned())
    };
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu": line("/proc/cpuinfo", "model name"),
        "memory": line("/proc/meminfo", "MemTotal"),
        "kernel": kernel.trim(),
    })
}

fn versions() -> anyhow::Result<serde_json::Value> {
    let version = |program: &Path| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        text.lines().next().map(str::to_owned)
    };
    Ok(json!({
        "docklet": version(&crate::cluster::program()?),
        "etcd": version(&target_dir()?.join("peers/usr/bin/etcd")),
    }))
}
