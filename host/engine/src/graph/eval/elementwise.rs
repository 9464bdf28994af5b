//! Functions of one number and of two.

use super::super::ops::{Binary, Unary};
use super::super::shapes::broadcast_indices;
use super::{Number, Operand};

fn max<T: Number>(a: T, b: T) -> T {
    if a < b { b } else { a }
}

fn min<T: Number>(a: T, b: T) -> T {
    if b < a { b } else { a }
}

/// `1 / (1 + exp(−x))` without overflow.
fn sigmoid<T: Number>(x: T) -> T {
    let one = T::from(1.0);
    let e = (-x.abs()).exp();
    if x < T::default() { e / (one + e) } else { one / (one + e) }
}

/// `log(1 + exp(x))` without overflow.
fn softplus<T: Number>(x: T) -> T {
    max(x, T::default()) + (-x.abs()).exp().ln_1p()
}

/// `function` at `x`.
pub(super) fn unary<T: Number>(function: Unary, x: T) -> T {
    let number = |c: f32| T::from(c);
    let (zero, one) = (T::default(), number(1.0));
    match function {
        Unary::Relu => max(x, zero),
        Unary::LeakyRelu { slope } => {
            if x < zero {
                number(slope) * x
            } else {
                x
            }
        }
        Unary::ThresholdedRelu { alpha } => {
            if x > number(alpha) {
                x
            } else {
                zero
            }
        }
        Unary::Elu { alpha, gamma, divisor } => {
            number(gamma) * if x > zero { x } else { number(alpha) * (x / number(divisor)).exp_m1() }
        }
        Unary::Sigmoid => sigmoid(x),
        Unary::HardSigmoid { alpha, beta } => min(max(number(alpha) * x + number(beta), zero), one),
        Unary::HardSwish => x * min(max(x / number(6.0) + number(0.5), zero), one),
        Unary::Swish { alpha } => x * sigmoid(number(alpha) * x),
        Unary::Mish => x * softplus(x).tanh(),
        Unary::Tanh => x.tanh(),
        Unary::Softplus => softplus(x),
        Unary::Softsign => x / (one + x.abs()),
        Unary::Erf => x.erf(),
        Unary::Gelu => number(0.5) * x * (one + (x / number(2.0).sqrt()).erf()),
        Unary::GeluTanh => {
            // π/4 = atan(1).
            let two_over_pi = one / (number(2.0) * one.atan());
            // 0.044715 as a quotient of integers, so that f64 sees the decimal and not its f32.
            let cubic = number(44_715.0) / number(1_000_000.0) * x * x * x;
            number(0.5) * x * (one + (two_over_pi.sqrt() * (x + cubic)).tanh())
        }
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tan => x.tan(),
        Unary::Atan => x.atan(),
        Unary::Sqrt => x.sqrt(),
        Unary::Reciprocal => one / x,
        Unary::Pow { exponent } => x.powf(number(exponent)),
        Unary::Abs => x.abs(),
        Unary::Neg => -x,
        Unary::Sign => {
            if x > zero {
                one
            } else if x < zero {
                -one
            } else {
                zero
            }
        }
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Clip { lower, upper } => min(max(x, number(lower)), number(upper)),
    }
}

/// `function` of two operands, broadcast to `output`.
pub(super) fn binary<T: Number>(
    function: Binary,
    a: &Operand<'_, T>,
    b: &Operand<'_, T>,
    output: &[usize],
) -> Vec<T> {
    let zero = T::default();
    match function {
        Binary::Add => zip(a, b, output, |a, b| a + b),
        Binary::Sub => zip(a, b, output, |a, b| a - b),
        Binary::Mul => zip(a, b, output, |a, b| a * b),
        Binary::Div => zip(a, b, output, |a, b| a / b),
        Binary::Pow => zip(a, b, output, T::powf),
        Binary::Max => zip(a, b, output, max),
        Binary::Min => zip(a, b, output, min),
        Binary::PRelu => zip(a, b, output, |a, b| if a < zero { a * b } else { a }),
    }
}

fn zip<T: Number>(a: &Operand<'_, T>, b: &Operand<'_, T>, output: &[usize], f: impl Fn(T, T) -> T) -> Vec<T> {
    if a.shape == b.shape {
        return a.data.iter().zip(b.data.iter()).map(|(a, b)| f(*a, *b)).collect();
    }
    let (i, j) = (broadcast_indices(a.shape, output), broadcast_indices(b.shape, output));
    i.into_iter().zip(j).map(|(i, j)| f(a.data[i], b.data[j])).collect()
}
