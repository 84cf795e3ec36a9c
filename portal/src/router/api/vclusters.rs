//! Vclusters, and what belongs to all of one.

use super::{ADMIN, VCLUSTERS};
use crate::api::{bean, meter, port, schedule, service, snapshot, vcluster};
use crate::openapi::Routes;

pub(super) fn routes() -> Routes {
    Routes::about("vclusters", VCLUSTERS)
        .get("/vclusters", "List vclusters", vcluster::list)
        .post("/vclusters", "Make a vcluster", vcluster::create)
        .get("/vclusters/{name}", "Show a vcluster", vcluster::show)
        .delete("/vclusters/{name}", "Delete a vcluster", vcluster::delete)
        .post(
            "/vclusters/{name}/start",
            "Start a vcluster",
            vcluster::start,
        )
        .post("/vclusters/{name}/stop", "Stop a vcluster", vcluster::stop)
        .post(
            "/vclusters/{name}/scale",
            "Give a vcluster more or fewer vnodes",
            vcluster::scale,
        )
        .post(
            "/vclusters/{name}/resize",
            "Change what each vnode may use",
            vcluster::resize,
        )
        .get(
            "/vclusters/{name}/usage",
            "Show what vnodes use now",
            meter::vcluster_usage,
        )
        .get(
            "/vclusters/{name}/history",
            "Show what vnodes used",
            meter::vcluster_history,
        )
        .get(
            "/vclusters/{name}/rules",
            "Show where vnodes shall be",
            schedule::rules,
        )
        .put(
            "/vclusters/{name}/rules",
            "Say where vnodes shall be",
            schedule::set_rules,
        )
        .get(
            "/vclusters/{name}/explain",
            "Say why vnodes are where they are",
            schedule::explain_all,
        )
        .and(snapshots())
        .and(ports())
        .and(beans())
}

fn snapshots() -> Routes {
    Routes::about("snapshots", VCLUSTERS)
        .get(
            "/vclusters/{name}/snapshots",
            "List snapshots",
            snapshot::list,
        )
        .post(
            "/vclusters/{name}/snapshots",
            "Take a snapshot",
            snapshot::take,
        )
        .delete(
            "/vclusters/{name}/snapshots/{snapshot}",
            "Delete a snapshot",
            snapshot::delete,
        )
        .post(
            "/vclusters/{name}/snapshots/{snapshot}/restore",
            "Go back to a snapshot",
            snapshot::restore,
        )
        .put(
            "/vclusters/{name}/snapshot-schedule",
            "Have snapshots taken again and again",
            snapshot::schedule,
        )
        .delete(
            "/vclusters/{name}/snapshot-schedule",
            "Have no more snapshots taken",
            snapshot::unschedule,
        )
}

fn ports() -> Routes {
    Routes::about("ports and services", VCLUSTERS)
        .get("/ports", "List public ports", port::list)
        .post("/ports", "Open a port of a vnode to the outside", port::add)
        .delete(
            "/ports/{protocol}/{number}",
            "Close a public port",
            port::remove,
        )
        .get(
            "/services",
            "List services that one may open",
            service::list,
        )
        .post("/services", "Add a service of a vnode", service::add)
        .delete("/services/{id}", "Remove a service", service::remove)
        .put("/services/{id}/audience", "Share a service", service::share)
        .taking(ADMIN)
        .get(
            "/bandwidth",
            "Show how much vnodes may send and receive",
            port::bandwidth,
        )
        .put(
            "/bandwidth",
            "Say how much vnodes may send and receive",
            port::limit_bandwidth,
        )
        .get(
            "/bandwidth-ceiling",
            "Show what no vnode may have more of",
            port::bandwidth_ceiling,
        )
        .put(
            "/bandwidth-ceiling",
            "Say what no vnode may have more of",
            port::set_bandwidth_ceiling,
        )
}

fn beans() -> Routes {
    Routes::about("beans", ADMIN)
        .get("/beans", "Show what one has", bean::show)
        .get("/beans/settings", "Show how beans are used", bean::settings)
        .put("/beans/settings", "Say how beans are used", bean::set)
        .put("/beans/rates", "Say what things cost", bean::set_rates)
        .get(
            "/beans/statement",
            "Show the statement of a month",
            bean::statement,
        )
        .with(|draft| draft.may_fail(&[404, 410]))
        .get("/beans/statement.csv", "The same as a table", bean::csv)
        .with(|draft| {
            draft.answers(200, "text/csv", "A line for each charge.");
            draft.may_fail(&[404]);
        })
        .get("/beans/purses", "List all purses", bean::purses)
        .post("/beans/grants", "Give beans", bean::grant)
        .post(
            "/beans/take-back",
            "Take beans out of a purse",
            bean::take_back,
        )
        .post(
            "/beans/requests/{number}/approve",
            "Approve a request for beans",
            bean::approve,
        )
        .post(
            "/beans/requests/{number}/decline",
            "Decline a request for beans",
            bean::decline,
        )
        .taking(VCLUSTERS)
        .post("/beans/requests", "Ask for beans", bean::request)
        .delete(
            "/beans/requests/{number}",
            "Ask for them no longer",
            bean::withdraw,
        )
}
