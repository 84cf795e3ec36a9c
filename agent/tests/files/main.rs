//! Files beneath a held directory, as whoever is root there tries to get out of it: no vnode, no namespace, just the paths. On
//! real vnodes: `lxc/files.rs`.

mod bring;

use std::fs;
use std::io::{Cursor, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use docklet_agent::files::serve;
use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{FileAsk, FileListing, FileRefused, FileSaid, FileWhy, Guard};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tempfile::TempDir;

/// How often the racer changes what is where.
const SWAPS: u64 = 100_000;
const CANARY: &[u8] = b"nobody reads this";

/// What an act came to: what was said, and the bytes that came.
#[derive(Debug)]
struct Came {
    said: Vec<FileSaid>,
    bytes: Vec<u8>,
}

impl Came {
    fn refused(&self) -> Option<&FileRefused> {
        self.said.iter().find_map(|said| {
            let FileSaid::Refused(refused) = said else {
                return None;
            };
            Some(refused)
        })
    }

    fn why(&self) -> Option<FileWhy> {
        self.refused().map(|refused| refused.why)
    }

    fn listing(&self) -> &FileListing {
        let [FileSaid::Found(listing)] = &self.said[..] else {
            panic!("no listing: {:?}", self.said);
        };
        listing
    }

    fn names(&self) -> Vec<&str> {
        let entries = self.listing().entries.as_ref().expect("a directory");
        entries.iter().map(|entry| entry.name.as_str()).collect()
    }

    fn mark(&self) -> String {
        let mut marks = self.said.iter().filter_map(|said| {
            let (FileSaid::Written { file } | FileSaid::Content { file, .. }) = said else {
                return None;
            };
            Some(file.mark.clone())
        });
        marks.next().expect("a file")
    }
}

fn path(text: &str) -> FilePath {
    FilePath::parse(text).expect("a path")
}

fn read(text: &str) -> FileAsk {
    FileAsk::Read {
        path: path(text),
        range: None,
        of: None,
    }
}

fn look(text: &str) -> FileAsk {
    FileAsk::Look {
        path: Some(path(text)),
        after: None,
    }
}

fn put(text: &str, content: &[u8], guard: Guard) -> FileAsk {
    FileAsk::Put {
        path: path(text),
        bytes: content.len() as u64,
        guard,
    }
}

/// Acts beneath a directory.
struct Beneath(PathBuf);

impl Beneath {
    fn ask(&self, ask: FileAsk, input: &[u8]) -> Came {
        let root = OwnedFd::from(fs::File::open(&self.0).expect("a directory"));
        let mut output = Vec::new();
        serve(
            root,
            &path("/root"),
            ask,
            &mut Cursor::new(input),
            &mut output,
        )
        .expect("heard");
        let mut came = Came {
            said: Vec::new(),
            bytes: Vec::new(),
        };
        let mut rest = &output[..];
        while let [kind, a, b, c, d, more @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            let (message, more) = more.split_at(length);
            match kind {
                b'w' => came
                    .said
                    .push(serde_json::from_slice(message).expect("a word")),
                b'b' => came.bytes.extend_from_slice(message),
                other => panic!("message {other}"),
            }
            rest = more;
        }
        came
    }

    fn put(&self, text: &str, content: &[u8], guard: Guard) -> Came {
        self.ask(put(text, content, guard), content)
    }
}

/// A directory to be confined to, with a canary beside it.
struct Place {
    _dir: TempDir,
    beneath: Beneath,
    inside: PathBuf,
    outside: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
        for made in [&inside, &outside] {
            fs::create_dir(made).expect("made");
        }
        fs::create_dir(inside.join("work")).expect("made");
        fs::write(outside.join("f"), CANARY).expect("written");
        Self {
            _dir: dir,
            beneath: Beneath(inside.clone()),
            inside,
            outside,
        }
    }

    /// What is outside is as it was.
    fn check_outside(&self) {
        let names: Vec<_> = fs::read_dir(&self.outside)
            .expect("there")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(names, ["f"], "what is outside");
        assert_eq!(fs::read(self.outside.join("f")).expect("there"), CANARY);
        let above = self.outside.parent().expect("a directory");
        assert_eq!(fs::read_dir(above).expect("there").count(), 2, "beside it");
    }
}

#[test]
fn links_lead_where_the_vnode_would_see_them_lead() {
    let place = Place::new();
    let work = place.inside.join("work");
    fs::create_dir(place.inside.join("outside")).expect("made");
    fs::write(place.inside.join("f"), "own").expect("written");
    let absolute = place.outside.join("f");
    for (name, target) in [
        ("absolute", absolute.to_str().expect("text")),
        ("up", "../../outside/f"),
        ("far-up", "../../../../../../../../../../etc/passwd"),
        ("passwd", "/etc/passwd"),
        ("nowhere", "nothing"),
        ("round", "round"),
    ] {
        symlink(target, work.join(name)).expect("linked");
    }
    symlink(&place.outside, work.join("dir")).expect("linked");
    symlink("/f", work.join("own")).expect("linked");
    symlink("../../../f", work.join("own-far-up")).expect("linked");
    for (name, why) in [
        ("absolute", FileWhy::NotFound),
        ("up", FileWhy::NotFound),
        ("far-up", FileWhy::NotFound),
        ("passwd", FileWhy::NotFound),
        ("nowhere", FileWhy::NotFound),
        ("dir/f", FileWhy::NotFound),
        ("round", FileWhy::NotAllowed),
    ] {
        let came = place.beneath.ask(read(&format!("/work/{name}")), b"");
        assert_eq!(
            (came.why(), &came.bytes[..]),
            (Some(why), &b""[..]),
            "{name}"
        );
    }
    for name in ["own", "own-far-up"] {
        let came = place.beneath.ask(read(&format!("/work/{name}")), b"");
        assert_eq!(came.bytes, b"own", "{name}: {came:?}");
    }
    // Nothing is written through a link, and what is deleted or moved is the link.
    for name in ["absolute", "up", "own"] {
        let came = place
            .beneath
            .put(&format!("/work/{name}"), b"x", Guard::Replace);
        assert_eq!(came.why(), Some(FileWhy::NotAFile), "{name}");
    }
    assert_eq!(
        place.beneath.put("/work/dir/new", b"x", Guard::New).why(),
        Some(FileWhy::NotFound)
    );
    let delete = FileAsk::Delete {
        path: path("/work"),
        all: true,
    };
    let came = place.beneath.ask(delete, b"");
    assert!(
        matches!(came.said[..], [FileSaid::Done { count: 10 }]),
        "{came:?}"
    );
    assert_eq!(fs::read(place.inside.join("f")).expect("there"), b"own");
    place.check_outside();
}

#[test]
fn no_link_of_the_kernel_is_followed_and_no_word_of_it_is_a_file() {
    let everything = Beneath("/".into());
    for (text, why) in [
        ("/proc/self/exe", FileWhy::NotAllowed),
        ("/proc/self/root/etc/passwd", FileWhy::NotAllowed),
        ("/proc/self/cwd/Cargo.toml", FileWhy::NotAllowed),
        ("/proc/self/fd/0", FileWhy::NotAllowed),
        ("/proc/self/status", FileWhy::NotAFile),
        ("/proc/kmsg", FileWhy::NotAFile),
        ("/sys/kernel/profiling", FileWhy::NotAFile),
        ("/dev/zero", FileWhy::NotAFile),
        ("/dev", FileWhy::IsADirectory),
    ] {
        let came = everything.ask(read(text), b"");
        assert_eq!(
            (came.why(), came.bytes.len()),
            (Some(why), 0),
            "{text}: {came:?}"
        );
    }
}

#[test]
fn whoever_swaps_directories_for_links_a_hundred_thousand_times_never_wins() {
    let place = Place::new();
    let work = place.inside.join("work");
    let (dir, link) = (work.join("d"), work.join("l"));
    fs::create_dir(&dir).expect("made");
    fs::write(dir.join("f"), "own").expect("written");
    let (over, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let targets = [
                place.outside.clone(),
                "../../outside".into(),
                "/proc/self/root/tmp".into(),
                Path::new("/proc/self/root")
                    .join(place.outside.strip_prefix("/").expect("absolute")),
            ];
            for target in targets.iter().cycle() {
                let _ = fs::remove_file(&link);
                symlink(target, &link).expect("linked");
                for _ in 0..100 {
                    renameat2(
                        AT_FDCWD,
                        &dir,
                        AT_FDCWD,
                        &link,
                        RenameFlags::RENAME_EXCHANGE,
                    )
                    .expect("swapped");
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
                if over.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let _over = Over(&over);
        let mut own = 0;
        for round in 0_u64.. {
            if round >= 2_000 && swaps.load(Ordering::Relaxed) >= SWAPS {
                break;
            }
            let came = place.beneath.ask(read("/work/d/f"), b"");
            assert!(
                !came.bytes.starts_with(CANARY),
                "read the canary in round {round}"
            );
            own += u64::from(came.bytes == b"own");
            let listed = place.beneath.ask(look("/work/d"), b"");
            assert!(listed.why().is_some() || !listed.names().contains(&"canary"));
            place.beneath.put("/work/d/new", b"new", Guard::Replace);
            place.beneath.put("/work/d/f", b"own", Guard::Replace);
            let renamed = FileAsk::Move {
                from: path("/work/d/new"),
                to: path("/work/d/newer"),
                replace: true,
            };
            place.beneath.ask(renamed, b"");
            let made = FileAsk::MakeDirectory {
                path: path("/work/d/made"),
                may_exist: true,
            };
            place.beneath.ask(made, b"");
            for gone in ["/work/d/newer", "/work/d/made"] {
                let delete = FileAsk::Delete {
                    path: path(gone),
                    all: true,
                };
                place.beneath.ask(delete, b"");
            }
            let zipped = place.beneath.ask(
                FileAsk::Zip {
                    path: path("/work"),
                },
                b"",
            );
            let found = zipped
                .bytes
                .windows(CANARY.len())
                .any(|bytes| bytes == CANARY);
            assert!(!found, "packed the canary in round {round}");
        }
        assert!(own > 0, "no read ever found its own file");
    });
    place.check_outside();
}

/// Ends the racer, also when the test has failed.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn pipes_devices_and_sockets_are_not_opened() {
    let place = Place::new();
    let fifo = place.inside.join("work/fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(place.inside.join("work/socket"));
    for name in ["fifo", "socket"] {
        let text = format!("/work/{name}");
        assert_eq!(
            place.beneath.ask(read(&text), b"").why(),
            Some(FileWhy::NotAFile)
        );
        assert_eq!(
            place.beneath.put(&text, b"x", Guard::Replace).why(),
            Some(FileWhy::NotAFile)
        );
    }
    let zipped = place.beneath.ask(FileAsk::Zip { path: path("/") }, b"");
    assert!(zipped.why().is_none() && !zipped.bytes.windows(4).any(|bytes| bytes == b"fifo"));
}

#[test]
fn a_reader_that_has_left_ends_the_act() {
    struct Left;
    impl std::io::Write for Left {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let place = Place::new();
    let root = OwnedFd::from(fs::File::open(&place.inside).expect("a directory"));
    let mut nothing = std::io::empty();
    let nobody: &mut dyn Read = &mut nothing;
    assert!(serve(root, &path("/"), look("/work"), &mut { nobody }, &mut Left).is_err());
}
