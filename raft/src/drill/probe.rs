//! A prober measures from outside of the fault what a client would see: it writes and reads by the way that every
//! client's requests go, without waiting for one answer before the next.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use docklet_control::drill::command::DrillCommand;
use docklet_control::drill::gauge::Gauge;
use docklet_control::id::RequestId;
use docklet_control::model::Drill;
use docklet_control::model::drill::{DrillStage, ProbeReport, Prober};
use docklet_control::{Actor, Command};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::lock;
use crate::master::Master;

/// A write this often, and a read at every second one.
const EVERY: Duration = Duration::from_millis(50);
/// What is usual is measured for so long before the fault.
const BEFOREHAND_MS: u64 = 2_000;
/// Requests that wait for an answer, at most.
const UNDER_WAY_MAX: usize = 64;
/// One request may take this long.
const REQUEST_DEADLINE: Duration = Duration::from_secs(10);
/// When probing ends, what is under way has this long to come in.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What one prober holds.
#[derive(Clone)]
struct Probing {
    master: Master,
    drill: Drill,
    gauge: Arc<Mutex<Gauge>>,
}

/// Measures until checking begins, and says what it saw.
pub async fn run(master: Master, drill: Drill, gauge: Arc<Mutex<Gauge>>) {
    let probing = Probing {
        master,
        drill,
        gauge,
    };
    let begins_at = probing.drill.fault_at.0.saturating_sub(BEFOREHAND_MS);
    let wait = Duration::from_millis(begins_at.saturating_sub(probing.master.now().0));
    let (master, id) = (&probing.master, probing.drill.id);
    tokio::select! {
        () = tokio::time::sleep(wait) => {}
        () = master.drill_leaves(id, &[DrillStage::Announced]) => {}
    }
    // The time before it began is no gap.
    *lock(&probing.gauge) = Gauge::new(master.inner.desk.ms());
    let mut under_way = JoinSet::new();
    tokio::select! {
        () = probing.probe(&mut under_way) => {}
        () = master.drill_leaves(id, &[DrillStage::Announced, DrillStage::Fault, DrillStage::Healing]) => {}
    }
    let last_words = async { while under_way.join_next().await.is_some() {} };
    drop(tokio::time::timeout(LAST_WORDS, last_words).await);
    probing.report().await;
}

impl Probing {
    fn ms(&self) -> u64 {
        self.master.inner.desk.ms()
    }

    /// Asks and asks, and ends only when it is dropped.
    async fn probe(&self, under_way: &mut JoinSet<()>) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for tick in 0_u64.. {
            ticks.tick().await;
            self.notice_the_fault();
            while under_way.try_join_next().is_some() {}
            if under_way.len() >= UNDER_WAY_MAX {
                continue;
            }
            under_way.spawn(self.clone().write());
            if tick % 2 == 0 {
                under_way.spawn(self.clone().read());
            }
        }
    }

    fn notice_the_fault(&self) {
        let drill = self.master.drill(self.drill.id);
        let begun = drill.is_some_and(|drill| drill.begun.is_some());
        if begun {
            lock(&self.gauge).begin(self.ms() + Drill::LEAD_MS);
        }
    }

    async fn write(self) {
        let (sent_ms, sequence) = (self.ms(), lock(&self.gauge).send());
        let me = self.master.id();
        let command = Command::Drill(DrillCommand::Probe {
            drill: self.drill.id,
            prober: Prober::Master(me),
            sequence,
        });
        let request = RequestId::issued(self.master.local().index, rand::random());
        let written = self
            .master
            .propose(Actor::Door(me), request, command, REQUEST_DEADLINE)
            .await;
        if written.is_ok() {
            lock(&self.gauge).acknowledged(sequence, sent_ms, self.ms());
        }
    }

    async fn read(self) {
        lock(&self.gauge).ask();
        if self.master.read(REQUEST_DEADLINE).await.is_ok() {
            lock(&self.gauge).read(self.ms());
        }
    }

    async fn report(&self) {
        let gauge = lock(&self.gauge).clone();
        let (sent, acked, figures) = gauge.end(self.ms());
        let report = ProbeReport {
            prober: Prober::Master(self.master.id()),
            sent,
            acked,
            figures,
        };
        let drill = self.drill.id;
        let command = DrillCommand::ReportProbes { drill, report };
        self.master.report_drill(command).await;
    }
}
