//! Measures a drill as a client sees it: over HTTPS, trying one master after the other, as every command does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use docklet_control::drill::gauge::Gauge;
use docklet_control::model::drill::{ProbeReport, Prober};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Connection;

/// A write this often, and a read at every second one.
const EVERY: Duration = Duration::from_millis(50);
/// A master that does not answer for so long is passed over.
const PATIENCE: Duration = Duration::from_secs(1);
/// Requests that wait for an answer, at most.
const UNDER_WAY_MAX: usize = 64;

/// What the command line measures of one drill.
#[derive(Clone)]
pub struct Probing {
    connection: Arc<Connection>,
    drill: u64,
    clock: Instant,
    gauge: Arc<Mutex<Gauge>>,
}

impl Probing {
    pub fn new(connection: Arc<Connection>, drill: u64) -> Self {
        Self {
            connection,
            drill,
            clock: Instant::now(),
            gauge: Arc::new(Mutex::new(Gauge::new(0))),
        }
    }

    pub fn gauge(&self) -> MutexGuard<'_, Gauge> {
        self.gauge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ms(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Writes and reads, and ends only when it is dropped.
    pub async fn run(&self) {
        let mut under_way = JoinSet::new();
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for tick in 0_u64.. {
            ticks.tick().await;
            while under_way.try_join_next().is_some() {}
            if under_way.len() < UNDER_WAY_MAX {
                under_way.spawn(self.clone().write());
                if tick % 2 == 0 {
                    under_way.spawn(self.clone().read());
                }
            }
        }
    }

    async fn write(self) {
        let (sent_ms, sequence) = (self.ms(), self.gauge().send());
        let path = format!("/drills/{}/probes", self.drill);
        let body = json!({ "sequence": sequence });
        let prepare = |request: RequestBuilder| request.json(&body).timeout(PATIENCE);
        let answer = self.connection.send(Method::POST, &path, prepare).await;
        if answer.is_ok() {
            self.gauge().acknowledged(sequence, sent_ms, self.ms());
        }
    }

    /// Whichever master answers, from its own state.
    async fn read(self) {
        self.gauge().ask_locally();
        let prepare = |request: RequestBuilder| request.timeout(PATIENCE);
        let answer = self.connection.send(Method::GET, "/status", prepare).await;
        if answer.is_ok() {
            self.gauge().read_locally(self.ms());
        }
    }

    /// Tells the cluster what was measured.
    pub async fn report(&self) -> anyhow::Result<()> {
        let gauge = self.gauge().clone();
        let (sent, acked, figures) = gauge.end(self.ms());
        let report = ProbeReport {
            prober: Prober::Client,
            sent,
            acked,
            figures,
        };
        let path = format!("/drills/{}/report", self.drill);
        let _: Value = self.connection.change(Method::POST, &path, &report).await?;
        Ok(())
    }
}
