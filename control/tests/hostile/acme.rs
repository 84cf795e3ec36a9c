//! Strategies for commands about certificates by ACME.

use docklet_control::acme::command::AcmeCommand;
use docklet_control::id::{LogIndex, MasterId, UnixMs, UserId};
use docklet_control::model::acme::{AcmeBinding, AcmeSetting, Sealed};
use docklet_control::{Actor, Command};
use proptest::prelude::*;
use proptest::sample::select;

use super::text;

/// A command and who asks for it.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let admin = select(vec![1, 1, 1, 2]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        2 => (admin, of_admins()),
        5 => (Just(Actor::Door(MasterId(1))), of_doors()),
    ]
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![of_admins(), of_doors()].boxed()
}

fn of_admins() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => setting().prop_map(|setting| AcmeCommand::Set { setting }),
        1 => Just(AcmeCommand::Off),
        2 => Just(AcmeCommand::Renew),
    ]
    .prop_map(Command::Acme)
}

fn of_doors() -> impl Strategy<Value = Command> {
    let begin = (number(), prop::option::of(sealed()), sealed());
    let challenges = prop::collection::vec((domain(), any::<[u8; 32]>()), 0..3);
    let order = prop::option::weighted(0.8, number());
    let fail = (number(), order, text(), any::<u64>(), any::<bool>());
    prop_oneof![
        4 => begin.prop_map(|(setting, account_key, key)| AcmeCommand::Begin {
            setting,
            account_key,
            key,
        }),
        1 => number().prop_map(|setting| AcmeCommand::ForgetKeys { setting }),
        3 => (number(), url(), challenges).prop_map(|(order, url, challenges)| {
            AcmeCommand::Place { order, url, challenges }
        }),
        3 => (number(), text(), any::<u64>(), any::<u64>()).prop_map(
            |(order, chain, begins, ends)| AcmeCommand::Issue {
                order,
                chain,
                begins_at: UnixMs(begins),
                ends_at: UnixMs(ends),
            }
        ),
        3 => fail.prop_map(|(setting, order, cause, pause_ms, keep)| AcmeCommand::Fail {
            setting,
            order,
            cause,
            pause_ms,
            keep,
        }),
    ]
    .prop_map(Command::Acme)
}

/// Of entries that are likely to be about it.
fn number() -> impl Strategy<Value = LogIndex> {
    (0..60_u64).prop_map(LogIndex)
}

fn sealed() -> impl Strategy<Value = Sealed> {
    let bytes = select(vec![0, 1, 40, 5_000]);
    bytes.prop_map(|bytes| Sealed(vec![7; bytes]))
}

fn domain() -> impl Strategy<Value = String> {
    let some = [
        "cloud.example.org",
        "b.example.org",
        "*.example.org",
        "10.0.0.1",
    ];
    prop_oneof![
        6 => select(some.to_vec()).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn url() -> impl Strategy<Value = String> {
    let some = [
        "https://acme.example.org/directory",
        "http://acme.example.org/",
    ];
    prop_oneof![
        6 => select(some.to_vec()).prop_map(str::to_owned),
        1 => text(),
    ]
}

fn setting() -> impl Strategy<Value = AcmeSetting> {
    let contact = prop_oneof![4 => Just("mailto:a@example.org".to_owned()), 1 => text()];
    let binding = (text(), sealed()).prop_map(|(key_id, key)| AcmeBinding { key_id, key });
    (
        url(),
        prop::collection::vec(contact, 0..3),
        prop::collection::vec(domain(), 0..3),
        prop::option::of(binding),
        prop::bool::weighted(0.8),
    )
        .prop_map(
            |(directory, contacts, domains, binding, terms_agreed)| AcmeSetting {
                directory,
                contacts,
                domains,
                authorities: String::new(),
                binding,
                terms_agreed,
            },
        )
}
