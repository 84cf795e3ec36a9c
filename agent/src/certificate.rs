//! This worker's own certificate: the next one is asked for well before it ends, on the connection to whichever master, with
//! a key that was made here and stays here.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use docklet_control::agent_wire::FromAgent;
use docklet_link::authority::SigningRequest;
use docklet_link::{LinkFault, Own, Proof};

/// The clock may be set meanwhile: it is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The first pause after a request that came to nothing; each next one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// No pause is longer than this part of the certificate's life.
const PAUSES_A_LIFE: u32 = 30;
/// Workers spread what they ask over this part of the life, before two thirds of it have passed.
const SPREAD: u32 = 12;
/// So often at most it is told that the certificate ends.
const TELL_EVERY_MS: u64 = 3_600_000;

/// When to ask, and what was asked.
pub struct Renewal {
    own: Own,
    /// Kept until it is answered: asked again with it, it is the same request.
    asked: Option<SigningRequest>,
    failures: u32,
    not_before_ms: u64,
    told_ms: Option<u64>,
}

impl Renewal {
    #[must_use]
    pub fn new(own: Own) -> Self {
        Self {
            own,
            asked: None,
            failures: 0,
            not_before_ms: 0,
            told_ms: None,
        }
    }

    /// Waits until the next one is to be asked for. Safe to cancel.
    pub async fn due(&self) {
        loop {
            let Ok(proof) = self.own.proof() else {
                return std::future::pending().await;
            };
            let due_ms = due_ms(&proof).max(self.not_before_ms);
            let now_ms = now_ms();
            if now_ms >= due_ms {
                return;
            }
            let left = Duration::from_millis(due_ms - now_ms);
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }

    /// What to ask of a master. Nothing more is due until a pause is over.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub fn ask(&mut self) -> Result<FromAgent, LinkFault> {
        let proof = self.own.proof()?;
        let pause = pause(self.failures, proof.life());
        self.failures = self.failures.saturating_add(1);
        self.not_before_ms = now_ms().saturating_add(milliseconds(pause));
        let asked = match self.asked.take() {
            Some(asked) => asked,
            None => SigningRequest::new()?,
        };
        let csr_pem = asked.csr_pem.clone();
        self.asked = Some(asked);
        Ok(FromAgent::Certify { csr_pem })
    }

    /// Takes an answer. What is issued is used from the next connection on.
    pub async fn take(&mut self, answer: Result<String, String>) {
        let Some(asked) = self.asked.take() else {
            return;
        };
        let kept = match answer {
            Ok(pem) => {
                let own = self.own.clone();
                let keep = tokio::task::spawn_blocking(move || own.replace(&pem, &asked.key_pem));
                keep.await
                    .map_err(|error| error.to_string())
                    .and_then(|kept| kept.map_err(|fault| fault.to_string()))
            }
            Err(reason) => Err(reason),
        };
        match kept {
            Ok(()) => {
                self.failures = 0;
                self.told_ms = None;
                let until_ms = self.own.proof().map(|proof| proof.ends_ms);
                let until_ms = until_ms.unwrap_or_default();
                tracing::info!(until_ms, "this worker has its next certificate");
            }
            Err(reason) => {
                tracing::warn!(%reason, "no next certificate yet: the old one stays in use");
                self.tell();
            }
        }
    }

    /// Says in the log, now and then, that less than a third of the certificate's life is left, or nothing. Answers whether
    /// it has ended.
    pub fn tell(&mut self) -> bool {
        let Ok(proof) = self.own.proof() else {
            return false;
        };
        let (now_ms, life) = (now_ms(), milliseconds(proof.life()));
        let pause_ms = TELL_EVERY_MS.min(life / u64::from(PAUSES_A_LIFE));
        let ended = proof.ends_ms <= now_ms;
        let late = proof.due_ms(Duration::ZERO) <= now_ms;
        let told = |at: u64| now_ms < at.saturating_add(pause_ms);
        if !late || self.told_ms.is_some_and(told) {
            return ended;
        }
        self.told_ms = Some(now_ms);
        if ended {
            tracing::error!(
                ended_ms = proof.ends_ms,
                "this worker's certificate has ended, and masters refuse it; what runs here goes on. To let it in again, an \
                 admin runs `docklet worker readmit` with its name, and here the agent is stopped, `docklet agent join TOKEN \
                 --again` is run with the name, addresses and directory that it has, and the agent is started"
            );
        } else {
            tracing::warn!(
                ends_ms = proof.ends_ms,
                "less than a third of this worker's certificate is left: it is renewed as soon as a master answers"
            );
        }
        ended
    }
}

/// When this worker asks: before two thirds have passed, at a time of its own that follows from its name.
fn due_ms(proof: &Proof) -> u64 {
    let mut hasher = DefaultHasher::new();
    proof.identity.hash(&mut hasher);
    let part = u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX);
    let spread = f64::from(part) / f64::from(u32::MAX);
    proof.due_ms((proof.life() / SPREAD).mul_f64(spread))
}

fn pause(failures: u32, life: Duration) -> Duration {
    let longest = PAUSE_MAX.min(life / PAUSES_A_LIFE);
    let doubled = PAUSE_FIRST.saturating_mul(1 << failures.min(20));
    doubled.min(longest)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    milliseconds(since.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use docklet_link::{Authority, Credentials, Identity, PeerRole};

    const DAY_MS: u64 = 24 * 3_600_000;

    fn worker(id: u64) -> Identity {
        Identity {
            role: PeerRole::Agent,
            id,
            cluster: [3; 16],
        }
    }

    fn own(ca: &Authority, id: u64) -> Own {
        let signing = SigningRequest::new().expect("a key");
        let pem = ca.sign(&signing.csr_pem, worker(id)).expect("signed");
        let own = Credentials::of_pem(ca.certificate_pem(), &pem, &signing.key_pem);
        own.expect("sound").into()
    }

    #[test]
    fn workers_ask_one_after_the_other_before_two_thirds_have_passed() {
        let at = |id| {
            due_ms(&Proof {
                identity: worker(id),
                number: 0,
                begins_ms: 1_000 * DAY_MS - 300_000,
                ends_ms: 1_090 * DAY_MS,
            })
        };
        let mut all: Vec<u64> = (2..1_002).map(at).collect();
        assert_eq!(at(7), at(7));
        all.sort_unstable();
        assert!(all[0] >= 1_052 * DAY_MS && all[999] <= 1_060 * DAY_MS);
        let most = all.chunk_by(|a, b| b - a < 1_000).map(<[u64]>::len).max();
        assert!(most < Some(20), "{most:?} within a second of each other");
        assert!(all[999] - all[0] > 7 * DAY_MS, "spread over days");
    }

    #[test]
    fn pauses_grow_and_never_use_up_what_is_left() {
        let life = Duration::from_secs(90 * 24 * 3_600);
        let pauses: Vec<Duration> = (0..40).map(|failures| pause(failures, life)).collect();
        assert!(pauses.is_sorted() && pauses[0] == PAUSE_FIRST);
        assert_eq!(pauses[39], PAUSE_MAX);
        assert!(pause(39, Duration::from_secs(30)) <= PAUSE_FIRST);
    }

    #[tokio::test]
    async fn the_key_stays_until_it_is_answered_and_only_a_fitting_answer_counts() {
        let life = Duration::from_secs(1);
        let ca = Authority::create([3; 16])
            .expect("an authority")
            .lasting(life);
        let own = own(&ca, 5);
        let before = own.now();
        let mut renewal = Renewal::new(own.clone());
        let csr = |asked| match asked {
            Ok(FromAgent::Certify { csr_pem }) => csr_pem,
            other => panic!("{other:?}"),
        };
        let first = csr(renewal.ask());
        assert_eq!(csr(renewal.ask()), first, "the same request");
        let other = ca.sign(&first, worker(6)).expect("signed");
        renewal.take(Ok(other)).await;
        assert_eq!(own.now().certificate, before.certificate);
        let second = csr(renewal.ask());
        assert_ne!(second, first);
        renewal.take(Err("no".to_owned())).await;
        assert_eq!(own.now().certificate, before.certificate);
        let third = csr(renewal.ask());
        let next = ca.lasting(Duration::from_secs(600));
        let next = next.sign(&third, worker(5)).expect("signed");
        renewal.take(Ok(next.clone())).await;
        assert_ne!(own.now().certificate, before.certificate);
        // An answer that nobody waits for is of no matter.
        renewal.take(Ok(next)).await;
        let soon = tokio::time::timeout(Duration::from_millis(50), renewal.due()).await;
        assert!(soon.is_err(), "nothing is due");
        assert!(!renewal.tell());
    }

    #[test]
    fn it_is_told_when_it_has_ended() {
        let ca = Authority::create([3; 16]).expect("an authority");
        let mut renewal = Renewal::new(own(&ca.lasting(Duration::ZERO), 5));
        assert!(renewal.tell() && renewal.tell());
    }
}
