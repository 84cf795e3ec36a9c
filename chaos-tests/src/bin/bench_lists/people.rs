//! What people have beside vclusters, as much of it as ten thousand of them may have: purses, notices and mails, logins, requests
//! for accounts, services, snapshots, shared terminals, what they deleted; and settings that were changed often.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use docklet_control::account::event::AccountEvent;
use docklet_control::amount::DiskMib;
use docklet_control::audit::record::{Record, Who};
use docklet_control::bean::event::{BeanEvent, Charge, ChargeId, TallyRef};
use docklet_control::command::Actor;
use docklet_control::drill::event::DrillEvent;
use docklet_control::event::{Change, VnodeRef};
use docklet_control::id::{
    Digest, DrillId, Epoch, GroupId, LogIndex, MailId, MasterId, NoticeId, SecretHash, ServiceId,
    TerminalSession, UnixMs, UserId, VclusterId, VnodeId,
};
use docklet_control::model::account::{AccountPolicy, Application, LoginWay, Profile};
use docklet_control::model::drill::{
    Drill, DrillCut, DrillKind, DrillMark, DrillPlan, DrillStage, DrillStep,
};
use docklet_control::model::image::{ImageTitle, Visibility};
use docklet_control::model::kept::{Kept, KeptThing};
use docklet_control::model::mail::{MailStage, MailText};
use docklet_control::model::notice::{Severity, To};
use docklet_control::model::service::Audience;
use docklet_control::model::snapshot::{SnapshotSeen, SnapshotWhy};
use docklet_control::model::{
    Bandwidth, BeanRequest, BeanSettings, Cost, KbitPerS, LineOf, Login, Mail, MicroBeans, Notice,
    PortNumber, PurseOf, Service, Session, SessionKind, Share, Snapshot, Used,
};
use docklet_control::notice::event::NoticeEvent;
use docklet_control::notice::mail::MailEvent;
use docklet_control::service::event::ServiceEvent;
use docklet_control::snapshot::event::SnapshotEvent;
use docklet_control::terminal::event::TerminalEvent;
use docklet_control::trash::event::TrashEvent;
use docklet_control::{Event, evolve::evolve_all};

use super::{GROUPS, name, version};

/// Logins of each person.
const LOGINS: u64 = 3;
/// What the cluster told each of them.
const TOLD: u64 = 5;
const SERVICES: u64 = 10_000;
const SHARES: u64 = 2_000;
const DELETED: u64 = 2_000;
const REQUESTS: u64 = 1_000;
/// A vnode in so many has a snapshot.
const SNAPSHOT_EACH: u64 = 2;
/// The vcluster of which each vnode has as many as it may.
pub const SNAPPED: VclusterId = VclusterId(3);

/// How many there are of each.
pub struct Numbers {
    pub users: u64,
    pub vnodes: u64,
    /// Vnodes of one vcluster.
    pub together: u64,
}

impl Numbers {
    fn vcluster_of(&self, vnode: u64) -> u64 {
        (vnode - 1) / self.together + 1
    }

    fn owner_of(&self, vnode: u64) -> UserId {
        UserId(self.vcluster_of(vnode) % self.users + 1)
    }

    fn reference(&self, vnode: u64) -> VnodeRef {
        VnodeRef {
            vnode: VnodeId(vnode),
            vcluster: VclusterId(self.vcluster_of(vnode)),
            owner: self.owner_of(vnode),
        }
    }
}

fn hash(kind: u8, number: u64) -> [u8; 32] {
    let mut bytes = [kind; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// All of it but what was changed of settings, which is more than events tell.
pub fn events(numbers: &Numbers) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    events.extend(accounts(numbers)?);
    events.extend(beans(numbers));
    events.extend(notices(numbers));
    events.extend(services(numbers)?);
    events.extend(snapshots(numbers)?);
    events.extend(shares(numbers));
    events.extend(deleted(numbers)?);
    events.extend(drills());
    Ok(events)
}

fn mail(id: u64) -> String {
    format!("user-{id}@example.org")
}

fn accounts(numbers: &Numbers) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    for id in 1..=numbers.users {
        let user = UserId(id);
        let profile = Profile {
            real_name: format!("Person {id}"),
            mail: mail(id),
            affiliation: "Systems".to_owned(),
        };
        events.push(Event::Account(AccountEvent::ProfileSet { user, profile }));
        for nth in 0..LOGINS {
            let number = id * LOGINS + nth;
            let id = SecretHash(hash(1, number));
            events.push(Event::SessionOpened {
                session: Session {
                    id,
                    user,
                    kind: SessionKind::Browser,
                    opened_at: UnixMs(number),
                    expires_at: UnixMs(u64::MAX),
                },
            });
            events.push(Event::Account(AccountEvent::LoginOpened {
                login: Login {
                    id,
                    number: LogIndex(number),
                    user,
                    from: "192.0.2.7".to_owned(),
                    token: None,
                    way: LoginWay::Local,
                },
            }));
        }
    }
    for number in 1..=REQUESTS {
        let application = Application {
            id: LogIndex(number),
            name: name(&format!("stranger-{number}"))?,
            password_hash: String::new(),
            // Every other one has an account already.
            profile: Profile {
                real_name: format!("Stranger {number}"),
                mail: mail(if number % 2 == 0 {
                    number
                } else {
                    numbers.users + number
                }),
                affiliation: String::new(),
            },
            reason: "For the course".to_owned(),
            asked_at: UnixMs(number),
            declined: None,
            way: LoginWay::Local,
        };
        events.push(Event::Account(AccountEvent::Applied { application }));
    }
    Ok(events)
}

/// A purse each, with a line for each vnode, and a request of every tenth person.
fn beans(numbers: &Numbers) -> Vec<Event> {
    let settings = BeanSettings {
        on: true,
        ..BeanSettings::default()
    };
    let mut events = vec![Event::Bean(BeanEvent::Set { settings })];
    let people = (1..=numbers.users).map(|id| PurseOf::User(UserId(id)));
    let groups = (1..=GROUPS).map(|id| PurseOf::Group(GroupId(id)));
    for of in people.chain(groups) {
        events.push(Event::Bean(BeanEvent::Opened {
            of,
            beans: MicroBeans::whole(1_000),
            number: LogIndex(1),
            told: BTreeSet::new(),
        }));
    }
    for vnode in 1..=numbers.vnodes {
        let VnodeRef { owner, .. } = numbers.reference(vnode);
        let charge = Charge {
            id: ChargeId {
                index: LogIndex(vnode),
                place: 0,
            },
            about: TallyRef {
                vnode: VnodeId(vnode),
                epoch: Epoch(1),
                owner,
            },
            label: format!("lab-{}/host-0", numbers.vcluster_of(vnode)),
            line: LineOf::Vnode(VnodeId(vnode)),
            used: Used {
                run_ms: 1_000,
                ..Used::default()
            },
            cost: Cost {
                cpu: MicroBeans(7),
                ..Cost::default()
            },
            hour: MicroBeans(0),
        };
        events.push(Event::Bean(BeanEvent::Charged { charge }));
    }
    for id in (10..=numbers.users).step_by(10) {
        events.push(Event::Bean(BeanEvent::Requested {
            request: BeanRequest {
                user: UserId(id),
                number: LogIndex(id),
                beans: 500,
                reason: "homework".to_owned(),
                asked_at: UnixMs(0),
                verdict: None,
            },
            told: BTreeSet::new(),
        }));
    }
    events
}

/// As many to groups, everybody and admins as there may be, some to each person, and as many mails as there may be.
fn notices(numbers: &Numbers) -> Vec<Event> {
    let announced = (0..Notice::ANNOUNCEMENTS_MAX as u64).map(|nth| match nth % 2 {
        0 => To::All,
        _ => To::Group(GroupId(nth % GROUPS + 1)),
    });
    let to_admins = (0..Notice::PERSONAL_MAX).map(|_| To::Admins);
    let personal = (0..TOLD).flat_map(|_| (1..=numbers.users).map(|id| To::User(UserId(id))));
    let mut events: Vec<Event> = announced
        .chain(to_admins)
        .chain(personal)
        .zip(1..)
        .map(|(to, entry)| {
            let notice = Notice {
                id: NoticeId {
                    entry: LogIndex(entry),
                    part: 0,
                },
                to,
                severity: Severity::Info,
                title: format!("What happened in entry {entry}"),
                body: "The course begins on Monday, in the large room.".to_owned(),
                link: "/".to_owned(),
                author: None,
                by: String::new(),
                since: UnixMs(0),
                until: UnixMs(u64::MAX),
            };
            let told = BTreeSet::new();
            Event::Notice(NoticeEvent::Told { notice, told })
        })
        .collect();
    let mails = (1..=Mail::KEPT_MAX as u64).map(|number| Mail {
        id: MailId {
            entry: LogIndex(number),
            part: 0,
        },
        user: Some(UserId(number % numbers.users + 1)),
        address: mail(number % numbers.users + 1),
        text: MailText::Of(NoticeId {
            entry: LogIndex(number),
            part: 0,
        }),
        stage: MailStage::Waiting {
            next_at: UnixMs(number),
        },
        tries: 1,
        made_at: UnixMs(number),
        cause: "the server does not answer".to_owned(),
    });
    let mails = mails.collect();
    events.push(Event::Notice(NoticeEvent::Mail(MailEvent::Queued {
        mails,
    })));
    events
}

/// One in a hundred is for everybody, one in ten for a group.
fn services(numbers: &Numbers) -> anyhow::Result<Vec<Event>> {
    let each = numbers.vnodes / SERVICES;
    let added = (1..=SERVICES).map(|number| {
        let about = numbers.reference(number * each);
        let groups = (number % 10 == 0).then_some(GroupId(number % GROUPS + 1));
        let service = Service {
            id: ServiceId(number),
            vnode: about.vnode,
            vcluster: about.vcluster,
            owner: about.owner,
            name: name("web")?,
            port: PortNumber(8_000),
            path: "/".to_owned(),
            tells_user: false,
            by_image: false,
            audience: Audience {
                everybody: number % 100 == 0,
                people: Default::default(),
                groups: groups.into_iter().collect(),
            },
            added_at: UnixMs(0),
        };
        Ok(Event::Service(ServiceEvent::Added { service }))
    });
    added.collect()
}

fn snapshots(numbers: &Numbers) -> anyhow::Result<Vec<Event>> {
    let mut events = Vec::new();
    for vnode in 1..=numbers.vnodes {
        let about = numbers.reference(vnode);
        let count = if about.vcluster == SNAPPED {
            Snapshot::PER_VNODE_MAX as u64
        } else {
            u64::from(vnode % SNAPSHOT_EACH == 0)
        };
        for number in 1..=count {
            let snapshot = Snapshot {
                vnode: about.vnode,
                number: LogIndex(number),
                name: name(&format!("of-{number}"))?,
                vcluster: about.vcluster,
                owner: about.owner,
                epoch: Epoch(1),
                why: SnapshotWhy::Asked,
                asked_at: UnixMs(number),
                expires_at: None,
                seen: SnapshotSeen::Taken {
                    at: UnixMs(number),
                    disk_mib: DiskMib(10_240),
                    used_bytes: 1 << 20,
                    still_us: 4_000,
                },
            };
            events.push(Event::Snapshot(SnapshotEvent::Asked { snapshot }));
        }
    }
    Ok(events)
}

fn shares(numbers: &Numbers) -> Vec<Event> {
    let each = numbers.vnodes / SHARES;
    let shared = (1..=SHARES).map(|number| {
        let about = numbers.reference(number * each);
        let share = Share {
            id: LogIndex(number),
            vnode: about.vnode,
            by: about.owner,
            session: TerminalSession([7; 16]),
            secret: SecretHash(hash(2, number)),
            types: true,
            until: UnixMs(u64::MAX),
            made_at: UnixMs(0),
            guests: (1..=5).map(UserId).collect(),
        };
        Event::Terminal(TerminalEvent::Shared { about, share })
    });
    shared.collect()
}

/// Names of images that were deleted.
fn deleted(numbers: &Numbers) -> anyhow::Result<Vec<Event>> {
    let kept = (1..=DELETED).map(|number| {
        let owner = UserId(number % numbers.users + 1);
        let digest = Digest(hash(8, number));
        let title = ImageTitle {
            owner,
            name: name(&format!("gone-{number}"))?,
            description: String::new(),
            visibility: Visibility::Private,
            shared_with: Default::default(),
            versions: vec![version(digest, owner)],
            current: digest,
        };
        let kept = Kept {
            number: LogIndex(number),
            owner,
            by: owner,
            at: UnixMs(0),
            until: UnixMs(u64::MAX),
            thing: KeptThing::Image {
                title,
                groups: Default::default(),
            },
        };
        let kept = Box::new(kept);
        Ok(Event::Trash(TrashEvent::Kept { kept }))
    });
    kept.collect()
}

/// As many as are kept.
fn drills() -> impl Iterator<Item = Event> {
    (1..=Drill::KEPT_MAX as u64).map(|number| {
        let drill = Drill {
            id: DrillId(number),
            plan: DrillPlan {
                kind: DrillKind::LeaderLoss,
                cut: DrillCut::Both,
                targets: vec![MasterId(1)],
                probers: vec![MasterId(2), MasterId(3)],
                announce_ms: 10_000,
                fault_ms: 5_000,
                gap_max_ms: 2_000,
                estimate_ms: 600,
            },
            stage: DrillStage::Ended,
            asked_by: UserId(1),
            announced_at: UnixMs(number),
            fault_at: UnixMs(number),
            ends_by: UnixMs(number),
            begun: None,
            runner: None,
            aborted: None,
            steps: (0..20)
                .map(|at| DrillStep {
                    at: UnixMs(at),
                    what: DrillMark::Healed {
                        master: MasterId(1),
                    },
                })
                .collect(),
            probes: Vec::new(),
            faults: Vec::new(),
            measured: Vec::new(),
            restored: None,
            healed_ms: Some(1_000),
            ending: None,
        };
        let drill = Box::new(drill);
        Event::Drill(DrillEvent::Announced { drill })
    })
}

/// Some settings were changed as often as is kept of each.
pub fn changed_often(state: docklet_control::State) -> docklet_control::State {
    let changes = (1..=60).flat_map(|nth: u32| {
        let policy = AccountPolicy {
            registration: nth.is_multiple_of(2),
        };
        let bandwidth = Bandwidth {
            sent: Some(KbitPerS(nth + 100)),
            received: None,
        };
        let settings = BeanSettings {
            on: true,
            birth: nth.into(),
            ..BeanSettings::default()
        };
        let events = [
            Event::Account(AccountEvent::PolicySet { policy }),
            Event::BandwidthLimited { bandwidth },
            Event::Bean(BeanEvent::Set { settings }),
        ];
        events.into_iter().map(move |event| Change {
            index: LogIndex(nth.into()),
            at: UnixMs(nth.into()),
            actor: Actor::User(UserId(1)),
            command: "Set".into(),
            events: vec![event],
        })
    });
    changes.fold(state, |state, change| evolve_all(state, &change))
}

/// Lines of the audit trail, as they are on disk: what each of a thousand people did to a vcluster of theirs.
pub fn trail(lines: u64) -> anyhow::Result<Vec<String>> {
    let line = |number: u64| {
        let user = number % 1_000 + 1;
        let record = Record {
            number,
            index: LogIndex(number),
            at: UnixMs(number),
            who: Who::User {
                id: UserId(user),
                name: format!("user-{user}"),
            },
            from: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
            login: Some(LogIndex(number)),
            token: None,
            command: "StartVcluster".to_owned(),
            refused: None,
            things: vec![format!("vcluster user-{user}/lab-{number}")],
            more_things: 0,
            effects: BTreeMap::from([
                ("VclusterWantedChanged".to_owned(), 1),
                ("VnodeWantedChanged".to_owned(), 4),
            ]),
            owners: [UserId(user)].into_iter().collect(),
        };
        Ok(serde_json::to_string(&record)?)
    };
    (1..=lines).map(line).collect()
}
