//! All randomness of this program comes from the seed. Hash maps, tokio, openraft's election timeouts and our own
//! request ids draw from the system through one function of libc, and here that function is ours: std calls it by a
//! weak link, the getrandom crate by looking the name up among the program's own (`build.rs` exports it). On a thread
//! without a seed it asks the system, as libc does.

use std::cell::Cell;

thread_local! {
    static STATE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// From now on everything random on this thread follows from `seed`.
pub fn seed(seed: u64) {
    STATE.set(Some(seed));
    // Whoever has drawn before on this thread would go on with what it has.
    assert_eq!(
        rand::random::<u64>(),
        expected_first(seed),
        "randomness does not come from the seed: the name getrandom is not this program's"
    );
}

/// What rand's own generator gives first when it is seeded from [`STATE`].
fn expected_first(seed: u64) -> u64 {
    use rand::{Rng, SeedableRng};
    let mut bytes = [0; 32];
    fill(&mut bytes, seed);
    rand::rngs::StdRng::from_seed(bytes).random()
}

/// `SplitMix64` (Steele, Lea, Flood 2014).
fn next(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, mixed ^ (mixed >> 31))
}

fn fill(bytes: &mut [u8], mut state: u64) -> u64 {
    for chunk in bytes.chunks_mut(8) {
        let (after, number) = next(state);
        chunk.copy_from_slice(&number.to_le_bytes()[..chunk.len()]);
        state = after;
    }
    state
}

/// The name that everybody asks.
///
/// # Safety
/// As libc's: `buffer` is writable for `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut u8, len: usize, flags: u32) -> isize {
    let Some(state) = STATE.get() else {
        // SAFETY: the caller's promise, handed on to the system call that libc's function makes.
        let filled = unsafe { nix::libc::syscall(nix::libc::SYS_getrandom, buffer, len, flags) };
        return isize::try_from(filled).unwrap_or(-1);
    };
    if len > 0 {
        // SAFETY: the caller promises that the buffer is writable for its length; it is not empty, so not dangling.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, len) };
        STATE.set(Some(fill(bytes, state)));
    }
    len.cast_signed()
}
