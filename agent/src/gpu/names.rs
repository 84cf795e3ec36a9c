//! Which names of a driver are taken for names. They come to logs, pages and metrics, and one is what a device is found by.

/// Longest name that is taken: as much as the library has room for.
const NAME_MAX: usize = 96;

/// Whether it names one card, as `GPU-5a1c…`.
pub(super) fn is_uuid(text: &str) -> bool {
    let rest = text.strip_prefix("GPU-").unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..NAME_MAX).contains(&rest.len()) && rest.bytes().all(plain)
}

/// Whether it is the name of a product, as `NVIDIA A100-SXM4-40GB`.
pub(super) fn is_model(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b" -_./+()".contains(&byte);
    let framed = text.trim() == text && !text.is_empty();
    framed && text.len() <= NAME_MAX && text.bytes().all(plain)
}

/// A name that is none, for people to read.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(NAME_MAX).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_drivers_give_are_names() {
        assert!(is_uuid("GPU-8b2a6a4c-6f0e-3d7d-9f3e-0a1b2c3d4e5f"));
        for model in [
            "NVIDIA H100 80GB HBM3",
            "Tesla V100-SXM2-32GB",
            "Quadro RTX 6000/8000",
            "NVIDIA GeForce RTX 4090",
        ] {
            assert!(is_model(model), "{model}");
        }
    }

    #[test]
    fn what_could_be_more_than_a_name_is_none() {
        let long = "a".repeat(1 << 20);
        for text in [
            "",
            " ",
            "GPU-",
            "GPU-a\nlxc.hook.start = /x",
            "GPU-a\rb",
            "GPU-a\u{2028}b",
            "GPU-a\0b",
            "GPU-../../mem",
            "GPU-a b/",
            "\"} 1",
            " padded",
            "<b>",
            long.as_str(),
        ] {
            assert!(!is_uuid(text), "{text:?}");
        }
        for text in [
            "",
            " ",
            "a\nb",
            "a\0b",
            "a\u{2028}b",
            "\"} 1",
            " a",
            "<b>",
            "Ünit",
            &long,
        ] {
            assert!(!is_model(text), "{text:?}");
        }
        assert_eq!(shown("a\nb\0"), "a\\nb\\0");
        assert_eq!(shown(&long).len(), 96);
    }
}
