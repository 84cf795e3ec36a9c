//! Tricks that broke other systems, one archive each.

use tar::EntryType;

use crate::make::{Archive, dir, entry, file, header, link, long_name, pax, tar};

/// What is done to the outside, and what must be said of it: by way of a blob, and of an upload. None where it is made
/// harmless.
pub struct Trick {
    pub name: &'static str,
    pub tar: Vec<u8>,
    pub blob: Option<&'static str>,
    pub upload: Option<&'static str>,
}

fn trick(
    name: &'static str,
    blob: impl Into<Option<&'static str>>,
    upload: impl Into<Option<&'static str>>,
    fill: impl FnOnce(&mut Archive),
) -> Trick {
    Trick {
        name,
        tar: tar(fill),
        blob: blob.into(),
        upload: upload.into(),
    }
}

pub fn corpus(out: &str) -> Vec<Trick> {
    const OUTSIDE: &str = "points outside";
    let way = |a: &mut Archive| link(a, "way", EntryType::Symlink, out);
    let up = "../../../outside/victim";
    vec![
        trick("dot dot", OUTSIDE, OUTSIDE, |a| file(a, up, b"x")),
        trick("dot dot further in", OUTSIDE, OUTSIDE, |a| {
            file(a, &format!("a/b/../../{up}"), b"x");
        }),
        trick("absolute", OUTSIDE, OUTSIDE, |a| {
            file(a, &format!("{out}/victim"), b"x")
        }),
        trick("in a PAX path", OUTSIDE, OUTSIDE, |a| {
            pax(a, &[("path", up)]);
            file(a, "fine", b"x");
        }),
        trick("in a long name", OUTSIDE, OUTSIDE, |a| {
            long_name(a, up.len() as u64, up.as_bytes());
            file(a, "fine", b"x");
        }),
        trick("write through a symlink", "goes through", None, |a| {
            way(a);
            file(a, "way/victim", b"x");
        }),
        trick(
            "symlink, then a directory of that name",
            "comes twice",
            None,
            |a| {
                way(a);
                dir(a, "way", 0o777);
                file(a, "way/victim", b"x");
            },
        ),
        trick(
            "symlink, then a file of that name",
            "comes twice",
            None,
            |a| {
                link(a, "way", EntryType::Symlink, &format!("{out}/victim"));
                file(a, "way", b"x");
            },
        ),
        trick("hard link to an absolute path", OUTSIDE, OUTSIDE, |a| {
            link(a, "hard", EntryType::Link, &format!("{out}/victim"));
            file(a, "hard", b"x");
        }),
        trick("hard link by dot dot", OUTSIDE, OUTSIDE, |a| {
            link(a, "hard", EntryType::Link, up);
        }),
        trick(
            "hard link through a symlink",
            "goes through",
            "no such file",
            |a| {
                way(a);
                link(a, "hard", EntryType::Link, "way/victim");
            },
        ),
        trick(
            "hard link to a symlink, then write",
            "comes twice",
            None,
            |a| {
                link(a, "soft", EntryType::Symlink, &format!("{out}/victim"));
                link(a, "hard", EntryType::Link, "soft");
                file(a, "hard", b"x");
            },
        ),
        trick("hard link in PAX", OUTSIDE, OUTSIDE, |a| {
            pax(a, &[("linkpath", up)]);
            link(a, "hard", EntryType::Link, "fine");
        }),
        trick(
            "the root as a symlink",
            "the root itself",
            "the root itself",
            |a| {
                link(a, "./", EntryType::Symlink, out);
                file(a, "victim", b"x");
            },
        ),
        trick("a file of other bytes twice", "comes twice", None, |a| {
            file(a, "rootfs/a", b"1");
            file(a, "rootfs/a", b"2");
        }),
        trick("sizes that differ", "two sizes", "two sizes", |a| {
            let hidden = tar(|a| file(a, up, b"x"));
            pax(a, &[("size", "0")]);
            file(a, "cover", &hidden);
        }),
        trick("records twice", "twice", "twice", |a| {
            pax(a, &[("path", "a"), ("path", "b")]);
            file(a, "c", b"x");
        }),
        trick(
            "records of all entries",
            "all entries",
            "all entries",
            |a| {
                let body = b"16 path=../outx\n";
                let header = header("g", EntryType::XGlobalHeader, body.len() as u64);
                entry(a, header, &body[..]);
                file(a, "c", b"x");
            },
        ),
        trick(
            "a record that lies about its length",
            "bad PAX",
            "bad PAX",
            |a| {
                let body = b"99 path=a\n";
                entry(
                    a,
                    header("x", EntryType::XHeader, body.len() as u64),
                    &body[..],
                );
                file(a, "c", b"x");
            },
        ),
        trick("a sparse file", "sparse", "sparse", |a| {
            pax(
                a,
                &[
                    ("GNU.sparse.realsize", "1099511627776"),
                    ("GNU.sparse.map", "0,0"),
                ],
            );
            file(a, "disk", b"");
        }),
        trick("an old sparse file", "sparse", "sparse", |a| {
            let mut header = header("disk", EntryType::GNUSparse, 0);
            // The real size, as GNU writes it: a TiB.
            header.as_mut_bytes()[483..494].copy_from_slice(b"17777777777");
            entry(a, header, std::io::empty());
        }),
        trick(
            "somebody else's id",
            "beyond 65,535",
            "beyond 65,535",
            |a| {
                let mut header = header("a", EntryType::Regular, 0);
                header.set_uid(100_000);
                entry(a, header, std::io::empty());
            },
        ),
        trick("a name that is too long", "too long", "too long", |a| {
            pax(a, &[("path", &"n".repeat(256))]);
            file(a, "c", b"x");
        }),
        trick("a path that is too deep", "too deeply", "too deeply", |a| {
            pax(a, &[("path", &"d/".repeat(300))]);
            file(a, "c", b"x");
        }),
        trick("NUL in a name", "NUL", "NUL", |a| {
            pax(a, &[("path", "a\0/../b")]);
            file(a, "c", b"x");
        }),
        trick("names of nothing", "does not come", "does not come", |a| {
            pax(a, &[("path", "a")]);
        }),
        trick("a link to nothing", "no target", "no target", |a| {
            link(a, "a", EntryType::Symlink, "");
        }),
        trick("an unknown kind", "unknown kind", "unknown kind", |a| {
            entry(a, header("a", EntryType::new(b'V'), 0), std::io::empty());
        }),
    ]
}
