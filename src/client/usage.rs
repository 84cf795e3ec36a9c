//! What vnodes use: now, for all of a vcluster, and over time, for one.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use docklet_control::id::UnixMs;
use docklet_control::meter::{History, Measure, Span, VnodeUsage};

use super::VnodeName;
use super::connection::Connection;
use super::output::{Rows, begin_anew, instant, print};
use crate::cli::Print;

/// How often it is looked again.
const EVERY: Duration = Duration::from_secs(1);
/// Rows of a table at most: JSON has all.
const ROWS_MAX: usize = 40;

#[derive(Args)]
pub struct Top {
    vcluster: String,
    /// What comes first
    #[arg(long, value_enum, default_value_t = Order::Cpu)]
    by: Order,
    /// Look again each second until interrupted
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    print: Print,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    Cpu,
    Memory,
    Network,
    Name,
}

#[derive(Args)]
pub struct Stats {
    /// Vnode, as VCLUSTER/host-0
    vnode: VnodeName,
    /// How far back
    #[arg(long, default_value = "10m", value_parser = span, value_name = "10m|4h|1d|7d|31d|1y")]
    span: Span,
    /// Look again each second until interrupted
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    print: Print,
}

fn span(text: &str) -> Result<Span, String> {
    let known = || Span::ALL.map(Span::word).join(", ");
    Span::named(text).ok_or_else(|| format!("it is none of {}", known()))
}

/// `docklet vc top`.
pub async fn top(connection: &Connection, path: &str, ask: &Top) -> anyhow::Result<ExitCode> {
    let path = format!("{path}/usage");
    loop {
        let mut vnodes: Vec<VnodeUsage> = connection.get(&path).await?;
        sort(&mut vnodes, ask.by);
        if ask.watch {
            begin_anew(ask.print.format);
        }
        print(ask.print.format, &vnodes, |vnodes| top_rows(vnodes))?;
        if !ask.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(EVERY).await;
    }
}

impl Top {
    pub fn vcluster(&self) -> &str {
        &self.vcluster
    }
}

/// `docklet vnode stats`.
pub async fn stats(ask: Stats) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let (vcluster, vnode, span) = (&ask.vnode.vcluster, &ask.vnode.vnode, ask.span.word());
    let path = format!("/vclusters/{vcluster}/vnodes/{vnode}/history?span={span}");
    loop {
        let history: History = connection.get(&path).await?;
        if ask.watch {
            begin_anew(ask.print.format);
        }
        print(ask.print.format, &history, stats_rows)?;
        for worker in &history.unanswered {
            super::output::remark(&format!(
                "Worker {worker} does not answer: what it knows is missing."
            ));
        }
        if !ask.watch {
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn sort(vnodes: &mut [VnodeUsage], order: Order) {
    let value = |vnode: &VnodeUsage, measures: &[Measure]| -> f32 {
        let values = vnode.usage.map(|usage| usage.values).unwrap_or_default();
        measures
            .iter()
            .filter_map(|measure| values.get(*measure))
            .sum()
    };
    let measures: &[Measure] = match order {
        Order::Cpu => &[Measure::CpuMilli],
        Order::Memory => &[Measure::MemoryBytes],
        Order::Network => &[Measure::ReceivedBytes, Measure::SentBytes],
        Order::Name => return,
    };
    vnodes.sort_by(|a, b| value(b, measures).total_cmp(&value(a, measures)));
}

/// What is shown of vnodes that have GPUs.
const OF_GPUS: [(&str, Measure); 2] = [
    ("gpu", Measure::Gpu),
    ("gpu memory", Measure::GpuMemoryBytes),
];

fn top_rows(vnodes: &[VnodeUsage]) -> Rows {
    let values = |vnode: &VnodeUsage| vnode.usage.map(|usage| usage.values).unwrap_or_default();
    let has = |vnode: &VnodeUsage| values(vnode).get(Measure::Gpu).is_some();
    let of_gpus: &[_] = if vnodes.iter().any(has) {
        &OF_GPUS
    } else {
        &[]
    };
    let columns = [
        "vnode",
        "worker",
        "cpu",
        "of",
        "memory",
        "of",
        "disk",
        "received/s",
        "sent/s",
        "read/s",
        "written/s",
        "processes",
    ];
    let columns = columns
        .into_iter()
        .chain(of_gpus.iter().map(|(name, _)| *name));
    let mut rows = Rows::new(&columns.collect::<Vec<_>>());
    for vnode in vnodes {
        let values = values(vnode);
        let shown = |measure: Measure| words(measure, values.get(measure));
        let fixed = [
            vnode.vnode.clone(),
            vnode.worker.clone().unwrap_or_else(|| "-".to_owned()),
            shown(Measure::CpuMilli),
            cores(f64::from(vnode.size.cpu_milli.0)),
            shown(Measure::MemoryBytes),
            bytes(f64::from(vnode.size.memory_mib.0) * 1_048_576.0),
            shown(Measure::DiskBytes),
            shown(Measure::ReceivedBytes),
            shown(Measure::SentBytes),
            shown(Measure::ReadBytes),
            shown(Measure::WrittenBytes),
            shown(Measure::Processes),
        ];
        let of_gpus = of_gpus.iter().map(|(_, measure)| shown(*measure));
        rows.add(fixed.into_iter().chain(of_gpus));
    }
    rows
}

/// The newest at the end, as in a log; of many every nth.
fn stats_rows(history: &History) -> Rows {
    const SHOWN: [(&str, Measure); 8] = [
        ("cpu", Measure::CpuMilli),
        ("memory", Measure::MemoryBytes),
        ("disk", Measure::DiskBytes),
        ("received/s", Measure::ReceivedBytes),
        ("sent/s", Measure::SentBytes),
        ("read/s", Measure::ReadBytes),
        ("written/s", Measure::WrittenBytes),
        ("processes", Measure::Processes),
    ];
    let series = &history.series;
    let measured = |measure: &Measure| {
        let column = series.columns.get(measure);
        column.is_some_and(|column| column.iter().any(Option::is_some))
    };
    let of_gpus = OF_GPUS.into_iter().filter(|(_, measure)| measured(measure));
    let shown: Vec<(&str, Measure)> = SHOWN.into_iter().chain(of_gpus).collect();
    let names = shown.iter().map(|(name, _)| *name);
    let mut rows = Rows::new(&std::iter::once("from").chain(names).collect::<Vec<_>>());
    let value = |measure: &Measure, place: usize| {
        let column = series.columns.get(measure)?;
        column.get(place).copied().flatten()
    };
    let known: Vec<usize> = (0..series.times.len())
        .filter(|place| {
            shown
                .iter()
                .any(|(_, measure)| value(measure, *place).is_some())
        })
        .collect();
    let every = known.len().div_ceil(ROWS_MAX).max(1);
    for place in known
        .into_iter()
        .rev()
        .step_by(every)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        let at = instant(UnixMs(series.times[place] * 1_000));
        let cells = shown
            .iter()
            .map(|(_, measure)| words(*measure, value(measure, place)));
        rows.add(std::iter::once(at).chain(cells));
    }
    rows
}

fn words(measure: Measure, value: Option<f32>) -> String {
    let Some(value) = value.map(f64::from) else {
        return "-".to_owned();
    };
    match measure {
        Measure::CpuMilli | Measure::CpuMilliMax => cores(value),
        Measure::Processes
        | Measure::ReceivedPackets
        | Measure::SentPackets
        | Measure::Reads
        | Measure::Writes => format!("{value:.0}"),
        Measure::CpuStall
        | Measure::MemoryStall
        | Measure::IoStall
        | Measure::Throttled
        | Measure::Gpu => format!("{:.0} %", value * 100.0),
        Measure::MemoryBytes
        | Measure::MemoryBytesMax
        | Measure::DiskBytes
        | Measure::ReceivedBytes
        | Measure::SentBytes
        | Measure::ReadBytes
        | Measure::WrittenBytes
        | Measure::GpuMemoryBytes => bytes(value),
    }
}

fn cores(milli: f64) -> String {
    format!("{:.2}", milli / 1_000.0)
}

pub(super) fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "K", "M", "G", "T"];
    let (mut value, mut unit) = (value, 0);
    while value >= 1_023.5 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 9.95);
    format!("{value:.digits$}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(bytes(0.0), "0B");
        assert_eq!(bytes(1_023.0), "1023B");
        assert_eq!(bytes(1_024.0), "1.0K");
        assert_eq!(bytes(52_428_800.0), "50M");
        assert_eq!(cores(250.0), "0.25");
        assert_eq!(words(Measure::Throttled, Some(0.5)), "50 %");
        assert_eq!(words(Measure::Throttled, None), "-");
    }
}
