//! Certificates between masters and workers: when they end, for whoever looks after machines.

use docklet_control::State;
use docklet_control::id::UnixMs;
use docklet_control::view::certificate::{self, Ending};
use docklet_control::view::master::Observed;
use docklet_link::authority;
use serde::{Deserialize, Serialize};

use crate::serve::Portal;

const DAY_MS: u64 = 24 * 3_600_000;
/// A master issues itself the next one long before; where lives are short, this part of one.
const MASTER_LATE_MS: u64 = 14 * DAY_MS;
const MASTER_LATE_PART: u64 = 6;
/// A new authority takes some planning.
const AUTHORITY_LATE_MS: u64 = 365 * DAY_MS;

/// All of them, as far as this master knows.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ClusterCertificates {
    /// Of the cluster's own authority.
    pub authority_ends_at: Option<UnixMs>,
    pub masters: Vec<ProcessCertificate>,
    pub workers: Vec<ProcessCertificate>,
    /// What is not as it should be, with the next step.
    pub warnings: Vec<String>,
}

/// One process's.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProcessCertificate {
    pub name: String,
    /// The entry that issued it; none if none says so.
    pub number: Option<u64>,
    /// None while that is not known.
    pub ends_at: Option<UnixMs>,
}

/// What `observed` tells of masters, and the state of workers.
pub(crate) fn show(portal: &Portal, state: &State, observed: &Observed) -> ClusterCertificates {
    let authority_ends_at = authority::ends_ms(&portal.credentials.ca).map(UnixMs);
    let ends = |id| observed.facts.get(id)?.certificate_expires_at;
    let masters: Vec<ProcessCertificate> = state
        .masters
        .values()
        .map(|master| ProcessCertificate {
            name: master.name.to_string(),
            number: None,
            ends_at: ends(&master.id),
        })
        .collect();
    let workers = state.workers.values().map(|worker| {
        let held = state.certificate_of(worker.id).held;
        ProcessCertificate {
            name: worker.name.to_string(),
            number: held.map(|held| held.number.0).filter(|number| *number > 0),
            ends_at: held.map(|held| held.ends_at),
        }
    });
    let late_ms = master_late_ms(portal);
    let mut endings: Vec<Ending> = masters
        .iter()
        .filter_map(|master| Some(of_master(&master.name, master.ends_at?, late_ms)))
        .collect();
    endings.extend(authority_ends_at.map(of_authority));
    ClusterCertificates {
        authority_ends_at,
        workers: workers.collect(),
        warnings: certificate::warnings(state, &endings, portal.master.now()),
        masters,
    }
}

/// What is not as it should be as far as this master can tell without asking any other.
pub(crate) fn warnings_here(portal: &Portal, state: &State) -> Vec<String> {
    let own = portal.credentials.proof().ok();
    let own = own.map(|proof| {
        let ends_at = UnixMs(proof.ends_ms);
        of_master(&portal.name, ends_at, master_late_ms(portal))
    });
    let authority = authority::ends_ms(&portal.credentials.ca);
    let authority = authority.map(|ends_ms| of_authority(UnixMs(ends_ms)));
    let endings: Vec<Ending> = own.into_iter().chain(authority).collect();
    certificate::warnings(state, &endings, portal.master.now())
}

fn master_late_ms(portal: &Portal) -> u64 {
    let life = portal.credentials.proof().map(|proof| proof.life());
    let life_ms = u64::try_from(life.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
    MASTER_LATE_MS.min(life_ms / MASTER_LATE_PART)
}

fn of_master(name: &str, ends_at: UnixMs, late_ms: u64) -> Ending {
    Ending {
        of: format!("master \"{name}\""),
        ends_at,
        late_at: ends_at.minus_ms(late_ms),
        next: "look at its log, and at whether its directory can be written",
    }
}

fn of_authority(ends_at: UnixMs) -> Ending {
    Ending {
        of: "the cluster's own authority".to_owned(),
        ends_at,
        late_at: ends_at.minus_ms(AUTHORITY_LATE_MS),
        next: "masters and workers go on, but clients that check it do not: docs/tls.md says how the cluster gets another",
    }
}
