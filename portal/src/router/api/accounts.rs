//! Accounts, how one gets in, and who says who people are.

use docklet_control::account::scope::Takes;

use super::ADMIN;
use crate::api::{access, account, group, identity, meter, role};
use crate::openapi::Routes;

pub(super) fn routes() -> Routes {
    access().and(people()).and(identities()).and(groups())
}

fn access() -> Routes {
    Routes::about("access", Takes::Login)
        .post("/login", "Log in", access::log_in)
        .with(|draft| draft.may_fail(&[401, 403, 429, 503]))
        .post("/logout", "Log out", access::log_out)
        .get(
            "/registration",
            "Show whether strangers may ask for an account",
            account::registration,
        )
        .put(
            "/registration",
            "Say whether they may",
            account::set_registration,
        )
        .post("/register", "Ask for an account", account::register)
        .with(|draft| draft.may_fail(&[403, 409, 429, 503]))
        .post("/factor", "Begin a second factor", access::begin_factor)
        .post(
            "/factor/confirm",
            "Confirm it by a code",
            access::confirm_factor,
        )
        .with(|draft| draft.may_fail(&[401]))
        .get("/logins", "List logins and tokens", access::logins)
        .with(|draft| draft.may_fail(&[404]))
        .delete("/logins", "End all others", access::end_others)
        .delete("/logins/{number}", "End a login", access::end)
        .post("/access-tokens", "Make an API token", access::create_token)
        .delete(
            "/access-tokens/{name}",
            "Revoke an API token",
            access::revoke_token,
        )
}

fn people() -> Routes {
    Routes::about("people", Takes::Login)
        .get(
            "/applications",
            "List requests for accounts",
            account::applications,
        )
        .get("/applications/{id}", "Show a request", account::application)
        .post(
            "/applications/{id}/approve",
            "Approve a request",
            account::approve,
        )
        .post(
            "/applications/{id}/decline",
            "Decline a request",
            account::decline,
        )
        .get("/users", "List people", account::users)
        .post("/users", "Make an account", account::create_user)
        .get("/users/{name}", "Show a person", account::user)
        .delete("/users/{name}", "Delete an account", account::delete)
        .post("/users/{name}/lock", "Lock an account", account::lock)
        .post("/users/{name}/unlock", "Unlock an account", account::unlock)
        .put(
            "/users/{name}/profile",
            "Change who somebody is",
            account::set_profile,
        )
        .put(
            "/users/{name}/password",
            "Change a password",
            account::change_password,
        )
        .with(|draft| draft.may_fail(&[401, 429]))
        .delete(
            "/users/{name}/factor",
            "Remove a second factor",
            account::remove_factor,
        )
        .with(|draft| draft.may_fail(&[401, 429]))
        .put("/users/{name}/role", "Give a role", role::set)
        .get(
            "/users/{name}/history",
            "Show what a person's vnodes used",
            meter::person_history,
        )
}

fn identities() -> Routes {
    Routes::about("identities", Takes::Login)
        .put(
            "/users/{name}/way",
            "Say how somebody logs in",
            identity::set_way,
        )
        .delete(
            "/users/{name}/identities/{identity}",
            "Disconnect an identity",
            identity::disconnect,
        )
        .get("/oidc", "Show the OpenID provider", identity::provider)
        .put(
            "/oidc",
            "Let people log in by an OpenID provider",
            identity::set_provider,
        )
        .delete("/oidc", "Let nobody log in by it", identity::unset_provider)
        .get("/pam", "Show who logs in by PAM", identity::pam)
        .put("/pam", "Let people log in by PAM", identity::set_pam)
        .delete("/pam", "Let nobody log in by it", identity::unset_pam)
}

fn groups() -> Routes {
    Routes::about("groups", ADMIN)
        .get("/groups", "List groups", group::list)
        .post("/groups", "Make a group", group::create)
        .get("/groups/{name}", "Show a group", group::show)
        .post("/groups/{name}", "Change a group", group::change)
        .delete("/groups/{name}", "Delete a group", group::delete)
}
