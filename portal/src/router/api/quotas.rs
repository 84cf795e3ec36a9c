//! How much people may have, and their homes.

use super::ADMIN;
use crate::api::{allowance, home};
use crate::openapi::Routes;

pub(super) fn routes() -> Routes {
    Routes::about("quotas", ADMIN)
        .get(
            "/quotas",
            "List how much people have and may have",
            allowance::list,
        )
        .get(
            "/quotas/usual",
            "Show what holds of everybody",
            allowance::usual,
        )
        .put(
            "/quotas/usual",
            "Say what holds of everybody",
            allowance::set_usual,
        )
        .get(
            "/quotas/users/{user}",
            "Show what a person has and may have",
            allowance::of_user,
        )
        .with(|draft| draft.may_fail(&[422]))
        .put(
            "/quotas/users/{user}",
            "Say what a person may have",
            allowance::set_of_user,
        )
        .get(
            "/quotas/groups/{group}",
            "Show what a group has and may have",
            allowance::of_group,
        )
        .with(|draft| draft.may_fail(&[422]))
        .put(
            "/quotas/groups/{group}",
            "Say what a group may have",
            allowance::set_of_group,
        )
        .put(
            "/quotas/groups/{group}/members/{user}",
            "Say how much of it a member may have",
            allowance::set_share,
        )
        .get("/homes", "List homes", home::list)
        .put("/homes", "Say how large homes are", home::set_usual)
        .put(
            "/homes/{user}",
            "Say how large a person's home is",
            home::set,
        )
        .delete(
            "/homes/{user}",
            "Let it be as large as all others",
            home::forget,
        )
}
