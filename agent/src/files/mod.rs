//! Files of a vnode, for its owner: looked at, fetched, brought, moved and deleted.
//!
//! Two walls, either of which would do. Acts are done by a process that liblxc attached to the vnode: in its namespaces, its
//! cgroup, with its root's ids and capabilities and none of the worker's, so the kernel lets it reach what the vnode
//! reaches. And every path is resolved by `openat2` beneath one directory that is held open ([`held`]): no link leads out,
//! none of `/proc` is followed, and only directories and regular files are opened (THREATS 11).

mod change;
pub(crate) mod frame;
mod held;
mod look;
mod pack;
mod read;
mod unfit;
mod upload;
mod zip;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileAsk, FileSaid};

use rustix::fs::{Mode, OFlags};

use frame::Frames;
use held::Held;
use unfit::Unfit;

pub use upload::PREFIX;

/// Does one act beneath `root`, with what is brought in `input`; says what came of it on `output`. Whoever names no path means
/// `home`, or the root if that is not there.
///
/// # Errors
/// Nobody listens any more.
pub fn serve(
    root: OwnedFd,
    home: &FilePath,
    ask: FileAsk,
    input: &mut impl Read,
    output: &mut impl Write,
) -> io::Result<()> {
    let held = Held::new(root);
    let mut frames = Frames::new(output);
    match perform(&held, home, ask, input, &mut frames) {
        Ok(said) => frames.say(&said)?,
        Err(Unfit::Unheard(error)) => return Err(error),
        Err(Unfit::Refused(refused)) => frames.say(&FileSaid::Refused(refused))?,
    }
    frames.end()
}

/// The same in a process that was attached to a vnode, on its standard streams.
///
/// # Errors
/// Nobody listens any more, or there is no root.
pub(crate) fn serve_within(home: &FilePath, ask: FileAsk) -> io::Result<()> {
    // Nobody in the vnode looks into this process, which is a copy of one that was outside of it.
    nix::sys::prctl::set_dumpable(false)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty())?;
    let own = |stream: BorrowedFd<'_>| stream.try_clone_to_owned().map(File::from);
    let mut input = own(io::stdin().as_fd())?;
    let mut output = own(io::stdout().as_fd())?;
    serve(root, home, ask, &mut input, &mut output)
}

/// The last word about an act.
fn perform<W: Write>(
    held: &Held,
    home: &FilePath,
    ask: FileAsk,
    input: &mut impl Read,
    frames: &mut Frames<'_, W>,
) -> Result<FileSaid, Unfit> {
    match ask {
        FileAsk::Look {
            path: Some(path),
            after,
        } => look::look(held, path, after.as_deref()),
        FileAsk::Look { path: None, after } => {
            let home = look::look(held, home.clone(), after.as_deref());
            home.or_else(|_| look::look(held, FilePath::root(), after.as_deref()))
        }
        FileAsk::Read { path, range, of } => {
            read::read(held, &path, range, of.as_deref(), frames)?;
            Ok(FileSaid::End)
        }
        FileAsk::Zip { path } => {
            pack::pack(held, &path, frames)?;
            Ok(FileSaid::End)
        }
        FileAsk::MakeDirectory { path, may_exist } => {
            change::make_directory(held, &path, may_exist)
        }
        FileAsk::Move { from, to, replace } => change::rename(held, &from, &to, replace),
        FileAsk::Delete { path, all } => change::delete(held, &path, all, frames),
        FileAsk::Put { path, bytes, guard } => upload::put(held, &path, bytes, &guard, input),
        FileAsk::Begin { path, upload } => upload::begin(held, &path, &upload),
        FileAsk::Resume { path, upload } => upload::resume(held, &path, &upload),
        FileAsk::Append {
            path,
            upload,
            offset,
        } => upload::append(held, &path, &upload, offset, input),
        FileAsk::Finish {
            path,
            upload,
            bytes,
            guard,
        } => upload::finish(held, &path, &upload, bytes, &guard),
        FileAsk::Abandon { path, upload } => upload::abandon(held, &path, &upload),
        FileAsk::Sweep {
            directories,
            older_s,
        } => Ok(upload::sweep_all(held, directories, older_s)),
    }
}
