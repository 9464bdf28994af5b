//! A network in the form that the verifier reads it: a chain of layers where it is one, else a program.

use std::sync::Arc;

use crate::chain::{Chain, OwnedAffine};
use crate::program::{Builder, Constants, Function, Map, Program, ProgramError, Slot};
use crate::property::Evaluate;

/// A network to verify.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// A chain of dense and diagonal layers with ReLU: it has a faster path.
    Chain(Chain),
    /// Anything else.
    Program(Program),
}

impl From<Program> for Model {
    /// The program as a chain if it is one.
    fn from(program: Program) -> Self {
        if !program.is_chain() {
            return Self::Program(program);
        }
        // Not cloned: its weights may be most of the memory.
        Self::Chain(program.into_chain().expect("it is a chain"))
    }
}

impl Model {
    /// The network as a program.
    ///
    /// # Errors
    /// None for what was a network.
    pub fn to_program(&self) -> Result<Program, ProgramError> {
        match self {
            Self::Chain(chain) => chain.to_program(),
            Self::Program(program) => Ok(program.clone()),
        }
    }

    fn evaluator(&self) -> &dyn Evaluate {
        match self {
            Self::Chain(chain) => chain,
            Self::Program(program) => program,
        }
    }
}

impl Chain {
    /// The same network as a program.
    ///
    /// # Errors
    /// None for what [`Chain::new`] accepted.
    pub fn to_program(&self) -> Result<Program, ProgramError> {
        let mut builder = Builder::new(self.inputs());
        let mut slot = Slot::INPUT;
        for (i, layer) in self.layers().iter().enumerate() {
            let (map, bias) = match &layer.affine {
                OwnedAffine::Dense { rows, cols, weights, bias } => {
                    let weights = Arc::new(weights.clone());
                    (Map::Dense { count: 1, rows: *rows, cols: *cols, weights }, bias)
                }
                OwnedAffine::Scale { scale, shift } => (Map::Scale(Constants::exact(scale.clone())), shift),
                OwnedAffine::Sparse { matrix, bias } => {
                    let weights = Arc::new(matrix.to_dense());
                    (Map::Dense { count: 1, rows: matrix.rows(), cols: matrix.cols, weights }, bias)
                }
            };
            slot = builder.affine(&format!("layer {i}"), slot, map, Some(Constants::exact(bias.clone())))?;
            if layer.relu {
                slot = builder.elementwise(&format!("ReLU {i}"), slot, Function::Relu)?;
            }
        }
        builder.finish(slot)
    }
}

impl Evaluate for Model {
    fn inputs(&self) -> usize {
        self.evaluator().inputs()
    }
    fn outputs(&self) -> usize {
        self.evaluator().outputs()
    }
    fn eval_f32(&self, input: &[f32]) -> Vec<f32> {
        self.evaluator().eval_f32(input)
    }
    fn eval_f64(&self, input: &[f64]) -> Vec<f64> {
        self.evaluator().eval_f64(input)
    }
}
