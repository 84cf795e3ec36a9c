//! Vnodes whose worker is lost, in words.

use crate::calendar::date;
use crate::id::UnixMs;
use crate::lost;
use crate::model::{OnLost, Vnode, Worker, WorkerStatus};
use crate::state::State;

/// What becomes of a vnode whose worker is not in touch.
pub(super) fn of_vnode(state: &State, vnode: &Vnode, worker: &Worker) -> String {
    let name = &worker.name;
    if worker.status != WorkerStatus::Down {
        return format!("its worker {name} must join again; the vnode may well be running");
    }
    let since = format!(
        "its worker {name} is lost since {}",
        utc(worker.status_since)
    );
    if lost::is_restartable(state, vnode) {
        return format!(
            "{since}; it begins anew on another that can take it, as soon as {name} has certainly ended it"
        );
    }
    let asks = state.rules_of(vnode.vcluster).on_lost == OnLost::Restart;
    if asks && !state.is_fenced(vnode) {
        return format!(
            "{since}; it waits for it: {name} has not said that it would end it by itself"
        );
    }
    format!("{since}; it waits for it, and may well be running")
}

/// That a vnode has another disk than it had; none if it has not.
pub(super) fn began_anew(state: &State, vnode: &Vnode) -> Option<String> {
    let loss = state.vnode_losses.get(&vnode.id)?;
    let name = state.worker_called(loss.lost.worker);
    let at = utc(loss.at);
    Some(format!(
        "it began anew at {at} because {name} was lost; what was on its disk is lost with it"
    ))
}

/// As people read it.
fn utc(at: UnixMs) -> String {
    let seconds = at.0 / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_calendars_have_them() {
        let read = |seconds: u64| utc(UnixMs(seconds * 1_000));
        assert_eq!(read(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(read(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(read(951_868_800), "2000-03-01 00:00:00 UTC");
        assert_eq!(read(1_735_689_599), "2024-12-31 23:59:59 UTC");
        assert_eq!(read(1_709_210_096), "2024-02-29 12:34:56 UTC");
    }
}
