//! Snapshots as tables.

use docklet_control::model::RestoreSeen;
use docklet_control::view::{RestoreView, ScheduleView, SnapshotView, SnapshotsView};

use super::name::span;
use crate::client::output::{Format, Rows, instant, print, remark};

/// All that there is; remarks of what is not in the table stand beside it.
pub fn all(format: Format, vcluster: &str, view: &SnapshotsView) -> anyhow::Result<()> {
    print(format, view, |view| {
        let mut rows = Rows::new(&[
            "snapshot",
            "state",
            "why",
            "taken",
            "uses",
            "stood still",
            "expires",
            "cause",
        ]);
        for snapshot in &view.snapshots {
            rows.add(row(vcluster, snapshot));
        }
        rows
    })?;
    if format == Format::Table {
        view.restores
            .iter()
            .for_each(|r| remark(&restored(vcluster, r)));
        if let Some(schedule) = &view.schedule {
            remark(&scheduled(schedule));
        }
    }
    Ok(())
}

fn row(vcluster: &str, snapshot: &SnapshotView) -> [String; 8] {
    let none = || "-".to_owned();
    let measures = snapshot.measures();
    [
        format!("{vcluster}/{}", snapshot.called()),
        snapshot.condition().to_owned(),
        snapshot.why.word().to_owned(),
        instant(snapshot.asked_at),
        measures.map_or_else(none, |(_, used, _)| {
            format!("{} MiB", used.div_ceil(1 << 20))
        }),
        measures.map_or_else(none, |(_, _, still_us)| still(still_us)),
        snapshot
            .expires_at
            .map_or_else(|| "never".to_owned(), instant),
        snapshot.cause().to_owned(),
    ]
}

fn still(us: u64) -> String {
    format!("{}.{} ms", us / 1_000, us % 1_000 / 100)
}

pub fn restored(vcluster: &str, restore: &RestoreView) -> String {
    let (vnode, name) = (&restore.vnode, &restore.name);
    match &restore.seen {
        RestoreSeen::Wanted => format!("{vcluster}/{vnode} is being restored to {name}."),
        RestoreSeen::Done { at } => {
            let left = match &restore.left {
                Some(left) => format!("; what was there before is {vcluster}/{vnode}@{left}"),
                None => String::new(),
            };
            format!(
                "{vcluster}/{vnode} was restored to {name} at {}{left}.",
                instant(*at)
            )
        }
        RestoreSeen::Failed { cause } => {
            format!("{vcluster}/{vnode} was not restored to {name}: {cause}.")
        }
    }
}

fn scheduled(schedule: &ScheduleView) -> String {
    let expires = schedule
        .ttl_ms
        .map(|ms| format!(", each for {} at most", span(ms)));
    let trouble = Some(&schedule.trouble).filter(|trouble| !trouble.is_empty());
    format!(
        "One of each vnode is taken every {}, {} are kept{}; the next at {}.{}",
        span(schedule.every_ms),
        schedule.keep,
        expires.unwrap_or_default(),
        instant(schedule.next_at),
        trouble.map_or_else(String::new, |trouble| format!(
            " The last time not of: {trouble}."
        )),
    )
}

pub fn schedule(format: Format, vcluster: &str, view: &ScheduleView) -> anyhow::Result<()> {
    print(format, view, |view| {
        let mut rows = Rows::new(&["vcluster", "every", "keep", "expires", "next", "trouble"]);
        rows.add([
            vcluster.to_owned(),
            span(view.every_ms),
            view.keep.to_string(),
            view.ttl_ms.map_or_else(|| "never".to_owned(), span),
            instant(view.next_at),
            view.trouble.clone(),
        ]);
        rows
    })
}
