//! What a vnode feels of its neighbours, and what a bad neighbour takes.

use std::io;
use std::time::{Duration, Instant};

use nix::libc;

use crate::try_it::call;

/// Does about a millisecond of work a hundred times a second; prints what it took in microseconds, one a line.
#[expect(clippy::print_stdout, reason = "the test reads it")]
pub fn measure(lasts: Duration) {
    let turns = turns_of_a_millisecond();
    let begun = Instant::now();
    while begun.elapsed() < lasts {
        let started = Instant::now();
        work(turns);
        println!("{}", started.elapsed().as_micros());
        std::thread::sleep(Duration::from_millis(9));
    }
}

fn work(turns: u64) -> u64 {
    (0..turns).fold(1, |sum: u64, turn| {
        std::hint::black_box(sum.wrapping_mul(31).wrapping_add(turn))
    })
}

/// The fastest of some attempts: when nobody disturbs.
fn turns_of_a_millisecond() -> u64 {
    const SAMPLE: u64 = 200_000;
    let sample = |_| {
        let started = Instant::now();
        work(SAMPLE);
        started.elapsed().as_nanos().max(1)
    };
    let fastest = (0..20).map(sample).min().unwrap_or(1);
    u64::try_from(u128::from(SAMPLE) * 1_000_000 / fastest).unwrap_or(SAMPLE)
}

/// Takes terminals and inotify instances until it is refused, prints how many it got, and keeps them.
#[expect(clippy::print_stdout, reason = "the test reads it")]
pub fn exhaust() {
    let terminals = until_refused(|| {
        let opened = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/ptmx");
        opened.map(std::mem::forget)
    });
    let watchers = until_refused(|| call(libc::SYS_inotify_init1, &[0]).map(drop));
    println!("{terminals} terminals, {watchers} watchers");
    std::thread::sleep(Duration::from_secs(1_000));
}

fn until_refused(take: impl Fn() -> io::Result<()>) -> usize {
    (0..20_000).take_while(|_| take().is_ok()).count()
}
