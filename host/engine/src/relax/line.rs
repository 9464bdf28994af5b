//! What a relaxation is: two lines, and how they move with their parameters.

use super::Refusal;

/// Two lines: `lower_slope·x + lower_intercept ≤ f(x) ≤ upper_slope·x + upper_intercept` on an interval.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Lines<T> {
    /// Slope of the lower line.
    pub lower_slope: T,
    /// Its value at 0.
    pub lower_intercept: T,
    /// Slope of the upper line.
    pub upper_slope: T,
    /// Its value at 0.
    pub upper_intercept: T,
}

/// The free parameter of each line, in `[0, 1]`; what it means is said beside each function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alpha<T> {
    /// Of the lower line.
    pub lower: T,
    /// Of the upper line.
    pub upper: T,
}

impl<T> Alpha<T> {
    /// Those of `−f`.
    pub(super) fn swapped(self) -> Self {
        Self { lower: self.upper, upper: self.lower }
    }
}

/// How a line moves with one number.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Rate {
    /// Derivative of the slope.
    pub slope: f64,
    /// Derivative of the intercept.
    pub intercept: f64,
}

/// One line through a point of the hull of `f`, with its derivatives.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Line {
    /// Slope.
    pub slope: f64,
    /// Where it touches the hull, `[x, y]`.
    pub touch: [f64; 2],
    /// By its own alpha, the interval fixed.
    pub by_alpha: Rate,
    /// By the lower end of the interval, alpha fixed; 0 where a function's file says that it is treated as constant.
    pub by_lower: Rate,
    /// By the upper end of the interval.
    pub by_upper: Rate,
}

/// The two lines of one element.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Pair {
    /// Below the function.
    pub lower: Line,
    /// Above the function.
    pub upper: Line,
}

impl Line {
    /// The line of this slope through `touch`, its derivatives 0.
    pub(super) fn through(slope: f64, touch: [f64; 2]) -> Self {
        Self { slope, touch, ..Self::default() }
    }
    /// The constant `y`.
    pub(super) fn constant(y: f64) -> Self {
        Self::through(0.0, [0.0, y])
    }
    /// Its value at 0.
    pub fn intercept(&self) -> f64 {
        self.touch[1] - self.slope * self.touch[0]
    }
    /// Its value at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.slope * (x - self.touch[0]) + self.touch[1]
    }
    /// The line of `−f`.
    fn negate(self) -> Self {
        let rate = |r: Rate| Rate { slope: -r.slope, intercept: -r.intercept };
        Self {
            slope: -self.slope,
            touch: [self.touch[0], -self.touch[1]],
            by_alpha: rate(self.by_alpha),
            by_lower: rate(self.by_lower),
            by_upper: rate(self.by_upper),
        }
    }
    fn is_finite(&self) -> bool {
        self.slope.is_finite() && self.intercept().is_finite()
    }
}

impl Pair {
    /// Both lines are this one: `f` is affine on the interval.
    pub(super) fn exact(line: Line) -> Self {
        Self { lower: line, upper: line }
    }
    /// The lines of `−f`: negated and exchanged.
    pub(super) fn negate(self) -> Self {
        Self { lower: self.upper.negate(), upper: self.lower.negate() }
    }
    /// Slopes and intercepts.
    pub fn lines(&self) -> Lines<f64> {
        Lines {
            lower_slope: self.lower.slope,
            lower_intercept: self.lower.intercept(),
            upper_slope: self.upper.slope,
            upper_intercept: self.upper.intercept(),
        }
    }
    /// Slopes and intercepts in `f32`: slopes rounded to nearest, and intercepts moved to where the rounded lines
    /// still enclose the touching points and the ends (*estimate*: the search's arithmetic).
    pub(super) fn lines_f32(&self, lower: f64, upper: f64) -> Lines<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "rounded, then repaired by the intercept")]
        let narrow = |x: f64| x as f32;
        // A tangent touches inside; a secant at both ends, where the unrounded line has the value of the hull.
        let intercept = |line: &Line, outer: fn(f64, f64) -> f64| {
            let rounded = f64::from(narrow(line.slope));
            let shift = |x: f64| (line.slope - rounded) * x;
            line.intercept() + outer(shift(lower), shift(upper))
        };
        Lines {
            lower_slope: narrow(self.lower.slope),
            lower_intercept: narrow(intercept(&self.lower, f64::min)),
            upper_slope: narrow(self.upper.slope),
            upper_intercept: narrow(intercept(&self.upper, f64::max)),
        }
    }
    /// The pair, if it is finite.
    pub(super) fn checked(self) -> Result<Self, Refusal> {
        if self.lower.is_finite() && self.upper.is_finite() { Ok(self) } else { Err(Refusal::Overflow) }
    }
}
