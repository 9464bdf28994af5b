//! A real constant between two doubles: what is known of a number computed from constants of the file.
//!
//! Sums, differences, products, quotients and square roots are rounded outward by one unit in the last place,
//! unless the rounded result is exact, which its residual tells: Knuth's two-sum for sums, a fused multiply-add
//! for the others. A product, quotient or root whose residual may underflow counts as inexact.

use crate::program::Constants;

/// A real number between two finite doubles, or anything at all once an operation has failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Enclosure {
    lower: f64,
    upper: f64,
}

/// Below this, the residual of a product or quotient can be lost to underflow.
const RESIDUAL_MIN: f64 = 1e-250;

impl Enclosure {
    pub const ONE: Self = Self::exact(1.0);

    pub const fn exact(value: f64) -> Self {
        Self { lower: value, upper: value }
    }

    /// What is within one unit in the last place of `value`: a decimal as the compiler rounds it.
    pub fn near(value: f64) -> Self {
        Self { lower: value.next_down(), upper: value.next_up() }
    }

    pub fn float(value: f32) -> Self {
        Self::exact(f64::from(value))
    }

    /// The number, if it is known and an `f32`.
    #[expect(clippy::cast_possible_truncation, reason = "compared with the number")]
    pub fn as_float(self) -> Option<f32> {
        let value = self.lower as f32;
        (self.lower == self.upper && f64::from(value) == self.lower && value.is_finite()).then_some(value)
    }

    /// Whether it is surely positive.
    pub fn is_positive(self) -> bool {
        self.lower > 0.0
    }

    pub fn is_zero(self) -> bool {
        self.lower == 0.0 && self.upper == 0.0
    }

    pub fn sqrt(self) -> Self {
        let root = |x: f64| {
            let r = x.sqrt();
            (r, r == 0.0 || (x > RESIDUAL_MIN && r.mul_add(r, -x) == 0.0))
        };
        Self::between([root(self.lower), root(self.upper)])
    }

    /// The hull of results, each rounded to nearest and known to be exact or not.
    fn between<const N: usize>(ends: [(f64, bool); N]) -> Self {
        let down = |(x, exact): (f64, bool)| if exact { x } else { x.next_down() };
        let up = |(x, exact): (f64, bool)| if exact { x } else { x.next_up() };
        // NaN (a quotient by zero, the root of a negative number) must stay visible.
        if ends.iter().any(|(x, _)| !x.is_finite()) {
            return Self { lower: f64::NEG_INFINITY, upper: f64::INFINITY };
        }
        Self {
            lower: ends.map(down).into_iter().fold(f64::INFINITY, f64::min),
            upper: ends.map(up).into_iter().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    /// The nearest `f32` and an upper bound of its distance; `None` if `f32` does not reach so far.
    #[expect(clippy::cast_possible_truncation, reason = "the distance is what this is about")]
    fn round(self) -> Option<(f32, f32)> {
        if let Some(value) = self.as_float() {
            return Some((value, 0.0));
        }
        let value = (self.lower + (self.upper - self.lower) / 2.0) as f32;
        let wide = f64::from(value);
        // Each difference of doubles is rounded once, then to f32: one step up for each.
        let error = (self.upper - wide).abs().max((wide - self.lower).abs()).next_up();
        let error = (error as f32).next_up();
        (value.is_finite() && error.is_finite()).then_some((value, error))
    }
}

impl std::ops::Neg for Enclosure {
    type Output = Self;
    fn neg(self) -> Self {
        Self { lower: -self.upper, upper: -self.lower }
    }
}

impl std::ops::Add for Enclosure {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let sum = |a: f64, b: f64| {
            let s = a + b;
            let rest = s - a;
            (s, (a - (s - rest)) + (b - rest) == 0.0)
        };
        Self::between([sum(self.lower, other.lower), sum(self.upper, other.upper)])
    }
}

impl std::ops::Sub for Enclosure {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl std::ops::Mul for Enclosure {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let product = |a: f64, b: f64| {
            let p = a * b;
            (p, a == 0.0 || b == 0.0 || (p.abs() > RESIDUAL_MIN && a.mul_add(b, -p) == 0.0))
        };
        let ([a, b], [c, d]) = ([self.lower, self.upper], [other.lower, other.upper]);
        Self::between([product(a, c), product(a, d), product(b, c), product(b, d)])
    }
}

impl std::ops::Div for Enclosure {
    type Output = Self;
    /// Anything at all if the divisor may be 0.
    fn div(self, other: Self) -> Self {
        if other.lower <= 0.0 && other.upper >= 0.0 {
            return Self { lower: f64::NEG_INFINITY, upper: f64::INFINITY };
        }
        let quotient = |a: f64, b: f64| {
            let q = a / b;
            (q, a == 0.0 || (a.abs() > RESIDUAL_MIN && q.abs() > RESIDUAL_MIN && q.mul_add(b, -a) == 0.0))
        };
        let ([a, b], [c, d]) = ([self.lower, self.upper], [other.lower, other.upper]);
        Self::between([quotient(a, c), quotient(a, d), quotient(b, c), quotient(b, d)])
    }
}

/// `f32` constants with their errors; `None` if one is beyond `f32` or unknown.
pub(super) fn constants(reals: impl Iterator<Item = Enclosure>) -> Option<Constants> {
    let rounded: Option<Vec<(f32, f32)>> = reals.map(Enclosure::round).collect();
    let (values, error): (Vec<f32>, Vec<f32>) = rounded?.into_iter().unzip();
    let exact = error.iter().all(|e| *e == 0.0);
    Some(Constants { values, error: (!exact).then_some(error) })
}

#[cfg(test)]
mod tests {
    use num_rational::BigRational;
    use proptest::prelude::*;

    use super::*;

    fn rational(x: f64) -> BigRational {
        BigRational::from_float(x).expect("finite")
    }

    fn holds(found: Enclosure, real: &BigRational) -> bool {
        rational(found.lower) <= *real && *real <= rational(found.upper)
    }

    proptest! {
        #[test]
        fn results_enclose_the_rationals(a in -1e3f32..1e3, b in -1e3f32..1e3, c in prop::sample::select(vec![0.5f32, -3.0, 1e-30, 7e20])) {
            let (x, y, z) = (Enclosure::float(a), Enclosure::float(b), Enclosure::float(c));
            let (p, q, r) = (rational(a.into()), rational(b.into()), rational(c.into()));
            prop_assert!(holds(x * y + z, &(&p * &q + &r)));
            prop_assert!(holds((x - z) * y / z, &((&p - &r) * &q / &r)));
            let root = (x * x + Enclosure::ONE).sqrt();
            let square = &p * &p + rational(1.0);
            prop_assert!(rational(root.lower) * rational(root.lower) <= square);
            prop_assert!(rational(root.upper) * rational(root.upper) >= square);
            if let Some((value, error)) = ((x - z) * y / z).round() {
                let distance = rational(value.into()) - (&p - &r) * &q / &r;
                let bound = rational(error.into());
                prop_assert!(distance <= bound && -distance <= bound.clone());
                // At most half a unit in the last place of the value, and a little.
                prop_assert!(error <= value.abs() * 6.1e-8 + 1e-44);
            }
        }
    }

    #[test]
    fn exact_results_carry_no_error() {
        let x = Enclosure::float(3.0);
        let exact = [x * Enclosure::float(0.25), x / Enclosure::float(-8.0), (x * x).sqrt(), x - x];
        let found = constants(exact.into_iter()).unwrap();
        assert_eq!(found, Constants::exact(vec![0.75, -0.375, 3.0, 0.0]));
        let third = constants([Enclosure::ONE / x].into_iter()).unwrap();
        let error = third.error.unwrap()[0];
        // 1/3 lies 9.93e-9 below the nearest f32.
        assert!((9.93e-9..9.95e-9).contains(&error), "{error}");
    }

    #[test]
    fn what_is_undefined_or_too_large_is_no_constant() {
        let zero = Enclosure::float(0.0);
        for bad in [Enclosure::ONE / zero, (-Enclosure::ONE).sqrt(), Enclosure::exact(1e300)] {
            assert_eq!(constants([bad].into_iter()), None);
        }
    }
}
