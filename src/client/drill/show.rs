//! Drills as tables.

use std::process::ExitCode;

use docklet_control::model::drill::{RestoreFigures, Verdict};
use docklet_control::view::DrillView;
use docklet_control::view::drill::{LossView, duration};

use super::Connection;
use crate::cli::Print;
use crate::client::output::{Rows, instant, print};

pub async fn list(connection: &Connection, format: Print) -> anyhow::Result<ExitCode> {
    let views: Vec<DrillView> = connection.get("/drills").await?;
    print(format.format, &views, |views| {
        let mut rows = Rows::new(&[
            "id",
            "kind",
            "targets",
            "state",
            "gap",
            "accepted",
            "lost",
            "healed",
            "announced",
        ]);
        for view in views {
            let figures = view.figures.filter(|figures| figures.probes_acked > 0);
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            rows.add([
                view.id.to_string(),
                view.kind.word().to_owned(),
                view.targets.join(","),
                state(view).to_owned(),
                or_dash(figures.map(|f| duration(f.write_gap_ms))),
                duration(view.gap_max_ms),
                or_dash(figures.map(|f| f.probes_lost.to_string())),
                or_dash(figures.and_then(|f| f.healed_ms).map(duration)),
                instant(view.announced_at),
            ]);
        }
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The verdict, or the stage while there is none.
pub fn state(view: &DrillView) -> &'static str {
    view.verdict.map_or(view.stage.word(), Verdict::word)
}

pub fn one(format: Print, view: &DrillView) -> anyhow::Result<ExitCode> {
    print(format.format, view, rows)?;
    Ok(ExitCode::SUCCESS)
}

fn rows(view: &DrillView) -> Rows {
    let mut rows = Rows::new(&["what", "value"]);
    let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
    add("drill", format!("{} {}", view.id, view.kind.word()));
    add("state", state(view).to_owned());
    for reason in &view.reasons {
        add("reason", reason.clone());
    }
    add("plan", view.what.clone());
    add("asked for by", view.asked_by.clone());
    add("announced", instant(view.announced_at));
    add(
        "accepted gap",
        format!(
            "{} ({} expected)",
            duration(view.gap_max_ms),
            duration(view.estimate_ms)
        ),
    );
    if view.figures.is_some_and(|figures| figures.probes_acked > 0) {
        measured(view, &mut add);
    }
    if let Some(restored) = &view.restored {
        tried_out(restored, &mut add);
    }
    if let Some(loss) = &view.loss {
        lost(loss, &mut add);
    }
    for prober in &view.probers {
        let told = format!(
            "{} of {} acknowledged, gap {}",
            prober.acked,
            prober.sent,
            duration(prober.figures.write_gap_ms)
        );
        add(&format!("seen by {}", prober.prober), told);
    }
    for gone in &view.gone {
        add(&format!("seen by {gone}"), "left before it told".to_owned());
    }
    for check in &view.checks {
        let lacks = check.missing.map_or_else(
            || "did not answer".to_owned(),
            |missing| format!("lacks {missing} acknowledged writes"),
        );
        let at = check
            .index
            .map(|index| format!(", same state at entry {index}"));
        add(&check.master, lacks + &at.unwrap_or_default());
    }
    for step in &view.steps {
        let after = duration(step.at.since_ms(view.announced_at));
        add(&format!("+{after}"), step.text.clone());
    }
    rows
}

fn lost(loss: &LossView, add: &mut impl FnMut(&str, String)) {
    let or_not = |ms: Option<u64>| ms.map_or_else(|| "not".to_owned(), duration);
    add("found lost after", or_not(loss.down_ms));
    add("worker silent for", or_not(loss.held_ms));
    add("found back after", or_not(loss.back_ms));
    for vnode in &loss.vnodes {
        let mut told = match (&vnode.went_to, vnode.again_ms) {
            (Some(worker), Some(ms)) => format!("on {worker} after {}", duration(ms)),
            _ if vnode.restarts => "did not begin anew elsewhere".to_owned(),
            _ => "waited for its worker".to_owned(),
        };
        if let Some(ms) = vnode.unreached_ms {
            told += &format!(", nobody could reach it for {}", duration(ms));
        }
        add(&vnode.vnode, told);
    }
}

fn tried_out(restored: &RestoreFigures, add: &mut impl FnMut(&str, String)) {
    add(
        "backup taken in",
        format!(
            "{} (entry {}, {} bytes)",
            duration(restored.backup_ms),
            restored.index,
            restored.bytes
        ),
    );
    add("restored in", duration(restored.restore_ms));
    add("wrote after", duration(restored.write_ms));
    let same = if restored.same_state { "yes" } else { "no" };
    add("same state", same.to_owned());
}

fn measured(view: &DrillView, add: &mut impl FnMut(&str, String)) {
    let figures = view.figures.unwrap_or_default();
    let or_never = |ms: Option<u64>| ms.map_or_else(|| "never".to_owned(), duration);
    add(
        "write gap",
        format!(
            "{} (usually {})",
            duration(figures.write_gap_ms),
            duration(figures.write_gap_before_ms)
        ),
    );
    add("next write after", or_never(figures.resumed_ms));
    add("longest wait", duration(figures.write_wait_ms));
    add("current read gap", duration(figures.read_gap_ms));
    add("fault held", duration(figures.held_ms));
    add("healed after", or_never(figures.healed_ms));
    add("elections", figures.elections.to_string());
    let leader = |name: &Option<String>| name.clone().unwrap_or_else(|| "nobody".to_owned());
    add(
        "leader",
        format!(
            "{} -> {}",
            leader(&view.leader_before),
            leader(&view.leader_after)
        ),
    );
    add(
        "lost",
        format!(
            "{} of {} acknowledged",
            figures.probes_lost, figures.probes_acked
        ),
    );
    add(
        "vnodes running",
        format!("{} -> {}", figures.vnodes_before, figures.vnodes_after),
    );
}
