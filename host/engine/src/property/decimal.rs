//! Exact decimals: `mantissa · 10^exponent`, compared and rounded against binary floats without error.
//!
//! A property is written in decimals; most of them are no binary float. Boxes and right-hand sides are
//! rounded outward or inward from the exact value, so that no verdict hangs on how a decimal was read.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Neg;

use num_bigint::{BigInt, BigUint, Sign};

/// Digits of a number that are read.
const DIGITS_MAX: usize = 1200;
/// Largest power of ten, either way. With [`DIGITS_MAX`] this covers every binary float exactly.
const EXPONENT_MAX: i64 = 2000;

/// An exact decimal. The mantissa has no trailing zeros, so equal values are equal structures.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: Mantissa,
    exponent: i32,
}

/// `Small` whenever it fits, so equal values are equal structures.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Mantissa {
    Small(i128),
    Big(BigInt),
}

/// Why a text is no decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// It does not look like a number.
    Syntax,
    /// NaN or an infinity.
    NotFinite,
    /// More digits or a larger power of ten than are read.
    Range,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Self = Self { mantissa: Mantissa::Small(0), exponent: 0 };
    /// One.
    pub const ONE: Self = Self { mantissa: Mantissa::Small(1), exponent: 0 };

    /// Reads `[+-]digits[.digits][(e|E)[+-]digits]`.
    ///
    /// # Errors
    /// [`DecimalError`].
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        if ["nan", "inf", "infinity"].iter().any(|n| unsigned.eq_ignore_ascii_case(n)) {
            return Err(DecimalError::NotFinite);
        }
        let (number, power) = match unsigned.split_once(['e', 'E']) {
            Some((number, power)) => (number, parse_power(power)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return Err(DecimalError::Syntax);
        }
        let fraction = fraction.trim_end_matches('0');
        let whole = whole.trim_start_matches('0');
        if whole.len() + fraction.len() > DIGITS_MAX {
            return Err(DecimalError::Range);
        }
        let digits = format!("{whole}{fraction}");
        let magnitude = parse_digits(&digits);
        let mantissa = if text.starts_with('-') { -magnitude } else { magnitude };
        Self::checked(mantissa, power - fraction.len() as i64).ok_or(DecimalError::Range)
    }

    /// Canonical form, if the exponent is in range.
    fn checked(mantissa: BigInt, exponent: i64) -> Option<Self> {
        let value = Self::normalised(mantissa, exponent)?;
        (i64::from(value.exponent).abs() <= EXPONENT_MAX).then_some(value)
    }

    fn normalised(mantissa: BigInt, exponent: i64) -> Option<Self> {
        let mut exponent = exponent;
        let mantissa = match i128::try_from(&mantissa) {
            Ok(0) => return Some(Self::ZERO),
            Ok(mut small) => {
                while small % 10 == 0 {
                    small /= 10;
                    exponent += 1;
                }
                Mantissa::Small(small)
            }
            Err(_) => {
                let mut big = mantissa;
                while (&big % 10u32).sign() == Sign::NoSign {
                    big /= 10u32;
                    exponent += 1;
                }
                i128::try_from(&big).map_or(Mantissa::Big(big), Mantissa::Small)
            }
        };
        Some(Self { mantissa, exponent: i32::try_from(exponent).ok()? })
    }

    fn big(&self) -> BigInt {
        match &self.mantissa {
            Mantissa::Small(m) => BigInt::from(*m),
            Mantissa::Big(m) => m.clone(),
        }
    }

    /// Mantissa over a smaller exponent.
    fn aligned(&self, exponent: i32) -> BigInt {
        self.big() * BigInt::from(10u32).pow(self.exponent.abs_diff(exponent))
    }

    /// Whether it is 0.
    pub fn is_zero(&self) -> bool {
        self.mantissa == Mantissa::Small(0)
    }

    /// Whether it is below 0.
    pub fn is_negative(&self) -> bool {
        match &self.mantissa {
            Mantissa::Small(m) => *m < 0,
            Mantissa::Big(m) => m.sign() == Sign::Minus,
        }
    }

    /// Digits after the point that writing it without exponent takes.
    pub fn places(&self) -> u32 {
        self.exponent.min(0).unsigned_abs()
    }

    /// `self · 10^power`.
    #[must_use]
    pub fn shifted(&self, power: u32) -> Self {
        if self.is_zero() {
            return Self::ZERO;
        }
        Self { mantissa: self.mantissa.clone(), exponent: self.exponent.saturating_add_unsigned(power) }
    }

    /// `self / divisor` where that is a decimal again: `divisor = ±2^a·5^b·10^c`.
    pub fn divided_exactly(&self, divisor: &Self) -> Option<Self> {
        let Mantissa::Small(mut d) = divisor.mantissa else { return None };
        if d == 0 {
            return None;
        }
        // 1/2 = 5/10 and 1/5 = 2/10.
        let mut factor = BigInt::from(if d < 0 { -1 } else { 1 });
        let mut exponent = i64::from(self.exponent) - i64::from(divisor.exponent);
        for (prime, cofactor) in [(2, 5), (5, 2)] {
            while d % prime == 0 {
                d /= prime;
                factor *= cofactor;
                exponent -= 1;
            }
        }
        if d.abs() != 1 { None } else { Self::normalised(self.big() * factor, exponent) }
    }

    /// `self / divisor` to about sixty digits, rounded up or down; `None` for a divisor of 0 or beyond the range.
    pub fn divided(&self, divisor: &Self, up: bool) -> Option<Self> {
        const DIGITS: u32 = 60;
        if divisor.is_zero() {
            return None;
        }
        let (mut n, mut d) = (self.big() * BigInt::from(10u32).pow(DIGITS), divisor.big());
        if d.sign() == Sign::Minus {
            (n, d) = (-n, -d);
        }
        // Truncated towards 0; the remainder has the sign of the dividend.
        let (mut quotient, remainder) = (&n / &d, &n % &d);
        match (remainder.sign(), up) {
            (Sign::Plus, true) => quotient += 1,
            (Sign::Minus, false) => quotient -= 1,
            _ => {}
        }
        let exponent = i64::from(self.exponent) - i64::from(divisor.exponent) - i64::from(DIGITS);
        Self::checked(quotient, exponent)
    }

    /// The `f32` nearest to `self`, ties to even, as an exact decimal; `None` beyond the range.
    pub fn rounded_to_f32(&self) -> Option<Self> {
        let float: f32 = self.to_string().parse().expect("Rust reads what Display writes");
        if !float.is_finite() || float == 0.0 {
            return float.is_finite().then_some(Self::ZERO);
        }
        let (significand, power) = decompose(f64::from(float).abs());
        let magnitude = BigInt::from(significand) * if float < 0.0 { -1 } else { 1 };
        if power >= 0 {
            Self::normalised(magnitude << power.unsigned_abs(), 0)
        } else {
            // 1/2 = 5/10.
            Self::normalised(magnitude * BigInt::from(5u32).pow(u32::try_from(-power).ok()?), power)
        }
    }

    /// Compares with a float; infinities lie beyond every decimal.
    ///
    /// # Panics
    /// If `float` is NaN.
    pub fn cmp_f64(&self, float: f64) -> Ordering {
        assert!(!float.is_nan(), "NaN has no order");
        let sign = |negative: bool, zero: bool| if zero { 0 } else { 1 - 2 * i32::from(negative) };
        let (mine, its) = (sign(self.is_negative(), self.is_zero()), sign(float < 0.0, float == 0.0));
        if mine != its || mine == 0 {
            return mine.cmp(&its);
        }
        if float.is_infinite() {
            return 0.cmp(&its);
        }
        let magnitude = self.cmp_magnitude(float.abs());
        if mine < 0 { magnitude.reverse() } else { magnitude }
    }

    /// `|self|` against a positive finite float: `m·5^e·2^e` against `s·2^q`.
    fn cmp_magnitude(&self, float: f64) -> Ordering {
        let (significand, q) = decompose(float);
        let e = i64::from(self.exponent);
        if let Some(order) = self.cmp_small(significand, q) {
            return order;
        }
        let mut left = self.big().magnitude().clone();
        let mut right = BigUint::from(significand);
        let fives = BigUint::from(5u32).pow(self.exponent.unsigned_abs());
        if e >= 0 {
            left *= fives
        } else {
            right *= fives
        }
        // `left·2^e` against `right·2^q`, shifted by the smaller power.
        let twos = e - q;
        if twos >= 0 {
            left <<= twos.unsigned_abs()
        } else {
            right <<= twos.unsigned_abs()
        }
        left.cmp(&right)
    }

    /// The same within `u128`, where everything fits.
    fn cmp_small(&self, significand: u64, q: i64) -> Option<Ordering> {
        let Mantissa::Small(m) = self.mantissa else { return None };
        let fives = 5u128.checked_pow(self.exponent.unsigned_abs())?;
        let (mut left, mut right) = (m.unsigned_abs(), u128::from(significand));
        if self.exponent >= 0 {
            left = left.checked_mul(fives)?;
        } else {
            right = right.checked_mul(fives)?;
        }
        let twos = i64::from(self.exponent) - q;
        let shift = u32::try_from(twos.unsigned_abs()).ok()?;
        let larger = if twos >= 0 { &mut left } else { &mut right };
        if shift >= larger.leading_zeros() {
            return None;
        }
        *larger <<= shift;
        Some(left.cmp(&right))
    }

    /// The closest `f64`, ties to even; an infinity beyond the range.
    pub fn nearest_f64(&self) -> f64 {
        self.to_string().parse().expect("Rust reads what Display writes")
    }

    /// The largest `f64` that is `≤ self` (the largest finite one if `self` is beyond all of them).
    pub fn floor_f64(&self) -> f64 {
        let mut float = self.nearest_f64();
        // The nearest one is at most one step off; the comparison, not the conversion, is what is trusted.
        while self.cmp_f64(float) == Ordering::Less {
            float = float.next_down();
        }
        clear_sign_of_zero(float.min(f64::MAX))
    }

    /// The smallest `f64` that is `≥ self`.
    pub fn ceil_f64(&self) -> f64 {
        -(-self).floor_f64() + 0.0
    }

    /// The `f64` that is `self`, if there is one.
    pub fn exact_f64(&self) -> Option<f64> {
        let float = self.floor_f64();
        (self.cmp_f64(float) == Ordering::Equal).then_some(float)
    }

    /// The largest `f32` that is `≤ self`, or `< self` if `strict`; −∞ if there is none.
    pub fn floor_f32(&self, strict: bool) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "corrected by exact comparison")]
        let mut float = self.nearest_f64() as f32;
        float = float.clamp(f32::MIN, f32::MAX).next_up();
        let refused = if strict { Ordering::Equal } else { Ordering::Less };
        while self.cmp_f64(f64::from(float)) <= refused {
            float = float.next_down();
        }
        if float == 0.0 { 0.0 } else { float }
    }

    /// The smallest `f32` that is `≥ self`, or `> self` if `strict`; +∞ if there is none.
    pub fn ceil_f32(&self, strict: bool) -> f32 {
        let float = -(-self).floor_f32(strict);
        if float == 0.0 { 0.0 } else { float }
    }
}

fn clear_sign_of_zero(float: f64) -> f64 {
    if float == 0.0 { 0.0 } else { float }
}

fn parse_power(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError::Syntax);
    }
    let power: i64 = text.parse().map_err(|_| DecimalError::Range)?;
    // Leaves room for the digits after the point.
    if power.abs() <= 2 * EXPONENT_MAX { Ok(power) } else { Err(DecimalError::Range) }
}

fn parse_digits(digits: &str) -> BigInt {
    match digits {
        "" => BigInt::ZERO,
        // Fewer than 39 digits always fit.
        short if short.len() < 39 => BigInt::from(short.parse::<i128>().expect("fewer than 39 digits")),
        long => long.parse().expect("only digits"),
    }
}

/// A positive finite float as `significand · 2^power`.
fn decompose(float: f64) -> (u64, i64) {
    let bits = float.to_bits();
    let (fraction, biased) = (bits & ((1 << 52) - 1), (bits >> 52) & 0x7ff);
    if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased as i64 - 1075) }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mantissa {
            Mantissa::Small(m) => write!(f, "{m}")?,
            Mantissa::Big(m) => write!(f, "{m}")?,
        }
        if self.exponent == 0 { Ok(()) } else { write!(f, "e{}", self.exponent) }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Neg for &Decimal {
    type Output = Decimal;

    fn neg(self) -> Decimal {
        let mantissa = match &self.mantissa {
            Mantissa::Small(m) => {
                m.checked_neg().map_or_else(|| Mantissa::Big(-BigInt::from(*m)), Mantissa::Small)
            }
            Mantissa::Big(m) => {
                let negated = -m;
                i128::try_from(&negated).map_or(Mantissa::Big(negated), Mantissa::Small)
            }
        };
        Decimal { mantissa, exponent: self.exponent }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Mantissa::Small(a), Mantissa::Small(b)) = (&self.mantissa, &other.mantissa)
            && self.exponent == other.exponent
        {
            return a.cmp(b);
        }
        let exponent = self.exponent.min(other.exponent);
        self.aligned(exponent).cmp(&other.aligned(exponent))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Decimal {
    /// The sum, if it is in range.
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        if let (Mantissa::Small(a), Mantissa::Small(b)) = (&self.mantissa, &other.mantissa)
            && self.exponent == other.exponent
            && let Some(sum) = a.checked_add(*b)
        {
            return Self::checked(sum.into(), exponent.into());
        }
        Self::checked(self.aligned(exponent) + other.aligned(exponent), exponent.into())
    }

    /// The product, if it is in range.
    pub fn checked_mul(&self, other: &Self) -> Option<Self> {
        let product = self.big() * other.big();
        // Digits grow by every product, and a chain of them must not grow without end.
        if product.bits() > 4 * DIGITS_MAX as u64 {
            return None;
        }
        Self::checked(product, i64::from(self.exponent) + i64::from(other.exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_rational::BigRational;
    use num_traits::{FromPrimitive, Pow};
    use proptest::prelude::*;

    fn rational(d: &Decimal) -> BigRational {
        let ten = BigRational::from_i32(10).unwrap();
        BigRational::from(d.big()) * Pow::pow(ten, d.exponent)
    }

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    /// Decimals near and far from floats: a float's own digits with a change at the end, plain ones, long
    /// ones, ones beyond the range.
    fn texts() -> impl Strategy<Value = String> {
        let near = (any::<f32>(), 0..3i32).prop_map(|(f, k)| {
            let f = if f.is_finite() { f64::from(f) } else { 0.5 };
            format!("{f:.0$}{1}", 60, ["", "1", "0000000000000000000001"][k as usize])
        });
        let plain = (any::<i64>(), -40..40i32).prop_map(|(m, e)| format!("{m}e{e}"));
        let short = (-20_000..20_000i32, 0..6i32).prop_map(|(m, e)| format!("{m}e-{e}"));
        let long = ("[0-9]{1,60}", "[0-9]{0,60}", -400..400i32).prop_map(|(a, b, e)| format!("-{a}.{b}E{e}"));
        prop_oneof![near, plain, short, long]
    }

    proptest! {
        #[test]
        fn comparison_with_a_float_agrees_with_rationals(text in texts(), bits: u64) {
            let d = decimal(&text);
            let nearest = d.nearest_f64();
            for float in [nearest, nearest.next_up(), nearest.next_down(), f64::from_bits(bits), 0.0] {
                if let Some(exact) = BigRational::from_float(float) {
                    prop_assert_eq!(d.cmp_f64(float), rational(&d).cmp(&exact), "{} {}", text, float);
                }
            }
        }

        #[test]
        fn rounded_floats_are_the_tightest_on_their_side(text in texts()) {
            let d = decimal(&text);
            let exact = rational(&d);
            let q = |f: f64| BigRational::from_float(f).unwrap();
            let (lower, upper) = (d.floor_f64(), d.ceil_f64());
            if lower.is_finite() && upper.is_finite() {
                prop_assert!(q(lower) <= exact && exact <= q(upper));
                prop_assert!(lower == upper || lower.next_up() == upper);
                prop_assert_eq!(lower == upper, q(lower) == exact);
            }
            for strict in [false, true] {
                let (lower, upper) = (d.floor_f32(strict), d.ceil_f32(strict));
                let inside = |f: f32| if strict { q(f.into()) != exact } else { true };
                if lower.is_finite() {
                    prop_assert!(q(lower.into()) <= exact && inside(lower));
                    let next = lower.next_up();
                    prop_assert!(next.is_infinite() || q(next.into()) > exact || !inside(next));
                }
                if upper.is_finite() {
                    prop_assert!(q(upper.into()) >= exact && inside(upper));
                    let next = upper.next_down();
                    prop_assert!(next.is_infinite() || q(next.into()) < exact || !inside(next));
                }
            }
        }

        #[test]
        fn arithmetic_agrees_with_rationals(a in texts(), b in texts()) {
            let (a, b) = (decimal(&a), decimal(&b));
            if let Some(sum) = a.checked_add(&b) {
                prop_assert_eq!(rational(&sum), rational(&a) + rational(&b));
            }
            if let Some(product) = a.checked_mul(&b) {
                prop_assert_eq!(rational(&product), rational(&a) * rational(&b));
            }
            prop_assert_eq!(rational(&-&a), -rational(&a));
            prop_assert_eq!(-&-&a, a.clone());
            prop_assert_eq!(a.cmp(&b), rational(&a).cmp(&rational(&b)));
            if let Some(quotient) = a.divided_exactly(&b) {
                prop_assert_eq!(rational(&quotient) * rational(&b), rational(&a));
            }
        }

        #[test]
        fn display_reads_back(text in texts()) {
            let d = decimal(&text);
            prop_assert_eq!(decimal(&d.to_string()), d);
        }
    }

    #[test]
    fn equal_values_are_equal_structures() {
        assert_eq!(decimal("1.50"), decimal("15e-1"));
        assert_eq!(decimal("-0.0"), Decimal::ZERO);
        assert_eq!(decimal("100"), decimal("+1E2"));
        let long = "1".repeat(50);
        assert_eq!(decimal(&format!("{long}000")), decimal(&format!("{long}e3")));
    }

    #[test]
    fn zero_tenth_and_the_ends_of_the_range_round_as_stated() {
        assert_eq!(decimal("0").floor_f64().to_bits(), 0);
        assert_eq!(decimal("0.1").exact_f64(), None);
        assert_eq!(decimal("0.5").exact_f64(), Some(0.5));
        assert_eq!(decimal("0.1").floor_f64(), 0.1f64.next_down());
        assert_eq!(decimal("0.1").ceil_f64(), 0.1);
        assert_eq!(decimal("1e400").floor_f64(), f64::MAX);
        assert_eq!(decimal("1e400").ceil_f64(), f64::INFINITY);
        assert_eq!(decimal("-1e-400").ceil_f64().to_bits(), 0);
        assert_eq!(decimal("-1e-400").floor_f64(), -f64::from_bits(1));
        assert_eq!(decimal("1e39").floor_f32(false), f32::MAX);
        assert_eq!(decimal("1e39").ceil_f32(false), f32::INFINITY);
        assert_eq!(decimal("0").ceil_f32(true), f32::from_bits(1));
    }

    #[test]
    fn what_is_no_decimal_is_refused() {
        for text in ["", "-", ".", "1e", "1e+", "0x1", "1_0", "--1", "1.2.3", "e5", "½", "1e1.5", "+-1"] {
            assert_eq!(Decimal::parse(text), Err(DecimalError::Syntax), "{text}");
        }
        for text in ["nan", "-NaN", "+inf", "Infinity"] {
            assert_eq!(Decimal::parse(text), Err(DecimalError::NotFinite), "{text}");
        }
        let endless = "7".repeat(2000);
        for text in ["1e99999999999999999999", "1e3000", "1e-3000", endless.as_str()] {
            assert_eq!(Decimal::parse(text), Err(DecimalError::Range), "{text}");
        }
    }
}
