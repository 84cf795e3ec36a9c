//! Fetching a file of a vnode. Where the connection breaks it goes on from there, if the file is still the same.

use std::io::Write;

use docklet_control::file_path::FilePath;
use futures_util::StreamExt;
use reqwest::{Method, RequestBuilder, StatusCode, header};

use super::copy::Progress;
use super::remote::{Remote, encoded};
use super::send::Patience;
use crate::client::connection::Connection;
use crate::client::output::reader_gone;
use crate::exit::{Class, Failure};

/// Where bytes go: a file can begin anew, standard output cannot.
pub trait Target: Write {
    /// Forgets what came so far; answers whether it could.
    fn restart(&mut self) -> std::io::Result<bool>;
}

impl Target for std::fs::File {
    fn restart(&mut self) -> std::io::Result<bool> {
        use std::io::Seek;
        self.set_len(0)?;
        self.rewind()?;
        Ok(true)
    }
}

impl Target for std::io::Stdout {
    fn restart(&mut self) -> std::io::Result<bool> {
        Ok(false)
    }
}

/// Fetches all of a file.
pub async fn fetch(
    connection: &Connection,
    at: &Remote,
    path: &FilePath,
    batch: Option<&FilePath>,
    to: &mut impl Target,
    progress: &mut Progress,
) -> anyhow::Result<()> {
    let address = at.address("/content", &[("path", path.as_str())]);
    let (mut got, mut tag, mut patience) = (0_u64, None::<String>, Patience::new());
    loop {
        let prepare = |request: RequestBuilder| {
            let request = match batch {
                Some(batch) => request.header("docklet-batch", encoded(batch.as_str())),
                None => request,
            };
            match &tag {
                Some(tag) if got > 0 => request
                    .header(header::RANGE, format!("bytes={got}-"))
                    .header(header::IF_RANGE, tag),
                _ => request,
            }
        };
        let response = match connection.send(Method::GET, &address, prepare).await {
            Ok(response) => response,
            Err(error) => {
                patience.wait(error).await?;
                continue;
            }
        };
        if got > 0 && response.status() != StatusCode::PARTIAL_CONTENT {
            if !to.restart()? {
                let text = format!("{path}: it was changed while it was fetched: fetch it again");
                return Err(Failure::new(Class::Conflict, text).into());
            }
            progress.back(got);
            got = 0;
        }
        let told = response.headers().get(header::ETAG);
        tag = told.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let whole = response.content_length().map(|rest| got + rest);
        let before = got;
        let mut bytes = response.bytes_stream();
        let mut broken = None;
        while let Some(chunk) = bytes.next().await {
            match chunk {
                Ok(chunk) => {
                    to.write_all(&chunk).map_err(reader_gone)?;
                    got += chunk.len() as u64;
                    progress.moved(chunk.len() as u64);
                }
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        if broken.is_none() && whole.is_none_or(|whole| got >= whole) {
            to.flush().map_err(reader_gone)?;
            return Ok(());
        }
        if got > before {
            patience = Patience::new();
        }
        let cause = broken.map_or_else(
            || "it ended too early".to_owned(),
            |error| error.to_string(),
        );
        let text = format!("{path}: the connection broke ({cause}): try again");
        patience
            .wait(Failure::new(Class::Unavailable, text).into())
            .await?;
    }
}
