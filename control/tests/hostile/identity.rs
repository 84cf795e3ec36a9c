//! Strategies for commands about who else says who people are.

use std::collections::BTreeSet;

use docklet_control::account::command::{NewLogin, Proof};
use docklet_control::id::{IdentityId, MasterId, SecretHash, UnixMs, UserId};
use docklet_control::identity::command::{IdentityCommand, Seen, Wish, Witness};
use docklet_control::model::SessionKind;
use docklet_control::model::account::LoginWay;
use docklet_control::model::identity::{
    ClientSecret, Holder, Identity, Newcomers, OidcProvider, PamDoor,
};
use docklet_control::name::Name;
use docklet_control::{Actor, Command, State};
use proptest::prelude::*;
use proptest::sample::select;

use super::text;

const ISSUER: &str = "https://id.example.org";

/// A command and who asks for it: mostly whoever may.
pub fn asked() -> BoxedStrategy<(Actor, Command)> {
    let user = || select(vec![1, 2, 3, 4]).prop_map(|id| Actor::User(UserId(id)));
    let admin = select(vec![1, 1, 1, 2]).prop_map(|id| Actor::User(UserId(id)));
    prop_oneof![
        3 => (admin, of_admins()),
        6 => (Just(Actor::Door(MasterId(1))), of_doors()),
        3 => (user(), of_people()),
    ]
    .boxed()
}

pub fn anything() -> BoxedStrategy<Command> {
    prop_oneof![of_admins(), of_doors(), of_people()].boxed()
}

/// Logins are begun a moment ago, mostly, and by who is known; and people let go of what they are connected to.
pub fn aim(command: &mut Command, state: &State, now: UnixMs, at: u64) {
    let Command::Identity(command) = command else {
        return;
    };
    let place = usize::try_from(at).unwrap_or(0);
    let known: Vec<(IdentityId, UserId)> = state
        .identities
        .values()
        .filter_map(|row| match row.holder {
            Holder::User(user) => Some((row.id, user)),
            Holder::Application(_) => None,
        })
        .collect();
    let one = place
        .checked_rem(known.len())
        .and_then(|at| known.get(at))
        .copied();
    let soon = |seen: &mut Seen| seen.asked_at = UnixMs(now.0.saturating_sub(at % 700_000));
    match command {
        IdentityCommand::Welcome {
            by: Witness::Provider(seen),
            ..
        }
        | IdentityCommand::Connect { seen } => soon(seen),
        IdentityCommand::OpenLogin {
            by: Witness::Provider(seen),
            login,
        } => {
            soon(seen);
            let id = Identity::id_of(&seen.issuer, &seen.subject);
            if let Some((_, user)) = known.iter().find(|(row, _)| *row == id) {
                login.user = *user;
            }
        }
        IdentityCommand::Disconnect { user, identity } => {
            if let Some((id, owner)) = one {
                (*identity, *user) = (id, owner);
            }
        }
        IdentityCommand::SetProvider { .. }
        | IdentityCommand::SetPam { .. }
        | IdentityCommand::SetWay { .. }
        | IdentityCommand::Welcome {
            by: Witness::Pam, ..
        }
        | IdentityCommand::OpenLogin {
            by: Witness::Pam, ..
        } => {}
    }
}

fn of_admins() -> BoxedStrategy<Command> {
    let way = select(vec![LoginWay::Local, LoginWay::Pam, LoginWay::Oidc]);
    prop_oneof![
        4 => prop_oneof![6 => provider().prop_map(Some), 1 => Just(None)].prop_map(|provider| {
            IdentityCommand::SetProvider { provider: provider.map(Box::new) }
        }),
        3 => prop_oneof![6 => pam().prop_map(Some), 1 => Just(None)]
            .prop_map(|pam| IdentityCommand::SetPam { pam }),
        3 => (user(), way).prop_map(|(user, way)| IdentityCommand::SetWay { user, way }),
    ]
    .prop_map(Command::Identity)
    .boxed()
}

pub fn provider() -> BoxedStrategy<OidcProvider> {
    let issuer = prop_oneof![
        8 => Just(ISSUER.to_owned()),
        1 => Just("https://other.example.org/realm".to_owned()),
        1 => select(vec!["http://id.example.org", "https://", "https://a b", "https://x?y"])
            .prop_map(str::to_owned),
    ];
    let domains = prop_oneof![
        3 => Just(BTreeSet::new()),
        2 => Just(BTreeSet::from(["example.org".to_owned()])),
        1 => text().prop_map(|text| BTreeSet::from([text])),
    ];
    let label = prop_oneof![5 => Just("Example".to_owned()), 1 => text()];
    (issuer, domains, label, newcomers())
        .prop_map(|(issuer, domains, label, newcomers)| OidcProvider {
            label,
            issuer,
            client_id: "docklet".to_owned(),
            secret: ClientSecret("canary".to_owned()),
            domains,
            newcomers,
            authorities: String::new(),
            portal: String::new(),
        })
        .boxed()
}

pub fn pam() -> BoxedStrategy<PamDoor> {
    let service = select(vec![
        "docklet",
        "docklet",
        "docklet-x",
        "su",
        "docklet/../su",
    ]);
    (service, newcomers())
        .prop_map(|(service, newcomers)| PamDoor {
            service: service.to_owned(),
            newcomers,
        })
        .boxed()
}

fn newcomers() -> BoxedStrategy<Newcomers> {
    let group = select(vec!["course", "lab", "nothing"]);
    let group = group.prop_map(|name| Name::parse("group", name).expect("a name"));
    prop_oneof![
        1 => Just(Newcomers::Refused),
        3 => Just(Newcomers::Request),
        3 => Just(Newcomers::Active { group: None }),
        1 => group.prop_map(|group| Newcomers::Active { group: Some(group) }),
    ]
    .boxed()
}

fn of_doors() -> BoxedStrategy<Command> {
    prop_oneof![
        4 => (witness(), wish()).prop_map(|(by, wish)| IdentityCommand::Welcome { by, wish }),
        4 => (witness(), login()).prop_map(|(by, login)| IdentityCommand::OpenLogin { by, login }),
    ]
    .prop_map(Command::Identity)
    .boxed()
}

fn of_people() -> BoxedStrategy<Command> {
    prop_oneof![
        4 => seen().prop_map(|seen| IdentityCommand::Connect { seen }),
        3 => (user(), 0..4_u8).prop_map(|(user, byte)| IdentityCommand::Disconnect {
            user,
            identity: IdentityId([byte; 32]),
        }),
    ]
    .prop_map(Command::Identity)
    .boxed()
}

fn witness() -> BoxedStrategy<Witness> {
    prop_oneof![3 => seen().prop_map(Witness::Provider), 1 => Just(Witness::Pam)].boxed()
}

fn seen() -> BoxedStrategy<Seen> {
    let issuer = prop_oneof![9 => Just(ISSUER), 1 => Just("https://other.example.org/realm")];
    let subject = prop_oneof![
        8 => select(vec!["s-1", "s-2", "s-3", "s-4"]).prop_map(str::to_owned),
        1 => text(),
    ];
    let mail = select(vec![
        "ada@example.org",
        "eve@EXAMPLE.org",
        "eve@evil-example.org",
        "eve@example.org.evil",
        "",
        "eve@@example.org",
    ]);
    (
        issuer,
        subject,
        mail,
        any::<bool>(),
        0..5_u8,
        0..2_000_000_u64,
    )
        .prop_map(
            |(issuer, subject, mail, mail_verified, byte, asked_at)| Seen {
                issuer: issuer.to_owned(),
                subject,
                mail: mail.to_owned(),
                mail_verified,
                ticket: SecretHash([100 + byte; 32]),
                asked_at: UnixMs(asked_at),
            },
        )
        .boxed()
}

fn wish() -> BoxedStrategy<Wish> {
    let name = prop_oneof![
        6 => select(vec!["eve", "mallory", "carl", "root", "ada", "judy"]).prop_map(str::to_owned),
        1 => text(),
    ];
    (name, text())
        .prop_map(|(name, real_name)| Wish { name, real_name })
        .boxed()
}

fn login() -> BoxedStrategy<NewLogin> {
    let kind = select(vec![
        SessionKind::Browser,
        SessionKind::Browser,
        SessionKind::Unproven,
        SessionKind::Api,
    ]);
    (user(), 60..66_u8, kind)
        .prop_map(|(user, byte, kind)| NewLogin {
            user,
            id: SecretHash([byte; 32]),
            kind,
            ttl_ms: 3_600_000,
            from: "192.0.2.7".to_owned(),
            proof: Proof::Nothing,
            after: None,
        })
        .boxed()
}

fn user() -> impl Strategy<Value = UserId> {
    select(vec![1, 2, 2, 3, 3, 4, 5, u64::MAX]).prop_map(UserId)
}
