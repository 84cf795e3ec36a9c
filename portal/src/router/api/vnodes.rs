//! Single vnodes: ways into them, moves, sharing.

use super::{IMAGES, TERMINALS, VCLUSTERS};
use crate::api::{image, meter, moves, schedule, share, shell};
use crate::openapi::Routes;
use crate::{exec, forward, terminal};

pub(super) fn routes() -> Routes {
    Routes::about("vnodes", VCLUSTERS)
        .get(
            "/vclusters/{name}/vnodes/{vnode}/history",
            "Show what a vnode used",
            meter::vnode_history,
        )
        .get(
            "/vclusters/{name}/vnodes/{vnode}/explain",
            "Say why a vnode is where it is",
            schedule::explain_one,
        )
        .get("/moves", "List moves", moves::list)
        .get(
            "/vclusters/{name}/vnodes/{vnode}/move",
            "Show the last move",
            moves::show,
        )
        .post(
            "/vclusters/{name}/vnodes/{vnode}/move",
            "Move a vnode to another worker",
            moves::begin,
        )
        .delete(
            "/vclusters/{name}/vnodes/{vnode}/move",
            "Cancel a move",
            moves::cancel,
        )
        .and(ways_in())
        .and(saving())
}

fn ways_in() -> Routes {
    Routes::about("vnodes", TERMINALS)
        .get(
            "/vclusters/{name}/vnodes/{vnode}/exec",
            "Run a program in a vnode (WebSocket)",
            exec::program,
        )
        .get(
            "/vclusters/{name}/vnodes/{vnode}/connect",
            "Reach a port of a vnode (WebSocket)",
            forward::program,
        )
        .with(|draft| draft.asked::<u16>("port", "The vnode's own", true))
        .get(
            "/vclusters/{name}/vnodes/{vnode}/terminal",
            "Open a terminal of a vnode (WebSocket)",
            terminal::program,
        )
        .with(|draft| {
            draft.asked::<String>("session", "Which terminal: 32 hexadecimal digits", true);
            draft.asked::<String>(
                "shell",
                "The shell that one knows: 16 hexadecimal digits",
                false,
            );
            draft.asked::<String>(
                "viewer",
                "By which one comes back: 16 hexadecimal digits",
                false,
            );
            draft.asked::<u64>("from", "How far one has read", false);
            draft.asked::<u64>("cols", "How wide", false);
            draft.asked::<u64>("rows", "How high", false);
        })
        .get(
            "/vclusters/{name}/vnodes/{vnode}/terminals",
            "List one's own terminals of a vnode that go on",
            shell::list,
        )
        .with_all(|draft| draft.may_fail(&[409, 502]))
        .get("/shares", "List shared terminals", share::list)
        .post(
            "/vclusters/{name}/vnodes/{vnode}/shares",
            "Share a terminal by a link",
            share::share,
        )
        .delete("/shares/{id}", "End a shared terminal", share::end)
}

fn saving() -> Routes {
    Routes::about("images", IMAGES)
        .get(
            "/saves",
            "List vnodes that are saved as images",
            image::saves,
        )
        .post(
            "/vclusters/{name}/vnodes/{vnode}/save",
            "Save a vnode as an image",
            image::save,
        )
        .delete(
            "/vclusters/{name}/vnodes/{vnode}/save",
            "Cancel that",
            image::cancel_save,
        )
}
