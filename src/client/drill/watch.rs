//! Watching a drill to its end. It needs none of this: whatever happens to this process, the masters end it.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use docklet_control::model::drill::{DrillStage, Verdict};
use docklet_control::view::DrillView;
use docklet_control::view::drill::duration;
use reqwest::{Method, RequestBuilder};
use tokio::task::JoinHandle;

use super::probe::Probing;
use super::{Connection, abort, show};
use crate::cli::Print;
use crate::client::output::remark;
use crate::exit::{Class, Failure};

/// How often the record is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A master that does not answer for so long is passed over.
const PATIENCE: Duration = Duration::from_secs(1);
/// If the record cannot be had for so long, watching ends.
const GIVE_UP: Duration = Duration::from_secs(120);

/// What is known while watching.
struct Watching {
    connection: Arc<Connection>,
    drill: u64,
    probing: Probing,
    prober: Option<JoinHandle<()>>,
    steps_told: usize,
}

/// Follows the drill, measures, and answers with the verdict.
pub async fn to_the_end(
    connection: Connection,
    drill: u64,
    print: Print,
) -> anyhow::Result<ExitCode> {
    let connection = Arc::new(connection);
    let probing = Probing::new(connection.clone(), drill);
    let mut watching = Watching {
        connection,
        drill,
        prober: Some(start(&probing)),
        probing,
        steps_told: 0,
    };
    let view = watching.until_ended().await?;
    show::one(print, &view)?;
    verdict(&view)
}

fn start(probing: &Probing) -> JoinHandle<()> {
    let probing = probing.clone();
    tokio::spawn(async move { probing.run().await })
}

impl Watching {
    async fn until_ended(&mut self) -> anyhow::Result<DrillView> {
        let mut interrupted = false;
        loop {
            tokio::select! {
                seen = self.look() => {
                    let view = seen?;
                    if view.verdict.is_some() {
                        return Ok(view);
                    }
                }
                pressed = tokio::signal::ctrl_c(), if !interrupted => {
                    pressed?;
                    interrupted = true;
                    self.interrupted();
                }
            }
        }
    }

    /// Asks for the end; the drill is watched until it has come.
    fn interrupted(&self) {
        remark("Aborting: the fault heals at once. Press Ctrl-C again to leave without waiting.");
        let (connection, drill) = (self.connection.clone(), self.drill);
        tokio::spawn(async move {
            if let Err(error) = abort(&connection, drill).await {
                remark(&format!("not aborted: {error:#}"));
            }
        });
        tokio::spawn(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                remark("Left. The drill ends by itself.");
                std::process::exit(i32::from(Class::Conflict as u8));
            }
        });
    }

    async fn look(&mut self) -> anyhow::Result<DrillView> {
        tokio::time::sleep(LOOK_EVERY).await;
        let view = self.view().await?;
        if view.begun_at.is_some() {
            let now_ms = self.probing.ms();
            self.probing.gauge().begin(now_ms);
        }
        self.tell(&view);
        if view.stage >= DrillStage::Checking
            && let Some(prober) = self.prober.take()
        {
            prober.abort();
            if view.stage == DrillStage::Checking
                && let Err(error) = self.probing.report().await
            {
                remark(&format!(
                    "what was measured here is not in the record: {error:#}"
                ));
            }
        }
        Ok(view)
    }

    /// The record, from whichever master has it.
    async fn view(&self) -> anyhow::Result<DrillView> {
        let path = format!("/drills/{}", self.drill);
        let began = tokio::time::Instant::now();
        let prepare = |request: RequestBuilder| request.timeout(PATIENCE);
        loop {
            let asked = self.connection.send(Method::GET, &path, prepare).await;
            match asked {
                Ok(response) => return Ok(response.json().await?),
                Err(error) if began.elapsed() > GIVE_UP => return Err(error),
                Err(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    fn tell(&mut self, view: &DrillView) {
        for step in view.steps.iter().skip(self.steps_told) {
            let after = duration(step.at.since_ms(view.announced_at));
            clear_line();
            remark(&format!("  +{after:<8} {}", step.text));
        }
        self.steps_told = self.steps_told.max(view.steps.len());
        let now_ms = self.probing.ms();
        let gauge = self.probing.gauge();
        let (sent, acked) = gauge.counts();
        live_line(&format!(
            "  {:<10} no write for {:>7}, longest {:>7}, {acked} of {sent} acknowledged",
            view.stage.word(),
            duration(gauge.gap_ms(now_ms)),
            duration(gauge.worst_gap_ms(now_ms)),
        ));
    }
}

/// A line that the next one replaces; for a person at a terminal only.
fn live_line(text: &str) {
    let mut output = std::io::stderr();
    if output.is_terminal() {
        // Progress that cannot be shown is no reason to stop watching.
        drop(write!(output, "\r\x1b[2K{text}").and_then(|()| output.flush()));
    }
}

fn clear_line() {
    live_line("");
}

fn verdict(view: &DrillView) -> anyhow::Result<ExitCode> {
    clear_line();
    let class = match view.verdict {
        Some(Verdict::Passed) => return Ok(ExitCode::SUCCESS),
        Some(Verdict::Aborted) => Class::Conflict,
        Some(Verdict::Failed) | None => Class::Fault,
    };
    let reasons = view.reasons.join("; ");
    let text = format!("drill {} is {}: {reasons}", view.id, show::state(view));
    Err(Failure::new(class, text).into())
}
