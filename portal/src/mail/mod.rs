//! Sends the mails that wait in the state, on the master that leads: one after the other. What becomes of each is an entry, and
//! so is that its text is about to be ended (docs/adr/0029-notices.md).

mod smtp;

use std::time::{Duration, Instant};

use docklet_control::Command;
use docklet_control::id::{MailId, MasterId};
use docklet_control::model::{Mail, MailServer};
use docklet_control::notice::command::NoticeCommand;
use docklet_control::notice::letter;
use docklet_control::notice::mail::MailCommand;

use crate::asker::now;
use crate::login::propose;
use crate::problem::Problem;
use crate::serve::Portal;
use smtp::{Conversation, Unsent};

/// Looks for what time alone makes due.
const TICK: Duration = Duration::from_secs(1);
/// What is not known to be in the log is said again after this.
const SAY_AGAIN: Duration = Duration::from_secs(3);
/// A server that is unwell is left alone for so long, twice as long each time.
const PAUSES: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// How a server was when it was last asked.
#[derive(Default)]
struct Health {
    server: Option<MailServer>,
    failures: usize,
    rests_until: Option<Instant>,
}

/// Sends until dropped.
pub(crate) async fn run(portal: Portal) {
    let mut states = portal.master.watch();
    let mut health = Health::default();
    loop {
        doubt_own(&portal).await;
        while portal.master.is_leader() && send_next(&portal, &mut health).await {}
        let changed = states.changed();
        if let Ok(Err(_)) = tokio::time::timeout(TICK, changed).await {
            return;
        }
    }
}

/// Mails that this master has begun before it was stopped: what the server said of them nobody heard.
async fn doubt_own(portal: &Portal) {
    let (state, master) = (portal.master.local().state, portal.master.id());
    let begun: Vec<Mail> = state.mails_begun_by(master).cloned().collect();
    for mail in begun {
        let doubt = MailCommand::Doubt {
            mail: mail.id,
            attempt: mail.tries,
            master,
            cause: "the master that sent it was stopped before it knew what came of it".to_owned(),
        };
        say(portal, doubt).await;
    }
}

/// Whether there may be another.
async fn send_next(portal: &Portal, health: &mut Health) -> bool {
    let state = portal.master.local().state;
    let Some(server) = state.mail_server.as_ref() else {
        return false;
    };
    if health.rests(server) {
        return false;
    }
    let next = state.mails_due(now()).next();
    let Some((mail, letter)) =
        next.and_then(|mail| Some((mail, letter::write(&state, server, mail)?)))
    else {
        return false;
    };
    let attempt = Attempt {
        mail: mail.id,
        attempt: mail.tries.saturating_add(1),
        master: portal.master.id(),
    };
    let ready = match Conversation::begin(server, &letter).await {
        Ok(ready) => ready,
        Err(unsent) => {
            health.note(Some(&unsent));
            say(portal, attempt.failed(unsent)).await;
            return true;
        }
    };
    if let Err(problem) = propose(portal, command(attempt.begin())).await {
        // The text is not ended, so the server drops it.
        drop(ready);
        tracing::info!(mail = %attempt.mail, problem = %problem.detail, "a mail is not sent now");
        if !is_answer(&problem) {
            let cause = "no quorum of masters said that it may be sent".to_owned();
            say(portal, attempt.failed(Unsent::Server { cause })).await;
        }
        return false;
    }
    let sent = ready.end().await;
    health.note(sent.as_ref().err());
    let outcome = match sent {
        Ok(()) => attempt.sent(),
        Err(unsent) => attempt.failed(unsent),
    };
    say(portal, outcome).await;
    true
}

/// One try of one mail by this master.
#[derive(Clone, Copy)]
struct Attempt {
    mail: MailId,
    attempt: u32,
    master: MasterId,
}

impl Attempt {
    fn begin(self) -> MailCommand {
        let Self {
            mail,
            attempt,
            master,
        } = self;
        MailCommand::Begin {
            mail,
            attempt,
            master,
        }
    }

    fn sent(self) -> MailCommand {
        let Self {
            mail,
            attempt,
            master,
        } = self;
        MailCommand::Sent {
            mail,
            attempt,
            master,
        }
    }

    fn failed(self, unsent: Unsent) -> MailCommand {
        let Self {
            mail,
            attempt,
            master,
        } = self;
        let (permanent, cause) = match unsent {
            Unsent::Unknown { cause } => {
                return MailCommand::Doubt {
                    mail,
                    attempt,
                    master,
                    cause,
                };
            }
            Unsent::Mail { permanent, cause } => (permanent, cause),
            Unsent::Server { cause } => (false, cause),
        };
        MailCommand::Failed {
            mail,
            attempt,
            master,
            permanent,
            cause,
        }
    }
}

fn command(command: MailCommand) -> Command {
    Command::Notice(NoticeCommand::Mail(command))
}

/// Whether it was decided: then asking again brings the same.
fn is_answer(problem: &Problem) -> bool {
    problem.status.is_client_error()
}

/// Until it is in the log: nothing else is sent meanwhile, as nothing could be begun either.
async fn say(portal: &Portal, outcome: MailCommand) {
    loop {
        match propose(portal, command(outcome.clone())).await {
            Ok(_) => return,
            Err(problem) if is_answer(&problem) => {
                tracing::warn!(problem = %problem.detail, "what became of a mail is not noted");
                return;
            }
            Err(problem) => {
                tracing::debug!(problem = %problem.detail, "what became of a mail is not noted yet");
                tokio::time::sleep(SAY_AGAIN).await;
            }
        }
    }
}

impl Health {
    /// Another server is asked at once.
    fn rests(&mut self, server: &MailServer) -> bool {
        if self.server.as_ref() != Some(server) {
            *self = Self {
                server: Some(server.clone()),
                ..Self::default()
            };
        }
        self.rests_until.is_some_and(|until| Instant::now() < until)
    }

    fn note(&mut self, unsent: Option<&Unsent>) {
        if !matches!(unsent, Some(Unsent::Server { .. })) {
            (self.failures, self.rests_until) = (0, None);
            return;
        }
        let [.., longest] = PAUSES;
        let pause = PAUSES.get(self.failures).copied().unwrap_or(longest);
        self.failures += 1;
        self.rests_until = Some(Instant::now() + pause);
    }
}
