//! Amounts as people write and read them.

use docklet_control::amount::DiskMib;
use docklet_control::model::{BandwidthWish, KbitPerS};

use crate::exit::{Class, Failure};

const UNITS: [(&str, u64); 3] = [("MiB", 1), ("GiB", 1 << 10), ("TiB", 1 << 20)];

/// Reads `20GiB`.
pub fn disk(text: &str) -> Result<DiskMib, Failure> {
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = &text[number.len()..];
    let unit = UNITS
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name));
    let amount = number.trim().parse::<u64>().ok();
    let mib = unit.and_then(|(_, mib)| amount?.checked_mul(*mib));
    mib.map(DiskMib).ok_or_else(|| {
        let text = text.escape_debug();
        let message = format!("\"{text}\" is no size of a disk: write it as 512MiB, 20GiB or 1TiB");
        Failure::new(Class::Invalid, message)
    })
}

/// The same in the largest unit of which it is a whole number.
pub fn of_disk(disk: DiskMib) -> String {
    let whole = |(_, mib): &&(&str, u64)| disk.0 > 0 && disk.0.is_multiple_of(*mib);
    let (unit, mib) = UNITS.iter().rev().find(whole).unwrap_or(&UNITS[0]);
    format!("{}{unit}", disk.0 / mib)
}

/// Reads `zone=a`.
pub fn label(text: &str) -> Result<(String, String), Failure> {
    let parts = text.split_once('=');
    let parts = parts.filter(|(key, value)| !key.is_empty() && !value.is_empty());
    let (key, value) = parts.ok_or_else(|| {
        let text = text.escape_debug();
        let message = format!("\"{text}\" is no label: write it as zone=a");
        Failure::new(Class::Invalid, message)
    })?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The same of several, with blanks between.
pub fn of_labels(
    labels: impl IntoIterator<Item = (impl std::fmt::Display, impl std::fmt::Display)>,
) -> String {
    let labels = labels
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"));
    labels.collect::<Vec<_>>().join(" ")
}

/// Reads `zone=a`, or `zone-`, which takes the label away.
pub fn label_change(text: &str) -> Result<(String, Option<String>), Failure> {
    if let Some(key) = text.strip_suffix('-').filter(|key| !key.contains('=')) {
        return Ok((key.to_owned(), None));
    }
    label(text).map(|(key, value)| (key, Some(value)))
}

/// Megabits per second as the masters count.
pub fn kbit(mbit: u32) -> KbitPerS {
    KbitPerS(mbit.saturating_mul(1_000))
}

/// Reads `100`, in Mbit/s, or `site`.
pub fn bandwidth(text: &str) -> Result<BandwidthWish, Failure> {
    if text == "site" {
        return Ok(BandwidthWish::Site);
    }
    let mbit = text.parse().map(kbit).map(BandwidthWish::KbitPerS);
    mbit.map_err(|_| {
        let text = text.escape_debug();
        let message = format!(
            "\"{text}\" is no bandwidth: write a number of Mbit/s, or \"site\" for the site's setting"
        );
        Failure::new(Class::Invalid, message)
    })
}

/// A bandwidth in Mbit/s where it is a whole number of them.
pub fn of_bandwidth(rate: KbitPerS) -> String {
    if rate.0.is_multiple_of(1_000) {
        return format!("{} Mbit/s", rate.0 / 1_000);
    }
    format!("{} kbit/s", rate.0)
}

#[cfg(test)]
mod tests {
    use docklet_control::amount::VnodeSize;

    use super::*;

    #[test]
    fn a_disk_is_read_as_it_is_written() {
        for (text, mib) in [("64MiB", 64), ("20GiB", 20_480), ("1TiB", 1 << 20)] {
            assert_eq!(disk(text).expect("a size"), DiskMib(mib));
            assert_eq!(of_disk(DiskMib(mib)), text);
        }
        assert_eq!(
            disk("10GiB").expect("a size"),
            VnodeSize::DISK,
            "the default of the command line"
        );
        assert_eq!(disk("20gib").expect("a size"), DiskMib(20_480));
        assert_eq!(of_disk(DiskMib(1_537)), "1537MiB");
        for text in [
            "",
            "20",
            "GiB",
            "-1GiB",
            "1.5GiB",
            "20GB",
            "20G",
            "20é",
            "99999999999999999999MiB",
            "18446744073709551615TiB",
        ] {
            assert!(disk(text).is_err(), "{text}");
        }
    }
    #[test]
    fn a_bandwidth_is_read_in_mbit_or_is_the_sites() {
        let wish = |kbit| BandwidthWish::KbitPerS(KbitPerS(kbit));
        assert_eq!(bandwidth("100").expect("a rate"), wish(100_000));
        assert_eq!(bandwidth("4294968").expect("a rate"), wish(u32::MAX));
        assert_eq!(bandwidth("site").expect("the site's"), BandwidthWish::Site);
        for text in ["", "-1", "1.5", "100Mbit", "Site"] {
            assert!(bandwidth(text).is_err(), "{text}");
        }
        assert_eq!(of_bandwidth(KbitPerS(100_000)), "100 Mbit/s");
        assert_eq!(of_bandwidth(KbitPerS(64)), "64 kbit/s");
    }
}
