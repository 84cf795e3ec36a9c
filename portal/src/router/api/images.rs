//! Images.

use super::{ADMIN, IMAGES};
use crate::api::{image, quota};
use crate::images;
use crate::openapi::Routes;

pub(super) fn routes() -> Routes {
    Routes::about("images", IMAGES)
        .get("/images", "List images", image::list)
        .get("/images/{name}", "Show an image", image::show)
        .post("/images/{name}", "Change an image", image::change)
        .delete(
            "/images/{name}",
            "Delete an image or a version of it",
            image::delete,
        )
        .taking(ADMIN)
        .get(
            "/image-quotas",
            "Show how many bytes of images people have",
            quota::show,
        )
        .put(
            "/image-quotas",
            "Say how many everybody may have",
            quota::set,
        )
        .put(
            "/image-quotas/{user}",
            "Say how many one person may have",
            quota::set_of,
        )
        .delete(
            "/image-quotas/{user}",
            "Let what holds of everybody hold of them",
            quota::reset,
        )
}

pub(super) fn uploads() -> Routes {
    Routes::about("images", IMAGES)
        .put("/images/{name}", "Bring an image", images::upload)
        .put(
            "/images/{name}/import",
            "Make an image of an archive",
            images::import,
        )
        .with_all(|draft| draft.may_fail(&[408, 429, 502]))
}
