//! Its disk: more than it was given.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use crate::try_it::{Try, way};

pub fn tries() -> Vec<Try> {
    vec![
        way("a file larger than its disk", || {
            let file = File::create("/root/large")?;
            let filled = nix::fcntl::fallocate(
                file.as_fd(),
                nix::fcntl::FallocateFlags::empty(),
                0,
                20 << 30,
            );
            std::fs::remove_file("/root/large")?;
            Ok(filled?)
        }),
        way("more files than its disk has room for", || {
            std::fs::create_dir_all("/root/many")?;
            let made = (0..200_000)
                .try_for_each(|number| File::create(format!("/root/many/{number}")).map(drop));
            std::fs::remove_dir_all("/root/many")?;
            made.map_err(|error: io::Error| error)
        }),
    ]
}
