//! Amounts as people read them.

/// Thousandths of a core.
pub(crate) fn cores(milli: u64) -> String {
    let text = decimal(milli, 1_000);
    let unit = if text == "1" { "core" } else { "cores" };
    format!("{text} {unit}")
}

/// Mebibytes of memory or disk.
pub(crate) fn mib(mib: u64) -> String {
    if mib < 1_024 {
        return format!("{mib} MiB");
    }
    format!("{} GiB", decimal(mib, 1_024))
}

/// Kilobits per second as megabits.
pub(crate) fn mbit(kbit: u32) -> String {
    format!("{} Mbit/s", decimal(kbit.into(), 1_000))
}

/// Bytes, to a tenth of the unit that fits.
pub(crate) fn bytes(bytes: f64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut amount = bytes.max(0.0);
    let mut unit = 0;
    while amount >= 1_023.95 && unit + 1 < UNITS.len() {
        amount /= 1_024.0;
        unit += 1;
    }
    let text = format!("{amount:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    format!("{text} {}", UNITS[unit])
}

/// A count with its thousands set apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `number / unit` with two digits after the point at most.
fn decimal(number: u64, unit: u64) -> String {
    let hundredths = (u128::from(number) * 100 + u128::from(unit) / 2) / u128::from(unit);
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short_and_keep_what_matters() {
        assert_eq!(cores(1_000), "1 core");
        assert_eq!(cores(500), "0.5 cores");
        assert_eq!(cores(64_000), "64 cores");
        assert_eq!(cores(10), "0.01 cores");
        assert_eq!(mib(512), "512 MiB");
        assert_eq!(mib(1_536), "1.5 GiB");
        assert_eq!(mib(12_052), "11.77 GiB");
        assert_eq!(mib(4_194_304), "4096 GiB");
        assert_eq!(bytes(0.0), "0 B");
        assert_eq!(bytes(1_536.0), "1.5 KiB");
        assert_eq!(bytes(1_048_570.0), "1 MiB");
        assert_eq!(mbit(100_000), "100 Mbit/s");
        assert_eq!(mbit(64), "0.06 Mbit/s");
        assert_eq!(count(7), "7");
        assert_eq!(count(2_048), "2,048");
        assert_eq!(count(1_000_000), "1,000,000");
    }
}
