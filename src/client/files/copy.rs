//! `docklet cp`: files and directories between this machine and a vnode, either way.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use docklet_control::file_path::{FilePath, is_plain, plain};
use docklet_control::file_wire::{FileFacts, FileKind};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use tempfile::NamedTempFile;

use super::remote::{Remote, encoded, look};
use super::send::{Patience, To, class, send};
use super::{fetch, invalid};
use crate::client::connection::Connection;
use crate::client::output::remark;
use crate::exit::{Class, Failure};

/// Copy files between this machine and a vnode
#[derive(Args)]
pub struct Copy {
    /// A file here, `-` for standard input, or VCLUSTER/host-0:/PATH
    from: String,
    /// The same, `-` for standard output
    to: String,
    /// A directory with all in it; links are left out
    #[arg(short, long)]
    recursive: bool,
    /// Say nothing of how far it is
    #[arg(short, long)]
    quiet: bool,
}

/// Either end of a copy.
enum End {
    Stream,
    Here(PathBuf),
    There(Remote),
}

/// What begins like a vnode's name and has a colon is one; `./` before it makes it a file here.
fn end(text: &str) -> End {
    if text == "-" {
        return End::Stream;
    }
    match text.parse() {
        Ok(remote) => End::There(remote),
        Err(_) => End::Here(text.into()),
    }
}

pub async fn run(copy: Copy) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    let mut copying = Copying {
        connection,
        progress: Progress::new(copy.quiet),
        left_out: 0,
    };
    let done = match (end(&copy.from), end(&copy.to)) {
        (End::Here(from), End::There(to)) => copying.bring(&from, &to, copy.recursive).await,
        (End::Stream, End::There(to)) => copying.bring_stream(&to).await,
        (End::There(from), End::Here(to)) => copying.take(&from, &to, copy.recursive).await,
        (End::There(from), End::Stream) => copying.take_stream(&from).await,
        (End::There(_), End::There(_)) => {
            Err(invalid("both are in vnodes: copy it here first, or copy it in a terminal").into())
        }
        (End::Here(_) | End::Stream, End::Here(_) | End::Stream) => {
            Err(invalid("neither is in a vnode: name one as VCLUSTER/host-0:/path").into())
        }
    };
    copying.progress.end();
    done?;
    if copying.left_out > 0 {
        let text = format!(
            "{} files were left out, as told above; all others were copied",
            copying.left_out
        );
        return Err(Failure::new(Class::Conflict, text).into());
    }
    Ok(ExitCode::SUCCESS)
}

struct Copying {
    connection: Connection,
    progress: Progress,
    left_out: u64,
}

impl Copying {
    fn leave_out(&mut self, what: &str, why: &str) {
        self.left_out += 1;
        self.progress.clear();
        remark(&format!("{}: {why}", plain(what)));
    }

    async fn bring_stream(&mut self, at: &Remote) -> anyhow::Result<()> {
        let path = at.absolute(&self.connection).await?;
        self.bring_file(io::stdin(), at, &path, None).await
    }

    async fn bring_file(
        &mut self,
        from: impl io::Read + Send,
        at: &Remote,
        path: &FilePath,
        batch: Option<&FilePath>,
    ) -> anyhow::Result<()> {
        let to = To {
            connection: &self.connection,
            at,
            path,
            batch,
        };
        send(&to, from, &mut self.progress).await.map(drop)
    }

    async fn bring(&mut self, from: &Path, at: &Remote, recursive: bool) -> anyhow::Result<()> {
        let path = at.absolute(&self.connection).await?;
        let there = self.kind_at(at, &path).await?;
        let target = match there {
            // As `cp` has it: into a directory, under its own name.
            Some(FileKind::Directory) => path
                .join(&own_name(from)?)
                .map_err(|r| invalid(r.to_string()))?,
            Some(_) | None => path,
        };
        let meta = fs::metadata(from).with_context(|| format!("read {}", from.display()))?;
        if !meta.is_dir() {
            self.progress.expect(meta.len());
            let file = File::open(from).with_context(|| format!("read {}", from.display()))?;
            return self.bring_file(file, at, &target, None).await;
        }
        if !recursive {
            let text = format!(
                "{} is a directory: say -r to copy all in it",
                from.display()
            );
            return Err(invalid(text).into());
        }
        let batch = target.clone();
        let mut waiting = vec![(from.to_owned(), target)];
        while let Some((dir, path)) = waiting.pop() {
            self.make_directory(at, &path, &batch).await?;
            let entries = fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))?;
            let mut entries: Vec<_> = entries.collect::<Result<_, _>>()?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let (local, kind) = (entry.path(), entry.file_type()?);
                let name = entry.file_name();
                let joined = name.to_str().and_then(|name| path.join(name).ok());
                let Some(joined) = joined else {
                    self.leave_out(&local.to_string_lossy(), "its name is no text, or too long");
                    continue;
                };
                if kind.is_dir() {
                    waiting.push((local, joined));
                } else if kind.is_file() {
                    let file =
                        File::open(&local).with_context(|| format!("read {}", local.display()))?;
                    self.bring_file(file, at, &joined, Some(&batch)).await?;
                } else {
                    self.leave_out(&local.to_string_lossy(), "neither file nor directory");
                }
            }
        }
        Ok(())
    }

    async fn make_directory(
        &self,
        at: &Remote,
        path: &FilePath,
        batch: &FilePath,
    ) -> anyhow::Result<()> {
        let body = json!({"path": path, "may_exist": true});
        let mut patience = Patience::new();
        loop {
            let prepare = |request: RequestBuilder| {
                let batch = encoded(batch.as_str());
                request.header("docklet-batch", batch).json(&body)
            };
            let address = at.address("/directories", &[]);
            match self.connection.send(Method::POST, &address, prepare).await {
                Ok(_) => return Ok(()),
                Err(error) => patience.wait(error).await?,
            }
        }
    }

    /// What is there; none if nothing is.
    async fn kind_at(&self, at: &Remote, path: &FilePath) -> anyhow::Result<Option<FileKind>> {
        match look(&self.connection, at, Some(path), None).await {
            Ok(listing) => Ok(Some(listing.file.kind)),
            // Also if the vnode is not there: that is told by the next act.
            Err(error) if class(&error) == Some(Class::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn take_stream(&mut self, at: &Remote) -> anyhow::Result<()> {
        let path = at.absolute(&self.connection).await?;
        let (connection, progress) = (&self.connection, &mut self.progress);
        fetch::fetch(connection, at, &path, None, &mut io::stdout(), progress).await
    }

    async fn take(&mut self, at: &Remote, to: &Path, recursive: bool) -> anyhow::Result<()> {
        let path = at.path_or_home(&self.connection).await?;
        let found = look(&self.connection, at, path.as_ref(), None).await?;
        // What the server calls it counts for the home only, and is looked at as any name is.
        let path = path.unwrap_or(found.path);
        let target = if to.is_dir() {
            let name = if path.is_root() {
                at.vnode.vnode.as_str()
            } else {
                path.name()
            };
            to.join(checked(name)?)
        } else {
            to.to_owned()
        };
        match found.file.kind {
            FileKind::File => {
                self.progress.expect(found.file.bytes);
                self.take_file(at, &path, &target, None).await
            }
            FileKind::Directory if recursive => self.take_directory(at, &path, target).await,
            FileKind::Directory => {
                let text = format!("{path} is a directory: say -r to copy all in it");
                Err(invalid(text).into())
            }
            FileKind::Link | FileKind::Other => {
                let text = format!("{path} is neither file nor directory");
                Err(Failure::new(Class::Conflict, text).into())
            }
        }
    }

    async fn take_directory(
        &mut self,
        at: &Remote,
        path: &FilePath,
        target: PathBuf,
    ) -> anyhow::Result<()> {
        let batch = path.clone();
        let mut waiting = vec![(path.clone(), target)];
        while let Some((path, dir)) = waiting.pop() {
            if !dir.is_dir() {
                fs::create_dir(&dir).with_context(|| format!("make {}", dir.display()))?;
            }
            let mut after = None;
            loop {
                let listing = look(&self.connection, at, Some(&path), after.as_deref()).await?;
                let entries = listing.entries.unwrap_or_default();
                after = entries.last().map(|entry| entry.name.clone());
                for entry in &entries {
                    self.take_entry(at, &path, &dir, entry, &batch, &mut waiting)
                        .await?;
                }
                if !listing.more || entries.is_empty() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn take_entry(
        &mut self,
        at: &Remote,
        path: &FilePath,
        dir: &Path,
        entry: &FileFacts,
        batch: &FilePath,
        waiting: &mut Vec<(FilePath, PathBuf)>,
    ) -> anyhow::Result<()> {
        let shown = format!("{path}/{}", plain(&entry.name));
        let (Ok(name), Ok(joined)) = (checked(&entry.name), path.join(&entry.name)) else {
            self.leave_out(&shown, "its name could mean another file here");
            return Ok(());
        };
        let local = dir.join(name);
        match entry.kind {
            FileKind::Directory => waiting.push((joined, local)),
            FileKind::File => self.take_file(at, &joined, &local, Some(batch)).await?,
            FileKind::Link => self.leave_out(&shown, "a link"),
            FileKind::Other => self.leave_out(&shown, "neither file nor directory"),
        }
        Ok(())
    }

    /// Into a file of another name first: nobody finds half of it.
    async fn take_file(
        &mut self,
        at: &Remote,
        path: &FilePath,
        local: &Path,
        batch: Option<&FilePath>,
    ) -> anyhow::Result<()> {
        let dir = local.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        let written = |what: &Path| format!("write {}", what.display());
        let part = tempfile::Builder::new()
            .prefix(".docklet-cp-")
            .permissions(usual_mode())
            .tempfile_in(dir);
        let mut part: NamedTempFile = part.with_context(|| written(local))?;
        let (connection, progress) = (&self.connection, &mut self.progress);
        fetch::fetch(connection, at, path, batch, part.as_file_mut(), progress).await?;
        part.persist(local).with_context(|| written(local))?;
        Ok(())
    }
}

/// Less what the person's own mask takes away.
fn usual_mode() -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(0o666)
}

/// What a file is called here, as text.
fn own_name(file: &Path) -> anyhow::Result<String> {
    let whole = fs::canonicalize(file).with_context(|| format!("read {}", file.display()))?;
    let name = whole.file_name().and_then(|name| name.to_str());
    let name =
        name.ok_or_else(|| invalid("its name is no text: name the file at the other end"))?;
    Ok(name.to_owned())
}

/// A name that a server gave, if it is nothing but a name: no other directory, and nothing that acts on a terminal.
fn checked(name: &str) -> anyhow::Result<&str> {
    let fits = FilePath::root().join(name).is_ok() && name.chars().all(is_plain);
    if fits {
        return Ok(name);
    }
    let text = format!("\"{}\" could mean another file here", plain(name));
    Err(Failure::new(Class::Conflict, text).into())
}

/// How far it is, for people at a terminal.
pub struct Progress {
    shown: bool,
    begun: Instant,
    told: Option<Instant>,
    moved: u64,
    whole: Option<u64>,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self {
            shown: !quiet && io::stderr().is_terminal(),
            begun: Instant::now(),
            told: None,
            moved: 0,
            whole: None,
        }
    }

    fn expect(&mut self, bytes: u64) {
        self.whole = Some(bytes);
    }

    /// So many bytes more are there.
    pub fn moved(&mut self, bytes: u64) {
        self.moved += bytes;
        let due = self
            .told
            .is_none_or(|told| told.elapsed() > Duration::from_millis(200));
        if self.shown && due {
            self.told = Some(Instant::now());
            self.tell();
        }
    }

    /// They have to come once more.
    pub fn back(&mut self, bytes: u64) {
        self.moved = self.moved.saturating_sub(bytes);
    }

    fn tell(&self) {
        let mib = self.moved >> 20;
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let pace = self.moved / 1_049 / ms.max(1);
        let share = self.whole.map_or_else(String::new, |whole| {
            let percent = self.moved.saturating_mul(100) / whole.max(1);
            format!("{:>3} %  ", percent.min(100))
        });
        // Whoever looks away from it misses nothing.
        let _ = write!(io::stderr(), "\r{share}{mib} MiB  {pace} MiB/s\x1b[K");
    }

    fn clear(&self) {
        if self.shown && self.told.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }

    fn end(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_server_are_names_and_nothing_else() {
        for good in ["a", "ä b", ".bashrc", "..a", "%2e%2e", "a\\b"] {
            assert!(checked(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "../a",
            "/etc/passwd",
            "a/b",
            "a\0",
            "a\u{1b}[2J",
            "a\n",
            "\u{202e}gpj",
            "a\r",
        ] {
            assert!(checked(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ends_are_told_apart() {
        assert!(matches!(end("-"), End::Stream));
        assert!(matches!(end("lab/host-0:/a"), End::There(_)));
        for here in ["a", "./lab/host-0:/a", "/a:b", "../x"] {
            assert!(matches!(end(here), End::Here(_)), "{here}");
        }
    }
}
