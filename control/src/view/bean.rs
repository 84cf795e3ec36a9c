//! Beans as people see them: what they have, what it was spent on, and who asks for some.

use std::borrow::Cow;
use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use crate::bean::{called, decides, in_use, is_shown_to};
use crate::id::{GroupId, LogIndex, UnixMs, UserId};
use crate::model::{
    BeanLine, BeanRequest, BeanSettings, Cost, LineOf, MicroBeans, Month, Purse, PurseOf, Used,
    User,
};
use crate::name::Name;
use crate::state::State;
use crate::view::part::{Part, Wanted};

/// What one person sees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BeansView {
    pub settings: BeanSettings,
    /// None before it is opened.
    pub own: Option<PurseView>,
    /// The last request of one's own.
    pub request: Option<BeanRequestView>,
    /// Of groups that one manages.
    pub groups: Vec<PurseView>,
    /// Those of others, about which one may decide.
    pub requests: Vec<BeanRequestView>,
}

/// One purse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PurseView {
    pub name: String,
    pub group: bool,
    pub micro: MicroBeans,
    /// The same, as people read it.
    pub balance: String,
    pub spent_since: Option<UnixMs>,
    /// When what runs is stopped.
    pub stops_at: Option<UnixMs>,
    /// What was spent in the month of the newest line.
    pub spent_micro: MicroBeans,
}

/// A request for beans.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BeanRequestView {
    pub number: LogIndex,
    pub user: String,
    pub beans: u64,
    pub reason: String,
    pub asked_at: UnixMs,
    pub verdict: Option<BeanVerdictView>,
    /// What they have now.
    pub micro: MicroBeans,
    /// The same, as people read it.
    pub balance: String,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BeanVerdictView {
    pub given: bool,
    pub by: String,
    pub at: UnixMs,
    pub reason: String,
}

/// The statement of one month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StatementView {
    pub name: String,
    pub of: PurseOf,
    pub month: String,
    /// All months of which there are lines.
    pub months: Vec<String>,
    /// What there was when it began, and when it ended.
    pub begins_micro: MicroBeans,
    pub ends_micro: MicroBeans,
    pub lines: Vec<LineView>,
    /// Those on which something was spent or given; none of a month of long ago.
    #[serde(default)]
    pub days: Vec<DayView>,
}

/// One day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct DayView {
    /// As `2026-11-28`.
    pub day: String,
    pub cost: Cost,
    /// All of that.
    pub spent_micro: MicroBeans,
    pub credit: MicroBeans,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LineView {
    pub about: LineOf,
    pub label: String,
    pub used: Used,
    pub cost: Cost,
    pub credit: MicroBeans,
    pub count: u64,
    pub first: LogIndex,
    pub last: LogIndex,
    /// What it adds to the balance.
    pub amount: MicroBeans,
}

/// What `asker` has and may do; none where beans are not in use.
#[must_use]
pub fn show(state: &State, asker: &User) -> Option<BeansView> {
    let settings = in_use(state)?.clone();
    let groups = state.groups.values();
    let groups = groups.filter(|group| group.is_managed_by(asker));
    let groups = groups.filter_map(|group| purse(state, PurseOf::Group(group.id)));
    let requests = state.bean_requests.values();
    let others = requests.filter(|row| row.verdict.is_none() && decides(state, row, asker));
    Some(BeansView {
        settings,
        own: purse(state, PurseOf::User(asker.id)),
        request: state
            .bean_requests
            .get(&asker.id)
            .map(|row| request(state, row)),
        groups: groups.collect(),
        requests: others.map(|row| request(state, row)).collect(),
    })
}

/// What somebody has, for the head of every page; none where beans are not in use.
#[must_use]
pub fn balance(state: &State, asker: &User) -> Option<MicroBeans> {
    in_use(state)?;
    let purse = state.purses.get(&PurseOf::User(asker.id))?;
    Some(purse.balance)
}

/// Part of all purses, those first from which most was spent in their newest month: for admins.
#[must_use]
pub fn part(state: &State, wanted: &Wanted) -> Part<PurseView> {
    let key = |spent, name, of| (Reverse(spent), name, of);
    let rows = state.purses.values().filter_map(|purse| {
        let name = name_of(state, purse.of);
        let found = wanted.finds(&name);
        found.then(|| {
            (
                key(spent_in_newest_month(state, purse.of), name, purse.of),
                purse,
            )
        })
    });
    let read = |text: &str| {
        let mut parts = text.splitn(3, '.');
        let spent = MicroBeans(parts.next()?.parse().ok()?);
        let of = match parts.next()?.split_at_checked(1)? {
            ("u", id) => PurseOf::User(UserId(id.parse().ok()?)),
            ("g", id) => PurseOf::Group(GroupId(id.parse().ok()?)),
            _ => return None,
        };
        Some(key(spent, Cow::Owned(parts.next()?.to_owned()), of))
    };
    let tell = |(Reverse(spent), name, of): &(Reverse<MicroBeans>, Cow<'_, str>, PurseOf)| {
        let spent = spent.0;
        match of {
            PurseOf::User(id) => format!("{spent}.u{id}.{name}"),
            PurseOf::Group(id) => format!("{spent}.g{id}.{name}"),
        }
    };
    wanted.of(rows.collect(), read, tell, |purse| shown(state, purse))
}

fn name_of(state: &State, of: PurseOf) -> Cow<'_, str> {
    let name = match of {
        PurseOf::User(id) => state.users.get(&id).map(|user| &user.name),
        PurseOf::Group(id) => state.groups.get(&id).map(|group| &group.name),
    };
    name.map_or_else(|| called(state, of).into(), |name| name.as_str().into())
}

fn spent_in_newest_month(state: &State, of: PurseOf) -> MicroBeans {
    let mut lines = state.bean_lines_of(of).rev().peekable();
    let newest = lines.peek().map(|line| line.month);
    let lines = lines.take_while(|line| Some(line.month) == newest);
    lines.fold(MicroBeans(0), |sum, line| sum.plus(line.cost.sum()))
}

/// Whose purse is named so, if `asker` may see it; one's own if nobody is named.
#[must_use]
pub fn named(
    state: &State,
    asker: &User,
    user: Option<&str>,
    group: Option<&str>,
) -> Option<PurseOf> {
    let of = match (user, group) {
        (_, Some(text)) => {
            let group = state.group_named(&Name::parse("group", text).ok()?)?;
            PurseOf::Group(group.id)
        }
        (Some(text), None) => PurseOf::User(state.user_named(&Name::parse("user", text).ok()?)?.id),
        (None, None) => PurseOf::User(asker.id),
    };
    Some(of).filter(|of| is_shown_to(state, *of, asker))
}

/// The statement of a month; of the newest one of which there are lines if none is given.
#[must_use]
pub fn statement(state: &State, of: PurseOf, month: Option<Month>) -> Option<StatementView> {
    let purse = state.purses.get(&of)?;
    let lines = || state.bean_lines_of(of);
    let newest = lines().next_back().map(|line| line.month);
    let month = month.or(newest).unwrap_or(Month(0));
    let mut months: Vec<Month> = lines().map(|line| line.month).collect();
    months.dedup();
    let earlier = lines().take_while(|line| line.month < month);
    let begins = earlier.fold(purse.before, |sum, line| sum.plus(line.amount()));
    let own: Vec<LineView> = state.bean_lines_in(of, month).map(line).collect();
    let ends = own.iter().fold(begins, |sum, line| sum.plus(line.amount));
    Some(StatementView {
        name: called(state, of),
        of,
        month: month.to_string(),
        months: months.iter().map(ToString::to_string).collect(),
        begins_micro: begins,
        ends_micro: ends,
        lines: own,
        days: days(state, of, month),
    })
}

fn days(state: &State, of: PurseOf, month: Month) -> Vec<DayView> {
    let kept = state.bean_days.get(&(of, month));
    let days = kept.into_iter().flat_map(|kept| &kept.days);
    days.map(|(day, row)| DayView {
        day: format!("{month}-{day}"),
        cost: row.cost,
        spent_micro: row.cost.sum(),
        credit: row.credit,
    })
    .collect()
}

fn purse(state: &State, of: PurseOf) -> Option<PurseView> {
    Some(shown(state, state.purses.get(&of)?))
}

fn shown(state: &State, purse: &Purse) -> PurseView {
    let grace_ms = in_use(state).map(|settings| settings.grace_ms);
    let group = matches!(purse.of, PurseOf::Group(_));
    let since = purse.spent_since.filter(|_| !group);
    PurseView {
        name: name_of(state, purse.of).into_owned(),
        group,
        micro: purse.balance,
        balance: purse.balance.to_string(),
        spent_since: since,
        stops_at: since.zip(grace_ms).map(|(since, ms)| since.plus_ms(ms)),
        spent_micro: spent_in_newest_month(state, purse.of),
    }
}

fn request(state: &State, row: &BeanRequest) -> BeanRequestView {
    let verdict = row.verdict.as_ref().map(|verdict| BeanVerdictView {
        given: verdict.given,
        by: called(state, PurseOf::User(verdict.by)),
        at: verdict.at,
        reason: verdict.reason.clone(),
    });
    let has = crate::bean::balance(state, PurseOf::User(row.user));
    BeanRequestView {
        number: row.number,
        user: called(state, PurseOf::User(row.user)),
        beans: row.beans,
        reason: row.reason.clone(),
        asked_at: row.asked_at,
        verdict,
        micro: has,
        balance: has.to_string(),
    }
}

fn line(line: &BeanLine) -> LineView {
    LineView {
        about: line.about,
        label: line.label.clone(),
        used: line.used.clone(),
        cost: line.cost,
        credit: line.credit,
        count: line.count,
        first: line.first,
        last: line.last,
        amount: line.amount(),
    }
}

impl StatementView {
    /// One line for each of its days, with beans to the millionth.
    #[must_use]
    pub fn csv_by_day(&self) -> String {
        let mut text =
            String::from("day,purse,cpu,memory,disk,ports,network,gpus,rounding,spent,credit\n");
        for day in &self.days {
            let parts = day.cost.parts().map(|(_, beans)| beans.to_string());
            let sums = [day.spent_micro.to_string(), day.credit.to_string()];
            let cells = [
                vec![day.day.clone(), self.name.clone()],
                parts.to_vec(),
                sums.to_vec(),
            ];
            text.push_str(&cells.concat().join(","));
            text.push('\n');
        }
        text
    }

    /// One line for each of its own, with beans to the millionth and what was used.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = String::from(
            "month,purse,line,run_s,cpu_s,memory_mib_s,disk_mib_s,port_s,network_bytes,gpu_s,\
             cpu,memory,disk,ports,network,gpus,rounding,credit,amount,charges,first_entry,last_entry\n",
        );
        for line in &self.lines {
            let used = &line.used;
            let gpu_ms: u64 = used.gpu_ms.values().copied().fold(0, u64::saturating_add);
            let amounts = [
                used.run_ms,
                used.cpu_ms,
                used.memory_mib_ms,
                used.disk_mib_ms,
                used.port_ms,
            ];
            let seconds = amounts.map(|ms| (ms / 1_000).to_string());
            let parts = line.cost.parts().map(|(_, beans)| beans.to_string());
            let cells = [
                vec![self.month.clone(), self.name.clone(), line.label.clone()],
                seconds.to_vec(),
                vec![used.network_bytes.to_string(), (gpu_ms / 1_000).to_string()],
                parts.to_vec(),
                vec![
                    line.credit.to_string(),
                    line.amount.to_string(),
                    line.count.to_string(),
                    line.first.to_string(),
                    line.last.to_string(),
                ],
            ];
            // Names have no commas and no quotes in them.
            text.push_str(&cells.concat().join(","));
            text.push('\n');
        }
        text
    }
}
