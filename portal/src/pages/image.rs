//! Images.

use docklet_control::view::{ImageView, image};
use maud::{Markup, html};

use super::amount::mib;
use super::{Page, instant};
use crate::asker::Asker;

pub(crate) async fn list(asker: Asker) -> Markup {
    let body = html! { h1 { "Images" } (table(&asker)) };
    let live = Some("/live/images".to_owned());
    Page {
        title: "Images",
        asker: &asker,
        live,
        script: None,
    }
    .render(body)
}

pub(crate) fn fragments(asker: &Asker) -> Vec<(String, Markup)> {
    vec![("images".to_owned(), table(asker))]
}

fn table(asker: &Asker) -> Markup {
    let views = image::list(&asker.frozen.state);
    html! {
        div #images {
            @if views.is_empty() {
                div.empty {
                    h2 { "No images yet" }
                    p { "Every vnode starts from an image. An admin makes one, the first in a second, the second in minutes:" }
                    p { code { "docklet image build busybox" } }
                    p { code { "docklet image build debian" } }
                }
            } @else {
                table {
                    thead { tr { th { "Image" } th { "Size" } th { "Held by" } th { "Digest" } th { "Registered" } } }
                    tbody { @for view in &views { (row(view)) } }
                }
            }
        }
    }
}

fn row(view: &ImageView) -> Markup {
    let digest = view.digest.to_string();
    html! {
        tr {
            td.main data-label="Image" { (view.name) p.hint { (view.description) } }
            td data-label="Size" { (mib(view.blob_bytes.div_ceil(1 << 20))) }
            td data-label="Held by" { (view.holders.join(", ")) }
            td data-label="Digest" { code title=(digest) { (digest[..12]) } }
            td data-label="Registered" { (instant(view.registered_at)) }
        }
    }
}
