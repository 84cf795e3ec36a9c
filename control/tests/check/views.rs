//! What people see of the state: no more than is theirs, and nothing that a follower would not be told of.

use std::collections::BTreeSet;

use docklet_control::event::Event;
use docklet_control::id::{Digest, GroupId, UserId, VnodeId, WorkerId};
use docklet_control::image::{catalog, copies};
use docklet_control::model::{BeanDays, BeanLine, Group, ImageTitle, PurseOf, Role, Tally, User};
use docklet_control::rows::{self, Table};
use docklet_control::terminal::event::TerminalEvent;
use docklet_control::view::state::show;
use docklet_control::{Applied, State, bean, notice, permit, template, terminal};
use serde::Serialize;

use super::demand;

/// # Errors
/// What was broken, and for whom.
pub fn check(before: &State, applied: &Applied) -> Result<(), String> {
    let after = &applied.state;
    let opens = opens(before, after);
    for user in after.users.values() {
        let view = show(after, user);
        let seen = permit::visible_change(user, &applied.change);
        let told = seen.is_some();
        let text = serde_json::to_string(&seen).map_err(|fault| fault.to_string())?;
        let hidden = !text.contains("canary") && !text.contains(FACTOR);
        demand(hidden, "a secret is in what a follower is told")?;
        let shut = !opens.iter().any(|word| text.contains(word.as_str()));
        demand(shut, "what opens an account is in what a follower is told")?;
        demand(
            no_link(applied, &text),
            "a link is in what a follower is told",
        )?;
        let same = show(before, user) == view;
        let of = format!("of user {}", user.id);
        demand(told || same, &format!("a follower misses a change {of}"))?;
        let text = serde_json::to_string(&view).map_err(|fault| fault.to_string())?;
        demand(
            no_secret(after, &text),
            &format!("a secret is in the view {of}"),
        )?;
        if user.role == Role::User {
            let alone = show(&alone(after, user)?, user);
            demand(alone == view, &format!("others show in the view {of}"))?;
        }
    }
    Ok(())
}

/// The secret of second factors in these tests, and how lists of bytes begin with it.
const FACTOR: &str = "99,97,110,97,114,121";

fn no_secret(state: &State, text: &str) -> bool {
    let recovery = state
        .accounts
        .values()
        .filter_map(|row| row.factor.as_ref());
    let recovery = recovery.flat_map(|factor| &factor.recovery);
    let recovery = recovery.map(ToString::to_string);
    let sessions = state.sessions.keys().map(ToString::to_string);
    let tokens = state.join_tokens.keys().chain(state.visits.keys());
    let tokens = tokens.map(ToString::to_string);
    let links = state.shares.values();
    let links = links.flat_map(|share| [share.secret.to_string(), share.session.to_string()]);
    // The random hashes of these tests may be those of an image.
    let shown: BTreeSet<String> = state.images.keys().map(ToString::to_string).collect();
    let mut secrets = sessions
        .chain(tokens)
        .chain(links)
        .chain(recovery)
        .filter(|hash| !shown.contains(hash));
    !text.contains("password")
        && !text.contains("canary")
        && !text.contains(FACTOR)
        && !secrets.any(|secret| text.contains(&secret))
}

/// Hashes of passwords, of recovery codes and of what logins show.
fn opens(before: &State, state: &State) -> Vec<String> {
    let users = state.users.values().map(|user| &user.password_hash);
    let asking = state.applications.values().map(|row| &row.password_hash);
    // Shorter texts of these tests stand anywhere.
    let passwords = users.chain(asking).filter(|hash| hash.len() > 8).cloned();
    let factors = state.accounts.values();
    let factors = factors.filter_map(|row| row.factor.as_ref());
    let recovery = factors.flat_map(|factor| &factor.recovery);
    let hashes = recovery.chain(state.sessions.keys());
    let hashes = hashes.map(ToString::to_string);
    // The random hashes of these tests may be those of an image, which may be gone by now.
    let images = before.images.keys().chain(state.images.keys());
    let shown: BTreeSet<String> = images.map(ToString::to_string).collect();
    let hashes = hashes.filter(|hash| !shown.contains(hash) && !is_hidden(hash));
    passwords.chain(hashes).collect()
}

/// What finds a link, or the terminal to which it leads, is in no event that somebody is told.
fn no_link(applied: &Applied, told: &str) -> bool {
    let mut events = applied.change.events.iter();
    events.all(|event| {
        let Event::Terminal(TerminalEvent::Shared { share, .. }) = event else {
            return true;
        };
        let mut words = [share.secret.to_string(), share.session.to_string()].into_iter();
        words.all(|word| is_hidden(&word) || !told.contains(&word))
    })
}

/// Nothing but noughts stands for what is hidden.
fn is_hidden(hash: &str) -> bool {
    hash.chars().all(|digit| digit == '0')
}

/// The state with nothing in it but what is the user's, images that they may see, and workers that run something of the
/// user's.
fn alone(state: &State, user: &User) -> Result<State, String> {
    let own = Own::of(state, user);
    let rows = rows::iter(state).filter(|(table, key, _)| own.has(*table, key));
    rows::load(rows.map(|(table, _, value)| (table, value))).map_err(|fault| fault.to_string())
}

/// Keys of what is a user's.
struct Own {
    keys: BTreeSet<(Table, Vec<u8>)>,
    /// Before people had names of their own for them, all images were everybody's.
    all_images: bool,
}

impl Own {
    fn of(state: &State, who: &User) -> Self {
        let user = who.id;
        let mut own = Self {
            keys: BTreeSet::new(),
            all_images: state.version() < copies::SINCE,
        };
        let titles = catalog::visible(state, who);
        own.add(Table::ImageTitles, titles.iter().map(|title| title.key()));
        let digests = titles.iter().flat_map(|title| &title.versions);
        let digests: Vec<Digest> = digests.map(|version| version.digest).collect();
        own.add(Table::Images, digests.iter().copied());
        own.add(Table::ImageRuns, digests);
        own.groups(state, who, &titles);
        // Of them no more than their names is shown.
        own.add::<UserId>(Table::Users, titles.iter().map(|title| title.owner));
        let shared = titles.iter().filter(|title| title.owner == user);
        let shared = shared.flat_map(|title| title.shared_with.iter().copied());
        own.add::<UserId>(Table::Users, shared);
        own.templates(state, who);
        own.notices(state, who);
        own.beans(state, who);
        own.shares(state, who);
        own.add(Table::Users, [user]);
        own.add(Table::ImageQuotas, [user]);
        own.add(Table::UserHomes, [user]);
        own.add(Table::UserQuotas, [user]);
        let sessions = state.sessions.values().filter(|s| s.user == user);
        own.add(Table::Sessions, sessions.map(|s| s.id));
        own.add(Table::Accounts, [user]);
        own.add(
            Table::Identities,
            state.identities_of(user).map(|row| row.id),
        );
        let logins = state.logins.values().filter(|login| login.user == user);
        own.add(Table::Logins, logins.map(|login| login.id));
        own.add(Table::Networks, state.network_of(user).map(|n| n.id));
        own.add(Table::Vclusters, state.vclusters_of(user).map(|v| v.id));
        let vnodes = || state.vnodes.values().filter(|vnode| vnode.owner == user);
        own.add::<VnodeId>(Table::Vnodes, vnodes().map(|vnode| vnode.id));
        own.add::<VnodeId>(Table::ImageSaves, vnodes().map(|vnode| vnode.id));
        own.add::<VnodeId>(Table::VnodeWishes, vnodes().map(|vnode| vnode.id));
        let vclusters = state.vclusters_of(user).map(|v| v.id);
        own.add(Table::VclusterWishes, vclusters);
        own.add::<VnodeId>(Table::VnodeResizes, vnodes().map(|vnode| vnode.id));
        let vclusters = state.vclusters_of(user).map(|v| v.id);
        own.add(Table::VclusterBandwidths, vclusters);
        let vclusters = state.vclusters_of(user).map(|v| v.id);
        own.add(Table::VclusterRules, vclusters);
        let vclusters = state.vclusters_of(user).map(|v| v.id);
        own.add(Table::Trashed, vclusters);
        let kept = state.kept.values().filter(|kept| kept.owner == user);
        own.add(Table::Kept, kept.map(|kept| kept.number));
        own.add::<VnodeId>(Table::VnodeFences, vnodes().map(|vnode| vnode.id));
        own.add::<VnodeId>(Table::VnodeLosses, vnodes().map(|vnode| vnode.id));
        let lost = vnodes().filter_map(|vnode| state.vnode_losses.get(&vnode.id));
        own.add::<WorkerId>(Table::Workers, lost.map(|loss| loss.lost.worker));
        let snapshots = state.snapshots.values().filter(|s| s.owner == user);
        own.add(Table::Snapshots, snapshots.map(|snapshot| snapshot.key()));
        own.add::<VnodeId>(Table::SnapshotRestores, vnodes().map(|vnode| vnode.id));
        own.add::<VnodeId>(Table::SnapshotSaves, vnodes().map(|vnode| vnode.id));
        own.add::<VnodeId>(Table::SnapshotCopies, vnodes().map(|vnode| vnode.id));
        let schedules = state.snapshot_schedules.values();
        let schedules = schedules.filter(|schedule| schedule.owner == user);
        own.add(Table::SnapshotSchedules, schedules.map(|s| s.vcluster));
        let placed = vnodes().filter_map(|vnode| vnode.placement);
        own.add::<WorkerId>(Table::Workers, placed.map(|placed| placed.worker));
        own.add::<VnodeId>(Table::Moves, vnodes().map(|vnode| vnode.id));
        let moves = state.moves.values().filter(|moving| moving.owner == user);
        let workers = moves.flat_map(|moving| [moving.from, moving.to]);
        own.add::<WorkerId>(Table::Workers, workers);
        let ports = state.ports.values().filter(|port| port.owner == user);
        own.add(Table::Ports, ports.map(|port| port.public));
        let services = state.services.values().filter(|row| row.owner == user);
        own.add(Table::Services, services.map(|row| row.id));
        let refused = vnodes().flat_map(|vnode| &vnode.obstacles);
        own.add::<WorkerId>(Table::Workers, refused.map(|obstacle| obstacle.worker));
        own
    }

    /// Of whoever published one, and of whom its image is, no more than the name is shown.
    fn templates(&mut self, state: &State, who: &User) {
        let templates = state.templates.values();
        let shown: Vec<_> = templates
            .filter(|row| template::is_shown_to(state, row, who))
            .collect();
        self.add(Table::Templates, shown.iter().map(|row| row.name.clone()));
        self.add::<UserId>(Table::Users, shown.iter().map(|row| row.by));
        self.add::<UserId>(Table::Users, shown.iter().map(|row| row.recipe.image.0));
        // Whether the image may be used is shown, also of one that has a name of the time before people had names of their own.
        let usable = shown.iter().filter(|row| {
            let image = template::image_for(state, &row.recipe, who);
            image.is_some() && !state.image_titles.contains_key(&row.recipe.image)
        });
        let names: Vec<_> = usable.map(|row| row.recipe.image.1.clone()).collect();
        let digests = names.iter().filter_map(|name| state.image_named(name));
        self.add::<Digest>(Table::Images, digests.map(|image| image.digest));
        self.add(Table::ImageNames, names);
    }

    /// What they read or may take back, how far they have read, and what they found wrong.
    fn notices(&mut self, state: &State, who: &User) {
        let notices = state.notices.values();
        let shown = notices.filter(|row| notice::is_shown_to(state, row, who));
        self.add(Table::Notices, shown.map(|row| row.id));
        self.add(Table::Readers, [who.id]);
        self.add(Table::Bugs, state.bugs_of(who.id).map(|row| row.id));
    }

    /// Those of own vnodes. Of whoever made one, and of guests, no more than their names is shown.
    fn shares(&mut self, state: &State, who: &User) {
        let shares = state.shares.values();
        let shown: Vec<_> = shares
            .filter(|row| terminal::is_shown_to(state, row, who))
            .collect();
        self.add(Table::Shares, shown.iter().map(|row| row.id));
        self.add::<UserId>(Table::Users, shown.iter().map(|row| row.by));
        let guests = shown.iter().flat_map(|row| row.guests.iter().copied());
        self.add::<UserId>(Table::Users, guests);
    }

    /// One's own purse and those of groups that one manages, with what is in them; and requests about which one decides.
    fn beans(&mut self, state: &State, who: &User) {
        let purses = state.purses.keys().copied();
        let shown = |of: PurseOf| bean::is_shown_to(state, of, who);
        self.add(Table::Purses, purses.filter(|of| shown(*of)));
        let lines = state.bean_lines.values().filter(|line| shown(line.of));
        self.add(Table::BeanLines, lines.map(BeanLine::key));
        let days = state.bean_days.values().filter(|days| shown(days.of));
        self.add(Table::BeanDays, days.map(BeanDays::key));
        let tallies = state.tallies.values();
        let tallies = tallies.filter(|tally| tally.owner == who.id);
        self.add(Table::Tallies, tallies.map(Tally::key));
        let requests = state.bean_requests.values();
        let requests = requests.filter(|row| row.user == who.id || bean::decides(state, row, who));
        self.add(Table::BeanRequests, requests.map(|row| row.user));
    }

    /// Groups that the user is in or manages, with who else does and what they give; and of those that own images are shared
    /// with, the names.
    fn groups(&mut self, state: &State, who: &User, titles: &[&ImageTitle]) {
        self.add(Table::ImageGroups, titles.iter().map(|title| title.key()));
        let groups = state.groups.values();
        let (in_it, other): (Vec<&Group>, Vec<&Group>) =
            groups.partition(|group| group.concerns(who.id));
        self.add(Table::Groups, in_it.iter().map(|group| group.id));
        self.add(Table::GroupQuotas, in_it.iter().map(|group| group.id));
        let people = |group: &&Group| {
            let people = group.members.iter().chain(&group.managers);
            people.copied().collect::<Vec<UserId>>()
        };
        self.add::<UserId>(Table::Users, in_it.iter().flat_map(people));
        let managed = |group: GroupId| in_it.iter().any(|g| g.id == group && g.is_managed_by(who));
        let shares = state.group_shares.values();
        let shares = shares.filter(|share| share.user == who.id || managed(share.group));
        self.add(Table::GroupShares, shares.map(|share| share.key()));
        let own = || titles.iter().filter(|title| title.owner == who.id);
        let shared = |group: &&&Group| {
            let mut groups = own().flat_map(|title| state.groups_of_image(title));
            groups.any(|shared| shared.id == group.id)
        };
        let named = other.iter().filter(shared).map(|group| group.id);
        self.add(Table::Groups, named);
    }

    fn add<K: Serialize>(&mut self, table: Table, keys: impl IntoIterator<Item = K>) {
        let keys = keys.into_iter();
        let bytes = keys.map(|key| postcard::to_stdvec(&key).expect("a key is plain data"));
        self.keys.extend(bytes.map(|key| (table, key)));
    }

    fn has(&self, table: Table, key: &[u8]) -> bool {
        let image = matches!(table, Table::Images | Table::ImageNames) && self.all_images;
        // A table of one row has no key.
        let single = matches!(
            table,
            Table::Agreed
                | Table::UsualHome
                | Table::UsualQuota
                | Table::ImageQuota
                | Table::BeanSettings
        );
        image || single || self.keys.contains(&(table, key.to_vec()))
    }
}
