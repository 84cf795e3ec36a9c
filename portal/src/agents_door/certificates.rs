//! An agent's next certificate: asked for on its own connection, accepted by the log, signed here.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use docklet_control::certificate::command::CertificateCommand;
use docklet_control::certificate::refusal::CertificateRefusal;
use docklet_control::id::{Digest, LogIndex, RequestId, UnixMs, WorkerId};
use docklet_control::model::WorkerCertificate;
use docklet_control::model::certificate::HeldCertificate;
use docklet_control::{Actor, Command, Refusal, State};
use docklet_link::Proof;
use docklet_link::authority::{Authority, Request, Statement};
use docklet_raft::{Master, ProposeFault};
use sha2::{Digest as _, Sha256};

/// An agent that has heard nothing for so long asks again.
const DEADLINE: Duration = Duration::from_secs(10);

type Certifying = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// One agent's.
pub(super) struct Certificates {
    master: Master,
    /// By which it proved who it is: the request says nothing of that.
    proof: Proof,
    authority: Authority,
    /// One at a time.
    under_way: Option<Certifying>,
    /// Whether what it has shown is told to the log.
    reported: bool,
}

impl Certificates {
    pub(super) fn new(master: Master, proof: Proof, authority: Authority) -> Self {
        Self {
            master,
            proof,
            authority,
            under_way: None,
            reported: false,
        }
    }

    /// Begins, unless another request of this agent is under way: then that is answered.
    pub(super) fn ask(&mut self, csr_pem: &str) {
        if self.under_way.is_some() {
            return;
        }
        // The next one comes after what was read of this is gone.
        self.under_way = Some(match Request::read(csr_pem) {
            Ok(request) => Box::pin(certify(
                self.master.clone(),
                self.proof,
                self.authority.clone(),
                request,
            )),
            Err(fault) => Box::pin(std::future::ready(Err(format!(
                "the signing request is not sound ({fault})"
            )))),
        });
    }

    /// The answer to what was asked; waits for ever if nothing was. Safe to cancel.
    pub(super) async fn done(&mut self) -> Result<String, String> {
        let Some(under_way) = self.under_way.as_mut() else {
            return std::future::pending().await;
        };
        let answer = under_way.await;
        self.under_way = None;
        answer
    }

    /// What the log does not know yet of the certificate that was shown: once, and when all masters know of such reports.
    pub(super) fn report(&mut self) -> Option<Command> {
        if self.reported {
            return None;
        }
        let report = report(&self.master.local().state, &self.proof);
        self.reported = report.is_some();
        report
    }

    /// Why this agent's certificate is refused, if it is.
    pub(super) fn refused(&self) -> Option<Refusal> {
        refused(&self.master.local().state, &self.proof)
    }
}

fn refused(state: &State, proof: &Proof) -> Option<Refusal> {
    let worker = WorkerId(proof.identity.id);
    let revoked = state.is_revoked(worker, LogIndex(proof.number));
    let worker = state.worker_called(worker);
    revoked.then(|| CertificateRefusal::Revoked { worker }.into())
}

/// What the log does not know yet of the certificate that a worker has shown.
fn report(state: &State, proof: &Proof) -> Option<Command> {
    let worker = WorkerId(proof.identity.id);
    let shown = HeldCertificate {
        number: LogIndex(proof.number),
        issued_at: UnixMs(proof.issued_ms()),
        ends_at: UnixMs(proof.ends_ms),
    };
    let known = state.certificate_of(worker).held;
    let is_news = known.is_none_or(|known| shown.follows(&known));
    if state.version() < WorkerCertificate::SINCE || !is_news {
        return None;
    }
    Some(Command::Certificate(CertificateCommand::Report {
        worker,
        number: shown.number,
        issued_at: shown.issued_at,
        ends_at: shown.ends_at,
    }))
}

async fn certify(
    master: Master,
    proof: Proof,
    authority: Authority,
    request: Request,
) -> Result<String, String> {
    let worker = WorkerId(proof.identity.id);
    let (_, ends_ms) = authority.span(master.now().0);
    let command = CertificateCommand::Issue {
        worker,
        held: LogIndex(proof.number),
        key: Digest(request.key_hash()),
        ends_at: UnixMs(ends_ms),
    };
    let id = request_of(worker, &request);
    let proposed = master.propose(
        Actor::Door(master.id()),
        id,
        Command::Certificate(command),
        DEADLINE,
    );
    let receipt = match proposed.await {
        Ok(receipt) => receipt,
        Err(ProposeFault::Refused(refusal)) => return Err(refusal.to_string()),
        Err(fault @ ProposeFault::Unknown(_)) => return Err(fault.to_string()),
    };
    let applied = master.wait_applied(receipt.index, DEADLINE).await;
    let state = applied.map_err(|fault| fault.to_string())?.state;
    // Whoever asks with another key meanwhile gets that one, and this one nobody.
    let held = state.certificate_of(worker).held;
    let held = held.filter(|held| held.number == receipt.index);
    let held = held.ok_or("another certificate was issued since: ask with a new key")?;
    let (begins_ms, _) = authority.span(held.issued_at.0);
    let statement = Statement {
        identity: proof.identity,
        number: held.number.0,
        begins_ms,
        ends_ms: held.ends_at.0,
    };
    let signed = authority.state(request, statement);
    let signed = signed.map_err(|fault| fault.to_string())?;
    tracing::info!(%worker, number = held.number.0, "certificate issued");
    Ok(signed)
}

/// Asked again with the same key, as the answer was lost, it is the same request.
fn request_of(worker: WorkerId, request: &Request) -> RequestId {
    let mut hasher = Sha256::new();
    hasher.update(b"docklet certificate ");
    hasher.update(worker.0.to_be_bytes());
    hasher.update(request.key_hash());
    let digest: [u8; 32] = hasher.finalize().into();
    RequestId(u128::from_be_bytes(std::array::from_fn(|byte| {
        digest[byte]
    })))
}
