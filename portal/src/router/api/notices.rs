//! What people are told, by mail too, what they found wrong, and public certificates.

use docklet_control::account::scope::Takes;
use docklet_control::model::account::Scope;

use super::ADMIN;
use crate::api::{bug, mail, notice, tls};
use crate::openapi::Routes;

pub(super) fn routes() -> Routes {
    Routes::about("notices", ADMIN)
        .get("/notices", "List what one was told", notice::list)
        .post("/notices", "Tell people something", notice::announce)
        .get(
            "/notices/announced",
            "List what one may take back",
            notice::announced,
        )
        .get("/notices/{id}", "Show a notice", notice::show)
        .delete("/notices/{id}", "Take a notice back", notice::withdraw)
        .taking(Takes::Scope(Scope::Read))
        .post("/notices/read", "Say that one has read them", notice::read)
        .taking(Takes::Login)
        .put(
            "/notices/wish",
            "Say which one wants by mail",
            notice::set_wish,
        )
        .and(mails())
        .and(bugs())
        .and(certificates())
}

fn mails() -> Routes {
    Routes::about("mail", Takes::Login)
        .get("/mail", "Show the mail server", mail::server)
        .put("/mail", "Set the mail server", mail::set_server)
        .delete("/mail", "Send no mails", mail::unset_server)
        .taking(ADMIN)
        .post("/mail/test", "Send oneself a mail", mail::test)
        .get("/mail/queue", "List mails that wait or failed", mail::queue)
        .post("/mail/queue/{id}/resend", "Send a mail again", mail::resend)
}

fn bugs() -> Routes {
    Routes::about("bugs", Takes::Login)
        .get("/bugs", "List what was found wrong", bug::list)
        .post("/bugs", "Tell what is wrong", bug::report)
        .get("/bugs/{id}", "Show what was found wrong", bug::show)
        .taking(ADMIN)
        .delete("/bugs/{id}", "Forget it", bug::forget)
        .post("/bugs/{id}/answer", "Answer", bug::answer)
}

fn certificates() -> Routes {
    Routes::about("certificates", ADMIN)
        .get("/tls", "Show public certificates", tls::show)
        .put("/tls/acme", "Have certificates issued", tls::set)
        .delete("/tls/acme", "Have no more issued", tls::unset)
        .post("/tls/acme/renew", "Have one issued now", tls::renew)
}
