//! The audit trail as whoever holds a copy of it checks it, and as people see it.

mod begun;

use docklet_control::audit::chain::{self, Broken, Chain};
use docklet_control::command::ENTRY_VERSION;
use docklet_control::id::{Digest, LogIndex, MasterId, RequestId, UnixMs, UserId};
use docklet_control::model::{ClusterVersion, Program, Role, User};
use docklet_control::name::Name;
use docklet_control::{Actor, Command, Entry, State, apply};

const ADMIN: Actor = Actor::User(UserId(1));
const DOOR: Actor = Actor::Door(MasterId(1));

/// A cluster's trail, and the state that knows its end.
#[derive(Default)]
struct Trail {
    state: State,
    index: u64,
    lines: Vec<String>,
}

impl Trail {
    fn enter(&mut self, actor: Actor, command: Command) {
        self.index += 1;
        let entry = Entry {
            version: ENTRY_VERSION,
            request: RequestId::issued(LogIndex(0), self.index),
            at: UnixMs(self.index * 1_000),
            actor,
            command,
        };
        let applied = apply(self.state.clone(), LogIndex(self.index), &entry);
        self.state = applied.state;
        self.lines.extend(applied.audit.map(|line| line.text));
    }

    /// Of six things that an admin did in a new cluster.
    fn told() -> Self {
        let mut trail = Self::default();
        trail.enter(DOOR, Command::InitCluster(begun::init()));
        let program = Program {
            master: MasterId(1),
            name: "docklet".to_owned(),
            knows: ClusterVersion(3),
        };
        trail.enter(DOOR, Command::ReportProgram { program });
        let to = ClusterVersion(3);
        trail.enter(Actor::Duty, Command::RaiseVersion { to });
        for name in ["ada", "bob", "carl", "ada", "dora", "eve"] {
            let command = Command::CreateUser {
                name: name.to_owned(),
                role: Role::User,
                password_hash: "argon2-of-a-secret".to_owned(),
            };
            trail.enter(ADMIN, command);
        }
        trail
    }
}

/// The end of what follows, or what is wrong with it.
fn followed<'l>(lines: impl IntoIterator<Item = &'l String>) -> Result<(u64, Digest), Broken> {
    let mut chain = Chain::after(0, Digest([0; 32]));
    for line in lines {
        chain.follow(line)?;
    }
    Ok((chain.number(), chain.hash()))
}

#[test]
fn a_trail_as_it_was_written_ends_where_the_state_says() {
    let trail = Trail::told();
    let head = trail.state.audit_head.expect("there is a trail");
    assert_eq!(followed(&trail.lines), Ok((head.records, head.hash)));
    assert_eq!(head.records, 6);
    let said = trail.lines.last().and_then(|line| chain::hash_of(line));
    assert_eq!(said, Some(head.hash));
}

#[test]
fn any_byte_that_is_another_is_noticed() {
    let trail = Trail::told();
    for (place, line) in trail.lines.iter().enumerate() {
        for byte in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[byte] ^= 1;
            let Ok(changed) = String::from_utf8(changed) else {
                continue;
            };
            let mut lines = trail.lines.clone();
            lines[place] = changed;
            assert!(followed(&lines).is_err(), "byte {byte} of line {place}");
        }
    }
}

#[test]
fn a_record_that_is_missing_moved_or_there_twice_is_noticed() {
    let trail = Trail::told();
    for place in 0..trail.lines.len() - 1 {
        let mut missing = trail.lines.clone();
        missing.remove(place);
        let mut moved = trail.lines.clone();
        moved.swap(place, place + 1);
        let mut twice = trail.lines.clone();
        twice.insert(place, trail.lines[place].clone());
        for lines in [missing, moved, twice] {
            let broken = followed(&lines).expect_err("it is another trail");
            assert!(matches!(broken, Broken::OutOfOrder { .. }), "{broken}");
        }
    }
}

#[test]
fn who_computes_a_chain_of_their_own_ends_elsewhere() {
    let trail = Trail::told();
    let head = trail.state.audit_head.expect("there is a trail");
    let mut forged = Trail::told();
    forged.lines.truncate(3);
    forged.state.audit_head = Some(docklet_control::model::audit::AuditHead {
        records: 3,
        index: LogIndex(6),
        hash: forged
            .lines
            .last()
            .and_then(|line| chain::hash_of(line))
            .expect("a hash"),
    });
    for _ in 0..3 {
        forged.enter(ADMIN, Command::ForgetExpired);
    }
    let (records, hash) = followed(&forged.lines).expect("a chain in itself");
    assert_eq!(records, head.records);
    assert_ne!(hash, head.hash);
    // And one that was cut off is shorter than the state says.
    let (records, _) = followed(&trail.lines[..5]).expect("a chain in itself");
    assert!(records < head.records);
}

#[test]
fn what_was_refused_and_who_asked_is_told_and_no_secret() {
    let trail = Trail::told();
    let refused: Vec<_> = trail
        .lines
        .iter()
        .map(|line| chain::read(line).expect("a record"))
        .filter_map(|record| record.refused)
        .collect();
    assert_eq!(refused, ["name_taken"]);
    assert!(!trail.lines.concat().contains("argon2"));
}

#[test]
fn people_see_what_they_did_and_what_was_done_to_theirs() {
    let trail = Trail::told();
    let seen = |asker: &User| {
        let records = trail
            .lines
            .iter()
            .map(|line| chain::read(line).expect("a record"));
        let shown = records.filter_map(|record| record.shown_to(asker));
        shown.flat_map(|record| record.things).collect::<Vec<_>>()
    };
    let named = |name: &str| {
        let name = Name::parse("user", name).expect("a name");
        trail.state.user_named(&name).expect("there is one").clone()
    };
    assert_eq!(seen(&named("ada")), ["user ada"]);
    assert_eq!(seen(&named("eve")), ["user eve"]);
    assert_eq!(seen(&named("admin")).len(), 5);
}
