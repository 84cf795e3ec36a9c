//! Strategies for commands about workers' certificates.

use docklet_control::certificate::command::CertificateCommand;
use docklet_control::id::{LogIndex, MasterId, UnixMs, UserId};
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::{digest, number, secret, worker};

/// A command and who asks for it.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = select(vec![1, 1, 1, 2]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        3 => of_machines().prop_map(|command| {
            let actor = match &command {
                CertificateCommand::Report { worker, .. } => Actor::Worker(*worker),
                CertificateCommand::Issue { .. } | CertificateCommand::Readmit { .. } => {
                    Actor::Door(MasterId(1))
                }
            };
            (actor, Command::Certificate(command))
        }),
        2 => (user, of_operators().prop_map(Command::Certificate)),
    ]
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![of_machines(), of_operators()]
        .prop_map(Command::Certificate)
        .boxed()
}

fn of_machines() -> impl Strategy<Value = CertificateCommand> {
    let issue = (worker(), index(), digest(), time());
    let report = (worker(), index(), time(), time());
    prop_oneof![
        3 => issue.prop_map(|(worker, held, key, ends_at)| CertificateCommand::Issue {
            worker,
            held,
            key,
            ends_at,
        }),
        2 => report.prop_map(|(worker, number, issued_at, ends_at)| CertificateCommand::Report {
            worker,
            number,
            issued_at,
            ends_at,
        }),
    ]
}

fn of_operators() -> impl Strategy<Value = CertificateCommand> {
    (worker(), secret(), number(), any::<bool>()).prop_map(
        |(worker, secret_hash, ttl_ms, revoke)| CertificateCommand::Readmit {
            worker,
            secret_hash,
            ttl_ms,
            revoke,
        },
    )
}

/// Of entries that are likely to be about it.
fn index() -> impl Strategy<Value = LogIndex> {
    prop_oneof![9 => 0..60_u64, 1 => Just(u64::MAX)].prop_map(LogIndex)
}

fn time() -> impl Strategy<Value = UnixMs> {
    select(vec![0, 1, 20_000, 90_000, 1_000_000, 1 << 42, u64::MAX]).prop_map(UnixMs)
}
