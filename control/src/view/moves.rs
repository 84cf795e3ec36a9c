//! Moves as the owner of the vnode sees them.

use serde::{Deserialize, Serialize};

use crate::id::LogIndex;
use crate::model::{Copied, Move, MoveEnd, MoveStage, MoveTimes, MoveWay, MoveWhy, User};
use crate::permit;
use crate::state::State;
use crate::view::explain;

/// The last move of a vnode as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MoveView {
    /// The entry that asked for it.
    pub number: LogIndex,
    /// One word: `copying`, `switching`, `starting`, `returning`, `moved`, `failed` or `cancelled`.
    pub stage: String,
    pub is_open: bool,
    pub way: MoveWay,
    /// Who or what wanted it.
    pub why: String,
    /// Names of the two workers.
    pub from: String,
    pub to: String,
    pub copied: Copied,
    pub times: MoveTimes,
    /// How long the vnode was down, as far as the masters saw it; none if it was not.
    pub down_ms: Option<u64>,
    /// Why it did not come to the other worker; none if there is nothing to say.
    pub cause: Option<String>,
    /// What prevented that it went on while it moved, though that was tried.
    pub not_live: Option<String>,
}

impl MoveView {
    /// Thousandths of the present round that are copied.
    #[must_use]
    pub fn done_permille(&self) -> u64 {
        let Copied {
            done_bytes,
            all_bytes,
            ..
        } = self.copied;
        (done_bytes.saturating_mul(1_000) / all_bytes.max(1)).min(1_000)
    }

    /// What is copied at present.
    fn round(&self) -> String {
        match self.copied.memory_rounds {
            0 => format!("round {}", self.copied.round.max(1)),
            round => format!("memory, round {round}"),
        }
    }

    /// What was copied of its memory while it ran; none if nothing was.
    #[must_use]
    pub fn ahead(&self) -> Option<String> {
        let rounds = match self.copied.memory_rounds {
            0 => return None,
            1 => "1 round".to_owned(),
            rounds => format!("{rounds} rounds"),
        };
        let mib = self.copied.memory_bytes.div_ceil(1 << 20);
        Some(format!(
            "{mib} MiB of its memory were copied while it ran, in {rounds}"
        ))
    }

    /// How far it is, in a sentence without a full stop.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { from, to, .. } = self;
        let way = self.way.word();
        match (self.stage.as_str(), &self.cause) {
            ("copying", _) => format!(
                "is being copied from {from} to {to} ({way}, {}, {} %)",
                self.round(),
                self.done_permille() / 10
            ),
            ("switching", _) => format!("stands still to go from {from} to {to}"),
            ("starting", _) => format!("comes from {from} to {to}"),
            ("returning", Some(cause)) => {
                format!("did not start on {to} and goes back to {from}: {cause}")
            }
            ("moved", _) => match self.down_ms {
                Some(ms) => format!("came from {from} to {to} ({way}, {ms} ms down)"),
                None => format!("came from {from} to {to} ({way})"),
            },
            ("cancelled", _) => format!("stayed on {from}: the move to {to} was cancelled"),
            (_, cause) => {
                let cause = cause.as_deref().unwrap_or("for no reason that is known");
                format!("did not go from {from} to {to}: {cause}")
            }
        }
    }
}

/// The last move of a vnode, with the vnode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct MoveOf {
    /// As who asks calls it.
    pub vnode: String,
    #[serde(flatten)]
    pub moving: MoveView,
}

/// The last moves of all vnodes that `asker` may see: those under way first, then the newest.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<MoveOf> {
    let moves = state.moves.values();
    let mut own: Vec<&Move> = moves.filter(|m| permit::watches(asker, m.owner)).collect();
    own.sort_by_key(|moving| (!moving.is_open(), std::cmp::Reverse(moving.number)));
    let shown = own.into_iter().filter_map(|moving| {
        let vnode = state.vnodes.get(&moving.vnode)?;
        Some(MoveOf {
            vnode: explain::called(state, asker, vnode),
            moving: show(state, moving),
        })
    });
    shown.collect()
}

/// A move as it is shown.
#[must_use]
pub fn show(state: &State, moving: &Move) -> MoveView {
    MoveView {
        number: moving.number,
        stage: moving.stage.word().to_owned(),
        is_open: moving.is_open(),
        way: moving.way,
        why: why(state, moving),
        from: state.worker_called(moving.from),
        to: state.worker_called(moving.to),
        copied: moving.copied,
        times: moving.times,
        down_ms: moving.down_ms(),
        cause: cause(&moving.stage),
        not_live: moving.not_live.clone(),
    }
}

fn why(state: &State, moving: &Move) -> String {
    let owner = || state.users.get(&moving.owner);
    match moving.why {
        MoveWhy::Asked(user) if user == moving.owner => {
            owner().map_or_else(|| "its owner".to_owned(), |user| user.name.to_string())
        }
        MoveWhy::Asked(_) => "an admin".to_owned(),
        MoveWhy::Drain => "drain".to_owned(),
        MoveWhy::Restore => "restore".to_owned(),
        MoveWhy::Rebalance => "rebalance".to_owned(),
    }
}

fn cause(stage: &MoveStage) -> Option<String> {
    match stage {
        MoveStage::Returning { cause } | MoveStage::Ended(MoveEnd::Failed { cause }) => {
            Some(cause.clone())
        }
        MoveStage::Copying
        | MoveStage::Switching
        | MoveStage::Starting
        | MoveStage::Ended(MoveEnd::Moved | MoveEnd::Cancelled) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::UnixMs;

    #[test]
    fn what_is_copied_while_it_runs_is_told() {
        let mut view = MoveView {
            number: LogIndex(7),
            stage: "copying".to_owned(),
            is_open: true,
            way: MoveWay::Live,
            why: "ada".to_owned(),
            from: "w1".to_owned(),
            to: "w2".to_owned(),
            copied: Copied {
                round: 2,
                done_bytes: 1,
                all_bytes: 2,
                ..Copied::default()
            },
            times: MoveTimes {
                asked_at: UnixMs(1),
                ..MoveTimes::default()
            },
            down_ms: None,
            cause: None,
            not_live: None,
        };
        let disk = "is being copied from w1 to w2 (live, round 2, 50 %)";
        assert_eq!((view.sentence().as_str(), view.ahead()), (disk, None));
        view.copied.memory_rounds = 1;
        let memory = "is being copied from w1 to w2 (live, memory, round 1, 50 %)";
        assert_eq!(view.sentence(), memory);
        view.copied.memory_rounds = 3;
        view.copied.memory_bytes = (64 << 20) + 1;
        let ahead = "65 MiB of its memory were copied while it ran, in 3 rounds";
        assert_eq!(view.ahead().as_deref(), Some(ahead));
    }
}
