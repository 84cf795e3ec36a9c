//! Names that strangers may not choose: what looks like somebody else's, and words that people take for the cluster's own.
//! What a name may consist of at all says [`Name`]: no capitals, no letters beyond ASCII, no dots.

use crate::name::Name;

/// Names by which somebody could pass for the cluster or its admins (RFC 2142 has most of them).
const RESERVED: [&str; 31] = [
    "abuse",
    "account",
    "accounts",
    "admin",
    "administrator",
    "admins",
    "agent",
    "api",
    "billing",
    "cluster",
    "daemon",
    "docklet",
    "everybody",
    "help",
    "hostmaster",
    "info",
    "login",
    "mail",
    "master",
    "nobody",
    "noreply",
    "operator",
    "postmaster",
    "public",
    "root",
    "security",
    "support",
    "system",
    "webmaster",
    "worker",
    "www",
];

/// Whether it is kept for the cluster, or looks like a name that is.
#[must_use]
pub fn is_reserved(name: &Name) -> bool {
    let looks = skeleton(name);
    RESERVED.iter().any(|word| fold(word) == looks)
}

/// What is left of a name when letters that look alike are one (after UTS 39, as far as these letters go). Two names with the
/// same skeleton can be taken for each other.
#[must_use]
pub fn skeleton(name: &Name) -> String {
    fold(name.as_str())
}

fn fold(text: &str) -> String {
    let text = text.replace("rn", "m").replace("vv", "w");
    let letters = text.chars().filter(|letter| *letter != '-');
    letters
        .map(|letter| match letter {
            '0' => 'o',
            '1' | 'i' => 'l',
            '5' => 's',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse("user", text).expect("a name")
    }

    #[test]
    fn names_that_look_alike_are_one() {
        for (one, other) in [
            ("bob", "b0b"),
            ("ada-l", "ada-1"),
            ("ali", "all"),
            ("adam", "adarn"),
            ("walter", "vvalter"),
            ("ada-lovelace", "adalovelace"),
            ("susi", "5us1"),
        ] {
            if let Ok(other) = Name::parse("user", other) {
                assert_eq!(skeleton(&name(one)), skeleton(&other));
            }
        }
        assert_ne!(skeleton(&name("ada")), skeleton(&name("adam")));
    }

    #[test]
    fn what_looks_like_the_cluster_is_kept_for_it() {
        for text in [
            "root", "r00t", "adm1n", "ad-min", "docklet", "dock1et", "www", "vvww",
        ] {
            assert!(is_reserved(&name(text)), "{text}");
        }
        assert!(!is_reserved(&name("rooted")));
    }
}
