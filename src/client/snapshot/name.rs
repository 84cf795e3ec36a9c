//! What a command line says of snapshots: whose they are, what they are called, and spans of time.

use std::str::FromStr;

use crate::client::VnodeName;
use crate::exit::{Class, Failure};

/// `VCLUSTER`, or `VCLUSTER/host-0`.
#[derive(Clone, Debug)]
pub struct Whose {
    pub vcluster: String,
    /// All of its vnodes if absent.
    pub vnode: Option<String>,
}

/// `VCLUSTER@NAME`, or `VCLUSTER/host-0@NAME`.
#[derive(Clone, Debug)]
pub struct SnapshotName {
    pub whose: Whose,
    pub name: String,
}

impl SnapshotName {
    /// As masters are asked for one that is of one vnode.
    pub fn of_one(&self) -> Result<String, Failure> {
        let Whose { vcluster, vnode } = &self.whose;
        match vnode {
            Some(vnode) => Ok(format!("{vcluster}/{vnode}@{}", self.name)),
            None => {
                let text = format!("{vcluster}@{}", self.name);
                let next = "name that of one vnode, as VCLUSTER/host-0@NAME";
                Err(invalid(&text, "snapshot of one vnode", next))
            }
        }
    }
}

impl FromStr for Whose {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        if text.contains('/') {
            let VnodeName { vcluster, vnode } = text.parse()?;
            let vnode = Some(vnode);
            return Ok(Self { vcluster, vnode });
        }
        if !is_plain(text) {
            return Err(invalid(text, "vcluster", "use a-z, 0-9 and -"));
        }
        Ok(Self {
            vcluster: text.to_owned(),
            vnode: None,
        })
    }
}

impl FromStr for SnapshotName {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text.split_once('@') {
            Some((whose, name)) if is_plain(name) => Ok(Self {
                whose: whose.parse()?,
                name: name.to_owned(),
            }),
            _ => {
                let next = "name it as VCLUSTER/host-0@NAME, or VCLUSTER@NAME for all vnodes";
                Err(invalid(text, "snapshot", next))
            }
        }
    }
}

fn is_plain(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn invalid(text: &str, what: &str, next: &str) -> Failure {
    let text = text.escape_debug();
    Failure::new(Class::Invalid, format!("\"{text}\" is no {what}: {next}"))
}

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub ms: u64,
}

impl FromStr for Span {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let text = match text {
            "hourly" => "1h",
            "daily" => "1d",
            "weekly" => "1w",
            other => other,
        };
        let unit_ms = match text.chars().last() {
            Some('s') => 1_000,
            Some('m') => 60_000,
            Some('h') => 3_600_000,
            Some('d') => 24 * 3_600_000,
            Some('w') => 7 * 24 * 3_600_000,
            _ => 0,
        };
        let number = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
        let number = number.parse::<u64>().ok().filter(|_| unit_ms > 0);
        let ms = number.and_then(|number| number.checked_mul(unit_ms));
        let next = "give a number with s, m, h, d or w, or hourly, daily, weekly";
        let ms = ms.ok_or_else(|| invalid(text, "span of time", next))?;
        Ok(Self { ms })
    }
}

/// A span as people write it: in the largest unit of which it is a whole number.
pub fn span(ms: u64) -> String {
    let units = [
        ("w", 7 * 24 * 3_600_000),
        ("d", 24 * 3_600_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    let whole = units
        .iter()
        .find(|(_, unit)| ms > 0 && ms.is_multiple_of(*unit));
    match whole {
        Some((letter, unit)) => format!("{}{letter}", ms / unit),
        None => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_whose_snapshots_are_meant() {
        let of_vnode: SnapshotName = "lab/host-0@before".parse().expect("a name");
        assert_eq!(of_vnode.whose.vcluster, "lab");
        assert_eq!(of_vnode.whose.vnode.as_deref(), Some("host-0"));
        assert_eq!(of_vnode.name, "before");
        assert_eq!(of_vnode.of_one().expect("of one"), "lab/host-0@before");
        let of_all: SnapshotName = "lab@before".parse().expect("a name");
        assert_eq!(
            (of_all.whose.vcluster.as_str(), &of_all.whose.vnode),
            ("lab", &None)
        );
        assert!(of_all.of_one().is_err());
        for bad in [
            "lab",
            "lab@",
            "@x",
            "lab/@x",
            "lab/host-0@a/b",
            "lab@a@b",
            "../a@b",
            "",
        ] {
            assert!(bad.parse::<SnapshotName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_numbers_with_a_unit() {
        for (text, ms) in [
            ("45s", 45_000),
            ("15m", 900_000),
            ("6h", 21_600_000),
            ("daily", 86_400_000),
            ("weekly", 604_800_000),
        ] {
            assert_eq!(text.parse::<Span>().expect("a span").ms, ms);
        }
        for bad in [
            "",
            "m",
            "1",
            "1x",
            "-1m",
            "1.5h",
            "99999999999999999999w",
            "é",
        ] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
        assert_eq!(span(604_800_000), "1w");
        assert_eq!(span(90_000 * 60), "90m");
    }
}
