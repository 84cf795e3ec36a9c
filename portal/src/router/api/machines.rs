//! Workers, and where vnodes go.

use super::ADMIN;
use crate::api::{drain, machine, meter, rebalance, schedule};
use crate::openapi::Routes;

pub(super) fn routes() -> Routes {
    Routes::about("workers", ADMIN)
        .get("/workers", "List workers", machine::workers)
        .get("/usage", "Show what workers use now", meter::workers_usage)
        .get(
            "/workers/gpus",
            "List GPUs and who has them",
            meter::workers_gpus,
        )
        .get(
            "/workers/{name}/history",
            "Show what a worker used",
            meter::worker_history,
        )
        .with(|draft| draft.may_fail(&[502]))
        .post(
            "/workers/{name}/cordon",
            "Place nothing more on a worker",
            schedule::cordon,
        )
        .post(
            "/workers/{name}/uncordon",
            "Place vnodes on it again",
            schedule::uncordon,
        )
        .post(
            "/workers/{name}/readmit",
            "Make a token by which a worker joins again",
            machine::readmit,
        )
        .put("/workers/{name}/labels", "Label a worker", schedule::label)
        .get(
            "/workers/{name}/drain",
            "Show the last drain of a worker",
            drain::show,
        )
        .post("/workers/{name}/drain", "Empty a worker", drain::begin)
        .delete("/workers/{name}/drain", "Stop emptying it", drain::abort)
        .post(
            "/workers/{name}/restore",
            "Bring back what was on it",
            drain::restore,
        )
        .get(
            "/disk-overcommit",
            "Show how much disk may be promised",
            machine::disk_overcommit,
        )
        .put(
            "/disk-overcommit",
            "Say how much disk may be promised",
            machine::set_disk_overcommit,
        )
        .post(
            "/tokens",
            "Make a token by which a machine joins",
            machine::create_token,
        )
        .and(placing())
}

fn placing() -> Routes {
    Routes::about("scheduling", ADMIN)
        .post(
            "/what-if",
            "Say what would come of something",
            schedule::ask,
        )
        .get(
            "/rebalance",
            "Show what would be moved to even workers out",
            rebalance::plan,
        )
        .with(|draft| draft.may_fail(&[409]))
        .post("/rebalance", "Even workers out", rebalance::apply)
        .get(
            "/rebalance/policy",
            "Show when that is done by itself",
            rebalance::policy,
        )
        .put(
            "/rebalance/policy",
            "Say when that is done by itself",
            rebalance::set_policy,
        )
}
