//! The lifeline of a target: around the gate it asks the masters outside of the fault, again and again, whether it may
//! go on. It gives way when one of them says no, and when none has answered for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use docklet_control::id::{DrillId, MasterId};
use docklet_control::model::drill::FaultEnd;
use docklet_link::Identity;
use futures_util::future::join_all;

use crate::line::Line;
use crate::wire;
use crate::world::Dial;

/// The others are asked this often.
const EVERY: Duration = Duration::from_millis(100);
/// One of them may take this long to answer.
const ANSWER_DEADLINE: Duration = Duration::from_millis(500);
/// Without any answer for so long the lifeline gives way.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// It must hold before the fault begins: so long somebody is tried to be reached.
const TIE_DEADLINE: Duration = Duration::from_secs(2);

/// A master outside of the fault.
#[derive(Clone, Debug)]
pub struct Outside {
    pub id: MasterId,
    pub addr: String,
}

/// Connections to all of them.
pub struct Lifeline {
    drill: DrillId,
    lines: Vec<Line>,
}

impl Lifeline {
    /// Reaches the others.
    ///
    /// # Errors
    /// None of them answers, or one says no already: then there must be no fault.
    pub async fn tie(
        around: Arc<dyn Dial>,
        own: Identity,
        drill: DrillId,
        others: &[Outside],
    ) -> Result<Self, String> {
        let line = |other: &Outside| Line::to(around.clone(), own, other.id.0, other.addr.clone());
        let lines = others.iter().map(line).collect();
        let lifeline = Self { drill, lines };
        let began = Instant::now();
        while began.elapsed() < TIE_DEADLINE {
            let answers = lifeline.ask().await;
            if let Some(cause) = answers.iter().find_map(|pulse| pulse.stop.clone()) {
                return Err(cause);
            }
            if !answers.is_empty() {
                return Ok(lifeline);
            }
            tokio::time::sleep(EVERY).await;
        }
        Err("no master outside of the fault answers its lifeline".to_owned())
    }

    /// What those say that answer.
    async fn ask(&self) -> Vec<wire::DrillPulse> {
        let ask = wire::DrillAbout(self.drill);
        let asked = self
            .lines
            .iter()
            .map(|line| line.call(wire::DRILL_PULSE, &ask, ANSWER_DEADLINE));
        let answers = join_all(asked).await;
        answers.into_iter().filter_map(Result::ok).collect()
    }

    /// Waits until the fault must end.
    pub async fn gives_way(&self) -> FaultEnd {
        let mut answered = Instant::now();
        loop {
            let pulses = self.ask().await;
            if let Some(cause) = pulses.iter().find_map(|pulse| pulse.stop.clone()) {
                return FaultEnd::Told { cause };
            }
            if !pulses.is_empty() {
                answered = Instant::now();
            }
            if answered.elapsed() > SILENCE_MAX {
                return FaultEnd::Silence;
            }
            tokio::time::sleep(EVERY).await;
        }
    }
}
