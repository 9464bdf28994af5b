//! Lines of curves: convex, concave, and convex on one side of an inflection and concave on the other.
//!
//! *Convex.* The tangent at any point lies below, the secant above. The lower line is the tangent at
//! `t = lower + α(upper − lower)`; the upper line has no parameter.
//!
//! *S-shaped* (convex up to 0, concave after). Where the interval lies on both sides, the upper hull is a straight piece from
//! the lower end to the point `d ≥ 0` whose tangent passes through that end, then the curve; so the upper lines worth
//! having are the tangents at `t ∈ [d, upper]`, and `t = d + α(upper − d)`. If there is no such `d ≤ upper`, the upper hull is the
//! secant. The lower line is the same seen from the other end.
//!
//! *Which tangent.* The area between a line and the curve is the width times the line's height at the centre of the
//! interval, up to a constant, so the line of least area supports the hull at the centre: the tangent at
//! the centre, or at `d` where the centre lies under the straight piece. That is where [`super::start`] begins.
//!
//! Source: Zhang et al. 2018 (arXiv:1811.00866), section 4 and appendix; free tangent points: Xu et al. 2021
//! (arXiv:2011.13824); area: Singh et al. 2019 (DeepPoly).
//!
//! # Rounding
//! *Estimate*: the search's arithmetic, `f64` with the platform's elementary functions.

use super::{Alpha, Line, Pair, line::Rate};

/// A function with two derivatives.
pub(super) trait Curve: Copy {
    /// `f(x)`.
    fn value(self, x: f64) -> f64;
    /// `f′(x)`.
    fn slope(self, x: f64) -> f64;
    /// `f″(x)`; only the search reads it, to climb.
    fn curvature(self, x: f64) -> f64;
}

/// `−f`.
#[derive(Clone, Copy)]
pub(super) struct Negated<C>(pub C);

impl<C: Curve> Curve for Negated<C> {
    fn value(self, x: f64) -> f64 {
        -self.0.value(x)
    }
    fn slope(self, x: f64) -> f64 {
        -self.0.slope(x)
    }
    fn curvature(self, x: f64) -> f64 {
        -self.0.curvature(x)
    }
}

/// `f(−x)`.
#[derive(Clone, Copy)]
struct Mirrored<C>(C);

impl<C: Curve> Curve for Mirrored<C> {
    fn value(self, x: f64) -> f64 {
        self.0.value(-x)
    }
    fn slope(self, x: f64) -> f64 {
        -self.0.slope(-x)
    }
    fn curvature(self, x: f64) -> f64 {
        self.0.curvature(-x)
    }
}

/// The line through the curve at both ends. By the mean value theorem its slope lies between the slopes at
/// the ends of a convex or concave curve, which repairs the cancellation on tiny intervals.
fn secant<C: Curve>(f: C, lower: f64, upper: f64, curved_one_way: bool) -> Line {
    let (at_lower, at_upper) = (f.value(lower), f.value(upper));
    let (slope_lower, slope_upper) = (f.slope(lower), f.slope(upper));
    let width = upper - lower;
    if width <= 0.0 {
        return Line::through(slope_lower, [lower, at_lower]);
    }
    let mut slope = (at_upper - at_lower) / width;
    if curved_one_way && slope_lower.is_finite() && slope_upper.is_finite() {
        slope = slope.clamp(slope_lower.min(slope_upper), slope_lower.max(slope_upper));
    }
    let (by_lower, by_upper) = ((slope - slope_lower) / width, (slope_upper - slope) / width);
    Line {
        slope,
        touch: [lower, at_lower],
        by_alpha: Rate::default(),
        by_lower: Rate { slope: by_lower, intercept: slope_lower - slope - lower * by_lower },
        by_upper: Rate { slope: by_upper, intercept: -lower * by_upper },
    }
}

/// The tangent at `t`, given how `t` moves with alpha, the lower end and the upper end.
fn tangent<C: Curve>(f: C, t: f64, by: [f64; 3]) -> Line {
    let curvature = f.curvature(t);
    let rate = |dt: f64| {
        let slope = if dt == 0.0 { 0.0 } else { curvature * dt };
        Rate { slope, intercept: -t * slope }
    };
    Line {
        slope: f.slope(t),
        touch: [t, f.value(t)],
        by_alpha: rate(by[0]),
        by_lower: rate(by[1]),
        by_upper: rate(by[2]),
    }
}

/// Lines of a convex function.
pub(super) fn convex<C: Curve>(f: C, lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    let t = (lower + alpha.lower * (upper - lower)).clamp(lower, upper);
    Pair {
        lower: tangent(f, t, [upper - lower, 1.0 - alpha.lower, alpha.lower]),
        upper: secant(f, lower, upper, true),
    }
}

/// Lines of a concave function.
pub(super) fn concave<C: Curve>(f: C, lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    convex(Negated(f), lower, upper, alpha.swapped()).negate()
}

/// Lines of a function that is convex up to `inflection` and concave after it.
pub(super) fn s_shaped<C: Curve>(f: C, inflection: f64, lower: f64, upper: f64, alpha: Alpha<f64>) -> Pair {
    if upper <= inflection {
        return convex(f, lower, upper, alpha);
    }
    if lower >= inflection {
        return concave(f, lower, upper, alpha);
    }
    let above = s_shaped_upper(f, inflection, lower, upper, alpha.upper);
    // −f(−x) is convex up to −inflection too, and its upper line is our lower one.
    let mirrored = Negated(Mirrored(f));
    let below = s_shaped_upper(mirrored, -inflection, -upper, -lower, alpha.lower);
    Pair { lower: unmirror(below), upper: above }
}

/// The line of `f` from the line of `−f(−x)`.
fn unmirror(line: Line) -> Line {
    let by_end = |r: Rate| Rate { slope: -r.slope, intercept: r.intercept };
    Line {
        slope: line.slope,
        touch: [-line.touch[0], -line.touch[1]],
        by_alpha: Rate { slope: line.by_alpha.slope, intercept: -line.by_alpha.intercept },
        // The ends change places and sign: ∂(slope, −intercept)/∂lower = −∂(slope, intercept)/∂(−upper).
        by_lower: by_end(line.by_upper),
        by_upper: by_end(line.by_lower),
    }
}

/// The upper line where `lower < inflection < upper`.
fn s_shaped_upper<C: Curve>(f: C, inflection: f64, lower: f64, upper: f64, alpha: f64) -> Line {
    match tangent_from(f, lower, inflection, upper) {
        None => secant(f, lower, upper, false),
        Some(d) => {
            let t = (d + alpha * (upper - d)).clamp(d, upper);
            let slope = f.slope(d);
            // Of the tangent through the lower end: ∂slope/∂lower as of a secant (d is stationary), and ∂d from it.
            let curvature = f.curvature(d);
            let by_lower = (slope - f.slope(lower)) / (d - lower);
            let d_by_lower = if curvature == 0.0 { 0.0 } else { by_lower / curvature };
            tangent(f, t, [upper - d, (1.0 - alpha) * d_by_lower, alpha])
        }
    }
}

/// The point `d ∈ [first, last]` of a concave piece whose tangent passes through the curve at `from ≤ first`; `None` if the
/// tangent at `last` still passes below it. Newton's method kept inside a bracket.
pub(super) fn tangent_from<C: Curve>(f: C, from: f64, first: f64, last: f64) -> Option<f64> {
    let at_from = f.value(from);
    // Height of the curve's end below the tangent at d; increases with d.
    let gap = |d: f64| (f.value(d) - at_from) - f.slope(d) * (d - from);
    if gap(last) <= 0.0 {
        return None;
    }
    let width = last - from;
    let (mut low, mut high) = (first, last);
    let mut d = 0.5 * (low + high);
    for _ in 0..60 {
        let g = gap(d);
        if g <= 0.0 {
            low = d;
        } else {
            high = d;
        }
        let rate = -f.curvature(d) * (d - from);
        let newton = d - g / rate;
        let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
        if (next - d).abs() <= 1e-12 * width || high - low <= 1e-14 * width {
            break;
        }
        d = next;
    }
    // A little further the tangent passes above the end, so that it is an upper line and not nearly one.
    let mut step = 1e-12 * width;
    loop {
        let further = d + step;
        if further >= high || further <= d {
            return Some(high);
        }
        if gap(further) > 0.0 {
            return Some(further);
        }
        step *= 8.0;
    }
}

/// Alpha of the line of least area of a convex or concave function: the tangent at the centre.
pub(super) const CENTRE: Alpha<f64> = Alpha { lower: 0.5, upper: 0.5 };

/// Alphas of the lines of least area of an S-shaped function.
pub(super) fn s_shaped_start<C: Curve>(f: C, inflection: f64, lower: f64, upper: f64) -> Alpha<f64> {
    if upper <= inflection || lower >= inflection {
        return CENTRE;
    }
    let one = |d: Option<f64>, last: f64, centre: f64| match d {
        Some(d) if centre > d && last > d => (centre - d) / (last - d),
        _ => 0.0,
    };
    let centre = 0.5 * lower + 0.5 * upper;
    let mirrored = Negated(Mirrored(f));
    Alpha {
        lower: one(tangent_from(mirrored, -upper, -inflection, -lower), -lower, -centre),
        upper: one(tangent_from(f, lower, inflection, upper), upper, centre),
    }
}
