//! Linear relaxations: two lines that enclose a function of one number on an interval.
//!
//! On `[lower, upper]`: `lower_slope·x + lower_intercept ≤ f(x) ≤ upper_slope·x + upper_intercept`. Many lines do; each
//! line has a parameter `alpha ∈ [0, 1]` that an optimizer may move and under which it stays valid, and [`start`] gives the
//! one of least area. What alpha means is said in the file of each function: the slope through a kink (`hull`), or where a tangent
//! touches (`curve`). Some functions, or some intervals, have no choice on a side; then the alpha is not read and its derivative is 0.
//!
//! # Derivatives
//! A bound that takes the lower line with a coefficient `a > 0` changes with alpha by `a·(by_alpha.slope·x + by_alpha.intercept)`, `x` the
//! concretizing point's value. [`Line::by_lower`] and [`Line::by_upper`] are the derivatives by the ends of the interval, exact but
//! for the sine, the cosine and turning lines of functions with more than one kink, where they are 0 (an end moves those lines little).
//!
//! # Rounding
//! *Estimate*: the search's arithmetic. [`relax_proved`] takes the slopes and proves intercepts for them.
//!
//! # Chains
//! Softmax is lowered to `1/(1 + Σ exp(xⱼ − xᵢ))`, convex of a sum of convex, without a product. Normalisation divides by `√v`, relaxed as `√` and then `1/x`:
//! the secant of a secant is the secant of the chain, and a tangent of a tangent is a tangent, so nothing is lost but the choice of one point.

mod abs;
mod clip;
mod cos;
mod curve;
mod elu;
mod erf;
mod error;
mod exp;
mod floor;
mod hard_sigmoid;
mod hull;
mod leaky_relu;
mod line;
mod log;
mod max;
mod power;
mod product;
mod proved;
mod reciprocal;
mod relu;
mod sigmoid;
mod sign;
mod sin;
mod softplus;
mod softsign;
mod sqrt;
mod tanh;
#[cfg(test)]
mod tests;

pub use error::{Refusal, RelaxError};
pub use line::{Alpha, Line, Lines, Pair, Rate};
pub use max::{max_image, max_lower, max_start, max_upper, max_upper_by_alpha};
pub use product::{Plane, Planes, product_by_alpha, product_image, product_start, relax_product};
pub use proved::relax_proved;

use crate::program::{Float, Function};

/// Where [`relax_into`] writes, one element each.
#[derive(Debug)]
pub struct LinesMut<'a> {
    /// Slopes of the lower lines.
    pub lower_slope: &'a mut [f32],
    /// Their values at 0.
    pub lower_intercept: &'a mut [f32],
    /// Slopes of the upper lines.
    pub upper_slope: &'a mut [f32],
    /// Their values at 0.
    pub upper_intercept: &'a mut [f32],
}

/// A graph of straight pieces, for the functions that are such.
fn graph(function: Function, lower: f64, upper: f64) -> Option<hull::Graph> {
    Some(match function {
        Function::Relu => relu::graph(lower, upper),
        Function::LeakyRelu { slope } => leaky_relu::graph(slope.into(), lower, upper),
        Function::Clip { lower: floor, upper: ceiling } => {
            clip::graph([floor.into(), ceiling.into()], lower, upper)
        }
        Function::Abs => abs::graph(lower, upper),
        Function::Sign => sign::graph(lower, upper),
        Function::HardSigmoid { alpha, beta } => hard_sigmoid::graph(alpha.into(), beta.into(), lower, upper),
        Function::Floor => floor::graph(lower, upper),
        _ => return None,
    })
}

/// Whether `[lower, upper]` is an interval of the function's domain.
///
/// # Errors
/// [`Refusal::NotAnInterval`] or [`Refusal::Domain`].
pub fn check_domain(function: Function, lower: f64, upper: f64) -> Result<(), Refusal> {
    if !(lower.is_finite() && upper.is_finite() && lower <= upper) {
        return Err(Refusal::NotAnInterval);
    }
    match function {
        Function::Log if lower <= 0.0 => Err(Refusal::Domain("positive numbers")),
        Function::Sqrt if lower < 0.0 => Err(Refusal::Domain("numbers that are not negative")),
        Function::Reciprocal if lower <= 0.0 && upper >= 0.0 => Err(Refusal::Domain("numbers of one sign")),
        _ => Ok(()),
    }
}

/// Which alphas the function reads on at least some interval: of the lower line, of the upper line.
pub fn parameters(function: Function) -> Alpha<bool> {
    let (lower, upper) = match function {
        Function::Relu | Function::Abs | Function::Exp | Function::Softplus => (true, false),
        Function::Log | Function::Sqrt => (false, true),
        Function::LeakyRelu { slope } => (slope <= 1.0, slope > 1.0),
        Function::Power { exponent } => (true, exponent % 2 == 1),
        Function::Elu { alpha } => (true, !(0.0..=1.0).contains(&alpha)),
        _ => (true, true),
    };
    Alpha { lower, upper }
}

/// Alphas of the lines of least area; for ReLU slope 1 where `upper > −lower`, else 0.
///
/// # Errors
/// As [`check_domain`].
pub fn start(function: Function, lower: f64, upper: f64) -> Result<Alpha<f64>, Refusal> {
    check_domain(function, lower, upper)?;
    if let Some(graph) = graph(function, lower, upper) {
        return Ok(graph.start());
    }
    Ok(match function {
        Function::Sigmoid => sigmoid::start(lower, upper),
        Function::Tanh => tanh::start(lower, upper),
        Function::Erf => erf::start(lower, upper),
        Function::Softsign => softsign::start(lower, upper),
        Function::Power { exponent } => power::start(exponent, lower, upper),
        Function::Elu { alpha } => elu::start(alpha.into(), lower, upper),
        _ => curve::CENTRE,
    })
}

/// The lines of `function` on `[lower, upper]`, with their derivatives.
///
/// # Errors
/// As [`check_domain`], and [`Refusal::Overflow`] if the function leaves the range of `f64`.
///
/// # Rounding
/// *Estimate*.
pub fn relax(function: Function, lower: f64, upper: f64, alpha: Alpha<f64>) -> Result<Pair, Refusal> {
    check_domain(function, lower, upper)?;
    if let Some(graph) = graph(function, lower, upper) {
        return graph.lines(alpha).checked();
    }
    let pair = match function {
        Function::Sigmoid => sigmoid::lines(lower, upper, alpha),
        Function::Tanh => tanh::lines(lower, upper, alpha),
        Function::Exp => exp::lines(lower, upper, alpha),
        Function::Log => log::lines(lower, upper, alpha),
        Function::Sin => sin::lines(lower, upper, alpha),
        Function::Cos => cos::lines(lower, upper, alpha),
        Function::Sqrt => sqrt::lines(lower, upper, alpha),
        Function::Reciprocal => reciprocal::lines(lower, upper, alpha),
        Function::Power { exponent } => power::lines(exponent, lower, upper, alpha),
        Function::Erf => erf::lines(lower, upper, alpha),
        Function::Softplus => softplus::lines(lower, upper, alpha),
        Function::Elu { alpha: depth } => elu::lines(depth.into(), lower, upper, alpha),
        Function::Softsign => softsign::lines(lower, upper, alpha),
        // The graphs above are all of the others.
        Function::Relu
        | Function::LeakyRelu { .. }
        | Function::Clip { .. }
        | Function::Abs
        | Function::Sign
        | Function::HardSigmoid { .. }
        | Function::Floor => Pair::default(),
    };
    pair.checked()
}

/// The lines of every element in `f32`; alphas `None` takes those of [`start`].
///
/// # Shapes
/// All slices `[n]`.
///
/// # Errors
/// [`RelaxError`] naming `step` and the first element that has no lines.
///
/// # Panics
/// If the lengths differ.
///
/// # Rounding
/// *Estimate*.
pub fn relax_into(
    step: &str,
    function: Function,
    (lower, upper): (&[f32], &[f32]),
    alpha: Option<Alpha<&[f32]>>,
    mut out: LinesMut<'_>,
) -> Result<(), RelaxError> {
    assert_eq!(lower.len(), upper.len(), "one pair of bounds an element");
    if function == Function::Relu && all_intervals(lower, upper) {
        relu::lines_into(lower, upper, alpha, &mut out);
        return Ok(());
    }
    for (i, (l, u)) in lower.iter().zip(upper).enumerate() {
        let (l, u) = (f64::from(*l), f64::from(*u));
        let lines =
            element_lines(function, l, u, alpha.map(|a| Alpha { lower: a.lower[i], upper: a.upper[i] }))
                .map_err(|refusal| RelaxError::at(refusal, step, function, i, [l, u]))?;
        out.lower_slope[i] = lines.lower_slope;
        out.lower_intercept[i] = lines.lower_intercept;
        out.upper_slope[i] = lines.upper_slope;
        out.upper_intercept[i] = lines.upper_intercept;
    }
    Ok(())
}

fn all_intervals(lower: &[f32], upper: &[f32]) -> bool {
    lower.iter().zip(upper).all(|(l, u)| l.is_finite() && u.is_finite() && l <= u)
}

fn element_lines(
    function: Function,
    lower: f64,
    upper: f64,
    alpha: Option<Alpha<f32>>,
) -> Result<Lines<f32>, Refusal> {
    let alpha = match alpha {
        Some(Alpha { lower, upper }) => Alpha { lower: lower.into(), upper: upper.into() },
        None => start(function, lower, upper)?,
    };
    let lines = relax(function, lower, upper, alpha)?.lines_f32(lower, upper);
    let finite = |slope: f32, intercept: f32| slope.is_finite() && intercept.is_finite();
    if finite(lines.lower_slope, lines.lower_intercept) && finite(lines.upper_slope, lines.upper_intercept) {
        return Ok(lines);
    }
    // A jump over a tiny interval is steeper than `f32` can say.
    let (least, greatest) = image(function, lower, upper)?;
    #[expect(clippy::cast_possible_truncation, reason = "rounded outward")]
    let (least, greatest) = ((least as f32).next_down(), (greatest as f32).next_up());
    if !finite(least, greatest) {
        return Err(Refusal::Overflow);
    }
    Ok(Lines { lower_slope: 0.0, lower_intercept: least, upper_slope: 0.0, upper_intercept: greatest })
}

/// The least and the greatest value of `function` on `[lower, upper]`.
///
/// # Errors
/// As [`relax`].
///
/// # Rounding
/// *Estimate*.
pub fn image(function: Function, lower: f64, upper: f64) -> Result<(f64, f64), Refusal> {
    check_domain(function, lower, upper)?;
    let value = |x: f64| x.apply(function);
    let (least, greatest) = match function {
        Function::Abs => abs::image(lower, upper),
        Function::Sin => sin::image(lower, upper),
        Function::Cos => cos::image(lower, upper),
        Function::Power { exponent } => power::image(exponent, lower, upper),
        Function::Elu { alpha } => elu::image(alpha.into(), lower, upper),
        // One slope on each side of 0, so the ends and 0 are all that counts.
        Function::LeakyRelu { .. } if lower < 0.0 && upper > 0.0 => {
            let (a, b) = (value(lower), value(upper));
            (a.min(b).min(0.0), a.max(b).max(0.0))
        }
        // Monotone.
        _ => {
            let (a, b) = (value(lower), value(upper));
            (a.min(b), a.max(b))
        }
    };
    if least.is_finite() && greatest.is_finite() { Ok((least, greatest)) } else { Err(Refusal::Overflow) }
}

/// [`image`] of every element, rounded outward to `f32`.
///
/// # Shapes
/// All slices `[n]`.
///
/// # Errors
/// [`RelaxError`] naming `step` and the first element that has no image.
///
/// # Panics
/// If the lengths differ.
///
/// # Rounding
/// *Estimate*.
pub fn image_into(
    step: &str,
    function: Function,
    (lower, upper): (&[f32], &[f32]),
    (least, greatest): (&mut [f32], &mut [f32]),
) -> Result<(), RelaxError> {
    assert_eq!(lower.len(), upper.len(), "one pair of bounds an element");
    for (i, (l, u)) in lower.iter().zip(upper).enumerate() {
        if function == Function::Relu && l.is_finite() && u.is_finite() && l <= u {
            (least[i], greatest[i]) = (l.max(0.0), u.max(0.0));
            continue;
        }
        let (l, u) = (f64::from(*l), f64::from(*u));
        let fail = |refusal| RelaxError::at(refusal, step, function, i, [l, u]);
        let (a, b) = image(function, l, u).map_err(fail)?;
        (least[i], greatest[i]) = outward(a, b);
        if !(least[i].is_finite() && greatest[i].is_finite()) {
            return Err(fail(Refusal::Overflow));
        }
    }
    Ok(())
}

/// The tightest `f32` around an interval.
fn outward(lower: f64, upper: f64) -> (f32, f32) {
    #[expect(clippy::cast_possible_truncation, reason = "repaired outward")]
    let (l, u) = (lower as f32, upper as f32);
    (if f64::from(l) > lower { l.next_down() } else { l }, if f64::from(u) < upper { u.next_up() } else { u })
}
