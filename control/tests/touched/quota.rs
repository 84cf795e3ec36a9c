//! What may happen to quotas, groups and roles, so that whoever has the vnodes is told.

use docklet_control::event::Event;
use docklet_control::group::event::GroupEvent;
use docklet_control::id::{GroupId, UnixMs, UserId};
use docklet_control::model::{
    Bound, Group, GroupQuota, GroupShare, Quota, QuotaItem, Role, UserQuota,
};
use docklet_control::name::Name;
use docklet_control::quota::event::QuotaEvent;
use proptest::prelude::*;

/// Of a person, and of the one group, by number.
#[derive(Clone, Debug)]
pub enum Happening {
    Formed(Vec<u64>),
    Dissolved,
    Usual(Option<u64>),
    OfUser(u64, Option<u64>),
    OfGroup(Option<u64>),
    Share(u64, Option<u64>),
    Role(u64, Role),
}

pub fn happening() -> impl Strategy<Value = Happening> {
    let person = || 1..4_u64;
    let bound = || prop::option::of(64..67_u64);
    let role = prop::sample::select(vec![Role::User, Role::Admin]);
    prop_oneof![
        prop::collection::vec(person(), 0..3).prop_map(Happening::Formed),
        Just(Happening::Dissolved),
        bound().prop_map(Happening::Usual),
        (person(), bound()).prop_map(|(id, bound)| Happening::OfUser(id, bound)),
        bound().prop_map(Happening::OfGroup),
        (person(), bound()).prop_map(|(id, bound)| Happening::Share(id, bound)),
        (person(), role).prop_map(|(id, role)| Happening::Role(id, role)),
    ]
}

fn quota(bound: Option<u64>) -> Quota {
    let bounds = bound.into_iter().flat_map(|most| {
        let items = [QuotaItem::HomeMib, QuotaItem::BandwidthKbitPerS];
        items.map(|item| (item, Bound::AtMost(most)))
    });
    Quota(bounds.collect())
}

fn course(members: &[u64]) -> Group {
    Group {
        id: GroupId(1),
        name: Name::parse("group", "course").expect("a name"),
        description: String::new(),
        members: members.iter().copied().map(UserId).collect(),
        created_at: UnixMs(0),
        managers: imbl::OrdSet::new(),
    }
}

pub fn event(happening: Happening) -> Event {
    let (group, told) = (GroupId(1), std::collections::BTreeSet::new());
    let left = told.clone();
    Event::Quota(match happening {
        Happening::Formed(members) => {
            let group = course(&members);
            return Event::Group(GroupEvent::Formed { group, left });
        }
        Happening::Dissolved => {
            return Event::Group(GroupEvent::Dissolved { group: course(&[]) });
        }
        Happening::Role(id, role) => {
            let user = UserId(id);
            return Event::RoleSet { user, role };
        }
        Happening::Usual(bound) => {
            let mut quota = quota(bound);
            quota.0.remove(&QuotaItem::HomeMib);
            QuotaEvent::UsualSet { quota }
        }
        Happening::OfUser(id, bound) => {
            let (user, mut quota) = (UserId(id), quota(bound));
            quota.0.remove(&QuotaItem::HomeMib);
            let set = UserQuota { user, quota };
            QuotaEvent::OfUserSet { set }
        }
        Happening::OfGroup(bound) => {
            let quota = quota(bound);
            let set = GroupQuota { group, quota };
            QuotaEvent::OfGroupSet { set, told }
        }
        Happening::Share(id, bound) => {
            let (user, quota) = (UserId(id), quota(bound));
            let set = GroupShare { group, user, quota };
            QuotaEvent::ShareSet { set, told }
        }
    })
}
