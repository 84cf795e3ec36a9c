//! What is demanded of times. In CI a busy machine may be slow: there only life is demanded, and the bars in full runs.

use std::time::Duration;

fn strict() -> bool {
    std::env::var_os("CHAOS_BARS").is_some()
}

fn slack() -> u32 {
    if strict() { 1 } else { 5 }
}

/// After a restart every master has all of the log, and its state, within this.
pub fn settled() -> Duration {
    Duration::from_secs(5) * slack()
}

/// Holds times without writes against their bars: median and longest.
pub fn hold(what: &str, gaps: &[Duration], median_max: Duration, longest_max: Duration) {
    let (median, longest) = (median(gaps), gaps.iter().max().copied().unwrap_or_default());
    assert!(
        median <= median_max * slack() && longest <= longest_max * slack(),
        "{what}: median {median:?} of at most {median_max:?}, longest {longest:?} of {longest_max:?}"
    );
}

/// Median and longest, for people.
pub fn tell(gaps: &[Duration]) -> String {
    let longest = gaps.iter().max().copied().unwrap_or_default();
    format!(
        "{} gaps without writes, median {:?}, longest {longest:?}",
        gaps.len(),
        median(gaps)
    )
}

fn median(gaps: &[Duration]) -> Duration {
    let mut sorted = gaps.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
