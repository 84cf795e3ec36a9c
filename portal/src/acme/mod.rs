//! Gets the cluster public certificates by ACME (docs/adr/0040-public-certificates.md). The master that leads takes each
//! step; how far it has come is in the log, so that whoever leads next goes on there. Every master follows the log: it
//! answers challenges and uses what was issued.

mod follow;
mod http;
mod order;

use std::time::Duration;

use docklet_control::Command;
use docklet_control::acme::command::AcmeCommand;
use docklet_control::model::Acme;
use docklet_control::model::acme::Sealed;
use docklet_link::authority::Deriver;

use crate::asker::now;
use crate::login::propose;
use crate::serve::Portal;
use order::Unmade;

pub(crate) use follow::run as follow;

/// Looks for what time alone makes due.
const TICK: Duration = Duration::from_secs(1);
/// All steps of one try together may take so long.
const TRY_DEADLINE: Duration = Duration::from_secs(180);

/// What seals and opens keys in the log.
#[derive(Clone)]
pub(crate) struct Seal(Deriver);

impl Seal {
    const PURPOSE: &str = "acme";

    pub(crate) fn new(secrets: Deriver) -> Self {
        Self(secrets)
    }

    pub(crate) fn close(&self, plain: &[u8]) -> Sealed {
        Sealed(self.0.seal(Self::PURPOSE, plain))
    }

    fn open(&self, sealed: &Sealed) -> Option<Vec<u8>> {
        self.0.unseal(Self::PURPOSE, &sealed.0)
    }
}

/// Orders until dropped.
pub(crate) async fn run(portal: Portal) {
    let mut states = portal.master.watch();
    loop {
        let state = portal.master.local().state;
        if portal.master.is_leader()
            && let Some(acme) = state.acme.as_ref().filter(|acme| acme.due_at() <= now())
        {
            step(&portal, acme).await;
        }
        let changed = states.changed();
        if let Ok(Err(_)) = tokio::time::timeout(TICK, changed).await {
            return;
        }
    }
}

/// Goes on until the certificate is there or it is known why not.
async fn step(portal: &Portal, acme: &Acme) {
    let made = tokio::time::timeout(TRY_DEADLINE, order::advance(portal, acme)).await;
    let made = made.unwrap_or_else(|_| {
        Err(Unmade::later(format!(
            "it was not done within {} s",
            TRY_DEADLINE.as_secs()
        )))
    });
    let Err(unmade) = made else { return };
    if !portal.master.is_leader() {
        return;
    }
    tracing::warn!(cause = unmade.cause, "no public certificate by ACME yet");
    // The order may have been begun in this very step.
    let state = portal.master.local().state;
    let order = state.acme.as_ref().and_then(|acme| acme.order.as_ref());
    let fail = AcmeCommand::Fail {
        setting: acme.number,
        order: order.map(|order| order.number),
        cause: unmade.cause,
        pause_ms: unmade.pause_ms,
        keep: unmade.keep,
    };
    say(portal, fail).await;
}

/// Whether it is in the log. What is not is said again with the next step, as nothing has changed.
async fn say(portal: &Portal, command: AcmeCommand) -> bool {
    let name = command.name();
    match propose(portal, Command::Acme(command)).await {
        Ok(_) => true,
        Err(problem) => {
            tracing::info!(name, problem = %problem.detail, "a step towards a certificate is not noted");
            tokio::time::sleep(TICK).await;
            false
        }
    }
}
