//! Planes of the product `x·y` of two computed values.
//!
//! On `[l, u] × [m, v]` the convex hull of the product has two planes below and two above (McCormick 1976):
//!
//! * below: `m x + l y − l m` and `v x + u y − u v`,
//! * above: `v x + l y − l v` and `m x + u y − u m`.
//!
//! Every mean of the two lower planes is a lower plane, with the weight `α` of the second; likewise above. At the centre of the box all
//! means have the same value, so they have the same volume; [`product_start`] takes 1/2, which for a square is the tangent at the centre.
//!
//! *Matrix products* are sums of such terms, each with alphas of its own: `(left, right)` of one term may stand in many.
//!
//! Source: McCormick 1976; for networks Shi et al. 2020 (arXiv:2002.06622); means as parameters: Xu et al. 2020
//! (arXiv:2002.12920).
//!
//! # Rounding
//! *Estimate*. Proved: for any coefficients `x·y − a x − b y` is bilinear, so its extremes are at the corners.

use super::Alpha;

/// `left·x + right·y + intercept`.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Plane {
    /// Coefficient of the left factor.
    pub left: f32,
    /// Coefficient of the right factor.
    pub right: f32,
    /// Value at 0.
    pub intercept: f32,
}

impl Plane {
    /// The plane that touches the product where one factor is `x` and the other `y`.
    fn touching(x: f32, y: f32) -> Self {
        Self { left: y, right: x, intercept: -x * y }
    }
    fn mean(self, other: Self, weight: f32) -> Self {
        let mean = |a: f32, b: f32| a + weight * (b - a);
        Self {
            left: mean(self.left, other.left),
            right: mean(self.right, other.right),
            intercept: mean(self.intercept, other.intercept),
        }
    }
    fn minus(self, other: Self) -> Self {
        Self {
            left: self.left - other.left,
            right: self.right - other.right,
            intercept: self.intercept - other.intercept,
        }
    }
    /// Its value at a point.
    pub fn at(self, x: f32, y: f32) -> f32 {
        self.left * x + self.right * y + self.intercept
    }
}

/// A plane below the product and one above.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Planes {
    /// Below.
    pub lower: Plane,
    /// Above.
    pub upper: Plane,
}

/// Alphas to begin with.
pub fn product_start() -> Alpha<f32> {
    Alpha { lower: 0.5, upper: 0.5 }
}

/// The planes of `x·y` for `x` and `y` in their intervals `(lower, upper)`.
#[inline]
pub fn relax_product((l, u): (f32, f32), (m, v): (f32, f32), alpha: Alpha<f32>) -> Planes {
    Planes {
        lower: Plane::touching(l, m).mean(Plane::touching(u, v), alpha.lower),
        upper: Plane::touching(l, v).mean(Plane::touching(u, m), alpha.upper),
    }
}

/// How the planes move with their alphas.
#[inline]
pub fn product_by_alpha((l, u): (f32, f32), (m, v): (f32, f32)) -> Planes {
    Planes {
        lower: Plane::touching(u, v).minus(Plane::touching(l, m)),
        upper: Plane::touching(u, m).minus(Plane::touching(l, v)),
    }
}

/// The least and the greatest product.
#[inline]
pub fn product_image((l, u): (f32, f32), (m, v): (f32, f32)) -> (f32, f32) {
    let corners = [l * m, l * v, u * m, u * v];
    (corners.into_iter().fold(f32::INFINITY, f32::min), corners.into_iter().fold(f32::NEG_INFINITY, f32::max))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn interval() -> impl Strategy<Value = (f32, f32)> {
        (-4.0f32..4.0, prop::sample::select(vec![0.0f32, 1e-6, 0.5, 3.0])).prop_map(|(l, w)| (l, l + w))
    }

    proptest! {
        #[test]
        fn the_product_lies_between_its_planes_and_they_touch_it(
            x in interval(), y in interval(), a in 0.0f32..=1.0, b in 0.0f32..=1.0,
            s in 0.0f32..=1.0, t in 0.0f32..=1.0,
        ) {
            let planes = relax_product(x, y, Alpha { lower: a, upper: b });
            let point = |(l, u): (f32, f32), t: f32| l + t * (u - l);
            for (s, t) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0), (s, t)] {
                let (p, q) = (point(x, s), point(y, t));
                let slack = 1e-5 * (1.0 + p.abs()) * (1.0 + q.abs());
                prop_assert!(planes.lower.at(p, q) <= p * q + slack);
                prop_assert!(planes.upper.at(p, q) >= p * q - slack);
            }
            // Any mean of both planes is exact on the two corners they share.
            let slack = 1e-4;
            prop_assert!((planes.lower.at(x.0, y.1) - x.0 * y.1) <= slack);
            prop_assert!((planes.upper.at(x.0, y.0) - x.0 * y.0) >= -slack);
            for (t, corner) in [(0.0, (x.0, y.0)), (1.0, (x.1, y.1))] {
                let one = relax_product(x, y, Alpha { lower: t, upper: t });
                prop_assert!((one.lower.at(corner.0, corner.1) - corner.0 * corner.1).abs() <= slack);
            }
        }

        #[test]
        fn the_rates_are_differences(x in interval(), y in interval()) {
            let (at_0, at_1) = (
                relax_product(x, y, Alpha { lower: 0.0, upper: 0.0 }),
                relax_product(x, y, Alpha { lower: 1.0, upper: 1.0 }),
            );
            let rate = product_by_alpha(x, y);
            for (rate, zero, one) in [(rate.lower, at_0.lower, at_1.lower), (rate.upper, at_0.upper, at_1.upper)] {
                prop_assert!((one.at(1.5, -0.5) - zero.at(1.5, -0.5) - rate.at(1.5, -0.5)).abs() < 1e-3);
            }
        }
    }

    #[test]
    fn a_square_is_bounded_by_its_tangent_at_the_centre() {
        let planes = relax_product((1.0, 3.0), (1.0, 3.0), product_start());
        assert_eq!((planes.lower.left + planes.lower.right, planes.lower.intercept), (4.0, -5.0));
        assert_eq!(planes.lower.at(2.0, 2.0), 3.0);
        assert_eq!(product_image((-1.0, 2.0), (-3.0, 1.0)), (-6.0, 3.0));
    }
}
