//! Looking back: which moment is meant, and the state as it was then.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use docklet_control::State;
use docklet_control::id::{LogIndex, UnixMs};
use docklet_control::view::state::{self, NameDiff, Noun, StateDiff, StateView};
use docklet_raft::Master;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::asker::{Asker, now};
use crate::problem::Problem;
use crate::serve::Portal;

/// Looks into the past at once: each may read all of the history.
pub(crate) const LOOKS_MAX: usize = 2;
/// A look waits for others so long.
const TURN_MAX: Duration = Duration::from_secs(5);
/// How long this master may take to learn what is newest.
const READ_DEADLINE: Duration = Duration::from_secs(3);

/// A moment that somebody asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// After an entry.
    Entry(LogIndex),
    /// At a time.
    Time(UnixMs),
    /// So many milliseconds ago.
    Ago(u64),
}

impl FromStr for Moment {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let moment = entry(text).or_else(|| ago(text)).or_else(|| time(text));
        moment.ok_or_else(|| {
            let cause = "give an entry's number, a time as 2026-01-31T12:00:00Z, or how long ago as -15m (s, m, h or d)";
            Problem::malformed(&format!("\"{}\"", text.escape_debug()), cause)
        })
    }
}

fn entry(text: &str) -> Option<Moment> {
    text.parse()
        .ok()
        .map(|index| Moment::Entry(LogIndex(index)))
}

fn ago(text: &str) -> Option<Moment> {
    let text = text.strip_prefix('-')?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit_ms = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 24 * 3_600_000,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    number.checked_mul(unit_ms).map(Moment::Ago)
}

/// A time with its offset, or one without, which is UTC as all times that are printed.
fn time(text: &str) -> Option<Moment> {
    let stamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    });
    let ms = u64::try_from(stamp?.as_millisecond()).ok()?;
    Some(Moment::Time(UnixMs(ms)))
}

/// The state as it was.
pub(crate) struct Past {
    /// The entry after which it was so.
    pub(crate) index: LogIndex,
    /// When that was stamped, or the last before it that changed something; none if that is not known.
    pub(crate) at: Option<UnixMs>,
    /// Without receipts.
    pub(crate) state: Arc<State>,
}

/// How far back the history of this master reaches.
#[derive(Clone, Copy, Debug, serde::Serialize, schemars::JsonSchema)]
pub(crate) struct Oldest {
    /// The oldest entry after which the state can be shown.
    pub(crate) index: LogIndex,
    pub(crate) at: Option<UnixMs>,
}

pub(crate) async fn oldest(master: &Master) -> Result<Oldest, Problem> {
    let (index, at) = master.reach().await?;
    Ok(Oldest { index, at })
}

/// The state at a moment, or now. Whoever looks holds one of a few turns meanwhile.
pub(crate) async fn look(
    portal: &Portal,
    asker: &Asker,
    moment: Option<Moment>,
) -> Result<Past, Problem> {
    let index = match moment {
        None => asker.frozen.index,
        Some(moment) => index_of(&portal.master, moment).await?,
    };
    let at = portal.master.stamp(index).await?;
    if index == asker.frozen.index {
        let state = asker.frozen.state.clone();
        return Ok(Past { index, at, state });
    }
    match portal.master.state_at(index).await? {
        Some(state) => Ok(Past {
            index,
            at,
            state: Arc::new(state),
        }),
        None => Err(forgotten(portal, &format!("the state after entry {index}")).await?),
    }
}

/// One of the few turns to look back.
pub(crate) async fn turn(turns: &Semaphore) -> Result<SemaphorePermit<'_>, Problem> {
    match tokio::time::timeout(TURN_MAX, turns.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        Ok(Err(_)) | Err(_) => Err(Problem {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "looks_under_way",
            detail:
                "this master is looking back for others: ask another master, or again in a moment"
                    .to_owned(),
        }),
    }
}

async fn index_of(master: &Master, moment: Moment) -> Result<LogIndex, Problem> {
    let time = match moment {
        Moment::Entry(index) if index <= master.local().index => return Ok(index),
        Moment::Entry(index) => {
            let newest = master.read(READ_DEADLINE).await?.index;
            return if index <= newest {
                Ok(index)
            } else {
                Err(not_yet(&format!("entry {index}"), newest))
            };
        }
        Moment::Time(time) => time,
        Moment::Ago(ms) => UnixMs(now().0.saturating_sub(ms)),
    };
    // What was stamped before now by the leader must be known here.
    let newest = master.read(READ_DEADLINE).await?.index;
    if time > now() {
        return Err(not_yet(&instant(time), newest));
    }
    match master.index_at(time).await? {
        Some(index) => Ok(index),
        None => Err(beyond(
            &format!("the state of {}", instant(time)),
            oldest(master).await?,
        )),
    }
}

/// Whether a field of this name is milliseconds since 1970.
pub(crate) fn is_instant(field: &str) -> bool {
    field == "at" || field.ends_with("_at") || field.ends_with("_since")
}

/// A time as people read it.
pub(crate) fn instant(at: UnixMs) -> String {
    let ms = i64::try_from(at.0).unwrap_or(i64::MAX);
    let stamp = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    stamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

async fn forgotten(portal: &Portal, what: &str) -> Result<Problem, Problem> {
    Ok(beyond(what, oldest(&portal.master).await?))
}

fn beyond(what: &str, oldest: Oldest) -> Problem {
    let since = oldest.at.map(|at| format!(", {}", instant(at)));
    Problem {
        status: StatusCode::GONE,
        code: "no_longer_kept",
        detail: format!(
            "{what} is not kept: the history of this master reaches back to entry {}{}; ask for that or a later one",
            oldest.index,
            since.unwrap_or_default()
        ),
    }
}

fn not_yet(what: &str, newest: LogIndex) -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        code: "not_yet",
        detail: format!("{what} is still to come: the newest entry is {newest}"),
    }
}

/// What the asker may see of it, with the receipts up to then.
pub(crate) fn view(past: &Past, asker: &Asker) -> StateView {
    let mut view = state::show(&past.state, &asker.user);
    let receipts = state::receipts(&asker.frozen.state, &asker.user, past.index);
    if !receipts.is_empty() {
        view.0.insert(Noun::Receipts, receipts);
    }
    view
}

/// A large state takes a moment to be made readable: on a thread of its own.
pub(crate) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Problem {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "fault",
            detail: format!(
                "the state could not be made readable ({error}): try again, and tell an admin"
            ),
        })
}

/// What differs, with the receipts in between if time goes forward.
pub(crate) fn compared(from: &Past, to: &Past, asker: &Asker) -> StateDiff {
    let view = |past: &Past| state::show(&past.state, &asker.user);
    let mut diff = state::diff(&view(from), &view(to));
    let receipts = state::receipts(&asker.frozen.state, &asker.user, to.index);
    let later = receipts.into_iter().filter(|(index, _)| {
        let index = index.parse::<LogIndex>();
        index.is_ok_and(|index| index > from.index)
    });
    let later: BTreeMap<String, NameDiff> = later
        .map(|(index, fields)| (index, NameDiff::Added(fields)))
        .collect();
    if !later.is_empty() {
        diff.0.insert(Noun::Receipts, later);
    }
    diff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_an_entry_a_time_or_so_long_ago() {
        let moment = |text: &str| text.parse::<Moment>().ok();
        assert_eq!(moment("17"), Some(Moment::Entry(LogIndex(17))));
        assert_eq!(moment("-15m"), Some(Moment::Ago(900_000)));
        assert_eq!(moment("-2d"), Some(Moment::Ago(172_800_000)));
        let noon = Some(Moment::Time(UnixMs(1_769_860_800_000)));
        assert_eq!(moment("2026-01-31T12:00:00Z"), noon);
        assert_eq!(moment("2026-01-31T13:00:00+01:00"), noon);
        assert_eq!(moment("2026-01-31 12:00:00"), noon);
        for nonsense in [
            "",
            "-",
            "-m",
            "m",
            "-5",
            "-5y",
            "15m",
            "yesterday",
            "-99999999999999999999d",
            "1970",
        ] {
            let expected = (nonsense == "1970").then_some(Moment::Entry(LogIndex(1970)));
            assert_eq!(moment(nonsense), expected, "{nonsense}");
        }
    }
}
