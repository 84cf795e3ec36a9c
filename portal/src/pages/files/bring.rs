//! Bringing a file by a form, and editing text. Such forms have bodies of any length, which are passed on as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Bytes, to_bytes};
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use docklet_control::file_path::{FilePath, plain};
use docklet_control::file_wire::{FileAsk, FileSaid, Guard, UploadId};
use docklet_control::id::LogIndex;
use futures_util::{StreamExt, stream};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Place, TEXT_BYTES_MAX, crumbs, way};
use crate::api::files::{unexpected, written};
use crate::asker::Asker;
use crate::files::{Reached, Touch};
use crate::pages::multipart::{FIELD_BYTES_MAX, text, unfit};
use crate::pages::{Page, check_csrf, csrf, sentence};
use crate::problem::Problem;
use crate::serve::Portal;

/// A file by the form. Its other fields stand before it, so nothing of it is taken without them.
pub(crate) async fn upload(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    mut form: Multipart,
) -> Result<Redirect, Problem> {
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let (mut token, mut dir, mut guard) = (String::new(), None, Guard::New);
    while let Some(field) = form.next_field().await.map_err(unfit)? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "csrf" => token = text(field, FIELD_BYTES_MAX).await?,
            "path" => dir = Some(FilePath::parse(&text(field, FIELD_BYTES_MAX).await?)?),
            "replace" => guard = Guard::Replace,
            "file" => {
                check_csrf(&asker, &token)?;
                let dir = dir.ok_or_else(|| unfit("it says no directory"))?;
                let name = field.file_name().unwrap_or_default().to_owned();
                let path = dir.join(&name)?;
                let entry = take(&reached, path, guard, field).await?;
                let place = Place {
                    vcluster: &vcluster,
                    vnode: &vnode,
                };
                let page = place.page("", &dir);
                let to = reached.receipt(&page, entry, in_place(&reached));
                return Ok(Redirect::to(&to));
            }
            _ => {}
        }
    }
    Err(unfit("there is no file in it"))
}

/// Brings what has no length that anybody knows before.
async fn take(
    reached: &Reached,
    path: FilePath,
    guard: Guard,
    field: Field<'_>,
) -> Result<Option<LogIndex>, Problem> {
    let upload = UploadId::of(rand::random());
    let entry = reached.tell(Touch::Write(path.clone()), None).await?;
    let begin = FileAsk::Begin {
        path: path.clone(),
        upload: upload.clone(),
    };
    reached.act(&begin).await?;
    let append = FileAsk::Append {
        path: path.clone(),
        upload: upload.clone(),
        offset: 0,
    };
    let broke = Arc::new(AtomicBool::new(false));
    let noted = broke.clone();
    let bytes = field.inspect(move |chunk| {
        if chunk.is_err() {
            noted.store(true, Ordering::Relaxed);
        }
    });
    let brought = reached.bring(&append, Box::pin(bytes)).await;
    let finished = match brought {
        Ok(FileSaid::Held { .. }) if broke.load(Ordering::Relaxed) => {
            Err(unfit("the file broke off: send it again"))
        }
        Ok(FileSaid::Held { bytes }) => {
            let finish = FileAsk::Finish {
                path: path.clone(),
                upload: upload.clone(),
                bytes,
                guard,
            };
            reached.act(&finish).await.and_then(written).map(drop)
        }
        Ok(other) => Err(unexpected(&other)),
        Err(problem) => Err(problem),
    };
    if finished.is_err() {
        // It is gone after a day otherwise.
        drop(reached.act(&FileAsk::Abandon { path, upload }).await);
    }
    finished.map(|()| entry)
}

/// That all of it is where it was to go.
pub(crate) fn in_place(reached: &Reached) -> String {
    format!("{} has put all of it in its place.", reached.worker())
}

#[derive(Deserialize)]
pub(crate) struct At {
    path: String,
}

/// Text that is edited.
struct Text {
    path: FilePath,
    text: String,
    /// As it was when it was opened.
    mark: String,
    /// Whether its lines end as on Windows.
    crlf: bool,
}

pub(crate) async fn edit(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(at): Query<At>,
) -> Result<Markup, Problem> {
    let path = FilePath::parse(&at.path)?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    reached.note(Touch::Read(path.clone()), None).await?;
    let ask = FileAsk::Read {
        path: path.clone(),
        range: None,
        of: None,
    };
    let (said, body) = reached.fetch(&ask).await?;
    let FileSaid::Content { file, bytes, .. } = said else {
        return Err(unexpected(&said));
    };
    let not_text = || Problem {
        status: StatusCode::CONFLICT,
        code: "not_text",
        detail: format!(
            "{path} is no text of at most 1 MiB: download it, or edit it in a terminal"
        ),
    };
    if bytes > TEXT_BYTES_MAX {
        return Err(not_text());
    }
    let most = usize::try_from(TEXT_BYTES_MAX).unwrap_or(usize::MAX);
    let content = to_bytes(body, most)
        .await
        .map_err(|error| Problem::worker(format!("the file broke off ({error}): try again")))?;
    let text = String::from_utf8(content.to_vec()).map_err(|_| not_text())?;
    if text.contains('\0') {
        return Err(not_text());
    }
    let text = Text {
        crlf: text.contains("\r\n"),
        mark: file.mark,
        path,
        text,
    };
    let place = Place {
        vcluster: &vcluster,
        vnode: &vnode,
    };
    Ok(editor(&asker, &place, &text, None))
}

fn editor(asker: &Asker, place: &Place<'_>, text: &Text, refused: Option<&Problem>) -> Markup {
    let name = plain(text.path.name());
    let dir = text
        .path
        .split()
        .map_or_else(FilePath::root, |(dir, _)| dir);
    let title = format!("Edit {name}");
    let page = Page {
        title: &title,
        asker,
        live: None,
        script: Some("files.js"),
    };
    page.render(html! {
        (crumbs(place))
        h1 { "Edit " (name) }
        (way(place, &text.path))
        @if let Some(problem) = refused {
            p.notice.refused role="alert" { (sentence(&problem.detail)) }
            p { a href=(place.page("/edit", &text.path)) target="_blank" { "See it as it is now" } " in another tab; what you wrote is below." }
        }
        form.grid method="post" action=(place.below("/edit")) enctype="multipart/form-data" {
            (csrf(asker))
            input type="hidden" name="path" value=(text.path.as_str());
            input type="hidden" name="mark" value=(text.mark);
            @if text.crlf { input type="hidden" name="crlf" value="yes"; }
            label.unseen for="text" { "Text of " (name) }
            // The first line break after the tag is not part of it.
            textarea.editor #text name="text" rows="24" spellcheck="false" { "\n" (text.text) }
            div.actions {
                button.button type="submit" { "Save" }
                a.button.secondary href=(place.page("", &dir)) { "Back" }
            }
        }
    })
}

pub(crate) async fn save(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    mut form: Multipart,
) -> Result<Response, Problem> {
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let (mut token, mut path, mut mark, mut crlf) = (String::new(), None, String::new(), false);
    let mut given = None;
    // Each line break comes as two letters.
    let most = usize::try_from(TEXT_BYTES_MAX * 2).unwrap_or(usize::MAX);
    while let Some(field) = form.next_field().await.map_err(unfit)? {
        let name = field.name().unwrap_or_default().to_owned();
        match name.as_str() {
            "csrf" => token = text(field, FIELD_BYTES_MAX).await?,
            "path" => path = Some(FilePath::parse(&text(field, FIELD_BYTES_MAX).await?)?),
            "mark" => mark = text(field, FIELD_BYTES_MAX).await?,
            "crlf" => crlf = true,
            "text" => given = Some(text(field, most).await?),
            _ => {}
        }
    }
    check_csrf(&asker, &token)?;
    let path = path.ok_or_else(|| unfit("it says no file"))?;
    let given = given.ok_or_else(|| unfit("there is no text in it"))?;
    let text = Text {
        text: if crlf {
            given
        } else {
            given.replace("\r\n", "\n")
        },
        path,
        mark,
        crlf,
    };
    let place = Place {
        vcluster: &vcluster,
        vnode: &vnode,
    };
    match put(&reached, &text).await {
        Ok(entry) => {
            let dir = text
                .path
                .split()
                .map_or_else(FilePath::root, |(dir, _)| dir);
            let page = place.page("", &dir);
            let to = reached.receipt(&page, entry, in_place(&reached));
            Ok(Redirect::to(&to).into_response())
        }
        // What somebody wrote is not lost for that.
        Err(problem) => {
            let page = editor(&asker, &place, &text, Some(&problem));
            Ok((problem.status, page).into_response())
        }
    }
}

async fn put(reached: &Reached, text: &Text) -> Result<Option<LogIndex>, Problem> {
    let entry = reached.tell(Touch::Write(text.path.clone()), None).await?;
    let bytes = Bytes::from(text.text.clone());
    let ask = FileAsk::Put {
        path: text.path.clone(),
        bytes: bytes.len() as u64,
        guard: Guard::Unchanged(text.mark.clone()),
    };
    let one = stream::iter([Ok::<_, std::convert::Infallible>(bytes)]);
    written(reached.bring(&ask, one).await?)?;
    Ok(entry)
}
