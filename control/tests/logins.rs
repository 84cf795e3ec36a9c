//! Whose a login is: nobody's before its code was shown, and nobody's once its time is over. And what logins hang on is
//! printed nowhere.

mod begun;

use std::net::{IpAddr, Ipv4Addr};

use docklet_control::account::command::{AccountCommand, NewLogin, Proof};
use docklet_control::account::scope::bearer;
use docklet_control::id::{LogIndex, MasterId, RequestId, SecretHash, UnixMs, UserId};
use docklet_control::model::account::FactorSecret;
use docklet_control::model::identity::ClientSecret;
use docklet_control::model::mail::MailSecret;
use docklet_control::model::{ClusterVersion, Program, SessionKind};
use docklet_control::{Actor, Command, Entry, State, apply};

const DOOR: Actor = Actor::Door(MasterId(1));
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const TTL_MS: u64 = 60_000;

/// An admin, of the newest version; each command is entered at time 0.
fn after(commands: Vec<(Actor, Command)>) -> State {
    let program = Program {
        master: MasterId(1),
        name: "newest".to_owned(),
        knows: ClusterVersion::CURRENT,
    };
    let to = ClusterVersion::CURRENT;
    let begun = vec![
        (DOOR, Command::InitCluster(begun::init())),
        (DOOR, Command::ReportProgram { program }),
        (Actor::Duty, Command::RaiseVersion { to }),
    ];
    let all = begun.into_iter().chain(commands).zip(1..);
    all.fold(State::default(), |state, ((actor, command), index)| {
        let entry = Entry {
            version: state.version().0,
            request: RequestId(u128::from(index)),
            at: UnixMs(0),
            actor,
            command,
        };
        let applied = apply(state, LogIndex(index), &entry);
        applied.receipt.accepted().expect("accepted");
        applied.state
    })
}

fn login(id: u8, kind: SessionKind) -> (Actor, Command) {
    let new = NewLogin {
        user: UserId(1),
        id: SecretHash([id; 32]),
        kind,
        ttl_ms: TTL_MS,
        from: "192.0.2.7".to_owned(),
        proof: Proof::Nothing,
        after: None,
    };
    (DOOR, Command::Account(AccountCommand::OpenLogin(new)))
}

#[test]
fn a_login_that_waits_or_has_ended_is_none() {
    let state = after(vec![
        login(1, SessionKind::Browser),
        login(2, SessionKind::Unproven),
    ]);
    let whose = |id, at| {
        let found = bearer(&state, SecretHash([id; 32]), NOWHERE, UnixMs(at));
        found.map(|(_, user)| user.id)
    };
    assert_eq!(whose(1, TTL_MS - 1).ok(), Some(UserId(1)));
    for (id, at) in [(1, TTL_MS), (1, TTL_MS * 2), (2, 0), (3, 0)] {
        let refusal = whose(id, at).expect_err("nobody");
        assert_eq!(refusal.code(), "not_logged_in", "{id} at {at}");
    }
}

#[test]
fn what_is_secret_prints_as_a_word() {
    const CANARY: &str = "canary-canary-canary";
    let mut bytes = [0; FactorSecret::LEN];
    bytes.copy_from_slice(CANARY.as_bytes());
    let secrets = (
        ClientSecret(CANARY.to_owned()),
        MailSecret(CANARY.to_owned()),
        FactorSecret(bytes),
    );
    let json = serde_json::to_string(&secrets).expect("plain data");
    for text in [format!("{secrets:?}"), format!("{secrets:#?}"), json] {
        assert_eq!(text.matches("(secret)").count(), 3, "{text}");
        assert!(!text.contains("canary") && !text.contains("99"), "{text}");
        assert!(!text.contains(&hex::encode(CANARY)), "{text}");
    }
}
