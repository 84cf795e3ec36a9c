//! What members cost that have nothing to do.

use std::time::Duration;

use docklet_chaos_tests::report::{Figure, Goal, median};
use docklet_chaos_tests::usage::{Meter, resident_mib};

use crate::sides::{Ours, Peer};

/// Long enough that a hundredth of a core is ten ticks.
const LASTING: Duration = Duration::from_secs(10);

async fn of(pids: &[u32]) -> anyhow::Result<(f64, f64)> {
    // Whatever starting left to do.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let meter = Meter::start(pids.to_vec());
    tokio::time::sleep(LASTING).await;
    let used = meter.read();
    let percent = used.servers.as_secs_f64() / used.elapsed.as_secs_f64() * 100.0;
    let memory: Vec<f64> = pids
        .iter()
        .map(|pid| resident_mib(*pid))
        .collect::<anyhow::Result<_>>()?;
    Ok((median(&memory), percent / pids.len() as f64))
}

pub async fn figures() -> anyhow::Result<Vec<Figure>> {
    let ours = {
        let ours = Ours::start().await?;
        of(ours.pids()).await?
    };
    let peer = {
        let peer = Peer::start().await?;
        of(peer.pids()).await?
    };
    let goal = |most| Goal::AtMost(most);
    Ok(vec![
        Figure::of_two("idle master, resident", "MiB", ours.0, peer.0, goal(40.0)),
        Figure::of_two("idle master, of a core", "%", ours.1, peer.1, goal(1.0)),
    ])
}
