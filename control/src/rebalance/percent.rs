//! Thousandths as people read and write them.

/// As `20 %` or `12.5 %`.
#[must_use]
pub fn percent(permille: u64) -> String {
    match (permille / 10, permille % 10) {
        (whole, 0) => format!("{whole} %"),
        (whole, tenths) => format!("{whole}.{tenths} %"),
    }
}

/// Reads `20`, `20%` and `12.5 %`; none if it is no number with one digit after the point at most.
#[must_use]
pub fn permille(text: &str) -> Option<u32> {
    let number = text.trim();
    let number = number.strip_suffix('%').unwrap_or(number).trim_end();
    let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(tenths) || tenths.len() != 1 {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    whole.checked_mul(10)?.checked_add(tenths.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousandths_are_read_as_they_are_written() {
        for (text, number) in [
            ("20 %", 200),
            ("12.5 %", 125),
            ("0.1 %", 1),
            ("100 %", 1_000),
        ] {
            assert_eq!(permille(text), Some(number));
            assert_eq!(percent(number.into()), text);
        }
        assert_eq!(permille("20"), Some(200));
        assert_eq!(permille("20%"), Some(200));
        for text in [
            "",
            "%",
            ".5",
            "5.",
            "1.25",
            "-1",
            "+1",
            "1e2",
            "20%%",
            "a",
            "429496730",
        ] {
            assert_eq!(permille(text), None, "{text}");
        }
    }
}
