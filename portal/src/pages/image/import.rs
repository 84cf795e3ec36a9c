//! Importing an image from a file. The form works by itself; the page's script sends the file as it is and tells how far it is
//! (`assets/import.js`).

use axum::extract::State;
use axum::extract::multipart::Multipart;
use axum::response::Redirect;
use maud::{Markup, html};

use crate::asker::Asker;
use crate::images::{self, Import};
use crate::pages::multipart::{FIELD_BYTES_MAX, text, unfit};
use crate::pages::{by_command, check_csrf, csrf};
use crate::problem::Problem;
use crate::serve::Portal;

pub(super) fn form(asker: &Asker) -> Markup {
    html! {
        section.panel {
            h2 { "Import" }
            p.muted { "A tar of a root file system, plain or compressed, or of an OCI image layout. It is checked and packed anew on a worker." }
            form #import .stack method="post" action="/images/import" enctype="multipart/form-data" {
                (csrf(asker))
                label for="import-name" { "Name" }
                input #import-name name="name" required maxlength="40" pattern="[a-z]([a-z0-9\\-]*[a-z0-9])?" autocomplete="off";
                label for="import-description" { "Description" }
                input #import-description name="description" maxlength="500" autocomplete="off";
                label for="import-file" { "File" }
                input #import-file name="file" type="file" required;
                div.actions { button.button type="submit" { "Import" } }
                progress #import-progress max="1" value="0" aria-label="Sent" hidden {}
                p #import-told .notice role="status" aria-live="polite" hidden {}
            }
            (by_command("docklet image import FILE --name NAME"))
        }
    }
}

/// An image by the form. Its other fields stand before the file, so nothing of that is taken without them.
pub(crate) async fn take(
    State(portal): State<Portal>,
    asker: Asker,
    mut form: Multipart,
) -> Result<Redirect, Problem> {
    let (mut token, mut name, mut description) = (String::new(), String::new(), None);
    while let Some(field) = form.next_field().await.map_err(unfit)? {
        let part = field.name().unwrap_or_default().to_owned();
        match part.as_str() {
            "csrf" => token = text(field, FIELD_BYTES_MAX).await?,
            "name" => name = text(field, FIELD_BYTES_MAX).await?,
            "description" => description = Some(text(field, FIELD_BYTES_MAX).await?),
            "file" => {
                check_csrf(&asker, &token)?;
                let import = Import::described(description);
                let receipt = images::bring(portal, asker, name, import, field).await?;
                return Ok(Redirect::to(&format!("/images?after={}", receipt.index)));
            }
            _ => {}
        }
    }
    Err(unfit("there is no file in it"))
}
