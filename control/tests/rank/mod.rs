//! What somebody is and may have, and whether what they asked for made that more.

use std::collections::{BTreeMap, BTreeSet};

use docklet_control::id::{GroupId, SecretHash, UserId};
use docklet_control::model::{Bound, JoinRole, MicroBeans, PurseOf, QuotaItem};
use docklet_control::{Actor, Command, State, quota};
use proptest::prelude::*;
use proptest::sample::select;

use super::hostile;

/// Beside ada (2), who manages a group that bob (3) is in: carl (4), and an operator (5).
pub const PEOPLE: [u64; 4] = [2, 3, 4, 5];

/// Anything at all, asked for by anybody who is no admin.
pub fn asked() -> impl Strategy<Value = (Actor, Command)> {
    let person = select(PEOPLE.to_vec()).prop_map(|id| Actor::User(UserId(id)));
    let command = prop_oneof![
        6 => hostile::anything(),
        3 => hostile::asked().prop_map(|(_, command)| command),
        2 => hostile::group::anything(),
        3 => hostile::quota::anything(),
        3 => hostile::bean::anything(),
    ];
    (person, command)
}

/// All by which somebody could do more than others.
pub struct Standing {
    ranks: BTreeMap<UserId, u8>,
    managers: BTreeSet<(UserId, GroupId)>,
    members: BTreeSet<(UserId, GroupId)>,
    passwords: BTreeMap<UserId, String>,
    /// With whose they are.
    sessions: BTreeMap<SecretHash, UserId>,
    limits: BTreeMap<(UserId, QuotaItem), Bound>,
    /// Of people, and of groups.
    beans: BTreeMap<PurseOf, MicroBeans>,
    masters: usize,
    /// Invitations by which a machine gets all that masters know.
    invitations: usize,
}

impl Standing {
    pub fn of(state: &State) -> Self {
        let users = || state.users.values();
        let limits = users().flat_map(|user| {
            let limit = |item| ((user.id, item), quota::limit(state, user, item).bound);
            QuotaItem::ALL.map(limit)
        });
        let mut standing = Self {
            ranks: users().map(|user| (user.id, user.role.rank())).collect(),
            managers: BTreeSet::new(),
            members: BTreeSet::new(),
            passwords: users()
                .map(|user| (user.id, user.password_hash.clone()))
                .collect(),
            sessions: state
                .sessions
                .values()
                .map(|session| (session.id, session.user))
                .collect(),
            limits: limits.collect(),
            beans: state
                .purses
                .values()
                .map(|purse| (purse.of, purse.balance))
                .collect(),
            masters: state.masters.len(),
            invitations: 0,
        };
        for group in state.groups.values() {
            let of = |user: &UserId| (*user, group.id);
            standing.managers.extend(group.managers.iter().map(of));
            standing.members.extend(group.members.iter().map(of));
        }
        let tokens = state.join_tokens.values();
        let tokens = tokens.filter(|token| token.role == JoinRole::Master);
        standing.invitations = tokens.count() + state.replacements.len();
        standing
    }

    /// What is more in `after`, by what `asker` asked for; none if nothing is.
    pub fn risen_to(&self, after: &Self, asker: UserId) -> Option<String> {
        let rank = |standing: &Self, user| standing.ranks.get(user).copied().unwrap_or(0);
        let mut people = after.ranks.keys();
        if let Some(user) = people.find(|user| rank(after, user) > rank(self, user)) {
            return Some(format!("user {user} has a higher role"));
        }
        if !after.managers.is_subset(&self.managers) {
            return Some("somebody manages another group".to_owned());
        }
        let mut passwords = self.passwords.iter();
        let other = passwords
            .find(|(user, hash)| **user != asker && after.passwords.get(user) != Some(*hash));
        if let Some((user, _)) = other {
            return Some(format!("user {user} has another password"));
        }
        // Tokens of one's own do no more than one may.
        let mut sessions = after.sessions.iter();
        if sessions.any(|(id, user)| *user != asker && !self.sessions.contains_key(id)) {
            return Some("somebody else is logged in".to_owned());
        }
        if after.masters > self.masters || after.invitations > self.invitations {
            return Some("a machine may become a master".to_owned());
        }
        let had = |of: &PurseOf| self.beans.get(of).copied();
        let mut beans = after.beans.iter();
        let richer = beans.find(|(of, has)| had(of).is_some_and(|had| **has > had));
        if let Some((of, _)) = richer.filter(|(of, _)| !self.may_give_beans(asker, **of)) {
            return Some(format!("{of:?} has more beans"));
        }
        let sum = |standing: &Self| standing.beans.values().map(|beans| beans.0).sum::<i64>();
        if sum(after) > sum(self) && after.beans.len() == self.beans.len() {
            return Some("there are more beans than before".to_owned());
        }
        let mut limits = after.limits.iter();
        let given = |(user, item): &(UserId, QuotaItem), bound: &Bound| {
            let before = self.limits.get(&(*user, *item));
            let more = before.is_none_or(|before| bound > before);
            more && !self.may_give(after, asker, *user)
        };
        let risen = limits.find(|(of, bound)| given(of, bound));
        risen.map(|((user, item), _)| format!("user {user} may have more {}", item.word()))
    }

    /// Managers give others who are in their groups what those groups have.
    fn may_give_beans(&self, asker: UserId, to: PurseOf) -> bool {
        let PurseOf::User(user) = to else {
            return false;
        };
        let mut managed = self.managers.iter().filter(|(by, _)| *by == asker);
        user != asker && managed.any(|(_, group)| self.members.contains(&(user, *group)))
    }

    /// Managers give others what their groups give, and take them out of groups that give less than is usual.
    fn may_give(&self, after: &Self, asker: UserId, user: UserId) -> bool {
        let mut managed = self.managers.iter().filter(|(by, _)| *by == asker);
        let concerns = |group: GroupId| {
            let (of, key) = ([&self.members, &after.members], (user, group));
            of.into_iter().any(|members| members.contains(&key))
        };
        user != asker && managed.any(|(_, group)| concerns(*group))
    }
}
