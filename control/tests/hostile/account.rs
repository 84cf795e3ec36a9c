//! Strategies for commands about accounts, logins and tokens, and for what programs ask with tokens.

use std::net::{IpAddr, Ipv4Addr};

use docklet_control::account::command::{AccountCommand, NewLogin, Proof};
use docklet_control::id::{LogIndex, MasterId, SecretHash, UserId};
use docklet_control::model::SessionKind;
use docklet_control::model::account::{FactorSecret, Profile, Scope};
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::{number, text};

/// A command and who asks for it: mostly whoever may.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = || select(vec![1, 1, 2, 3]).prop_map(|id| Actor::User(UserId(id)));
    let admin = select(vec![1, 1, 1, 2]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        4 => (Just(Actor::Door(MasterId(1))), of_doors()),
        4 => (admin, of_admins()),
        4 => (user(), of_people()),
        1 => (Just(Actor::Duty), of_duties()),
    ]
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![of_doors(), of_admins(), of_people(), of_duties()].boxed()
}

/// Commands name requests and logins that are there, now and then; and somebody may come by a login or with a token.
pub fn aim(who: &mut Actor, command: &mut Command, state: &State, at: u64) {
    let pick = |numbers: Vec<LogIndex>| {
        let place = usize::try_from(at)
            .unwrap_or(0)
            .checked_rem(numbers.len())?;
        numbers.get(place).copied()
    };
    let numbers: Vec<LogIndex> = state.logins.values().map(|login| login.number).collect();
    if let (Actor::User(user), 0) = (*who, at % 3)
        && let Some(number) = pick(numbers)
    {
        // Somebody else's, too.
        let owner = state.login_numbered(number).map(|login| login.user);
        let user = owner.filter(|_| !at.is_multiple_of(4)).unwrap_or(user);
        let from = IpAddr::V4(Ipv4Addr::LOCALHOST);
        *who = Actor::Login { user, number, from };
    }
    let Command::Account(command) = command else {
        return;
    };
    match command {
        AccountCommand::Approve { application, .. }
        | AccountCommand::Decline { application, .. } => {
            if let Some(id) = pick(state.applications.keys().copied().collect()) {
                *application = id;
            }
        }
        AccountCommand::EndLogin { number, .. } | AccountCommand::NoteUse { number } => {
            let known = state.logins.values().map(|login| login.number);
            if let Some(known) = pick(known.collect()) {
                *number = known;
            }
        }
        AccountCommand::SetRegistration { .. }
        | AccountCommand::Apply { .. }
        | AccountCommand::ForgetDeclined
        | AccountCommand::SetProfile { .. }
        | AccountCommand::Lock { .. }
        | AccountCommand::Unlock { .. }
        | AccountCommand::Delete { .. }
        | AccountCommand::FinishDeletion { .. }
        | AccountCommand::OpenLogin(_)
        | AccountCommand::EndOtherLogins { .. }
        | AccountCommand::CreateToken { .. }
        | AccountCommand::UpgradeHash { .. }
        | AccountCommand::BeginFactor { .. }
        | AccountCommand::ConfirmFactor { .. }
        | AccountCommand::RemoveFactor { .. } => {}
    }
}

fn of_doors() -> BoxedStrategy<Command> {
    let apply = (name(), profile(), text());
    prop_oneof![
        3 => apply.prop_map(|(name, profile, reason)| AccountCommand::Apply {
            name,
            password_hash: "$argon2id$canary".to_owned(),
            profile,
            reason,
        }),
        4 => login().prop_map(AccountCommand::OpenLogin),
        1 => number().prop_map(|number| AccountCommand::NoteUse { number: LogIndex(number) }),
        1 => (user(), secret()).prop_map(|(user, from)| AccountCommand::UpgradeHash {
            user,
            from,
            password_hash: "$argon2id$canary".to_owned(),
        }),
    ]
    .prop_map(Command::Account)
    .boxed()
}

fn login() -> BoxedStrategy<NewLogin> {
    let kind = select(vec![
        SessionKind::Browser,
        SessionKind::Token,
        SessionKind::Unproven,
        SessionKind::Api,
    ]);
    let from = select(vec!["192.0.2.7", "", "\n"]).prop_map(str::to_owned);
    let all = (
        user(),
        secret(),
        kind,
        ttl(),
        from,
        proof(),
        prop::option::of(secret()),
    );
    all.prop_map(|(user, id, kind, ttl_ms, from, proof, after)| NewLogin {
        user,
        id,
        kind,
        ttl_ms,
        from,
        proof,
        after,
    })
    .boxed()
}

fn of_admins() -> BoxedStrategy<Command> {
    let id = || number().prop_map(LogIndex);
    prop_oneof![
        3 => select(vec![true, true, true, false])
            .prop_map(|open| AccountCommand::SetRegistration { open }),
        3 => (id(), prop::option::of(name()))
            .prop_map(|(application, name)| AccountCommand::Approve { application, name }),
        2 => (id(), text())
            .prop_map(|(application, reason)| AccountCommand::Decline { application, reason }),
        2 => (user(), text()).prop_map(|(user, reason)| AccountCommand::Lock { user, reason }),
        3 => user().prop_map(|user| AccountCommand::Unlock { user }),
        2 => (user(), any::<bool>())
            .prop_map(|(user, with_data)| AccountCommand::Delete { user, with_data }),
    ]
    .prop_map(Command::Account)
    .boxed()
}

fn of_people() -> BoxedStrategy<Command> {
    let scopes = prop::collection::btree_set(select(Scope::ALL.to_vec()), 0..4);
    let recovery =
        prop::collection::btree_set((0..12_u8).prop_map(|byte| SecretHash([byte; 32])), 9..11);
    let step = || select(vec![0, 1, 2, 3, u64::MAX]);
    prop_oneof![
        1 => (user(), profile()).prop_map(|(user, profile)| AccountCommand::SetProfile { user, profile }),
        2 => (user(), number()).prop_map(|(user, number)| AccountCommand::EndLogin {
            user,
            number: LogIndex(number),
        }),
        1 => (user(), secret()).prop_map(|(user, keep)| AccountCommand::EndOtherLogins { user, keep }),
        6 => (secret(), name(), scopes, ttl()).prop_map(|(id, name, scopes, ttl_ms)| {
            AccountCommand::CreateToken { id, name, scopes, ttl_ms }
        }),
        2 => Just(AccountCommand::BeginFactor { secret: FactorSecret(*b"canarycanarycanaryca") }),
        2 => (step(), recovery).prop_map(|(step, recovery)| AccountCommand::ConfirmFactor {
            step,
            recovery,
        }),
        1 => (user(), proof()).prop_map(|(user, proof)| AccountCommand::RemoveFactor { user, proof }),
    ]
    .prop_map(Command::Account)
    .boxed()
}

fn of_duties() -> BoxedStrategy<Command> {
    prop_oneof![
        1 => Just(AccountCommand::ForgetDeclined),
        2 => user().prop_map(|user| AccountCommand::FinishDeletion { user }),
    ]
    .prop_map(Command::Account)
    .boxed()
}

fn proof() -> BoxedStrategy<Proof> {
    let step = select(vec![0, 1, 2, 3, u64::MAX]);
    prop_oneof![
        2 => Just(Proof::Nothing),
        2 => step.prop_map(|step| Proof::Code { step }),
        1 => (0..12_u8).prop_map(|byte| Proof::Recovery { code: SecretHash([byte; 32]) }),
    ]
    .boxed()
}

fn profile() -> BoxedStrategy<Profile> {
    let mail = select(vec![
        "ada@example.org",
        "eve@example.org",
        "",
        "nobody",
        "a@b@c",
        "a b@c",
    ]);
    (text(), mail, text())
        .prop_map(|(real_name, mail, affiliation)| Profile {
            real_name,
            mail: mail.to_owned(),
            affiliation,
        })
        .boxed()
}

fn name() -> BoxedStrategy<String> {
    prop_oneof![
        6 => select(vec!["eve", "mallory", "b0b", "root", "ada"]).prop_map(str::to_owned),
        1 => text(),
    ]
    .boxed()
}

fn user() -> impl Strategy<Value = UserId> {
    select(vec![1, 2, 2, 3, 3, 4, u64::MAX]).prop_map(UserId)
}

/// Some are those of other sessions.
fn secret() -> impl Strategy<Value = SecretHash> {
    select(vec![1, 40, 41, 42, 43]).prop_map(|byte| SecretHash([byte; 32]))
}

fn ttl() -> impl Strategy<Value = u64> {
    select(vec![
        0,
        1_000,
        60_000,
        3_600_000,
        366 * 24 * 3_600_000,
        u64::MAX,
    ])
}
