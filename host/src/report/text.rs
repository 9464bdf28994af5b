//! Numbers as they stand in reports.

/// A share in %, never rounded up.
pub fn percent(share: f64) -> String {
    // Never rounds up to a hundred.
    if share < 1.0 { format!("{:.1} %", (share * 1000.0).floor() / 10.0) } else { "100 %".into() }
}

/// Bytes, in thousands of them where there are so many.
pub fn kilobytes(bytes: usize) -> String {
    if bytes < 1000 { format!("{bytes}\u{a0}B") } else { format!("{:.1}\u{a0}kB", bytes as f64 / 1000.0) }
}

/// Digits in groups of three.
pub fn grouped(value: usize) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(percent(0.9999), "99.9 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0), "0.0 %");
    }

    #[test]
    fn digits_stand_in_groups_of_three() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1234), "1\u{202f}234");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
