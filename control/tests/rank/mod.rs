//! What somebody is and may have, and whether what they asked for, also by a token, made that more.

use std::collections::{BTreeMap, BTreeSet};

use docklet_control::id::{GroupId, LogIndex, SecretHash, UnixMs, UserId};
use docklet_control::model::account::Scope;
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
    /// With whose they are, and until when.
    sessions: BTreeMap<SecretHash, (UserId, UnixMs)>,
    tokens: BTreeMap<LogIndex, (UserId, BTreeSet<Scope>)>,
    limits: BTreeMap<(UserId, QuotaItem), Bound>,
    /// Of people, and of groups.
    beans: BTreeMap<PurseOf, MicroBeans>,
    masters: usize,
    /// Links to terminals: whose the vnode is, and who made it.
    shares: BTreeMap<LogIndex, [UserId; 2]>,
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
                .map(|session| (session.id, (session.user, session.expires_at)))
                .collect(),
            tokens: state
                .logins
                .values()
                .filter_map(|login| {
                    let token = login.token.as_ref()?;
                    Some((login.number, (login.user, token.scopes.clone())))
                })
                .collect(),
            limits: limits.collect(),
            beans: state
                .purses
                .values()
                .map(|purse| (purse.of, purse.balance))
                .collect(),
            masters: state.masters.len(),
            shares: state
                .shares
                .values()
                .filter_map(|share| {
                    let vnode = state.vnodes.get(&share.vnode)?;
                    Some((share.id, [vnode.owner, share.by]))
                })
                .collect(),
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

    /// Of logins, what is more in `after` by what a token asked for: it makes none.
    pub fn risen_by_token(&self, after: &Self) -> Option<String> {
        let mut sessions = after.sessions.keys();
        let made = sessions.any(|id| !self.sessions.contains_key(id));
        made.then(|| "a token made a login".to_owned())
    }

    /// Tokens of one's own do no more than one may.
    fn logins_risen_to(&self, after: &Self, asker: UserId) -> Option<String> {
        let mut sessions = after.sessions.iter();
        let longer =
            |(id, (user, until)): (&SecretHash, &(UserId, UnixMs))| match self.sessions.get(id) {
                Some(had) => had.0 != *user || had.1 < *until,
                None => *user != asker,
            };
        if sessions.any(longer) {
            return Some("somebody else is logged in, or somebody for longer".to_owned());
        }
        let above = [Scope::Admin, Scope::Metrics];
        let mut tokens = after.tokens.iter();
        let wider = tokens.find(|(number, (user, scopes))| match self.tokens.get(number) {
            Some(had) => had.0 != *user || !scopes.is_subset(&had.1),
            None => *user != asker || above.iter().any(|scope| scopes.contains(scope)),
        });
        wider.map(|(number, (_, scopes))| format!("the token {number} does {scopes:?}"))
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
        if let Some(risen) = self.logins_risen_to(after, asker) {
            return Some(risen);
        }
        let mut shares = after.shares.iter();
        if shares.any(|(id, of)| *of != [asker; 2] && !self.shares.contains_key(id)) {
            return Some("somebody else's terminal is shared".to_owned());
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
