//! Masters: listing them as their leader sees them, removing, replacing, draining, choosing who leads.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use docklet_control::id::{MasterId, UnixMs};
use docklet_control::model::{Autopilot, Master, Receipt};
use docklet_control::view::{GroupView, MasterRole, MasterView};
use docklet_raft::RaftStatus;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connection::Connection;
use super::output::{Rows, instant, line, print, print_data, remark};
use crate::cli::{Print, Wait};
use crate::exit::{Class, Failure};

/// While waiting, look this often.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Answer of `/masters`.
#[derive(Serialize, Deserialize)]
pub struct Masters {
    pub masters: Vec<Master>,
    pub raft: RaftStatus,
    pub group: GroupView,
}

// A master of the command line.
#[derive(Args)]
pub struct Act {
    /// Its name or id
    master: String,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
pub struct Remove {
    #[command(flatten)]
    act: Act,
    /// Remove it even if that leaves no room for another failure, or is known to cost the quorum for now
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Args)]
pub struct Replace {
    #[command(flatten)]
    act: Act,
    /// Seconds within which the new master must join
    #[arg(long, default_value_t = 3_600)]
    ttl_s: u64,
    #[command(flatten)]
    wait: Wait,
}

#[derive(Args)]
pub struct AutopilotCommand {
    /// Milliseconds after which a silent master counts as out of reach
    #[arg(long)]
    contact_ms: Option<u64>,
    /// Entries that a learner may lack and still be ready to vote
    #[arg(long)]
    lag_entries: Option<u64>,
    /// Milliseconds for which a learner must have kept up before it votes
    #[arg(long)]
    steady_ms: Option<u64>,
    /// Seconds after which a silent voter gives way to a learner that waits
    #[arg(long, conflicts_with = "keep_dead")]
    dead_after_s: Option<u64>,
    /// Never remove a silent voter
    #[arg(long)]
    keep_dead: bool,
    #[command(flatten)]
    print: Print,
}

pub async fn list(format: Print) -> anyhow::Result<ExitCode> {
    let masters: Masters = Connection::open()?.get("/masters").await?;
    masters
        .group
        .warnings
        .iter()
        .for_each(|warning| remark(&format!("Warning: {warning}")));
    print(format.format, &masters, |all| {
        let mut rows = Rows::new(&[
            "id",
            "name",
            "role",
            "lag",
            "last contact",
            "state",
            "version",
            "knows",
            "certificate until",
            "cluster address",
            "public address",
        ]);
        for master in &all.group.masters {
            rows.add(row(master));
        }
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

fn row(master: &MasterView) -> [String; 11] {
    let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let leads = master.role == MasterRole::Leader;
    let contact = master.silent_ms.filter(|_| !leads).map(|ms| match ms {
        0..=999 => "now".to_owned(),
        ms => format!("{} s ago", ms / 1_000),
    });
    let state = master
        .state_agrees
        .map(|agrees| if agrees { "agrees" } else { "DIFFERS" });
    let role = match master.replaced_by {
        Some(new) => format!("{}, replaced by {new}", master.role.word()),
        None if master.to_be_replaced => format!("{}, to be replaced", master.role.word()),
        None => master.role.word().to_owned(),
    };
    [
        master.id.to_string(),
        master.name.clone(),
        role,
        known(master.lag.map(|lag| lag.to_string())),
        known(contact),
        known(state.map(str::to_owned)),
        known(master.version.clone()),
        master.knows.to_string(),
        known(master.certificate_expires_at.map(instant)),
        master.cluster_addr.clone(),
        master.public_addr.clone(),
    ]
}

/// Path of a master. What could mean another path is refused here; whether there is one, the masters say.
fn path(master: &str) -> anyhow::Result<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if master.is_empty() || !master.chars().all(plain) {
        let text = master.escape_debug();
        let message = format!(
            "\"{text}\" is no master: give its name or its id, as `docklet master list` shows them"
        );
        return Err(Failure::new(Class::Invalid, message).into());
    }
    Ok(format!("/masters/{master}"))
}

pub async fn remove(ask: Remove) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let path = format!("{}?force={}", path(&ask.act.master)?, ask.force);
    let found = find(&connection, &ask.act.master).await?;
    let receipt = connection
        .receipt(Method::DELETE, &path, &Value::Null)
        .await?;
    if let Some(limit) = ask.wait.limit() {
        let gone = |group: &Masters| {
            let member = group
                .raft
                .members
                .iter()
                .any(|member| member.id == found.id);
            !member
                && group
                    .group
                    .masters
                    .iter()
                    .all(|master| master.id != found.id)
        };
        wait_for(&connection, limit, "gone", gone).await?;
    }
    print(ask.act.print.format, &receipt, |receipt| {
        told(
            receipt,
            &format!("Master {} ({}) is removed for ever.", found.name, found.id),
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn find(connection: &Connection, text: &str) -> anyhow::Result<MasterView> {
    let all: Masters = connection.get("/masters").await?;
    let named = |master: &&MasterView| master.name == text;
    let numbered = |master: &&MasterView| Ok(master.id) == text.parse::<MasterId>();
    let masters = &all.group.masters;
    let found = masters.iter().filter(named).max_by_key(|master| master.id);
    let found = found.or_else(|| masters.iter().find(numbered));
    let missing = || {
        let message = format!("there is no master \"{text}\": see `docklet master list`");
        Failure::new(Class::NotFound, message)
    };
    Ok(found.cloned().ok_or_else(missing)?)
}

/// What `/masters/NAME/replace` answers.
#[derive(Serialize, Deserialize)]
struct Invitation {
    token: String,
    expires_at: UnixMs,
    receipt: Receipt,
}

pub async fn replace(ask: Replace) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let path = format!("{}/replace", path(&ask.act.master)?);
    let old = find(&connection, &ask.act.master).await?;
    let body = json!({"ttl_s": ask.ttl_s});
    let invitation: Invitation = connection.change(Method::POST, &path, &body).await?;
    connection.saw(invitation.receipt.index);
    let is_data = print_data(ask.act.print.format, &invitation, |invitation| {
        let mut rows = Rows::new(&["token", "until"]);
        rows.add([invitation.token.clone(), instant(invitation.expires_at)]);
        rows
    })?;
    if !is_data {
        remark(&format!(
            "Run this on the machine that takes the place of {} ({}) until {}, with its own addresses; it may have the same name:",
            old.name,
            old.id,
            instant(invitation.expires_at)
        ));
        line(&format!(
            "docklet master join {} --name {} --dir DIR --cluster-addr {} --public-addr {}",
            invitation.token, old.name, old.cluster_addr, old.public_addr
        ));
        remark("When it has caught up, one step gives it the vote and removes the old one.");
    }
    if let Some(limit) = ask.wait.limit() {
        let gone = |group: &Masters| group.group.masters.iter().all(|master| master.id != old.id);
        wait_for(&connection, limit, "replaced", gone).await?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn wait_for(
    connection: &Connection,
    limit: Duration,
    what: &str,
    holds: impl Fn(&Masters) -> bool,
) -> anyhow::Result<()> {
    let looking = async {
        loop {
            let now: Masters = connection.get("/masters").await?;
            if holds(&now) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(looked) => looked,
        Err(_) => {
            let text = format!(
                "the master is not {what} after {} s; what was asked for stands: see `docklet master list`",
                limit.as_secs()
            );
            Err(Failure::new(Class::Timeout, text).into())
        }
    }
}

pub async fn drain(act: Act) -> anyhow::Result<ExitCode> {
    ask(
        act,
        "drain",
        "can be stopped: it does not lead, and a quorum is there without it",
    )
    .await
}

pub async fn transfer(act: Act) -> anyhow::Result<ExitCode> {
    ask(act, "transfer", "leads").await
}

async fn ask(act: Act, verb: &str, done: &str) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let path = format!("{}/{verb}", path(&act.master)?);
    let answer: Value = connection.change(Method::POST, &path, &Value::Null).await?;
    print(act.print.format, &answer, |answer| {
        let leader = answer["leader"].as_str().unwrap_or("nobody yet").to_owned();
        let mut rows = Rows::new(&["master", "now", "leader"]);
        rows.add([act.master.clone(), done.to_owned(), leader]);
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

pub async fn autopilot(command: AutopilotCommand) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let before: Masters = connection.get("/masters").await?;
    let before = before.group.autopilot;
    let dead_after_ms = match command.dead_after_s {
        Some(seconds) => Some(seconds.saturating_mul(1_000)),
        None if command.keep_dead => None,
        None => before.dead_after_ms,
    };
    let wanted = Autopilot {
        contact_ms: command.contact_ms.unwrap_or(before.contact_ms),
        lag_entries: command.lag_entries.unwrap_or(before.lag_entries),
        steady_ms: command.steady_ms.unwrap_or(before.steady_ms),
        dead_after_ms,
    };
    if wanted != before {
        connection
            .receipt(Method::PUT, "/masters/autopilot", &wanted)
            .await?;
    }
    print(command.print.format, &wanted, |policy| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        add(
            "a master is in reach if it answered within",
            format!("{} ms", policy.contact_ms),
        );
        add(
            "a learner has caught up if it lacks at most",
            format!("{} entries", policy.lag_entries),
        );
        add(
            "and votes if that has been so for",
            format!("{} ms", policy.steady_ms),
        );
        let dead = policy.dead_after_ms;
        add(
            "a silent voter gives way to a learner after",
            dead.map_or("never".to_owned(), |ms| format!("{} s", ms / 1_000)),
        );
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

fn told(receipt: &Receipt, text: &str) -> Rows {
    let mut rows = Rows::new(&["entry", "what"]);
    rows.add([receipt.index.to_string(), text.to_owned()]);
    rows
}
