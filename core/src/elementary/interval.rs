//! Intervals of `f64` with outward rounding.
//!
//! # Rounding
//! With round to nearest the exact result of one operation lies between the neighbours of the computed one, also where it
//! underflows; if it overflows to an infinity, the neighbour on the inner side is the largest finite number. So
//! `[next_down(fl(…)), next_up(fl(…))]` encloses. A NaN (∞ − ∞, 0·∞) becomes the end at infinity of its side.

/// Every real number from `lower` to `upper`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end; −∞ if there is none.
    pub lower: f64,
    /// Upper end; ∞ if there is none.
    pub upper: f64,
}

/// The neighbour below; −∞ for NaN.
#[inline]
pub(super) fn down(x: f64) -> f64 {
    if x.is_nan() { f64::NEG_INFINITY } else { x.next_down() }
}

/// The neighbour above; ∞ for NaN.
#[inline]
pub(super) fn up(x: f64) -> f64 {
    if x.is_nan() { f64::INFINITY } else { x.next_up() }
}

#[inline]
fn smaller(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

#[inline]
fn larger(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

impl Interval {
    /// All real numbers: what is said of a NaN.
    pub const ALL: Self = Self { lower: f64::NEG_INFINITY, upper: f64::INFINITY };

    /// The number itself.
    #[inline]
    pub fn point(x: f64) -> Self {
        if x.is_nan() { Self::ALL } else { Self { lower: x, upper: x } }
    }

    /// From one end to the other.
    #[inline]
    pub(super) fn new(lower: f64, upper: f64) -> Self {
        Self { lower, upper }
    }

    /// All reals within the relative distance `error` of `x`, and within two roundings of that.
    #[inline]
    pub(super) fn around(x: f64, error: f64) -> Self {
        let reach = up(x.abs() * error);
        Self { lower: down(x - reach), upper: up(x + reach) }
    }

    /// Least interval that holds both.
    #[inline]
    pub fn hull(self, other: Self) -> Self {
        Self { lower: smaller(self.lower, other.lower), upper: larger(self.upper, other.upper) }
    }

    /// What both hold; `self` if the ends cross (which enclosures of one number never do).
    #[inline]
    pub(super) fn within(self, lower: f64, upper: f64) -> Self {
        Self { lower: larger(self.lower, lower), upper: smaller(self.upper, upper) }
    }

    /// `−x`.
    #[inline]
    pub fn negate(self) -> Self {
        Self { lower: -self.upper, upper: -self.lower }
    }

    /// `x + y`.
    #[inline]
    pub fn plus(self, other: Self) -> Self {
        Self { lower: down(self.lower + other.lower), upper: up(self.upper + other.upper) }
    }

    /// `x − y`.
    #[inline]
    pub fn minus(self, other: Self) -> Self {
        self.plus(other.negate())
    }

    /// `x · y`.
    pub fn times(self, other: Self) -> Self {
        let corner = |a: f64, b: f64| a * b;
        let corners = [
            corner(self.lower, other.lower),
            corner(self.lower, other.upper),
            corner(self.upper, other.lower),
            corner(self.upper, other.upper),
        ];
        if corners.iter().any(|c| c.is_nan()) {
            return Self::ALL;
        }
        let [a, b, c, d] = corners;
        let (lower, upper) = (smaller(smaller(a, b), smaller(c, d)), larger(larger(a, b), larger(c, d)));
        Self { lower: down(lower), upper: up(upper) }
    }

    /// `1 / x`; everything if 0 is in `x`.
    pub fn reciprocal(self) -> Self {
        if self.lower > 0.0 || self.upper < 0.0 {
            Self { lower: down(1.0 / self.upper), upper: up(1.0 / self.lower) }
        } else {
            Self::ALL
        }
    }

    /// Greatest absolute value.
    #[inline]
    pub fn magnitude(self) -> f64 {
        larger(self.lower.abs(), self.upper.abs())
    }

    /// Whether `x` is in it.
    #[inline]
    pub fn holds(self, x: f64) -> bool {
        self.lower <= x && x <= self.upper
    }
}
