//! Planes of the greatest of a group of values, `x₁ … xₙ` in a box `[l, u]`.
//!
//! *Below*: each member, and each mean of members. [`max_lower`] gives the member with the greatest centre, whose plane has the
//! greatest volume below it.
//!
//! *Above*: for every threshold `θ ≥ max l`
//!
//! > `max x ≤ θ + Σ relu(xᵢ − θ) ≤ θ + Σ (uᵢ − θ)⁺/(uᵢ − lᵢ)·(xᵢ − lᵢ)`,
//!
//! the second step by the secant of ReLU. These planes are all there is to know: the least of them over `θ` *is* the concave envelope of the
//! maximum on the box. (The envelope at `x` is the greatest `E[max X]` over random corners `X` with mean `x`, and for given
//! marginals that is `min over θ of θ + Σ E(Xᵢ − θ)⁺`; a `θ` below `max l` never gains.) `θ = max u` is DeepPoly's constant, and if one
//! member is never below the others, `θ = max l` gives the member itself. Alpha is `θ = max l + α(max u − max l)`.
//!
//! At the centre of the box the sum falls with `θ` while more than two `uᵢ` lie above it and rises when fewer than two do, so every `θ`
//! between the third and the second greatest upper bound is best there; [`max_start`] takes the third, which keeps two members.
//!
//! Source: marginal bound: Lai and Robbins 1976; Bertsimas, Natarajan and Teo 2006. Singh et al. 2019 (DeepPoly) take the constant, Xiao
//! et al. 2022 (arXiv:2211.09810) single planes of this envelope.
//!
//! # Rounding
//! *Estimate*. Proved: for any slopes `w` the greatest `max x − w·x` is the greatest over `j` of `max (xⱼ − w·x)`, a sum of ends.

/// The member whose centre is greatest: a lower plane of slope 1 on that member.
///
/// # Panics
/// If the group is empty.
pub fn max_lower(lower: &[f32], upper: &[f32]) -> usize {
    let centre = |i: usize| 0.5 * lower[i] + 0.5 * upper[i];
    (1..lower.len()).fold(0, |best, i| if centre(i) > centre(best) { i } else { best })
}

/// Alpha of a plane that is tightest at the centre of the box.
pub fn max_start(lower: &[f32], upper: &[f32]) -> f32 {
    let (floor, ceiling) = ends(lower, upper);
    // The three greatest upper bounds.
    let mut top = [f32::NEG_INFINITY; 3];
    for u in upper {
        let mut u = *u;
        for slot in &mut top {
            if u > *slot {
                core::mem::swap(&mut u, slot);
            }
        }
    }
    let threshold = top[2].max(floor);
    if ceiling > floor { ((threshold - floor) / (ceiling - floor)).clamp(0.0, 1.0) } else { 0.0 }
}

/// The upper plane `slopes·x + intercept` of this alpha; writes the slopes and returns the intercept.
///
/// # Shapes
/// All slices `[n]`, one group's members.
pub fn max_upper(lower: &[f32], upper: &[f32], alpha: f32, slopes: &mut [f32]) -> f32 {
    let threshold = threshold(lower, upper, alpha);
    let mut intercept = threshold;
    for ((l, u), slope) in lower.iter().zip(upper).zip(slopes) {
        // A member of width 0 above the threshold is impossible: the threshold is at least its lower bound.
        *slope = if *u > threshold { (u - threshold) / (u - l) } else { 0.0 };
        intercept -= *slope * l;
    }
    intercept
}

/// How the value at `x` of the plane of [`max_upper`] moves with alpha.
pub fn max_upper_by_alpha(lower: &[f32], upper: &[f32], alpha: f32, x: &[f32]) -> f32 {
    let (floor, ceiling) = ends(lower, upper);
    let threshold = threshold(lower, upper, alpha);
    let mut rate = 1.0;
    for ((l, u), x) in lower.iter().zip(upper).zip(x) {
        if *u > threshold {
            rate -= (x - l) / (u - l);
        }
    }
    rate * (ceiling - floor)
}

/// The least and the greatest maximum.
pub fn max_image(lower: &[f32], upper: &[f32]) -> (f32, f32) {
    ends(lower, upper)
}

fn ends(lower: &[f32], upper: &[f32]) -> (f32, f32) {
    let greatest = |x: &[f32]| x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    (greatest(lower), greatest(upper))
}

fn threshold(lower: &[f32], upper: &[f32], alpha: f32) -> f32 {
    let (floor, ceiling) = ends(lower, upper);
    (floor + alpha * (ceiling - floor)).clamp(floor, ceiling)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxes() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        prop::collection::vec((-2.0f32..2.0, prop::sample::select(vec![0.0f32, 0.1, 1.0, 3.0])), 1..7)
            .prop_map(|members| members.into_iter().map(|(l, w)| (l, l + w)).unzip())
    }

    fn corner(lower: &[f32], upper: &[f32], bits: usize) -> Vec<f32> {
        (0..lower.len()).map(|i| if bits >> i & 1 == 1 { upper[i] } else { lower[i] }).collect()
    }

    fn max(x: &[f32]) -> f32 {
        x.iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }

    proptest! {
        /// Maximum minus plane is convex, so the corners decide.
        #[test]
        fn the_plane_lies_above_every_corner_and_below_the_constant_at_the_centre((l, u) in boxes(), alpha in 0.0f32..=1.0) {
            for alpha in [alpha, 0.0, 1.0, max_start(&l, &u)] {
                let mut w = vec![0.0; l.len()];
                let b = max_upper(&l, &u, alpha, &mut w);
                for bits in 0..1 << l.len() {
                    let x = corner(&l, &u, bits);
                    let plane = b + w.iter().zip(&x).map(|(w, x)| w * x).sum::<f32>();
                    prop_assert!(plane >= max(&x) - 1e-5, "{plane} below {}", max(&x));
                }
            }
        }

        /// The oracle: over all alphas of a fine grid the start is best at the centre, and best of all planes there: a random joint law of the
        /// corners with the centre as mean has no greater expected maximum.
        #[test]
        fn the_start_is_the_envelope_at_the_centre((l, u) in boxes(), seed in any::<u64>()) {
            let centre: Vec<f32> = l.iter().zip(&u).map(|(l, u)| 0.5 * (l + u)).collect();
            let value = |alpha: f32| {
                let mut w = vec![0.0; l.len()];
                let b = max_upper(&l, &u, alpha, &mut w);
                b + w.iter().zip(&centre).map(|(w, x)| w * x).sum::<f32>()
            };
            let start = value(max_start(&l, &u));
            for k in 0..=100u8 {
                prop_assert!(start <= value(f32::from(k) / 100.0) + 1e-5);
            }
            // Attained: the law that gives the two greatest upper bounds to complementary corners.
            let mut order: Vec<usize> = (0..l.len()).collect();
            order.sort_by(|a, b| u[*b].total_cmp(&u[*a]));
            let first = corner(&l, &u, 1 << order[0]);
            let second = corner(&l, &u, ((1 << l.len()) - 1) & !(1 << order[0]));
            prop_assert!((0.5 * (max(&first) + max(&second)) - start).abs() <= 1e-4);
            let bits = seed as usize & ((1 << l.len()) - 1);
            let pair = 0.5 * (max(&corner(&l, &u, bits)) + max(&corner(&l, &u, !bits & ((1 << l.len()) - 1))));
            prop_assert!(pair <= start + 1e-5);
        }

        #[test]
        fn the_rate_is_the_derivative((l, u) in boxes(), alpha in 0.05f32..0.95, t in 0.0f32..1.0) {
            let x: Vec<f32> = l.iter().zip(&u).map(|(l, u)| l + t * (u - l)).collect();
            let value = |alpha: f32| {
                let mut w = vec![0.0; l.len()];
                max_upper(&l, &u, alpha, &mut w) + w.iter().zip(&x).map(|(w, x)| w * x).sum::<f32>()
            };
            let h = 1e-2;
            let (left, right) = ((value(alpha) - value(alpha - h)) / h, (value(alpha + h) - value(alpha)) / h);
            let rate = max_upper_by_alpha(&l, &u, alpha, &x);
            // Convex and piecewise linear in alpha: the rate lies between the difference quotients.
            prop_assert!(left - 1e-3 <= rate && rate <= right + 1e-3, "{rate} not in [{left}, {right}]");
        }
    }

    #[test]
    fn a_member_that_dominates_is_the_maximum() {
        let (l, u) = ([0.0, 2.0, -1.0], [1.0, 3.0, 2.0]);
        let mut w = [0.0; 3];
        let b = max_upper(&l, &u, max_start(&l, &u), &mut w);
        assert_eq!((w, b), ([0.0, 1.0, 0.0], 0.0));
        assert_eq!(max_lower(&l, &u), 1);
        assert_eq!(max_image(&l, &u), (2.0, 3.0));
    }
}
