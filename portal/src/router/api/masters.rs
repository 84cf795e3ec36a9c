//! Masters, backups and drills.

use super::ADMIN;
use crate::api::{backup, drill, master};
use crate::openapi::Routes;

pub(super) fn routes() -> Routes {
    Routes::about("masters", ADMIN)
        .get("/masters", "List masters", master::list)
        .put(
            "/masters/autopilot",
            "Say what masters do by themselves",
            master::set_autopilot,
        )
        .delete("/masters/{name}", "Remove a master", master::remove)
        .post(
            "/masters/{name}/transfer",
            "Let a master lead",
            master::transfer,
        )
        .post(
            "/masters/{name}/drain",
            "Let a master lead no more",
            master::drain,
        )
        .post(
            "/masters/{name}/replace",
            "Make a token by which another takes its place",
            master::replace,
        )
        .post("/backup", "Take a backup", backup::take)
        .with(|draft| draft.answers(200, "application/octet-stream", "The backup."))
        .and(drills())
}

fn drills() -> Routes {
    Routes::about("drills", ADMIN)
        .get("/drills", "List drills", drill::list)
        .post("/drills", "Order a drill", drill::start)
        .post(
            "/drills/forecast",
            "Say what would be announced",
            drill::forecast,
        )
        .get("/drills/{id}", "Show a drill", drill::show)
        .post("/drills/{id}/abort", "Stop a drill", drill::abort)
        .post(
            "/drills/{id}/probes",
            "Write to see whether it is possible",
            drill::probe,
        )
        .post(
            "/drills/{id}/report",
            "Tell what was measured",
            drill::report,
        )
}
