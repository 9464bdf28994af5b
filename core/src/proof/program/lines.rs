//! What an elementwise function needs: its range, good slopes, lines of any slope, and whether it needs bounds by rows.

use super::kernel::{Kink, Lines};
use super::planes::{Interval, larger, smaller};
use crate::program::Function;
use crate::relax::{RelaxError, image, residual};

/// The slopes left and right of 0 of a function with one kink, there.
fn kinked(function: Function) -> Option<(f64, f64)> {
    match function {
        Function::Relu => Some((0.0, 1.0)),
        Function::LeakyRelu { slope } => Some((f64::from(slope), 1.0)),
        Function::Abs => Some((-1.0, 1.0)),
        _ => None,
    }
}

/// Whether a function is straight on each side of 0.
pub(super) fn has_kink(function: Function) -> bool {
    kinked(function).is_some()
}

/// An interval that holds `function` of `[lower, upper]`; exact for ReLU and the absolute value.
pub(super) fn range(function: Function, (lower, upper): Interval) -> Result<Interval, RelaxError> {
    let Some((negative, positive)) = kinked(function).filter(|_| lower <= upper) else {
        return image(function, lower, upper).map(|i| (i.lower, i.upper));
    };
    let value = |x: f64| {
        let slope = if x >= 0.0 { positive } else { negative };
        let y = slope * x;
        let exact = slope == 0.0 || slope.abs() == 1.0;
        if exact { (y, y) } else { (y.next_down(), y.next_up()) }
    };
    let (a, b) = (value(lower), value(upper));
    let (low, high) = (smaller(a.0, b.0), larger(a.1, b.1));
    let inside = lower < 0.0 && upper > 0.0;
    Ok(if inside { (smaller(low, 0.0), larger(high, 0.0)) } else { (low, high) })
}

/// Whether lines of a function are searched for once and kept: all but those with one kink at 0.
pub(super) fn kept(function: Function) -> bool {
    kinked(function).is_none()
}

/// The line that a function with a kink at 0 is on an interval at one side of it.
pub(super) fn straight(function: Function, (lower, upper): Interval) -> Option<Lines> {
    let (negative, positive) = kinked(function).filter(|_| lower >= 0.0 || upper <= 0.0)?;
    let slope = if lower >= 0.0 { positive } else { negative };
    Some(Lines { lower_slope: slope, upper_slope: slope, ..Lines::default() })
}

/// Numbers kept of an element: lower slope and intercept, upper slope and intercept, least and greatest useful slope; then a table of
/// proved intercepts at [`STEPS`]` + 1` slopes from the least to the greatest, below and above, which begins with NaN if it is not kept.
pub(super) const KEPT: usize = HEAD + 2 * (STEPS + 1);

/// Numbers kept before the table.
pub(super) const HEAD: usize = 6;

/// Steps of the table: between two of its lines the best line is better than their mean by less than 2 % of the height that slopes range over.
const STEPS: usize = 16;

/// Keeps sound lines of `function` on `[lower, upper]` with about the slopes whose lines are best in the middle, [`slope_range`], and
/// if it is asked for, the table.
pub(super) fn keep(
    function: Function,
    interval: Interval,
    table: bool,
    kept: &mut [f64],
) -> Result<(), RelaxError> {
    let head = search(function, interval)?;
    let (first, rest) = kept.split_at_mut_checked(HEAD).ok_or(RelaxError::NotAnInterval)?;
    first.copy_from_slice(&head);
    if !table {
        rest.fill(f64::NAN);
        return Ok(());
    }
    let (below, above) = rest.split_at_mut_checked(STEPS + 1).ok_or(RelaxError::NotAnInterval)?;
    for (i, (below, above)) in below.iter_mut().zip(above).enumerate() {
        let values = residual(function, slope_at((head[4], head[5]), i), interval.0, interval.1)?;
        (*below, *above) = (values.lower, values.upper);
    }
    Ok(())
}

/// Slope `i` of the table.
fn slope_at((least, most): (f64, f64), i: usize) -> f64 {
    least + (i as f64 / STEPS as f64) * (most - least)
}

/// The slope of a claimed share of the kept range, and a proved intercept of its line below (or above): from the table if `kept` has one.
///
/// # Rounding
/// A mean of lines `sᵢx + bᵢ` below the function is one below, for weights `t` and `1 − t` exactly. Computed weights, slope and intercept are each off
/// by at most `2u` of their terms, so the line by less than `8u` of `Σ|sᵢ|·size + Σ|bᵢ|`, which the intercept gives way.
pub(super) fn claimed(
    function: Function,
    interval: Interval,
    (kept, size): (&[f64], f64),
    share: f64,
    above: bool,
) -> Result<(f64, f64), RelaxError> {
    let (Some(&[_, _, _, _, least, most]), Some(table)) = (kept.get(..HEAD), kept.get(HEAD..)) else {
        return Err(RelaxError::NotAnInterval);
    };
    let place = share * STEPS as f64;
    let i = if place < STEPS as f64 { place as usize } else { STEPS - 1 };
    let first = if above { i + STEPS + 1 } else { i };
    let proved = table.get(first).zip(table.get(first + 1)).filter(|(b0, b1)| !b0.is_nan() && !b1.is_nan());
    let Some((b0, b1)) = proved else {
        let slope = least + share * (most - least);
        return Ok((slope, intercept(function, interval, slope, above)?));
    };
    let t = larger(0.0, smaller(1.0, place - i as f64));
    let (s0, s1) = (slope_at((least, most), i), slope_at((least, most), i + 1));
    let slope = (1.0 - t) * s0 + t * s1;
    let value = (1.0 - t) * b0 + t * b1;
    let slack =
        4.0 * f64::EPSILON * ((s0.abs() + s1.abs()) * size + (b0.abs() + b1.abs())) + f64::MIN_POSITIVE;
    Ok((slope, if above { (value + slack).next_up() } else { (value - slack).next_down() }))
}

/// As [`keep`]: the lines, and the range.
fn search(function: Function, (lower, upper): Interval) -> Result<[f64; HEAD], RelaxError> {
    let points = if sampled(function) { Some(Samples::new(function, (lower, upper))?) } else { None };
    let (least, most) = match &points {
        Some(points) => points.slopes(),
        None => slope_range(function, lower, upper)?,
    };
    let [low, high] = match points.as_ref().filter(|_| lower < upper) {
        Some(points) => [points.hull(1.0), points.hull(-1.0)],
        None => searched(function, (lower, upper), (least, most)),
    };
    let below = intercept(function, (lower, upper), low, false)?;
    let above = intercept(function, (lower, upper), high, true)?;
    Ok([low, below, high, above, least, most])
}

/// Slopes whose lines below and above are best in the middle, by search: the line below is best where
/// `inf(f − s·x) + s·middle` is greatest, a concave function of `s`.
fn searched(function: Function, (lower, upper): Interval, (least, most): (f64, f64)) -> [f64; 2] {
    let middle = 0.5 * lower + 0.5 * upper;
    [false, true].map(|above| {
        best(least, most, |s| match residual(function, s, lower, upper) {
            Ok(r) if above => -(r.upper + s * middle),
            Ok(r) => r.lower + s * middle,
            Err(_) => f64::NEG_INFINITY,
        })
    })
}

/// Whether a few points of a function show its hull: it is smooth, and turns at most once.
fn sampled(function: Function) -> bool {
    !matches!(
        function,
        Function::Clip { .. }
            | Function::Floor
            | Function::HardSigmoid { .. }
            | Function::Sign
            | Function::Sin
            | Function::Cos
    )
}

/// Chords between the points that are looked at.
const CHORDS: usize = 16;

/// About the values of a function at equally spaced points of an interval; nothing here is trusted.
struct Samples {
    x: [f64; CHORDS + 1],
    y: [f64; CHORDS + 1],
}

impl Samples {
    fn new(function: Function, (lower, upper): Interval) -> Result<Self, RelaxError> {
        let (mut x, mut y) = ([0.0; CHORDS + 1], [0.0; CHORDS + 1]);
        for (i, (x, y)) in x.iter_mut().zip(&mut y).enumerate() {
            *x = match i {
                0 => lower,
                CHORDS => upper,
                _ => lower + (upper - lower) * (i as f64 / CHORDS as f64),
            };
            *y = middle(function, *x)?;
        }
        Ok(Self { x, y })
    }

    /// The range of the chords' slopes; `(0, 0)` on an interval too narrow for a chord.
    fn slopes(&self) -> (f64, f64) {
        let mut range = (f64::INFINITY, f64::NEG_INFINITY);
        for (x, y) in self.x.windows(2).zip(self.y.windows(2)) {
            if let (&[x0, x1], &[y0, y1]) = (x, y) {
                let slope = (y1 - y0) / (x1 - x0);
                if slope.is_finite() {
                    range = (smaller(range.0, slope), larger(range.1, slope));
                }
            }
        }
        if range.0 <= range.1 { range } else { (0.0, 0.0) }
    }

    fn at(&self, i: usize) -> (f64, f64) {
        match (self.x.get(i), self.y.get(i)) {
            (Some(x), Some(y)) => (*x, *y),
            _ => (f64::NAN, f64::NAN),
        }
    }

    fn slope(&self, i: usize, j: usize) -> f64 {
        let ((x0, y0), (x1, y1)) = (self.at(i), self.at(j));
        (y1 - y0) / (x1 - x0)
    }

    /// The slope of the lower hull (`sign` 1; −1: of the upper one) in the middle. A chord from an end touches where its slope is extreme: at
    /// the vertex of the parabola through the slopes of three chords.
    fn hull(&self, sign: f64) -> f64 {
        const MIDDLE: usize = CHORDS / 2;
        let (x, y) = self.at(MIDDLE);
        // The tangent, unless a chord over the middle lies beyond it.
        let mut best = (sign * y, self.slope(MIDDLE - 1, MIDDLE + 1));
        let mut consider = |end: usize, touch: usize, towards: usize, beyond: Option<usize>| {
            let slope = self.slope(end, touch);
            let from = self.at(end);
            let value = sign * (from.1 + slope * (x - from.0));
            if value >= best.0 || value.is_nan() {
                return;
            }
            let Some(beyond) = beyond else {
                best = (value, slope);
                return;
            };
            let (before, after) = (self.slope(end, towards), self.slope(end, beyond));
            let (bend, tilt) = (before - 2.0 * slope + after, after - before);
            let vertex = slope - tilt * tilt / (8.0 * bend);
            let is_extreme = (before - slope) * (after - slope) >= 0.0 && vertex.is_finite();
            best = (value, if is_extreme { vertex } else { slope });
        };
        for touch in MIDDLE + 1..=CHORDS {
            consider(0, touch, touch - 1, (touch < CHORDS).then_some(touch + 1));
        }
        for touch in 0..MIDDLE {
            consider(CHORDS, touch, touch + 1, touch.checked_sub(1));
        }
        if best.1.is_finite() { best.1 } else { 0.0 }
    }
}

/// A proved intercept of the line of a slope below (or above) `function` on an interval.
fn intercept(
    function: Function,
    (lower, upper): Interval,
    slope: f64,
    above: bool,
) -> Result<f64, RelaxError> {
    let values = residual(function, slope, lower, upper)?;
    Ok(if above { values.upper } else { values.lower })
}

/// About the greatest argument of a concave `value` on `[a, b]`; ends, 0 and 1 first, where straight pieces have theirs.
fn best(a: f64, b: f64, value: impl Fn(f64) -> f64) -> f64 {
    let mut best = (a, value(a));
    let mut consider = |s: f64| {
        let v = value(s);
        if v > best.1 {
            best = (s, v);
        }
        v
    };
    for s in [b, 0.0, 1.0].into_iter().filter(|s| *s >= a && *s <= b) {
        consider(s);
    }
    /// 1 less than the golden ratio.
    const SECTION: f64 = 0.618_033_988_749_894_9;
    let (mut from, mut to) = (a, b);
    let (mut left, mut right) = (to - SECTION * (to - from), from + SECTION * (to - from));
    let (mut at_left, mut at_right) = (consider(left), consider(right));
    for _ in 0..10 {
        if at_left >= at_right {
            (to, right, at_right) = (right, left, at_left);
            left = to - SECTION * (to - from);
            at_left = consider(left);
        } else {
            (from, left, at_left) = (left, right, at_right);
            right = from + SECTION * (to - from);
            at_right = consider(right);
        }
    }
    best.0
}

/// Between which slopes useful lines of `function` on `[lower, upper]` lie: those of `CHORDS` chords. A claimed byte is a share of
/// this range. Any slope is sound.
///
/// # Errors
/// [`RelaxError`].
pub fn slope_range(function: Function, lower: f64, upper: f64) -> Result<(f64, f64), RelaxError> {
    if let Some((negative, positive)) = kinked(function) {
        return Ok((smaller(negative, positive), larger(negative, positive)));
    }
    match function {
        Function::Clip { .. } | Function::Floor => return Ok((0.0, 1.0)),
        Function::HardSigmoid { alpha, .. } => {
            let alpha = f64::from(alpha);
            return Ok((smaller(alpha, 0.0), larger(alpha, 0.0)));
        }
        Function::Sign => {
            let steep = [2.0 / upper, -2.0 / lower].map(|s| if s > 0.0 && s < 1e6 { s } else { 0.0 });
            return Ok((0.0, larger(steep[0], steep[1])));
        }
        _ => {}
    }
    Ok(Samples::new(function, (lower, upper))?.slopes())
}

/// About `function(x)`.
fn middle(function: Function, x: f64) -> Result<f64, RelaxError> {
    image(function, x, x).map(|i| 0.5 * i.lower + 0.5 * i.upper)
}

/// The kink of `function` if it lies inside `[lower, upper]`; charges are `factor` times what they multiply.
pub(super) fn kink(function: Function, (lower, upper): Interval, factor: f64) -> Option<Kink> {
    let (negative, positive) = kinked(function).filter(|_| lower < 0.0 && upper > 0.0)?;
    // The chord of ends that are far apart may round past the slopes, which is harmless: any slope is sound.
    let chord = (positive * upper - negative * lower) / (upper - lower);
    let value = larger((negative * lower).abs(), (positive * upper).abs());
    let mass = larger(-lower, upper);
    Some(Kink { lower, upper, negative, positive, chord, error: factor * value, error_chosen: factor * mass })
}

/// The slope of the free side of a kink for a share `0..=1`, or the adaptive choice.
pub(super) fn free_slope(kink: &Kink, share: Option<f64>) -> f64 {
    match share {
        Some(share) => kink.negative + share * (kink.positive - kink.negative),
        None if kink.upper > -kink.lower => kink.positive,
        None => kink.negative,
    }
}

/// Whether tighter bounds of the operand could help.
pub(super) fn undecided(function: Function, (lower, upper): Interval) -> bool {
    match function {
        Function::Relu | Function::LeakyRelu { .. } | Function::Abs | Function::Sign => {
            lower < 0.0 && upper > 0.0
        }
        Function::Clip { lower: a, upper: b } => {
            let inside = |v: f32| lower < f64::from(v) && upper > f64::from(v);
            inside(a) || inside(b)
        }
        _ => lower < upper,
    }
}

#[cfg(test)]
mod tests {
    use super::super::planes::mass;
    use super::*;

    /// How high the line of a slope lies in the middle, below (or, negated, above) the function.
    fn height(function: Function, (lower, upper): Interval, slope: f64, above: bool) -> f64 {
        let middle = 0.5 * lower + 0.5 * upper;
        let at = intercept(function, (lower, upper), slope, above).unwrap() + slope * middle;
        if above { -at } else { at }
    }

    #[test]
    fn claimed_lines_of_a_table_enclose_and_lose_little() {
        for (function, lower, upper) in [
            (Function::Sigmoid, -3.0, 5.0),
            (Function::Tanh, -0.25, 0.125),
            (Function::Exp, -1.0, 2.0),
            (Function::Reciprocal, 0.5, 4.0),
            (Function::Sin, -1.0, 2.0),
            (Function::Sigmoid, 40.0, 41.0),
        ] {
            let interval = (lower, upper);
            let (mut table, mut none) = ([0.0; KEPT], [0.0; KEPT]);
            keep(function, interval, true, &mut table).unwrap();
            keep(function, interval, false, &mut none).unwrap();
            let scale = (table[5] - table[4]) * (upper - lower);
            for (byte, above) in (0..=255).flat_map(|b| [(b, false), (b, true)]) {
                let share = f64::from(byte) / 255.0;
                let of =
                    |kept: &[f64]| claimed(function, interval, (kept, mass(interval)), share, above).unwrap();
                let ((slope, b), (exact, best)) = (of(&table), of(&none));
                assert!((slope - exact).abs() <= 1e-12 * (1.0 + exact.abs()), "{function:?} {byte}");
                let lost = if above { b - best } else { best - b };
                assert!(lost <= 0.02 * scale + 1e-12, "{function:?} {byte} {above}: {lost} of {scale}");
                for i in 0..=200 {
                    let x = lower + (upper - lower) * f64::from(i) / 200.0;
                    let y = image(function, x, x).unwrap();
                    let line = slope * x + b;
                    let slack = 1e-15 * (1.0 + line.abs());
                    assert!(
                        if above { line >= y.lower - slack } else { line <= y.upper + slack },
                        "{function:?} {x}"
                    );
                }
            }
        }
    }

    #[test]
    fn slopes_of_a_few_points_are_nearly_those_of_a_search() {
        let functions = [
            (Function::Sigmoid, -9.0),
            (Function::Tanh, -5.0),
            (Function::Softsign, -6.0),
            (Function::Erf, -3.0),
            (Function::Exp, -3.0),
            (Function::Softplus, -4.0),
            (Function::Log, 0.1),
            (Function::Sqrt, 0.0),
            (Function::Reciprocal, 0.2),
            (Function::Power { exponent: 2 }, -3.0),
            (Function::Power { exponent: 3 }, -3.0),
            (Function::Elu { alpha: 1.0 }, -4.0),
        ];
        for (function, first) in functions {
            for (i, j) in (0..9).flat_map(|i| (0..9).map(move |j| (i, j))) {
                let lower = first + 0.7 * f64::from(i);
                let interval = (lower, lower + 0.01 * f64::from(1 << j));
                let range = slope_range(function, interval.0, interval.1).unwrap();
                let [low, _, high, _, least, most] = search(function, interval).unwrap();
                assert_eq!((least, most), range);
                let best = searched(function, interval, range);
                // Heights that slopes range over; the curvature of softsign jumps.
                let scale = (most - least) * (interval.1 - interval.0);
                for (slope, best, above) in [(low, best[0], false), (high, best[1], true)] {
                    let lost =
                        height(function, interval, best, above) - height(function, interval, slope, above);
                    assert!(
                        lost <= 0.03 * scale + 1e-12,
                        "{function:?} {interval:?} {above}: {lost} of {scale}"
                    );
                }
            }
        }
    }
}
