//! The state as people see it at any time, also after it has changed: what was theirs, and nobody else's.

mod begun;

use docklet_control::amount::VnodeSize;
use docklet_control::command::ENTRY_VERSION;
use docklet_control::id::{LogIndex, MasterId, RequestId, SecretHash, UnixMs, UserId};
use docklet_control::model::{ImageSpec, JoinRole, Role, SessionKind, WorkerCapacity};
use docklet_control::view::state::{Field, NameDiff, Noun, diff, receipts, show};
use docklet_control::{Actor, Command, Entry, State, apply};

const ADMIN: Actor = Actor::User(UserId(1));
const ADA: Actor = Actor::User(UserId(2));
const BOB: Actor = Actor::User(UserId(3));
const DOOR: Actor = Actor::Door(MasterId(1));

/// All states, by index: the first is that of nothing.
struct Past(Vec<State>);

impl Past {
    fn enter(&mut self, actor: Actor, command: Command) -> LogIndex {
        let index = LogIndex(self.0.len() as u64);
        let entry = Entry {
            version: ENTRY_VERSION,
            request: RequestId::issued(LogIndex(0), index.0),
            at: UnixMs(index.0 * 1_000),
            actor,
            command,
        };
        let applied = apply(self.now().clone(), index, &entry);
        self.0.push(applied.state);
        index
    }

    fn now(&self) -> &State {
        self.0.last().expect("there is a first")
    }

    fn at(&self, index: LogIndex) -> &State {
        &self.0[usize::try_from(index.0).expect("small")]
    }

    fn names(&self, index: LogIndex, asker: Actor, noun: Noun) -> Vec<String> {
        let Actor::User(id) = asker else {
            panic!("a person asks")
        };
        let view = show(self.at(index), &self.now().users[&id]);
        let named = view.0.get(&noun);
        named
            .map(|named| named.keys().cloned().collect())
            .unwrap_or_default()
    }
}

fn user(name: &str) -> Command {
    Command::CreateUser {
        name: name.to_owned(),
        role: Role::User,
        password_hash: "argon2-of-a-secret".to_owned(),
    }
}

fn vcluster(name: &str) -> Command {
    Command::CreateVcluster {
        name: name.to_owned(),
        image: "busybox".to_owned(),
        vnodes: 2,
        size: VnodeSize::default(),
    }
}

/// An admin, ada and bob, a worker, an image, sessions and a token.
fn begun() -> Past {
    let mut past = Past(vec![State::default()]);
    past.enter(DOOR, Command::InitCluster(begun::init()));
    past.enter(ADMIN, user("ada"));
    past.enter(ADMIN, user("bob"));
    past.enter(
        ADMIN,
        Command::CreateJoinToken {
            secret_hash: SecretHash([0xcc; 32]),
            role: JoinRole::Agent,
            ttl_ms: 3_600_000,
            uses: 2,
        },
    );
    let worker = past.enter(
        DOOR,
        Command::JoinWorker {
            secret_hash: SecretHash([0xcc; 32]),
            name: "w1".to_owned(),
            data_addr: "192.0.2.11:7443".to_owned(),
            underlay: std::net::IpAddr::from([192, 0, 2, 11]),
            capacity: WorkerCapacity::default(),
        },
    );
    past.enter(
        ADMIN,
        Command::RegisterImage {
            name: "busybox".to_owned(),
            digest: docklet_control::id::Digest([1; 32]),
            blob_bytes: 1,
            spec: ImageSpec::default(),
            description: String::new(),
            held_by: docklet_control::id::WorkerId(worker.0),
        },
    );
    for user in [2, 3] {
        past.enter(
            DOOR,
            Command::OpenSession {
                user: UserId(user),
                id: SecretHash(
                    [0xaa; 32].map(|byte: u8| byte + u8::try_from(user).expect("small")),
                ),
                kind: SessionKind::Browser,
                ttl_ms: 3_600_000,
            },
        );
    }
    past
}

#[test]
fn what_was_is_shown_as_it_was_to_its_owner_and_to_admins_only() {
    let mut past = begun();
    let before = LogIndex(past.0.len() as u64 - 1);
    let created = past.enter(ADA, vcluster("lab"));
    let vcluster_id = *past.now().vclusters.keys().next().expect("created");
    let scale = |vnodes| Command::ScaleVcluster {
        vcluster: vcluster_id,
        vnodes,
    };
    let scaled = past.enter(ADA, scale(3));
    let deleted = past.enter(
        ADA,
        Command::DeleteVcluster {
            vcluster: vcluster_id,
        },
    );
    let gone = past.enter(BOB, vcluster("other"));
    assert!(
        past.now().vclusters.values().all(|v| v.owner == UserId(3)),
        "ada's is gone"
    );

    let lab = vec!["lab".to_owned()];
    let hosts =
        |count: usize| -> Vec<String> { (0..count).map(|n| format!("lab/host-{n}")).collect() };
    assert!(past.names(before, ADA, Noun::Vclusters).is_empty());
    assert_eq!(past.names(created, ADA, Noun::Vclusters), lab);
    assert_eq!(past.names(created, ADA, Noun::Vnodes), hosts(2));
    assert_eq!(past.names(scaled, ADA, Noun::Vnodes), hosts(3));
    assert!(past.names(deleted, ADA, Noun::Vclusters).is_empty());
    assert_eq!(past.names(created, ADMIN, Noun::Vclusters), ["ada/lab"]);
    assert_eq!(past.names(gone, ADMIN, Noun::Vclusters), ["bob/other"]);
    for index in 0..=gone.0 {
        let at = LogIndex(index);
        for noun in [Noun::Vclusters, Noun::Vnodes, Noun::Networks] {
            let theirs = past.names(at, BOB, noun);
            assert_eq!(theirs.is_empty(), at < gone, "bob at {index}: {theirs:?}");
        }
        for noun in [Noun::Cluster, Noun::Masters, Noun::Workers, Noun::Tokens] {
            assert!(past.names(at, ADA, noun).is_empty());
            let known = past.names(at, ADMIN, noun);
            assert!(at < created || !known.is_empty(), "{noun:?} at {index}");
        }
    }
}

#[test]
fn no_view_says_a_secret() {
    let mut past = begun();
    past.enter(ADA, vcluster("lab"));
    for asker in past.now().users.values() {
        let view = serde_json::to_string(&show(past.now(), asker)).expect("plain data");
        for secret in ["argon2", "abab", "acac", "adad", "cccc"] {
            assert!(!view.contains(secret), "{secret} in {view}");
        }
        assert_eq!(
            view.matches("expires_at").count(),
            if asker.role == Role::Admin { 3 } else { 1 }
        );
    }
}

#[test]
fn receipts_are_those_of_ones_own_requests_up_to_the_entry() {
    let mut past = begun();
    let created = past.enter(ADA, vcluster("lab"));
    let refused = past.enter(ADA, vcluster("lab"));
    past.enter(BOB, vcluster("lab"));
    let current = past.now();
    let of = |id, upto| receipts(current, &current.users[&UserId(id)], upto);
    let keys = |id, upto| {
        let mut keys: Vec<u64> = of(id, upto)
            .keys()
            .map(|key| key.parse().expect("a number"))
            .collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(2, created), [created.0]);
    assert_eq!(keys(2, LogIndex(1_000)), [created.0, refused.0]);
    assert_eq!(
        of(2, refused)[&refused.to_string()]["outcome"],
        Field::Text("refused".to_owned())
    );
    assert_eq!(keys(1, LogIndex(1_000)).len(), past.0.len() - 1);
}

#[test]
fn a_difference_names_what_came_what_went_and_what_changed() {
    let mut past = begun();
    let first = past.enter(ADA, vcluster("lab"));
    let vcluster_id = *past.now().vclusters.keys().next().expect("created");
    past.enter(
        ADA,
        Command::StopVcluster {
            vcluster: vcluster_id,
        },
    );
    past.enter(
        ADA,
        Command::ScaleVcluster {
            vcluster: vcluster_id,
            vnodes: 1,
        },
    );
    let last = past.enter(ADA, vcluster("web"));
    let ada = &past.now().users[&UserId(2)];
    let [before, after] = [first, last].map(|index| show(past.at(index), ada));
    let forward = diff(&before, &after);
    let nouns: Vec<Noun> = forward.0.keys().copied().collect();
    assert_eq!(nouns, [Noun::Networks, Noun::Vclusters, Noun::Vnodes]);
    let vclusters = &forward.0[&Noun::Vclusters];
    let NameDiff::Changed(fields) = &vclusters["lab"] else {
        panic!("{vclusters:?}")
    };
    let changed: Vec<&str> = fields.keys().map(String::as_str).collect();
    assert_eq!(changed, ["vnodes", "wanted"]);
    assert_eq!(
        fields["wanted"].before,
        Some(Field::Text("running".to_owned()))
    );
    assert_eq!(
        fields["wanted"].after,
        Some(Field::Text("stopped".to_owned()))
    );
    assert!(matches!(vclusters["web"], NameDiff::Added(_)));
    let back = diff(&after, &before);
    assert!(matches!(
        back.0[&Noun::Vclusters]["web"],
        NameDiff::Removed(_)
    ));
    assert!(diff(&before, &before).0.is_empty());
}
