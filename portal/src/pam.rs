//! Passwords that the masters' own PAM knows. Its modules are others' code, and may hang, fork or fall over: each is asked in a
//! process of its own, which ends in time, and few at once.

use std::net::IpAddr;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use axum::http::StatusCode;
use docklet_control::name::Name;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Semaphore;

use crate::places::Places;
use crate::problem::Problem;
use crate::serve::Portal;

/// Processes at once, and those that are there or wait; modules that slow guessing down are slow by design.
static TURNS: Semaphore = Semaphore::const_new(8);
static WAITING: LazyLock<Places> = LazyLock::new(|| Places::new(60, 16));
/// PAM's own delays are about two seconds.
const DEADLINE: Duration = Duration::from_secs(10);
/// As passwords of this cluster have it.
const PASSWORD_LEN_MAX: usize = 1_024;

/// What the process is told, on its standard input.
#[derive(Serialize, Deserialize)]
pub struct PamQuestion {
    pub service: String,
    pub user: String,
    pub password: String,
    /// Where whoever gives it comes from.
    pub from: String,
}

/// What it says, on its standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PamAnswer {
    /// It is the password, and the account may be used.
    Right,
    /// It is not, or nobody is called so.
    Wrong,
    /// It is the password of an account that is over, locked, or must have another password first.
    Refused,
    /// There is no such service on this machine.
    NoService,
    /// PAM is not there, or cannot say.
    Failed,
}

/// How this program is called to ask.
pub const PAM_HELPER: &str = "pam-helper";

/// Whether it is the password of that person of this machine.
pub(crate) async fn check(
    portal: &Portal,
    service: &str,
    user: &Name,
    password: String,
    client: IpAddr,
) -> Result<bool, Problem> {
    // None at all, one with a NUL, which would end early, or an endless one is nobody's.
    if password.is_empty() || password.len() > PASSWORD_LEN_MAX || password.contains('\0') {
        return Ok(false);
    }
    let place = WAITING.take(client);
    let _place = place.ok_or_else(Problem::logins_under_way)?;
    // It is never closed.
    let turn = TURNS.acquire().await;
    let _turn = turn.map_err(|_| Problem::logins_under_way())?;
    let question = PamQuestion {
        service: service.to_owned(),
        user: user.to_string(),
        password,
        from: client.to_canonical().to_string(),
    };
    let asked = tokio::time::timeout(DEADLINE, ask(portal, &question)).await;
    let answer = match asked {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => {
            tracing::warn!(%error, "PAM could not be asked");
            PamAnswer::Failed
        }
        Err(_) => {
            tracing::warn!(%user, "PAM did not answer in time");
            PamAnswer::Failed
        }
    };
    match answer {
        PamAnswer::Right => Ok(true),
        PamAnswer::Wrong => Ok(false),
        PamAnswer::Refused => Err(refused()),
        PamAnswer::NoService | PamAnswer::Failed => Err(failed(&portal.name)),
    }
}

/// The process ends with this function, whatever its modules do.
async fn ask(portal: &Portal, question: &PamQuestion) -> std::io::Result<PamAnswer> {
    let mut helper = Command::new(portal.program.as_ref())
        .arg(PAM_HELPER)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let text = serde_json::to_vec(question)?;
    if let Some(mut input) = helper.stdin.take() {
        input.write_all(&text).await?;
        input.shutdown().await?;
    }
    let output = helper.wait_with_output().await?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn refused() -> Problem {
    Problem {
        status: StatusCode::FORBIDDEN,
        code: "pam_account_refused",
        detail: "the masters' machines know this password, and do not let the account in: it is over or locked, or its password must be changed there first; ask who looks after the machines".to_owned(),
    }
}

fn failed(master: &str) -> Problem {
    Problem {
        status: StatusCode::SERVICE_UNAVAILABLE,
        code: "pam_failed",
        detail: format!(
            "PAM of master {master} could not say whether the password is right: try again, or another master; an admin looks at its log and at the service's file below /etc/pam.d"
        ),
    }
}
