//! From a program to a chain of layers, for programs that are one.

use certus_core::{ShapeError, round};

use crate::program::{Affine, Constants, Function, Map, Operation, Program, Slot, Step, Term};

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
    /// Whether [`Self::into_chain`] gives a chain; reads no weight.
    pub fn is_chain(&self) -> bool {
        let chained = self.output() == Slot(self.steps().len());
        let fits = |(i, step): (usize, &Step)| {
            step.operation.inputs().iter().all(|s| *s == Slot(i)) && problem(&step.operation).is_none()
        };
        chained && check_widths(self).is_ok() && self.steps().iter().enumerate().all(fits)
    }

    /// The program as a chain in which sparse maps, at most `count`, are layers of few weights, if it is one.
    pub fn into_sparse_chain(self, count: usize) -> Option<Chain> {
        let chained = self.output() == Slot(self.steps().len());
        let fits = |(i, step): (usize, &Step)| {
            let is_sparse = matches!(&step.operation, Operation::Affine(affine) if is_sparse(affine));
            let in_order = step.operation.inputs().iter().all(|s| *s == Slot(i));
            in_order && (is_sparse || problem(&step.operation).is_none())
        };
        let maps =
            self.steps().iter().filter(|s| matches!(&s.operation, Operation::Affine(a) if is_sparse(a)));
        if maps.count() > count {
            return None;
        }
        if !chained || check_widths(&self).is_err() || !self.steps().iter().enumerate().all(fits) {
            return None;
        }
        let mut layers = Layers { layers: Vec::new(), width: self.inputs() };
        for step in self.into_steps() {
            match step.operation {
                Operation::Affine(affine) => layers.affine(affine),
                _ => layers.relu(),
            }
        }
        Chain::new(layers.layers).ok()
    }

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
        if let Some(problem) = problem(&step.operation) {
            return refuse(problem);
        }
        match step.operation {
            Operation::Affine(affine) => self.affine(affine),
            _ => self.relu(),
        }
        Ok(())
    }

    /// An affine map that [`affine_problem`] or [`is_sparse`] accepts.
    fn affine(&mut self, affine: Affine) {
        {
            let mut affine = layer(affine, self.width);
            if self.layers.is_empty() {
                // The checker reads the first layer's rows in full.
                affine = affine.written_out().into_owned();
            }
            self.width = affine.outputs();
            self.layers.push(OwnedLayer { affine, relu: false });
        }
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

/// Why an operation is none of a chain: neither ReLU nor one plain map with exact constants.
fn problem(operation: &Operation) -> Option<&'static str> {
    match operation {
        Operation::Elementwise { function: Function::Relu, .. } => None,
        Operation::Affine(affine) => affine_problem(affine),
        Operation::Elementwise { .. } => Some("is a function other than ReLU"),
        Operation::Max { .. } => Some("is a maximum"),
        Operation::Product { .. } => Some("multiplies computed values"),
        Operation::Index { .. } => Some("moves elements"),
    }
}

fn affine_problem(affine: &Affine) -> Option<&'static str> {
    let rounded = |constants: &Constants| constants.error.is_some();
    let [term] = affine.terms.as_slice() else { return Some("adds computed values") };
    if affine.bias.as_ref().is_some_and(rounded) {
        return Some("has constants that were rounded");
    }
    match &term.map {
        Map::Identity | Map::Dense { count: 1, .. } => None,
        Map::Scale(scale) => rounded(scale).then_some("has constants that were rounded"),
        Map::Dense { .. } => Some("multiplies several rows by one matrix"),
        Map::Conv(_) | Map::ConvTranspose(_) => Some("is a convolution"),
        Map::Sparse(_) => Some("is a sparse matrix"),
    }
}

/// Whether an affine step is one sparse map with exact constants.
fn is_sparse(affine: &Affine) -> bool {
    let exact = |constants: &Constants| constants.error.is_none();
    match affine.terms.as_slice() {
        [Term { map: Map::Sparse(sparse), .. }] => {
            exact(&sparse.values) && affine.bias.as_ref().is_none_or(exact)
        }
        _ => false,
    }
}

/// An affine step that reads `width` elements as that of a layer; [`affine_problem`] found nothing, or it [`is_sparse`].
///
/// # Panics
/// If it would have.
fn layer(affine: Affine, width: usize) -> OwnedAffine {
    let Affine { mut terms, bias } = affine;
    let shift = |len: usize| bias.map_or_else(|| vec![0.0; len], |bias| bias.values);
    match terms.pop().expect("an affine step has a term").map {
        Map::Identity => OwnedAffine::Scale { scale: vec![1.0; width], shift: shift(width) },
        Map::Scale(scale) => OwnedAffine::Scale { scale: scale.values, shift: shift(width) },
        Map::Dense { count: 1, rows, cols, weights } => {
            let weights = std::sync::Arc::unwrap_or_clone(weights);
            OwnedAffine::Dense { rows, cols, weights, bias: shift(rows) }
        }
        Map::Sparse(matrix) => {
            let bias = shift(matrix.rows());
            OwnedAffine::Sparse { matrix, bias }
        }
        _ => unreachable!("the map was checked"),
    }
}
