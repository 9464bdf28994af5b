//! Linear bounds of functions of several values: max and product.

use super::super::Factors;
use crate::elementary::Interval as Enclosure;
use crate::relax::{RelaxError, product_residual};

/// An interval.
pub(super) type Interval = (f64, f64);

/// The smaller, NaN if one is.
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    if a <= b || a.is_nan() { a } else { b }
}

/// The larger, NaN if one is.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// `|x|` at most.
pub(super) fn mass((l, u): Interval) -> f64 {
    larger(l.abs(), u.abs())
}

/// `y ≤ Σ μₖxₖ + constant` for `y = max xₖ`, the `μₖ` by [`Self::slope`].
#[derive(Clone, Copy, Debug)]
pub(super) struct MaxPlane {
    level: f64,
    /// The constant.
    pub constant: f64,
    /// `Σ μₖmₖ` at most.
    pub mass: f64,
}

impl MaxPlane {
    /// The plane with `μₖ = (uₖ − level)/(uₖ − lₖ)`, so that `(1 − μₖ)uₖ + μₖlₖ = level`, for members that rise above `level`, and
    /// `μₖ = 0` for the others.
    fn at(level: f64, members: impl Iterator<Item = Interval>, factors: Factors) -> Self {
        let mut plane = Self { level, constant: 0.0, mass: 0.0 };
        let (mut top, mut sum, mut size, mut slopes) = (f64::NEG_INFINITY, 0.0, 0.0, 0.0);
        for (l, u) in members {
            let slope = plane.slope((l, u));
            top = larger(top, (1.0 - slope) * u + slope * l);
            sum += slope * l;
            size += l.abs() + u.abs();
            slopes += slope * mass((l, u));
        }
        // `top` and `sum` are sums of products of factors at most 1 with bounds, all in `size`.
        plane.constant = (top - sum + 8.0 * factors.g * size).next_up();
        plane.mass = slopes * factors.inflate;
        plane
    }

    /// `μ` of a member, in `[0, 1]`.
    pub(super) fn slope(&self, (l, u): Interval) -> f64 {
        if u > self.level && u > l {
            let slope = (u - self.level) / (u - l);
            if slope < 1.0 { slope } else { 1.0 }
        } else {
            0.0
        }
    }

    /// The plane at the claimed share `0..=1` of the way from the largest lower to the largest upper bound, or the better end.
    pub(super) fn new(
        members: impl Iterator<Item = Interval> + Clone,
        claim: Option<f64>,
        factors: Factors,
    ) -> Self {
        let (mut low, mut high) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (l, u) in members.clone() {
            (low, high) = (larger(low, l), larger(high, u));
        }
        if let Some(share) = claim {
            return Self::at(low + share * (high - low), members, factors);
        }
        let sloped = Self::at(low, members.clone(), factors);
        let middle =
            members.clone().fold(sloped.constant, |v, (l, u)| v + sloped.slope((l, u)) * (0.5 * l + 0.5 * u));
        if middle <= high { sloped } else { Self::at(high, members, factors) }
    }
}

/// `p·x + q·w + constant` on one side of `x·w`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    pub left: f64,
    pub right: f64,
    pub constant: f64,
}

/// Planes below and above `x·w` on a box; `shares` say how far each goes from one of its two McCormick planes to the other.
pub(super) fn product(x: Interval, w: Interval, shares: [f64; 2]) -> Result<(Plane, Plane), RelaxError> {
    let between = |a: f64, b: f64, share: f64| a + share * (b - a);
    let [low, high] = shares;
    let enclose = |i: Interval| Enclosure { lower: i.0, upper: i.1 };
    // Below: slopes (w.0, x.0) and (w.1, x.1); above: (w.1, x.0) and (w.0, x.1).
    let below = (between(w.0, w.1, low), between(x.0, x.1, low));
    let above = (between(w.1, w.0, high), between(x.0, x.1, high));
    let least = product_residual(below, enclose(x), enclose(w))?.lower;
    let greatest = product_residual(above, enclose(x), enclose(w))?.upper;
    Ok((
        Plane { left: below.0, right: below.1, constant: least },
        Plane { left: above.0, right: above.1, constant: greatest },
    ))
}

/// An interval that holds `x·w`.
pub(super) fn product_range(x: Interval, w: Interval) -> Interval {
    let mut range = (f64::INFINITY, f64::NEG_INFINITY);
    for v in [x.0 * w.0, x.0 * w.1, x.1 * w.0, x.1 * w.1] {
        range = (smaller(range.0, v), larger(range.1, v));
    }
    (range.0.next_down(), range.1.next_up())
}
