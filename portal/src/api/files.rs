//! Files of vnodes for programs. What somebody brought is never shown as a page of this site: it comes as a download only.

mod delete;
mod noted;

use axum::Json;
use axum::body::{Body, HttpBody};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{
    ByteRange, FileAsk, FileFacts, FileKind, FileListing, FileSaid, Guard, UploadId,
};
use serde::{Deserialize, Serialize};

use super::Body as Question;
use crate::asker::Asker;
use crate::files::{Reached, Touch};
use crate::pages::files::bring::in_place;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) use delete::delete;
pub(crate) use noted::Noted;

/// Nothing of it runs, whatever opens it.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; sandbox";
/// A directory of which all is read or written: the trail has it once.
const BATCH: HeaderName = HeaderName::from_static("docklet-batch");

/// Where something is.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "UploadAt")]
pub(crate) struct At {
    path: String,
}

impl At {
    fn path(&self) -> Result<FilePath, Problem> {
        Ok(FilePath::parse(&self.path)?)
    }
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Looked {
    path: Option<String>,
    after: Option<String>,
}

pub(crate) async fn look(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(looked): Query<Looked>,
) -> Result<Json<FileListing>, Problem> {
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let path = looked.path.as_deref().map(FilePath::parse).transpose()?;
    Ok(Json(listing(&reached, path, looked.after).await?))
}

/// What is there; the vnode's home without a path.
pub(crate) async fn listing(
    reached: &Reached,
    path: Option<FilePath>,
    after: Option<String>,
) -> Result<FileListing, Problem> {
    let said = reached.act(&FileAsk::Look { path, after }).await?;
    let FileSaid::Found(listing) = said else {
        return Err(unexpected(&said));
    };
    Ok(listing)
}

pub(crate) fn unexpected(said: &FileSaid) -> Problem {
    tracing::warn!(?said, "a worker answers what was not asked");
    Problem::worker("the worker answers what was not asked: is it of the same version?")
}

pub(crate) async fn content(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(at): Query<At>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = at.path()?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let batch = batch(&headers)?;
    let range = text(&headers, &header::RANGE).and_then(range_of);
    let of = text(&headers, &header::IF_RANGE).map(|tag| tag.trim_matches('"').to_owned());
    reached
        .note(Touch::Read(path.clone()), batch.as_ref())
        .await?;
    let ask = FileAsk::Read {
        path: path.clone(),
        range,
        of,
    };
    let (said, body) = reached.fetch(&ask).await?;
    let FileSaid::Content { file, first, bytes } = said else {
        return Err(unexpected(&said));
    };
    let whole = first == 0 && bytes == file.bytes;
    let mut response = download(path.name(), "application/octet-stream", body);
    let told = response.headers_mut();
    told.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    told.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", file.mark)) {
        told.insert(header::ETAG, tag);
    }
    if range.is_some() && !whole {
        let last = first.saturating_add(bytes).saturating_sub(1);
        let text = format!("bytes {first}-{last}/{}", file.bytes);
        if let Ok(text) = HeaderValue::from_str(&text) {
            told.insert(header::CONTENT_RANGE, text);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

pub(crate) async fn zip(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(at): Query<At>,
) -> Result<Response, Problem> {
    let path = at.path()?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    reached.note(Touch::Read(path.clone()), Some(&path)).await?;
    let (said, body) = reached.fetch(&FileAsk::Zip { path: path.clone() }).await?;
    let FileSaid::Zipped = said else {
        return Err(unexpected(&said));
    };
    let name = if path.is_root() { &vnode } else { path.name() };
    Ok(download(&format!("{name}.zip"), "application/zip", body))
}

fn download(name: &str, kind: &'static str, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(CONTENT_SECURITY_POLICY),
    );
    headers.insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    if let Ok(disposition) = HeaderValue::from_str(&disposition(name)) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

/// RFC 8187: letters and digits as they are, all others by their bytes.
fn disposition(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let encoded: String = name
        .bytes()
        .map(|byte| {
            if plain(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    format!("attachment; filename*=UTF-8''{encoded}")
}

/// One range of bytes; of several all is given, as of none.
fn range_of(text: &str) -> Option<ByteRange> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| match text {
        "" => Some(None),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(text.parse().ok()?)),
        _ => None,
    };
    let range = ByteRange {
        first: number(first)?,
        last: number(last)?,
    };
    let backwards = matches!((range.first, range.last), (Some(first), Some(last)) if first > last);
    (range.first.or(range.last).is_some() && !backwards).then_some(range)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Result<u64, Problem> {
    let number = text(headers, name).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Problem::malformed(name.as_str(), "it must be there, and a number"))
}

/// Percent-encoded, as paths may have any letter.
fn batch(headers: &HeaderMap) -> Result<Option<FilePath>, Problem> {
    let Some(given) = headers.get(BATCH) else {
        return Ok(None);
    };
    let decoded = form_urlencoded::parse(given.as_bytes()).next();
    let path = decoded.map(|(path, _)| path.into_owned());
    Ok(Some(FilePath::parse(&path.unwrap_or_default())?))
}

/// What must be so for a file to take its name: the usual headers for it, else that there is none.
fn guard(headers: &HeaderMap) -> Guard {
    match text(headers, &header::IF_MATCH) {
        Some("*") => Guard::Replace,
        Some(tag) => Guard::Unchanged(tag.trim_matches('"').to_owned()),
        None => Guard::New,
    }
}

pub(crate) async fn put(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Query(at): Query<At>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<FileFacts>, Problem> {
    let path = at.path()?;
    // What has no length may break off without anybody noticing.
    let unknown = || Problem::malformed("content-length", "it must be there: or begin an upload");
    let bytes = body.size_hint().exact().ok_or_else(unknown)?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let batch = batch(&headers)?;
    reached
        .note(Touch::Write(path.clone()), batch.as_ref())
        .await?;
    let ask = FileAsk::Put {
        path,
        bytes,
        guard: guard(&headers),
    };
    let said = reached.bring(&ask, body.into_data_stream()).await?;
    Ok(Json(written(said)?))
}

pub(crate) fn written(said: FileSaid) -> Result<FileFacts, Problem> {
    let FileSaid::Written { file } = said else {
        return Err(unexpected(&said));
    };
    Ok(file)
}

/// How many files something was done to.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Done {
    pub(crate) files: u64,
}

pub(crate) fn done(said: FileSaid) -> Result<Done, Problem> {
    let FileSaid::Done { count } = said else {
        return Err(unexpected(&said));
    };
    Ok(Done { files: count })
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewDirectory")]
pub(crate) struct Made {
    path: FilePath,
    #[serde(default)]
    may_exist: bool,
}

pub(crate) async fn make_directory(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    headers: HeaderMap,
    Question(Made { path, may_exist }): Question<Made>,
) -> Result<Json<Done>, Problem> {
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let batch = batch(&headers)?;
    reached
        .note(Touch::Write(path.clone()), batch.as_ref())
        .await?;
    let ask = FileAsk::MakeDirectory { path, may_exist };
    Ok(Json(done(reached.act(&ask).await?)?))
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moved {
    from: FilePath,
    to: FilePath,
    #[serde(default)]
    replace: bool,
}

pub(crate) async fn rename(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    Question(Moved { from, to, replace }): Question<Moved>,
) -> Result<Json<Done>, Problem> {
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    Ok(Json(rename_to(&reached, from, to, replace).await?))
}

async fn rename_to(
    reached: &Reached,
    from: FilePath,
    to: FilePath,
    replace: bool,
) -> Result<Done, Problem> {
    reached
        .note(Touch::Move(from.clone(), to.clone()), None)
        .await?;
    done(reached.act(&FileAsk::Move { from, to, replace }).await?)
}

/// An upload in parts: what it is known by, and how much of it is there.
#[derive(Serialize, schemars::JsonSchema)]
#[schemars(rename = "FileUpload")]
pub(crate) struct Upload {
    upload: UploadId,
    bytes: u64,
}

fn held(upload: UploadId, said: &FileSaid) -> Result<Json<Upload>, Problem> {
    let FileSaid::Held { bytes } = *said else {
        return Err(unexpected(said));
    };
    Ok(Json(Upload { upload, bytes }))
}

fn upload_of(text: &str) -> Result<UploadId, Problem> {
    let parsed = UploadId::parse(text);
    parsed.ok_or_else(|| docklet_control::Refusal::not_found("upload", text.escape_debug()).into())
}

pub(crate) async fn begin(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode)): Path<(String, String)>,
    headers: HeaderMap,
    Question(at): Question<At>,
) -> Result<Noted<Upload>, Problem> {
    let path = at.path()?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let batch = batch(&headers)?;
    let touch = Touch::Write(path.clone());
    let entry = match batch {
        Some(batch) => reached.note(touch, Some(&batch)).await.map(|()| None)?,
        None => reached.tell(touch, None).await?,
    };
    // One request by its number begins one upload, however often it is sent.
    let upload = UploadId::of(asker.request().0);
    let ask = FileAsk::Begin {
        path,
        upload: upload.clone(),
    };
    let Json(begun) = held(upload, &reached.act(&ask).await?)?;
    Ok(Noted::with_entry(begun, entry))
}

pub(crate) async fn resume(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode, upload)): Path<(String, String, String)>,
    Query(at): Query<At>,
) -> Result<Json<Upload>, Problem> {
    let upload = upload_of(&upload)?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let ask = FileAsk::Resume {
        path: at.path()?,
        upload: upload.clone(),
    };
    held(upload, &reached.act(&ask).await?)
}

/// The next part, from the byte on that the header `upload-offset` says.
pub(crate) async fn append(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode, upload)): Path<(String, String, String)>,
    Query(at): Query<At>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Upload>, Problem> {
    let upload = upload_of(&upload)?;
    let path = at.path()?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let batch = batch(&headers)?;
    reached
        .note(Touch::Write(path.clone()), batch.as_ref())
        .await?;
    let ask = FileAsk::Append {
        path,
        upload: upload.clone(),
        offset: number(&headers, &HeaderName::from_static("upload-offset"))?,
    };
    held(upload, &reached.bring(&ask, body.into_data_stream()).await?)
}

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finished {
    path: FilePath,
    bytes: u64,
}

pub(crate) async fn finish(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode, upload)): Path<(String, String, String)>,
    headers: HeaderMap,
    Question(Finished { path, bytes }): Question<Finished>,
) -> Result<Noted<FileFacts>, Problem> {
    let upload = upload_of(&upload)?;
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    let batch = batch(&headers)?;
    reached
        .note(Touch::Write(path.clone()), batch.as_ref())
        .await?;
    let ask = FileAsk::Finish {
        path,
        upload,
        bytes,
        guard: guard(&headers),
    };
    let file = written(reached.act(&ask).await?)?;
    Ok(Noted::with_stage(file, &reached.sealed(in_place(&reached))))
}

pub(crate) async fn abandon(
    State(portal): State<Portal>,
    asker: Asker,
    Path((vcluster, vnode, upload)): Path<(String, String, String)>,
    Query(at): Query<At>,
) -> Result<Json<Done>, Problem> {
    let ask = FileAsk::Abandon {
        path: at.path()?,
        upload: upload_of(&upload)?,
    };
    let reached = Reached::new(&portal, &asker, &vcluster, &vnode).await?;
    Ok(Json(done(reached.act(&ask).await?)?))
}

/// Whether a page can show what is in it.
pub(crate) fn is_directory(facts: &FileFacts) -> bool {
    facts.leads_to.unwrap_or(facts.kind) == FileKind::Directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_nothing_else_is_one() {
        let range = |first, last| Some(ByteRange { first, last });
        assert_eq!(range_of("bytes=0-99"), range(Some(0), Some(99)));
        assert_eq!(range_of("bytes=5-"), range(Some(5), None));
        assert_eq!(range_of("bytes=-5"), range(None, Some(5)));
        for none in [
            "bytes=-",
            "bytes=5",
            "bytes=9-5",
            "bytes=0-1,4-5",
            "lines=0-1",
            "bytes=a-b",
            "bytes=+1-2",
            "",
        ] {
            assert_eq!(range_of(none), None, "{none}");
        }
    }

    #[test]
    fn no_name_breaks_out_of_its_header() {
        assert_eq!(
            disposition("a b\"\r\nx: ä"),
            "attachment; filename*=UTF-8''a%20b%22%0D%0Ax%3A%20%C3%A4"
        );
    }
}
