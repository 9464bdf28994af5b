//! From a program to a chain of layers, for programs that are one.

use certus_core::{ShapeError, round};

use crate::program::{Affine, Constants, Function, Map, Operation, Program, Slot, Step};

use super::{Chain, OwnedAffine, OwnedLayer};

/// Widest layer that the core's rounding argument covers.
const WIDTH_MAX: usize = round::K_MAX - 1;

/// Why a program is no chain of layers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A step that a chain cannot hold.
    #[error("step `{step}` {problem}; only chains of affine layers with ReLU are taken here")]
    Step {
        /// The step.
        step: String,
        /// What a chain cannot hold.
        problem: &'static str,
    },
    /// A value is wider than the core's rounding argument covers.
    #[error("step `{step}` has {width} elements, more than the limit of {limit} for a layer")]
    Width {
        /// The step, or `input`.
        step: String,
        /// Its elements.
        width: usize,
        /// Cap.
        limit: usize,
    },
    /// The layers are outside what the core takes.
    #[error("the layers: {0}")]
    Shape(#[from] ShapeError),
}

impl Program {
    /// The program as a chain of layers: its affine steps of one plain map, each with the ReLU that follows.
    ///
    /// # Errors
    /// [`ChainError`] names the step that a chain cannot hold.
    pub fn into_chain(self) -> Result<Chain, ChainError> {
        check_widths(&self)?;
        let mut layers = Layers { layers: Vec::new(), width: self.inputs() };
        let chained = self.output() == Slot(self.steps().len());
        for (i, step) in self.into_steps().into_iter().enumerate() {
            let in_order = chained && step.operation.inputs().iter().all(|s| *s == Slot(i));
            layers.push(step, in_order)?;
        }
        if layers.layers.is_empty() {
            layers.identity();
        }
        Ok(Chain::new(layers.layers)?)
    }
}

fn check_widths(program: &Program) -> Result<(), ChainError> {
    for i in 0..program.slots() {
        let width = program.size(Slot(i));
        if width > WIDTH_MAX {
            let step = i.checked_sub(1).map_or("input", |s| &program.steps()[s].name).to_owned();
            return Err(ChainError::Width { step, width, limit: WIDTH_MAX });
        }
    }
    Ok(())
}

/// Layers so far, and the width of what the last one gives.
struct Layers {
    layers: Vec<OwnedLayer>,
    width: usize,
}

impl Layers {
    fn push(&mut self, step: Step, in_order: bool) -> Result<(), ChainError> {
        let refuse = |problem| Err(ChainError::Step { step: step.name, problem });
        if !in_order {
            return refuse("reads a value that is not that of the step before");
        }
        match step.operation {
            Operation::Elementwise { function: Function::Relu, .. } => self.relu(),
            Operation::Affine(affine) => match layer(affine, self.width) {
                Ok(affine) => {
                    self.width = match &affine {
                        OwnedAffine::Dense { rows, .. } => *rows,
                        OwnedAffine::Scale { scale, .. } => scale.len(),
                    };
                    self.layers.push(OwnedLayer { affine, relu: false });
                }
                Err(problem) => return refuse(problem),
            },
            Operation::Elementwise { .. } => return refuse("is a function other than ReLU"),
            Operation::Max { .. } => return refuse("is a maximum"),
            Operation::Product { .. } => return refuse("multiplies computed values"),
            Operation::Index { .. } => return refuse("moves elements"),
        }
        Ok(())
    }

    /// ReLU of what the last layer gives; that of a ReLU is the same.
    fn relu(&mut self) {
        if self.layers.is_empty() {
            self.identity();
        }
        self.layers.iter_mut().last().expect("at least one").relu = true;
    }

    fn identity(&mut self) {
        let affine = OwnedAffine::Scale { scale: vec![1.0; self.width], shift: vec![0.0; self.width] };
        self.layers.push(OwnedLayer { affine, relu: false });
    }
}

/// An affine step that reads `width` elements as that of a layer.
fn layer(affine: Affine, width: usize) -> Result<OwnedAffine, &'static str> {
    let Affine { mut terms, bias } = affine;
    let exact = |constants: Constants| match constants.error {
        None => Ok(constants.values),
        Some(_) => Err("has constants that were rounded"),
    };
    let term = match (terms.pop(), terms.is_empty()) {
        (Some(term), true) => term,
        _ => return Err("adds computed values"),
    };
    let bias = bias.map(exact).transpose()?;
    let shift = |len: usize| bias.unwrap_or_else(|| vec![0.0; len]);
    match term.map {
        Map::Identity => Ok(OwnedAffine::Scale { scale: vec![1.0; width], shift: shift(width) }),
        Map::Scale(scale) => Ok(OwnedAffine::Scale { scale: exact(scale)?, shift: shift(width) }),
        Map::Dense { count: 1, rows, cols, weights } => {
            let weights = std::sync::Arc::unwrap_or_clone(weights);
            Ok(OwnedAffine::Dense { rows, cols, weights, bias: shift(rows) })
        }
        Map::Dense { .. } => Err("multiplies several rows by one matrix"),
        Map::Conv(_) | Map::ConvTranspose(_) => Err("is a convolution"),
        Map::Sparse(_) => Err("is a sparse matrix"),
    }
}
