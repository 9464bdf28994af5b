//! Numbers to evaluate in.

use std::borrow::Cow;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `f32` or `f64`, with the elementary functions of the standard library and `libm`.
pub trait Number:
    Copy
    + Default
    + PartialOrd
    + From<f32>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// Constants as numbers to compute with, without a copy where they are already.
    fn constants(values: &[f32]) -> Cow<'_, [Self]>;
    /// A count.
    fn count(n: usize) -> Self;
    /// `exp(x)`.
    fn exp(self) -> Self;
    /// `exp(x) − 1`.
    fn exp_m1(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `log(1 + x)`.
    fn ln_1p(self) -> Self;
    /// Sine.
    fn sin(self) -> Self;
    /// Cosine.
    fn cos(self) -> Self;
    /// Tangent.
    fn tan(self) -> Self;
    /// Arc tangent.
    fn atan(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Gauss error function.
    fn erf(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// Power.
    fn powf(self, exponent: Self) -> Self;
    /// `|x|`.
    fn abs(self) -> Self;
    /// Greatest integer not above.
    fn floor(self) -> Self;
    /// Smallest integer not below.
    fn ceil(self) -> Self;
    /// Nearest integer, halves to even.
    fn round_ties_even(self) -> Self;
}

macro_rules! number {
    ($type:ty, $constants:expr, $erf:path) => {
        impl Number for $type {
            fn constants(values: &[f32]) -> Cow<'_, [Self]> {
                $constants(values)
            }
            fn count(n: usize) -> Self {
                n as $type
            }
            fn erf(self) -> Self {
                $erf(self)
            }
            fn powf(self, exponent: Self) -> Self {
                <$type>::powf(self, exponent)
            }
            number!(@own $type, exp exp_m1 ln ln_1p sin cos tan atan tanh sqrt abs floor ceil round_ties_even);
        }
    };
    (@own $type:ty, $($function:ident)*) => {
        $(fn $function(self) -> Self {
            <$type>::$function(self)
        })*
    };
}

number!(f32, Cow::Borrowed, libm::erff);
number!(f64, |values: &[f32]| values.iter().copied().map(f64::from).collect(), libm::erf);
