//! Files of vnodes.

use docklet_control::account::scope::Takes;
use docklet_control::model::account::Scope;

use crate::api::files;
use crate::openapi::{Draft, Routes};

const FILES: Takes = Takes::Scope(Scope::WriteFiles);

/// All but what is brought.
pub(super) fn routes() -> Routes {
    Routes::about("files", FILES)
        .get(
            "/vclusters/{name}/vnodes/{vnode}/files",
            "Look at a directory or file",
            files::look,
        )
        .delete(
            "/vclusters/{name}/vnodes/{vnode}/files",
            "Delete a file or directory",
            files::delete,
        )
        .with(|draft| {
            let description =
                "How many there were; to who accepts lines, how far it is, and that at the end.";
            draft.answers_json::<files::Done>(200, description);
            draft.answers(200, "application/x-ndjson", description);
        })
        .get(
            "/vclusters/{name}/vnodes/{vnode}/files/zip",
            "Fetch a directory",
            files::zip,
        )
        .with(|draft| draft.answers(200, "application/zip", "All that is in it."))
        .post(
            "/vclusters/{name}/vnodes/{vnode}/files/directories",
            "Make a directory",
            files::make_directory,
        )
        .with(of_batch)
        .post(
            "/vclusters/{name}/vnodes/{vnode}/files/move",
            "Move a file",
            files::rename,
        )
        .post(
            "/vclusters/{name}/vnodes/{vnode}/files/uploads",
            "Begin an upload in parts",
            files::begin,
        )
        .with(of_batch)
        .post(
            "/vclusters/{name}/vnodes/{vnode}/files/uploads/{upload}/finish",
            "Let a file take what was uploaded",
            files::finish,
        )
        .with(guarded)
        .with_all(failing)
}

/// What is brought to them, of any length.
pub(super) fn uploads() -> Routes {
    Routes::about("files", FILES)
        .get(
            "/vclusters/{name}/vnodes/{vnode}/files/content",
            "Fetch a file",
            files::content,
        )
        .with(|draft| {
            let kind = "application/octet-stream";
            draft.answers(200, kind, "The file.");
            draft.answers(206, kind, "A part of it.");
            draft.tells(200, "etag", "What it is now");
            draft.tells(206, "etag", "What it is now");
            draft.tells(206, "content-range", "Which part");
            draft.header("range", "One range of bytes");
            draft.header("if-range", "Only of what it was then, else all");
            of_batch(draft);
        })
        .put(
            "/vclusters/{name}/vnodes/{vnode}/files/content",
            "Bring a file",
            files::put,
        )
        .with(guarded)
        .get(
            "/vclusters/{name}/vnodes/{vnode}/files/uploads/{upload}",
            "Ask how much of an upload is there",
            files::resume,
        )
        .patch(
            "/vclusters/{name}/vnodes/{vnode}/files/uploads/{upload}",
            "Bring the next part",
            files::append,
        )
        .with(|draft| {
            draft.needs_header("upload-offset", "The byte from which on it is");
            of_batch(draft);
        })
        .delete(
            "/vclusters/{name}/vnodes/{vnode}/files/uploads/{upload}",
            "Give an upload up",
            files::abandon,
        )
        .with_all(failing)
}

fn of_batch(draft: &mut Draft) {
    draft.header(
        "docklet-batch",
        "The directory of which all is read or written: the trail has it once",
    );
}

fn guarded(draft: &mut Draft) {
    draft.header(
        "if-match",
        "What the file must be; `*` whatever it is; without it there must be none",
    );
    of_batch(draft);
}

/// What workers say.
fn failing(draft: &mut Draft) {
    draft.may_fail(&[403, 404, 409, 412, 416, 422, 429, 502, 503, 507]);
}
