//! Strategies for commands about notices, mails and bug reports.

use docklet_control::id::{BugId, LogIndex, MailId, MasterId, NoticeId, UserId};
use docklet_control::model::MailServer;
use docklet_control::model::mail::{MailSecret, MailTls};
use docklet_control::model::notice::{MailWish, Severity};
use docklet_control::notice::bug::BugCommand;
use docklet_control::notice::command::{Audience, NewNotice, NoticeCommand};
use docklet_control::notice::mail::MailCommand;
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::{group, number, text};

/// A command and who asks for it: mostly whoever may.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 2, 2, 3, 4, 5]).prop_map(|id| Actor::User(UserId(id)));
    let admin = select(vec![1, 1, 1, 2]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        6 => (user, of_people()),
        2 => (admin, of_admins()),
        4 => (Just(Actor::Door(MasterId(1))), of_senders()),
        1 => (Just(Actor::Duty), of_duties()),
    ]
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![of_people(), of_admins(), of_senders(), of_duties()].boxed()
}

/// Commands name what is there, most of the time.
pub fn aim(command: &mut Command, state: &State) {
    let Command::Notice(command) = command else {
        return;
    };
    let newest = |id: NoticeId, back: u64| {
        let back = usize::try_from(back).unwrap_or(0);
        let known = state.notices.keys().rev().nth(back);
        known.copied().unwrap_or(id)
    };
    match command {
        NoticeCommand::Withdraw { notice } | NoticeCommand::ReadAll { upto: notice } => {
            *notice = newest(*notice, notice.entry.0);
        }
        NoticeCommand::Read { notices } => {
            for notice in notices {
                *notice = newest(*notice, notice.entry.0);
            }
        }
        NoticeCommand::Bug(BugCommand::Answer { bug, .. } | BugCommand::Forget { bug }) => {
            if let Some(known) = state.bugs.keys().next_back() {
                *bug = *known;
            }
        }
        NoticeCommand::Mail(command) => aim_mail(command, state),
        NoticeCommand::Announce(_)
        | NoticeCommand::SetWish { .. }
        | NoticeCommand::ForgetOld
        | NoticeCommand::Bug(BugCommand::Report { .. }) => {}
    }
}

/// Attempts are given as how far they are from the one that is due.
fn aim_mail(command: &mut MailCommand, state: &State) {
    let first = state.mails.values().next();
    let (mail, attempt) = match command {
        MailCommand::Resend { mail } => (mail, None),
        MailCommand::Begin { mail, attempt, .. }
        | MailCommand::Sent { mail, attempt, .. }
        | MailCommand::Failed { mail, attempt, .. }
        | MailCommand::Doubt { mail, attempt, .. } => (mail, Some(attempt)),
        MailCommand::SetServer { .. } | MailCommand::Test | MailCommand::DoubtSilent => return,
    };
    if let Some(known) = first {
        *mail = known.id;
        if let Some(attempt) = attempt {
            *attempt = known.tries.saturating_add(*attempt);
        }
    }
}

fn of_people() -> BoxedStrategy<Command> {
    let title = || prop_oneof![4 => Just("news".to_owned()), 1 => text()];
    let link = select(vec![
        "",
        "/vclusters",
        "//evil.example",
        "https://evil.example",
    ]);
    let ttl_ms = prop::option::of(number());
    let severity = select(vec![Severity::Info, Severity::Warning]);
    let new = (
        audience(),
        severity,
        title(),
        text(),
        link,
        ttl_ms,
        any::<bool>(),
    );
    let new = new.prop_map(
        |(to, severity, title, body, link, ttl_ms, mail)| NewNotice {
            to,
            severity,
            title,
            body,
            link: link.to_owned(),
            ttl_ms,
            mail,
        },
    );
    prop_oneof![
        5 => new.prop_map(NoticeCommand::Announce),
        2 => id().prop_map(|notice| NoticeCommand::Withdraw { notice }),
        3 => prop::collection::vec(id(), 0..4).prop_map(|notices| NoticeCommand::Read { notices }),
        2 => id().prop_map(|upto| NoticeCommand::ReadAll { upto }),
        2 => select(MailWish::ALL.to_vec()).prop_map(|wish| NoticeCommand::SetWish { wish }),
        2 => text().prop_map(|text| NoticeCommand::Bug(BugCommand::Report { text })),
    ]
    .prop_map(Command::Notice)
    .boxed()
}

fn of_admins() -> BoxedStrategy<Command> {
    let answer = (prop::option::of(text()), any::<bool>());
    let answer = answer.prop_map(|(text, close)| BugCommand::Answer {
        bug: BugId(77),
        text,
        close,
    });
    prop_oneof![
        3 => prop::option::of(server())
            .prop_map(|server| NoticeCommand::Mail(MailCommand::SetServer { server })),
        1 => Just(NoticeCommand::Mail(MailCommand::Test)),
        1 => mail().prop_map(|mail| NoticeCommand::Mail(MailCommand::Resend { mail })),
        2 => answer.prop_map(NoticeCommand::Bug),
        1 => Just(NoticeCommand::Bug(BugCommand::Forget { bug: BugId(77) })),
    ]
    .prop_map(Command::Notice)
    .boxed()
}

/// What the doors of masters say, of which another may lead by now.
fn of_senders() -> BoxedStrategy<Command> {
    let tried = || (mail(), 0..3_u32, select(vec![1, 1, 8]).prop_map(MasterId));
    prop_oneof![
        4 => tried().prop_map(|(mail, attempt, master)| MailCommand::Begin { mail, attempt, master }),
        2 => tried().prop_map(|(mail, attempt, master)| MailCommand::Sent { mail, attempt, master }),
        2 => (tried(), any::<bool>(), text()).prop_map(
            |((mail, attempt, master), permanent, cause)| MailCommand::Failed {
                mail, attempt, master, permanent, cause,
            }
        ),
        1 => (tried(), text()).prop_map(|((mail, attempt, master), cause)| MailCommand::Doubt {
            mail, attempt, master, cause,
        }),
    ]
    .prop_map(|command| Command::Notice(NoticeCommand::Mail(command)))
    .boxed()
}

fn of_duties() -> BoxedStrategy<Command> {
    let doubt = NoticeCommand::Mail(MailCommand::DoubtSilent);
    prop_oneof![Just(NoticeCommand::ForgetOld), Just(doubt)]
        .prop_map(Command::Notice)
        .boxed()
}

fn audience() -> impl Strategy<Value = Audience> {
    prop_oneof![
        2 => group::person().prop_map(Audience::User),
        3 => group::name().prop_map(Audience::Group),
        2 => Just(Audience::All),
    ]
}

/// How far from the newest.
fn id() -> impl Strategy<Value = NoticeId> {
    (0..4_u64).prop_map(|entry| NoticeId {
        entry: LogIndex(entry),
        part: 0,
    })
}

fn mail() -> impl Strategy<Value = MailId> {
    Just(MailId {
        entry: LogIndex(77),
        part: 0,
    })
}

fn server() -> impl Strategy<Value = MailServer> {
    let host = select(vec![
        "mail.example.org",
        "127.0.0.1",
        "::1",
        "localhost",
        "",
        "a b",
    ]);
    let tls = select(vec![MailTls::Tls, MailTls::Starttls, MailTls::None]);
    let from = select(vec![
        "docklet@example.org",
        "docklet@example.org",
        "docklet",
    ]);
    let secret = select(vec!["", "canary of the mail server"]);
    (host, tls, from, secret).prop_map(|(host, tls, from, secret)| MailServer {
        host: host.to_owned(),
        port: 587,
        tls,
        user: "docklet".to_owned(),
        secret: MailSecret(secret.to_owned()),
        from: from.to_owned(),
        authorities: String::new(),
        portal: String::new(),
    })
}
