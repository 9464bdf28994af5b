//! What a property needs of a network: how many inputs and outputs, and its values at a point.

use crate::Chain;
use crate::program::Program;

/// A network that can be evaluated.
pub trait Evaluate: Sync {
    /// Elements of the input.
    fn inputs(&self) -> usize;
    /// Elements of the output.
    fn outputs(&self) -> usize;
    /// The output in `f32`, as the device computes it where the network runs on one.
    ///
    /// # Panics
    /// If `input` is not `[inputs]`.
    fn eval_f32(&self, input: &[f32]) -> Vec<f32>;
    /// The output in `f64`.
    ///
    /// # Panics
    /// If `input` is not `[inputs]`.
    fn eval_f64(&self, input: &[f64]) -> Vec<f64>;
}

impl Evaluate for Chain {
    fn inputs(&self) -> usize {
        self.inputs()
    }
    fn outputs(&self) -> usize {
        self.outputs()
    }
    fn eval_f32(&self, input: &[f32]) -> Vec<f32> {
        self.eval_f32(input)
    }
    fn eval_f64(&self, input: &[f64]) -> Vec<f64> {
        self.eval_f64(input)
    }
}

impl Evaluate for Program {
    fn inputs(&self) -> usize {
        self.inputs()
    }
    fn outputs(&self) -> usize {
        self.outputs()
    }
    fn eval_f32(&self, input: &[f32]) -> Vec<f32> {
        self.eval_device(input).unwrap_or_else(|_| self.eval(input))
    }
    fn eval_f64(&self, input: &[f64]) -> Vec<f64> {
        self.eval(input)
    }
}
