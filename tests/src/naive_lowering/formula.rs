//! Functions of one and two numbers by their formulas.

use certus_engine::graph::{Binary, Unary};

/// `function(x)`.
pub(super) fn unary(function: Unary, x: f64) -> f64 {
    match function {
        Unary::Relu => x.max(0.0),
        Unary::LeakyRelu { slope } => x * if x < 0.0 { f64::from(slope) } else { 1.0 },
        Unary::ThresholdedRelu { alpha } => x * if x > f64::from(alpha) { 1.0 } else { 0.0 },
        Unary::Elu { alpha, gamma, divisor } => {
            let below = f64::from(alpha) * (x / f64::from(divisor)).exp_m1();
            f64::from(gamma) * if x > 0.0 { x } else { below }
        }
        Unary::Sigmoid => sigmoid(x),
        Unary::HardSigmoid { alpha, beta } => (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0),
        Unary::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Unary::Swish { alpha } => x * sigmoid(f64::from(alpha) * x),
        Unary::Mish => x * softplus(x).tanh(),
        Unary::Tanh => x.tanh(),
        Unary::Softplus => softplus(x),
        Unary::Softsign => x / (1.0 + x.abs()),
        Unary::Erf => erf(x),
        Unary::Gelu => x / 2.0 * (1.0 + erf(x / 2f64.sqrt())),
        Unary::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
            x / 2.0 * (1.0 + inner.tanh())
        }
        Unary::Exp => x.exp(),
        Unary::Log => x.ln(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tan => x.tan(),
        Unary::Atan => x.atan(),
        Unary::Sqrt => x.sqrt(),
        Unary::Reciprocal => x.recip(),
        Unary::Pow { exponent } => x.powf(exponent.into()),
        Unary::Abs => x.abs(),
        Unary::Neg => -x,
        Unary::Sign => f64::from(i8::from(x > 0.0) - i8::from(x < 0.0)),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Clip { lower, upper } => {
            let low = if lower == f32::MIN { f64::NEG_INFINITY } else { lower.into() };
            let high = if upper == f32::MAX { f64::INFINITY } else { upper.into() };
            x.max(low).min(high)
        }
    }
}

/// `function(a, b)`.
pub(super) fn binary(function: Binary, a: f64, b: f64) -> f64 {
    match function {
        Binary::Add => a + b,
        Binary::Sub => a - b,
        Binary::Mul => a * b,
        Binary::Div => a / b,
        Binary::Pow => a.powf(b),
        Binary::Max => a.max(b),
        Binary::Min => a.min(b),
        Binary::PRelu => a * if a < 0.0 { b } else { 1.0 },
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    if x > 30.0 { x } else { x.exp().ln_1p() }
}

/// The error function: its power series (Abramowitz and Stegun 7.1.5) for small arguments, the continued
/// fraction of its complement (7.1.14) for large ones.
fn erf(x: f64) -> f64 {
    let root = std::f64::consts::PI.sqrt();
    if x.abs() < 2.5 {
        let mut term = x;
        let mut sum = x;
        for n in 1..80 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return 2.0 / root * sum;
    }
    let z = x.abs();
    let fraction = (1..120).rev().fold(0.0, |f, n| f64::from(n) / 2.0 / (z + f));
    (1.0 - (-z * z).exp() / root / (z + fraction)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn erf_has_its_tabulated_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, expected) in
            [(0.5, 0.520_499_877_8), (1.5, 0.966_105_146_5), (2.5, 0.999_593_048), (-3.0, -0.999_977_909_5)]
        {
            assert!((erf(x) - expected).abs() < 1e-10, "{x}: {}", erf(x));
        }
    }
}
