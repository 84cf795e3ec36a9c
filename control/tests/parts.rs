//! Lists that are shown by parts: the parts follow each other, and each has what who looks may see.

use std::collections::BTreeSet;

use docklet_control::State;
use docklet_control::bean::event::{BeanEvent, Charge, ChargeId, TallyRef};
use docklet_control::event::Event;
use docklet_control::evolve::evolve;
use docklet_control::group::event::GroupEvent;
use docklet_control::id::{Epoch, GroupId, LogIndex, MailId, UnixMs, UserId, VnodeId};
use docklet_control::model::mail::{MailStage, MailText};
use docklet_control::model::{
    BeanSettings, Cost, Group, LineOf, Mail, MicroBeans, PurseOf, Role, Used, User,
};
use docklet_control::name::Name;
use docklet_control::notice::event::NoticeEvent;
use docklet_control::notice::mail::MailEvent;
use docklet_control::view;
use docklet_control::view::part::{Part, Wanted};

fn name(text: &str) -> Name {
    Name::parse("name", text).expect("a name")
}

fn user(id: u64, called: &str) -> User {
    User {
        id: UserId(id),
        name: name(called),
        role: if id == 1 { Role::Admin } else { Role::User },
        password_hash: String::new(),
        created_at: UnixMs(0),
    }
}

/// Spends of a person's purse.
fn charged(user: u64, cpu: i64) -> Event {
    Event::Bean(BeanEvent::Charged {
        charge: Charge {
            id: ChargeId {
                index: LogIndex(user),
                place: 0,
            },
            about: TallyRef {
                vnode: VnodeId(user),
                epoch: Epoch(1),
                owner: UserId(user),
            },
            label: "lab/host-0".to_owned(),
            line: LineOf::Vnode(VnodeId(user)),
            used: Used::default(),
            cost: Cost {
                cpu: MicroBeans(cpu),
                ..Cost::default()
            },
            hour: MicroBeans(0),
        },
    })
}

fn mail(id: u64, user: u64, address: &str) -> Mail {
    Mail {
        id: MailId {
            entry: LogIndex(id),
            part: 0,
        },
        user: Some(UserId(user)),
        address: address.to_owned(),
        text: MailText::Own {
            subject: "To you".to_owned(),
            body: String::new(),
        },
        stage: MailStage::Waiting { next_at: UnixMs(0) },
        tries: 1,
        made_at: UnixMs(0),
        cause: String::new(),
    }
}

/// Four people; carol looks after a group that is called as ann is, and dave is in it.
fn state() -> State {
    let people = ["root", "ann", "bob", "carol", "dave"];
    let users = people.iter().zip(1..);
    let mut events: Vec<Event> = users
        .map(|(called, id)| Event::UserCreated {
            user: user(id, called),
        })
        .collect();
    events.push(Event::Group(GroupEvent::Formed {
        group: Group {
            id: GroupId(1),
            name: name("ann"),
            description: String::new(),
            members: [UserId(5)].into_iter().collect(),
            created_at: UnixMs(0),
            managers: [UserId(4)].into_iter().collect(),
        },
        left: BTreeSet::new(),
    }));
    let settings = BeanSettings {
        on: true,
        ..BeanSettings::default()
    };
    events.push(Event::Bean(BeanEvent::Set { settings }));
    let purses = (1..=5).map(|id| PurseOf::User(UserId(id)));
    for of in purses.chain([PurseOf::Group(GroupId(1))]) {
        events.push(Event::Bean(BeanEvent::Opened {
            of,
            beans: MicroBeans::whole(1_000),
            number: LogIndex(1),
            told: BTreeSet::new(),
        }));
    }
    events.extend([charged(3, 70), charged(5, 9)]);
    let mails = vec![
        mail(3, 3, "x@example.org"),
        mail(1, 2, "y@example.org"),
        mail(2, 3, "z@example.net"),
    ];
    events.push(Event::Notice(NoticeEvent::Mail(MailEvent::Queued {
        mails,
    })));
    let fold = |state, event| evolve(state, UnixMs(1), event);
    events.iter().fold(State::default(), fold)
}

/// All rows, so many at a time.
fn walked<T>(limit: usize, part: impl Fn(&Wanted) -> Part<T>) -> Vec<T> {
    let (mut from, mut rows) = (None, Vec::new());
    loop {
        let wanted = Wanted {
            from,
            limit: Some(limit),
            ..Wanted::all()
        };
        let part = part(&wanted);
        assert_eq!(part.before, rows.len());
        rows.extend(part.rows);
        from = part.next;
        if from.is_none() {
            assert_eq!(part.total, rows.len());
            return rows;
        }
    }
}

fn found(text: &str) -> Wanted {
    Wanted {
        find: text.to_owned(),
        ..Wanted::all()
    }
}

#[test]
fn purses_come_by_what_was_spent_then_by_name() {
    let state = state();
    for limit in [1, 2, 4, 9] {
        let purses = walked(limit, |wanted| view::bean::part(&state, wanted));
        let named = purses
            .iter()
            .map(|purse| (purse.name.as_str(), purse.group));
        let told = [
            ("bob", false),
            ("dave", false),
            ("ann", false),
            ("ann", true),
            ("carol", false),
            ("root", false),
        ];
        assert_eq!(named.collect::<Vec<_>>(), told, "{limit} at a time");
    }
    let part = view::bean::part(&state, &found("ann"));
    assert_eq!((part.rows.len(), part.total), (2, 2));
}

#[test]
fn mails_come_by_number_and_are_found_by_address_and_by_person() {
    let state = state();
    for limit in [1, 2, 3] {
        let mails = walked(limit, |wanted| view::mail::part(&state, wanted));
        let addresses = mails.iter().map(|mail| mail.address.as_str());
        let told = ["y@example.org", "z@example.net", "x@example.org"];
        assert_eq!(addresses.collect::<Vec<_>>(), told);
    }
    let count = |text| view::mail::part(&state, &found(text)).total;
    assert_eq!(
        (count("example.org"), count("bob"), count("carol")),
        (2, 2, 0)
    );
}

#[test]
fn quotas_are_of_those_whom_one_may_see() {
    let state = state();
    let seen = |id, called: &str| {
        let asker = user(id, called);
        let all = view::allowance::part(&state, &asker, &Wanted::all());
        let all: Vec<String> = all.rows.into_iter().map(|view| view.user).collect();
        let images = walked(2, |wanted| view::quota::part(&state, &asker, wanted));
        let images: Vec<String> = images.into_iter().map(|view| view.user).collect();
        let accounts = view::account::part(&state, &asker, &Wanted::all()).rows;
        let accounts: Vec<String> = accounts.into_iter().map(|view| view.name).collect();
        assert_eq!(images, accounts);
        (all, images)
    };
    let everybody = ["ann", "bob", "carol", "dave", "root"].map(str::to_owned);
    assert_eq!(seen(1, "root"), (everybody.to_vec(), everybody.to_vec()));
    let carol = "carol".to_owned();
    let both = vec![carol.clone(), "dave".to_owned()];
    assert_eq!(seen(4, "carol"), (both, vec![carol]));
    let dave = vec!["dave".to_owned()];
    assert_eq!(seen(5, "dave"), (dave.clone(), dave));
}
