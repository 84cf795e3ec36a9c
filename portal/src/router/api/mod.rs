//! The table of the JSON interface: each line is a route, and an operation of its document.

mod accounts;
mod files;
mod images;
mod machines;
mod masters;
mod notices;
mod quotas;
mod vclusters;
mod vnodes;

use docklet_control::account::scope::Takes;
use docklet_control::model::account::Scope;

use crate::api::{audit, health, kept, setting, state, status, template, trash};
use crate::openapi::{self, Routes};

const ADMIN: Takes = Takes::Scope(Scope::Admin);
const VCLUSTERS: Takes = Takes::Scope(Scope::Vclusters);
const IMAGES: Takes = Takes::Scope(Scope::Images);
const TERMINALS: Takes = Takes::Scope(Scope::Terminals);

/// All but what brings bodies of any length.
pub(super) fn routes() -> Routes {
    Routes::about("cluster", ADMIN)
        .get("/openapi.json", "This document", openapi::show)
        .with(|draft| {
            draft.answers(200, "application/json", "An OpenAPI document.");
        })
        .get("/status", "Show how the cluster is, in short", status::show)
        .get(
            "/health",
            "Show how the cluster is, with what to do next",
            health::show,
        )
        .get(
            "/events",
            "Follow all changes from an entry on",
            crate::events::stream,
        )
        .with(|draft| {
            draft.header("last-event-id", "The last entry that was seen");
        })
        .and(vclusters::routes())
        .and(vnodes::routes())
        .and(files::routes())
        .and(images::routes())
        .and(templates())
        .and(accounts::routes())
        .and(quotas::routes())
        .and(notices::routes())
        .and(machines::routes())
        .and(masters::routes())
        .and(settings())
        .and(past())
}

/// Bodies that are passed on as they come, of any length.
pub(super) fn uploads() -> Routes {
    images::uploads().and(files::uploads())
}

fn templates() -> Routes {
    Routes::about("templates", VCLUSTERS)
        .get("/templates", "List templates", template::list)
        .get("/templates/{name}", "Show a template", template::show)
        .put("/templates/{name}", "Publish a template", template::publish)
        .delete(
            "/templates/{name}",
            "Withdraw a template",
            template::withdraw,
        )
        .post(
            "/templates/{name}/clone",
            "Make a vcluster of a template",
            template::clone,
        )
        .post(
            "/templates/{name}/clones",
            "Make a vcluster of a template for each member of a group",
            template::clone_for_all,
        )
        .taking(VCLUSTERS)
        .get(
            "/trash",
            "List what was deleted and can come back",
            trash::list,
        )
        .delete(
            "/trash/{vcluster}",
            "Delete a vcluster for good",
            trash::purge,
        )
        .post(
            "/trash/{vcluster}/restore",
            "Let a deleted vcluster come back",
            trash::restore,
        )
        .get(
            "/deleted",
            "List what else was deleted and can come back",
            kept::list,
        )
        .delete(
            "/deleted/{number}",
            "Delete something for good",
            kept::purge,
        )
        .post(
            "/deleted/{number}/restore",
            "Let something deleted come back",
            kept::restore,
        )
}

fn settings() -> Routes {
    Routes::about("settings", ADMIN)
        .get("/settings", "List settings of the cluster", setting::list)
        .get(
            "/settings/{name}",
            "Show a setting and what it was",
            setting::show,
        )
        .put("/settings/{name}", "Change a setting", setting::set)
        .post(
            "/settings/{name}/undo",
            "Take a change of a setting back",
            setting::undo,
        )
}

/// What was, and who did it.
fn past() -> Routes {
    Routes::about("past", ADMIN)
        .get("/state", "Show the state, now or as it was", state::show)
        .get(
            "/state/diff",
            "Show what differs between two moments",
            state::diff,
        )
        .with_all(|draft| draft.may_fail(&[404, 410, 503]))
        .get("/audit", "List records of the audit trail", audit::list)
        .get("/audit/end", "Show where the audit trail ends", audit::end)
        .get(
            "/audit/records/{number}",
            "Show the hash of a record",
            audit::mark,
        )
        .get("/audit/export", "Copy the audit trail", audit::export)
        .with(|draft| {
            draft.answers(
                200,
                "application/x-ndjson",
                "A line for each record, with a head and an end.",
            );
        })
}
