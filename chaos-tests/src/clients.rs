//! Clients in a closed loop: each makes its next call when the last was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::report::{ms, percentile};
use crate::usage::{Meter, Used};

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// What a run of clients came to.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// CPU time of the servers for each call, in microseconds.
    pub server_us: f64,
    pub foreign_percent: f64,
}

/// Runs `clients` for `lasting` after a warm-up; `call` gets the client's number and a count. `servers` are metered.
///
/// # Errors
/// The first call that failed.
pub async fn run<C, F>(
    clients: usize,
    warm_up: Duration,
    lasting: Duration,
    servers: Vec<u32>,
    call: C,
) -> anyhow::Result<Measured>
where
    C: Fn(usize, u64) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    let phase = Arc::new(AtomicU8::new(WARMING));
    let work = |client| tokio::spawn(work(client, phase.clone(), call.clone()));
    let tasks: Vec<_> = (0..clients).map(work).collect();
    tokio::time::sleep(warm_up).await;
    let meter = Meter::start(servers);
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(lasting).await;
    phase.store(OVER, Ordering::Relaxed);
    let used = meter.read();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.context("a client panicked")??);
    }
    Ok(measured(&times, used))
}

fn measured(times: &[f64], used: Used) -> Measured {
    let count = times.len() as f64;
    Measured {
        per_second: count / used.elapsed.as_secs_f64(),
        p50_ms: percentile(times, 50.0),
        p99_ms: percentile(times, 99.0),
        server_us: used.servers.as_secs_f64() * 1e6 / count.max(1.0),
        foreign_percent: used.foreign_percent,
    }
}

/// The times of one client's calls that began and ended while it was measured.
async fn work<C, F>(client: usize, phase: Arc<AtomicU8>, call: C) -> anyhow::Result<Vec<f64>>
where
    C: Fn(usize, u64) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let mut times = Vec::new();
    for count in 0.. {
        let counts = phase.load(Ordering::Relaxed) == MEASURING;
        let begun = Instant::now();
        call(client, count).await?;
        let took = begun.elapsed();
        match phase.load(Ordering::Relaxed) {
            OVER => break,
            _ if counts => times.push(ms(took)),
            _ => {}
        }
    }
    Ok(times)
}
