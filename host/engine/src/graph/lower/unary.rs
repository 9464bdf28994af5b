//! Functions of one number that are no single function of a program.
//!
//! Constants that are no `f32` (`1/6`, `1/√2`, `√(2/π)`) carry their error like any other.

use crate::program::{Constants, Function, Slot};

use super::super::error::Fault;
use super::super::ops::Unary;
use super::Lowering;
use super::enclosure::Enclosure;

const HALF: Enclosure = Enclosure::exact(0.5);
const MINUS_ONE: Enclosure = Enclosure::exact(-1.0);

/// Largest exponent of a power.
const EXPONENT_MAX: f32 = 64.0;

impl Lowering<'_, '_> {
    /// `function` of operand 0.
    pub(super) fn unary(&mut self, function: Unary) -> Result<Slot, Fault> {
        let x = self.computed(0)?;
        let one = match function {
            Unary::Relu => Function::Relu,
            Unary::LeakyRelu { slope } => Function::LeakyRelu { slope },
            Unary::Sigmoid => Function::Sigmoid,
            Unary::HardSigmoid { alpha, beta } => Function::HardSigmoid { alpha, beta },
            Unary::Tanh => Function::Tanh,
            Unary::Softplus => Function::Softplus,
            Unary::Softsign => Function::Softsign,
            Unary::Erf => Function::Erf,
            Unary::Exp => Function::Exp,
            Unary::Log => Function::Log,
            Unary::Sin => Function::Sin,
            Unary::Cos => Function::Cos,
            Unary::Sqrt => Function::Sqrt,
            Unary::Reciprocal => Function::Reciprocal,
            Unary::Abs => Function::Abs,
            Unary::Sign => Function::Sign,
            Unary::Floor => Function::Floor,
            other => return self.composed(other, x),
        };
        self.apply(one, x)
    }

    fn composed(&mut self, function: Unary, x: Slot) -> Result<Slot, Fault> {
        match function {
            Unary::Neg => self.scaled(x, MINUS_ONE),
            Unary::Clip { lower, upper } => self.clip(x, lower, upper),
            Unary::Ceil => {
                let minus = self.scaled(x, MINUS_ONE)?;
                let floor = self.apply(Function::Floor, minus)?;
                self.scaled(floor, MINUS_ONE)
            }
            Unary::Tan => {
                let cos = self.apply(Function::Cos, x)?;
                let secant = self.apply(Function::Reciprocal, cos)?;
                let sin = self.apply(Function::Sin, x)?;
                self.times(sin, secant)
            }
            Unary::ThresholdedRelu { alpha } => self.thresholded_relu(x, alpha),
            Unary::Elu { alpha, gamma, divisor } => self.elu(x, alpha, gamma, divisor),
            Unary::Pow { exponent } => self.power_of(x, exponent),
            Unary::HardSwish | Unary::Swish { .. } | Unary::Mish | Unary::Gelu | Unary::GeluTanh => {
                self.gated(function, x)
            }
            Unary::Round => Err(self.refuse("rounds halves to even, which no step does; leave it out")),
            other => Err(self.refuse(&format!("has no lowering to a program ({other:?})"))),
        }
    }

    /// `x` times a gate between 0 and 1 (about) that depends on `x`.
    fn gated(&mut self, function: Unary, x: Slot) -> Result<Slot, Fault> {
        let gate = match function {
            // clip(x + 3, 0, 6) / 6 = min(max(x/6 + 1/2, 0), 1), with only the last constant inexact.
            Unary::HardSwish => {
                let shifted = self.line(x, Enclosure::ONE, Enclosure::exact(3.0))?;
                let clipped = self.apply(Function::Clip { lower: 0.0, upper: 6.0 }, shifted)?;
                self.scaled(clipped, Enclosure::ONE / Enclosure::exact(6.0))?
            }
            Unary::Swish { alpha } => {
                let scaled = self.scaled(x, Enclosure::float(alpha))?;
                self.apply(Function::Sigmoid, scaled)?
            }
            Unary::Mish => {
                let softplus = self.apply(Function::Softplus, x)?;
                self.apply(Function::Tanh, softplus)?
            }
            Unary::Gelu => {
                let scaled = self.scaled(x, HALF.sqrt())?;
                let erf = self.apply(Function::Erf, scaled)?;
                self.line(erf, HALF, HALF)?
            }
            _ => {
                // √(2/π) and √(2/π) · 0.044715.
                let root = Enclosure::near(0.797_884_560_802_865_4);
                let cubic = root * Enclosure::near(0.044_715);
                let cube = self.apply(Function::Power { exponent: 3 }, x)?;
                let inner = self.combination([(x, root), (cube, cubic)])?;
                let tanh = self.apply(Function::Tanh, inner)?;
                self.line(tanh, HALF, HALF)?
            }
        };
        self.times(x, gate)
    }

    /// `min(max(x, lower), upper)`: a single open side goes through one ReLU.
    fn clip(&mut self, x: Slot, lower: f32, upper: f32) -> Result<Slot, Fault> {
        let (low, high) = (Enclosure::float(lower), Enclosure::float(upper));
        match (lower == f32::MIN, upper == f32::MAX) {
            (true, true) => Ok(x),
            (false, true) => {
                let above = if lower == 0.0 { x } else { self.line(x, Enclosure::ONE, -low)? };
                let relu = self.apply(Function::Relu, above)?;
                if lower == 0.0 { Ok(relu) } else { self.line(relu, Enclosure::ONE, low) }
            }
            (true, false) => {
                let below = self.line(x, MINUS_ONE, high)?;
                let relu = self.apply(Function::Relu, below)?;
                self.line(relu, MINUS_ONE, high)
            }
            (false, false) => self.apply(Function::Clip { lower, upper }, x),
        }
    }

    /// `x` where `x > alpha`, else 0: `relu(x − alpha) + alpha · [x > alpha]`, the last `relu(sign(x − alpha))`.
    fn thresholded_relu(&mut self, x: Slot, alpha: f32) -> Result<Slot, Fault> {
        if alpha == 0.0 {
            return self.apply(Function::Relu, x);
        }
        let alpha = Enclosure::float(alpha);
        let above = self.line(x, Enclosure::ONE, -alpha)?;
        let relu = self.apply(Function::Relu, above)?;
        let sign = self.apply(Function::Sign, above)?;
        let step = self.apply(Function::Relu, sign)?;
        self.combination([(relu, Enclosure::ONE), (step, alpha)])
    }

    /// With `z = x / divisor`: `gamma · divisor · z` where `z > 0`, else `gamma · alpha · (exp(z) − 1)`; that is
    /// `gamma · divisor` times an ELU of depth `alpha / divisor`.
    fn elu(&mut self, x: Slot, alpha: f32, gamma: f32, divisor: f32) -> Result<Slot, Fault> {
        let wide = Enclosure::float(divisor);
        let Some(depth) = (Enclosure::float(alpha) / wide).as_float() else {
            return Err(self.refuse("has a depth that is no f32 multiple of its divisor; use Elu"));
        };
        let z = self.scaled(x, Enclosure::ONE / wide)?;
        let elu = self.apply(Function::Elu { alpha: depth }, z)?;
        self.scaled(elu, Enclosure::float(gamma) * wide)
    }

    /// Operand 0 to a constant power.
    pub(super) fn power(&mut self, exponent: f32) -> Result<Slot, Fault> {
        let x = self.computed(0)?;
        self.power_of(x, exponent)
    }

    /// `x ^ exponent`: a natural power, that of a square root (halves), a reciprocal (negative), else
    /// `exp(exponent · log(x))` for positive `x`.
    pub(super) fn power_of(&mut self, x: Slot, exponent: f32) -> Result<Slot, Fault> {
        if exponent < 0.0 {
            let power = self.power_of(x, -exponent)?;
            return self.apply(Function::Reciprocal, power);
        }
        if exponent == 0.0 {
            let ones: Constants = self.repeated(x, Enclosure::ONE)?;
            return self.constant_slot(ones);
        }
        if exponent.fract() == 0.0 && exponent <= EXPONENT_MAX {
            return self.natural_power(x, exponent);
        }
        if (2.0 * exponent).fract() == 0.0 && 2.0 * exponent <= EXPONENT_MAX {
            let root = self.apply(Function::Sqrt, x)?;
            return self.natural_power(root, 2.0 * exponent);
        }
        let log = self.apply(Function::Log, x)?;
        let scaled = self.scaled(log, Enclosure::float(exponent))?;
        self.apply(Function::Exp, scaled)
    }

    fn natural_power(&mut self, x: Slot, exponent: f32) -> Result<Slot, Fault> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a natural number up to 64"
        )]
        match exponent as u32 {
            1 => Ok(x),
            exponent => self.apply(Function::Power { exponent }, x),
        }
    }
}
