//! The replicated store beside Debian's etcd-server: three members each on the same machine and disk, values of 256
//! bytes, interleaved runs. Ours goes the whole way: mutual TLS, decide, evolve, receipts; etcd runs without TLS.

mod big;
mod idle;
mod sides;

use std::time::Duration;

use docklet_chaos_tests::clients::Measured;
use docklet_chaos_tests::count;
use docklet_chaos_tests::report::{self, Figure, Goal};
use serde_json::json;

use sides::{Ours, Peer, Work};

/// One row of pairs.
struct Row {
    work: Work,
    clients: usize,
    goal: f64,
}

const ROWS: [Row; 7] = [
    row(Work::Write, 1, 1.2),
    row(Work::Write, 16, 1.5),
    row(Work::Write, 64, 2.0),
    row(Work::Write, 256, 2.0),
    row(Work::Read, 1, 1.0),
    row(Work::Read, 64, 3.0),
    row(Work::Read, 256, 3.0),
];

const fn row(work: Work, clients: usize, goal: f64) -> Row {
    Row {
        work,
        clients,
        goal,
    }
}

/// Pairs of ours and the peer's.
async fn pairs(row: &Row, ours: &Ours, peer: &Peer) -> anyhow::Result<Vec<(Measured, Measured)>> {
    let lasting = Duration::from_secs(count("SECONDS", 6));
    let mut pairs = Vec::new();
    for _ in 0..count("PAIRS", 3) {
        peer.freeze(true)?;
        let own = ours.run(row.work, row.clients, lasting).await?;
        peer.freeze(false)?;
        ours.freeze(true)?;
        peer.wait().await?;
        let other = peer.run(row.work, row.clients, lasting).await?;
        ours.freeze(false)?;
        ours.wait().await?;
        remark(row, &own, &other);
        pairs.push((own, other));
    }
    Ok(pairs)
}

#[expect(clippy::print_stderr, reason = "progress of a run of minutes")]
fn remark(row: &Row, ours: &Measured, peer: &Measured) {
    eprintln!(
        "{:?} {:>3}: {:>7.0}/s against {:>7.0}/s ({:.2}); p99 {:.2} against {:.2} ms; server cpu {:.0} against {:.0} us; foreign {:.0} and {:.0} %",
        row.work,
        row.clients,
        ours.per_second,
        peer.per_second,
        ours.per_second / peer.per_second,
        ours.p99_ms,
        peer.p99_ms,
        ours.server_us,
        peer.server_us,
        ours.foreign_percent,
        peer.foreign_percent,
    );
}

fn figures(row: &Row, pairs: &[(Measured, Measured)]) -> Vec<Figure> {
    let of = |what: fn(&Measured) -> f64| -> Vec<(f64, f64)> {
        pairs
            .iter()
            .map(|(ours, peer)| (what(ours), what(peer)))
            .collect()
    };
    let title = match row.work {
        Work::Write => format!("durable writes, {} clients", row.clients),
        Work::Read => format!("linearizable reads, {} clients", row.clients),
    };
    let p99_goal = match (row.work, row.clients) {
        (Work::Write, 64) => Goal::RatioAtMost(0.7),
        _ => Goal::None,
    };
    vec![
        Figure::of_pairs(
            &title,
            "per second",
            &of(|m| m.per_second),
            Goal::RatioAtLeast(row.goal),
        ),
        Figure::of_pairs(
            &format!("{title}, p50"),
            "ms",
            &of(|m| m.p50_ms),
            Goal::None,
        ),
        Figure::of_pairs(&format!("{title}, p99"), "ms", &of(|m| m.p99_ms), p99_goal),
        Figure::of_pairs(
            &format!("{title}, CPU of all members for each"),
            "us",
            &of(|m| m.server_us),
            Goal::None,
        ),
    ]
}

fn foreign(pairs: &[(Measured, Measured)]) -> f64 {
    let both = pairs
        .iter()
        .flat_map(|(ours, peer)| [ours.foreign_percent, peer.foreign_percent]);
    both.fold(0.0, f64::max)
}

/// Which parts to run, `rates,idle,big` by default.
fn wanted(part: &str) -> bool {
    let parts = std::env::var("PARTS").unwrap_or_else(|_| "rates,idle,big".to_owned());
    parts.split(',').any(|given| given == part)
}

/// Whether this row is to be run: `ROWS=write64,read64` picks some, all by default.
fn asked_for(row: &Row) -> bool {
    let kind = match row.work {
        Work::Write => "write",
        Work::Read => "read",
    };
    let name = format!("{kind}{}", row.clients);
    std::env::var("ROWS").map_or(true, |rows| rows.split(',').any(|given| given == name))
}

#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut rows = Vec::new();
    let mut worst_foreign: f64 = 0.0;
    if wanted("rates") {
        let (mut ours, mut peer) = (Ours::start().await?, Peer::start().await?);
        ours.prepare().await?;
        peer.prepare().await?;
        for row in ROWS.iter().filter(|row| asked_for(row)) {
            let pairs = pairs(row, &ours, &peer).await?;
            worst_foreign = worst_foreign.max(foreign(&pairs));
            rows.extend(figures(row, &pairs));
        }
    }
    if wanted("idle") {
        rows.extend(idle::figures().await?);
    }
    if wanted("big") {
        rows.extend(big::figures().await?);
    }
    let notes = json!({
        "pairs": count("PAIRS", 3),
        "seconds": count("SECONDS", 6),
        "value_bytes": sides::VALUE_BYTES,
        "connections": "1, 4, 8, 16 for 1, 16, 64, 256 clients, to the leader",
        "tls": "ours mutual TLS between all, etcd none",
        "foreign_cpu_percent_max": worst_foreign,
    });
    report::tell("store", notes, &rows)
}
