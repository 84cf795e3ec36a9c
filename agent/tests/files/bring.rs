//! Bringing files, finding them, and fetching them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::time::{Duration, SystemTime};

use docklet_agent::files::PREFIX;
use docklet_control::file_path::FilePath;
use docklet_control::file_wire::{ByteRange, FileAsk, FileSaid, FileWhy, Guard, UploadId};

use crate::{Came, Place, look, path, read};

#[test]
fn a_file_is_whole_or_not_there_and_belongs_to_its_directorys_owner() {
    let place = Place::new();
    let (work, whole) = (place.inside.join("work"), place.inside.join("work/a"));
    let is_root = nix::unistd::Uid::effective().is_root();
    if is_root {
        chown(&work, Some(1_234), Some(1_235)).expect("given away");
    }
    let first = place.beneath.put("/work/a", b"one", Guard::New);
    let stat = fs::metadata(&whole).expect("there");
    assert_eq!(stat.permissions().mode() & 0o7777, 0o644);
    if is_root {
        assert_eq!((stat.uid(), stat.gid()), (1_234, 1_235));
    }
    // Of a mark that somebody knows, of any, and of none.
    assert_eq!(
        place.beneath.put("/work/a", b"two", Guard::New).why(),
        Some(FileWhy::Exists)
    );
    fs::set_permissions(&whole, fs::Permissions::from_mode(0o4750)).expect("changed");
    let stale = Guard::Unchanged(first.mark());
    assert_eq!(
        place.beneath.put("/work/a", b"two", stale.clone()).why(),
        Some(FileWhy::Changed)
    );
    let known = Guard::Unchanged(place.beneath.ask(read("/work/a"), b"").mark());
    assert_eq!(place.beneath.put("/work/a", b"two", known).why(), None);
    let stat = fs::metadata(&whole).expect("there");
    assert_eq!(
        stat.permissions().mode() & 0o7777,
        0o4750,
        "as it was before"
    );
    let gone = place.beneath.put("/work/b", b"two", stale);
    assert_eq!(gone.why(), Some(FileWhy::Changed));

    // What breaks off leaves nothing.
    let broken = place.beneath.ask(
        FileAsk::Put {
            path: path("/work/a"),
            bytes: 10,
            guard: Guard::Replace,
        },
        b"thr",
    );
    assert_eq!(broken.why(), Some(FileWhy::Offset));
    assert_eq!(fs::read(&whole).expect("there"), b"two");
    assert_eq!(fs::read_dir(&work).expect("there").count(), 1);
}

#[test]
fn an_upload_goes_on_where_it_broke_off_and_gets_its_name_at_the_end() {
    let place = Place::new();
    let work = place.inside.join("work");
    let (file, upload) = (path("/work/a"), UploadId::of(7));
    let begin = || FileAsk::Begin {
        path: file.clone(),
        upload: upload.clone(),
    };
    let append = |offset| FileAsk::Append {
        path: file.clone(),
        upload: upload.clone(),
        offset,
    };
    let finish = |bytes, guard| FileAsk::Finish {
        path: file.clone(),
        upload: upload.clone(),
        bytes,
        guard,
    };
    let resume = || FileAsk::Resume {
        path: file.clone(),
        upload: upload.clone(),
    };
    let held = |came: Came| match came.said[..] {
        [FileSaid::Held { bytes }] => bytes,
        _ => panic!("{came:?}"),
    };
    assert_eq!(
        place.beneath.ask(resume(), b"").why(),
        Some(FileWhy::NotFound)
    );
    assert_eq!(held(place.beneath.ask(begin(), b"")), 0);
    assert_eq!(held(place.beneath.ask(append(0), b"first ")), 6);
    assert_eq!(held(place.beneath.ask(begin(), b"")), 6, "begun twice");
    assert_eq!(held(place.beneath.ask(resume(), b"")), 6);
    let refused = place.beneath.ask(append(3), b"second");
    let refused = refused.refused().expect("refused");
    assert_eq!((refused.why, refused.bytes), (FileWhy::Offset, Some(6)));
    let early = place.beneath.ask(finish(12, Guard::New), b"");
    assert_eq!(early.why(), Some(FileWhy::Offset));
    assert_eq!(held(place.beneath.ask(append(6), b"second")), 12);
    assert!(
        place.beneath.ask(look("/work"), b"").names().is_empty(),
        "not yet"
    );
    assert_eq!(place.beneath.ask(finish(12, Guard::New), b"").why(), None);
    assert_eq!(fs::read(work.join("a")).expect("there"), b"first second");
    assert_eq!(fs::read_dir(&work).expect("there").count(), 1);

    // One that nobody goes on with is gone the next day, one of today is not.
    for (number, age) in [(8, 25), (9, 1)] {
        let left = work.join(format!("{PREFIX}{}", UploadId::of(number).as_str()));
        let left = fs::File::create(left).expect("made");
        let then = SystemTime::now() - Duration::from_secs(age * 3_600);
        left.set_modified(then).expect("set");
    }
    place.beneath.put("/work/b", b"", Guard::New);
    let left = fs::read_dir(&work).expect("there").flatten();
    let mut left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    left.sort();
    let young = format!("{PREFIX}{}", UploadId::of(9).as_str());
    assert_eq!(left, [young.as_str(), "a", "b"]);

    // The same where nobody brings anything: what is young, or in no directory any more, is told apart.
    let sweep = |older_s| FileAsk::Sweep {
        directories: vec![path("/work"), path("/gone")],
        older_s,
    };
    let swept = |came: Came| match &came.said[..] {
        [FileSaid::Swept { left }] => left.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(swept(place.beneath.ask(sweep(7_200), b"")), [path("/work")]);
    assert!(work.join(&young).exists());
    assert!(swept(place.beneath.ask(sweep(1_800), b"")).is_empty());
    assert!(!work.join(&young).exists());
}

#[test]
fn parts_of_files_are_those_that_were_meant() {
    let place = Place::new();
    place.beneath.put("/work/a", b"0123456789", Guard::New);
    let part = |first, last, of: Option<&str>| {
        let ask = FileAsk::Read {
            path: path("/work/a"),
            range: Some(ByteRange { first, last }),
            of: of.map(str::to_owned),
        };
        place.beneath.ask(ask, b"")
    };
    assert_eq!(part(Some(2), Some(4), None).bytes, b"234");
    assert_eq!(part(None, Some(3), None).bytes, b"789");
    assert_eq!(part(Some(8), None, None).bytes, b"89");
    assert_eq!(part(Some(8), None, Some("another")).bytes, b"0123456789");
    let none = part(Some(10), None, None);
    let none = none.refused().expect("refused");
    assert_eq!((none.why, none.bytes), (FileWhy::Range, Some(10)));
}

#[test]
fn directories_are_listed_in_order_and_what_is_no_text_is_shown_and_not_named() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    let work = place.inside.join("work");
    for name in [&b"b"[..], b"a", b"\xff", b"c\n"] {
        fs::write(work.join(std::ffi::OsStr::from_bytes(name)), "").expect("written");
    }
    let came = place.beneath.ask(look("/work"), b"");
    assert_eq!(came.names(), ["a", "b", "c\n", "\u{fffd}"]);
    let entries = came.listing().entries.as_ref().expect("a directory");
    let named: Vec<bool> = entries.iter().map(|entry| entry.named).collect();
    assert_eq!(named, [true, true, true, false]);
    // Who names no path means home, or the root if that is not there.
    let nameless = || FileAsk::Look {
        path: None,
        after: None,
    };
    assert_eq!(
        place.beneath.ask(nameless(), b"").listing().path,
        FilePath::root()
    );
    fs::create_dir(place.inside.join("root")).expect("made");
    assert_eq!(
        place.beneath.ask(nameless(), b"").listing().path,
        path("/root")
    );
    let full = FileAsk::Delete {
        path: path("/work"),
        all: false,
    };
    assert_eq!(place.beneath.ask(full, b"").why(), Some(FileWhy::Exists));
    let root = FileAsk::Delete {
        path: FilePath::root(),
        all: true,
    };
    assert_eq!(
        place.beneath.ask(root, b"").why(),
        Some(FileWhy::NotAllowed)
    );
}

#[test]
fn a_zip_is_one_and_the_same_for_the_same_files() {
    let place = Place::new();
    place
        .beneath
        .put("/work/b", &vec![b'x'; 700_000], Guard::New);
    place.beneath.put("/work/a", b"", Guard::New);
    fs::create_dir(place.inside.join("work/dir")).expect("made");
    place.beneath.put("/work/dir/ä", b"text", Guard::New);
    symlink(&place.outside, place.inside.join("work/link")).expect("linked");
    let pack = || {
        place
            .beneath
            .ask(
                FileAsk::Zip {
                    path: path("/work"),
                },
                b"",
            )
            .bytes
    };
    let zip = pack();
    assert_eq!(zip, pack());
    let file = place.outside.with_file_name("packed.zip");
    fs::write(&file, &zip).expect("written");
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
        print([(i.filename, i.file_size, oct(i.external_attr >> 16)) for i in z.infolist()])\nprint(z.read('dir/ä'))";
    let told = std::process::Command::new("python3")
        .env("PYTHONIOENCODING", "utf-8")
        .args(["-c", script])
        .arg(&file)
        .output()
        .expect("python3");
    let text =
        String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr);
    let wanted = "[('a', 0, '0o100644'), ('b', 700000, '0o100644'), ('dir/', 0, '0o40755'), ('dir/ä', 4, '0o100644')]\nb'text'\n";
    assert_eq!(text, wanted);
}
