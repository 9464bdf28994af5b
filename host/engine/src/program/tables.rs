//! The same program for the core, which borrows it: [`certus_core::program::Program`] over two tables.

use certus_core::program::{
    self as core, Constants as CoreConstants, Conv as CoreConv, Groups as CoreGroups, Map as CoreMap,
    Operation as CoreOperation, Sparse as CoreSparse, Step as CoreStep, Term as CoreTerm, Terms,
};

use super::{Affine, Constants, Conv, Map, Operation, Program, Slot, Step};

/// What a core program of a [`Program`] borrows.
#[derive(Clone, Debug)]
pub struct Tables<'a> {
    inputs: usize,
    steps: Vec<CoreStep<'a>>,
    terms: Vec<CoreTerm<'a>>,
}

impl Program {
    /// The program for the core; its constants are not copied.
    pub fn tables(&self) -> Tables<'_> {
        let mut tables = Tables { inputs: self.inputs(), steps: Vec::new(), terms: Vec::new() };
        for (index, step) in self.steps().iter().enumerate() {
            let operation = tables.operation(step);
            tables.steps.push(CoreStep { len: self.size(Slot(index + 1)), operation });
        }
        tables
    }
}

impl Program {
    /// The meaning `F32`: the device's forward pass, bit for bit.
    ///
    /// # Errors
    /// [`core::ProgramError`] if the device does not compute a step.
    ///
    /// # Panics
    /// If `input` is not `[inputs]`.
    pub fn eval_device(&self, input: &[f32]) -> Result<Vec<f32>, core::ProgramError> {
        let (tables, mut places) = (self.tables(), Vec::new());
        let planned = tables.plan(&mut places)?;
        let mut memory = vec![0.0; core::forward::forward_memory_len(&planned)];
        let mut output = vec![0.0; self.outputs()];
        core::forward::forward(&planned, input, &mut memory, &mut output)
            .expect("input has the shape [inputs]");
        Ok(output)
    }
}

impl<'a> Tables<'a> {
    /// The program over these tables.
    ///
    /// # Panics
    /// Never: the owned program passed the same checks.
    pub fn program(&self) -> core::Program<'_> {
        core::Program::new(self.inputs, &self.steps, &self.terms).expect("the owned program is checked")
    }
    /// The program with a place for each slot, for the device's pass and bounds.
    ///
    /// # Errors
    /// [`core::ProgramError`] if the device does not compute or bound a step.
    pub fn plan<'p>(
        &'p self,
        places: &'p mut Vec<core::Place>,
    ) -> Result<core::Planned<'p>, core::ProgramError> {
        let program = self.program();
        places.clear();
        places.resize(program.slots(), core::Place::default());
        let width = (0..program.slots()).map(|slot| program.size(Slot(slot))).max().unwrap_or(0);
        core::Planned::new(program, places, &mut vec![0.0; width])
    }
    /// The steps.
    pub fn steps(&self) -> &[CoreStep<'a>] {
        &self.steps
    }
    /// The terms of its affine steps and index maps.
    pub fn terms(&self) -> &[CoreTerm<'a>] {
        &self.terms
    }

    /// Appends terms to the table.
    fn put(&mut self, terms: impl Iterator<Item = CoreTerm<'a>>) -> Terms {
        let first = self.terms.len();
        self.terms.extend(terms);
        Terms { first, count: self.terms.len() - first }
    }

    fn operation(&mut self, step: &'a Step) -> CoreOperation<'a> {
        match &step.operation {
            Operation::Affine(Affine { terms, bias }) => CoreOperation::Affine {
                terms: self.put(terms.iter().map(|t| CoreTerm { input: t.input, map: t.map.as_core() })),
                bias: bias.as_ref().map(Constants::as_core),
            },
            Operation::Elementwise { input, function } => {
                CoreOperation::Elementwise { input: *input, function: *function }
            }
            Operation::Max { input, groups } => CoreOperation::Max {
                input: *input,
                groups: CoreGroups { starts: &groups.starts, members: &groups.members },
            },
            Operation::Product { left, right, count, m, k, n } => {
                CoreOperation::Product { left: *left, right: *right, count: *count, m: *m, k: *k, n: *n }
            }
            Operation::Index { inputs, indices } => CoreOperation::Index {
                terms: self.put(inputs.iter().map(|s| CoreTerm { input: *s, map: CoreMap::Identity })),
                indices,
            },
        }
    }
}

impl Constants {
    fn as_core(&self) -> CoreConstants<'_> {
        CoreConstants { values: &self.values, error: self.error.as_deref() }
    }
}

impl Map {
    fn as_core(&self) -> CoreMap<'_> {
        match self {
            Self::Identity => CoreMap::Identity,
            Self::Scale(scale) => CoreMap::Scale(scale.as_core()),
            Self::Dense { count, rows, cols, weights } => {
                CoreMap::Dense { count: *count, rows: *rows, cols: *cols, weights }
            }
            Self::Conv(conv) => CoreMap::Conv(conv.as_core()),
            Self::ConvTranspose(conv) => CoreMap::ConvTranspose(conv.as_core()),
            Self::Sparse(sparse) => CoreMap::Sparse(CoreSparse {
                cols: sparse.cols,
                starts: &sparse.starts,
                columns: &sparse.columns,
                values: sparse.values.as_core(),
            }),
        }
    }
}

impl Conv {
    fn as_core(&self) -> CoreConv<'_> {
        let Self {
            channels_in,
            channels_out,
            groups,
            size_in,
            size_out,
            kernel,
            stride,
            dilation,
            pad,
            ref weights,
        } = *self;
        CoreConv {
            channels_in,
            channels_out,
            groups,
            size_in,
            size_out,
            kernel,
            stride,
            dilation,
            pad,
            weights,
        }
    }
}

impl Program {
    /// A copy of a core program; its steps are called by their number.
    ///
    /// # Panics
    /// Never: a core program passed the same checks.
    pub fn from_core(program: &core::Program<'_>) -> Self {
        let mut b = super::Builder::new(program.inputs());
        let terms_of = |terms: Terms| program.terms(terms).iter();
        for (index, step) in program.steps().iter().enumerate() {
            let operation = match step.operation {
                CoreOperation::Affine { terms, bias } => Operation::Affine(Affine {
                    terms: terms_of(terms)
                        .map(|t| super::Term { input: t.input, map: Map::from_core(&t.map) })
                        .collect(),
                    bias: bias.map(Constants::from_core),
                }),
                CoreOperation::Elementwise { input, function } => Operation::Elementwise { input, function },
                CoreOperation::Max { input, groups } => Operation::Max {
                    input,
                    groups: super::Groups {
                        starts: groups.starts.to_vec(),
                        members: groups.members.to_vec(),
                    },
                },
                CoreOperation::Product { left, right, count, m, k, n } => {
                    Operation::Product { left, right, count, m, k, n }
                }
                CoreOperation::Index { terms, indices } => Operation::Index {
                    inputs: terms_of(terms).map(|t| t.input).collect(),
                    indices: indices.to_vec(),
                },
            };
            b.push(&format!("step {index}"), operation).expect("a checked step");
        }
        b.finish(program.output()).expect("a checked program")
    }
}

impl Constants {
    fn from_core(constants: CoreConstants<'_>) -> Self {
        Self { values: constants.values.to_vec(), error: constants.error.map(<[f32]>::to_vec) }
    }
}

impl Map {
    fn from_core(map: &CoreMap<'_>) -> Self {
        match *map {
            CoreMap::Identity => Self::Identity,
            CoreMap::Scale(scale) => Self::Scale(Constants::from_core(scale)),
            CoreMap::Dense { count, rows, cols, weights } => {
                Self::Dense { count, rows, cols, weights: weights.to_vec().into() }
            }
            CoreMap::Conv(conv) => Self::Conv(Conv::from_core(conv)),
            CoreMap::ConvTranspose(conv) => Self::ConvTranspose(Conv::from_core(conv)),
            CoreMap::Sparse(sparse) => Self::Sparse(super::Sparse {
                cols: sparse.cols,
                starts: sparse.starts.to_vec(),
                columns: sparse.columns.to_vec(),
                values: Constants::from_core(sparse.values),
            }),
        }
    }
}

impl Conv {
    fn from_core(conv: CoreConv<'_>) -> Self {
        let CoreConv {
            channels_in,
            channels_out,
            groups,
            size_in,
            size_out,
            kernel,
            stride,
            dilation,
            pad,
            weights,
        } = conv;
        let weights = weights.to_vec().into();
        Self { channels_in, channels_out, groups, size_in, size_out, kernel, stride, dilation, pad, weights }
    }
}

#[cfg(test)]
mod tests {
    use certus_core::program::{Fault, ProgramError};

    use super::super::{Builder, Function, Groups, Sparse, Term, ZERO};
    use super::*;

    /// A program with every kind of step and map.
    fn every_kind() -> Program {
        let mut b = Builder::new(6);
        let conv = Conv {
            channels_in: 2,
            channels_out: 2,
            groups: 2,
            size_in: [1, 3],
            size_out: [1, 3],
            kernel: [1, 3],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 1],
            weights: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0].into(),
        };
        let back = Map::ConvTranspose(conv.clone());
        let z = b.affine("conv", Slot::INPUT, Map::Conv(conv), None).unwrap();
        let r = b.elementwise("relu", z, Function::Relu).unwrap();
        let scale = Constants { values: vec![0.5; 6], error: Some(vec![1e-6; 6]) };
        let terms = vec![
            Term { input: r, map: back },
            Term { input: Slot::INPUT, map: Map::Identity },
            Term { input: z, map: Map::Scale(scale) },
        ];
        let bias = Some(Constants::exact(vec![0.25; 6]));
        let sum = b.push("sum", Operation::Affine(Affine { terms, bias })).unwrap();
        let groups = Groups { starts: vec![0, 2, 4, 6], members: vec![0, 1, 2, 3, 4, 5] };
        let max = b.push("max", Operation::Max { input: sum, groups }).unwrap();
        let indices = vec![8, ZERO, 0, 3];
        let gather = b.push("gather", Operation::Index { inputs: vec![sum, max], indices }).unwrap();
        let product = Operation::Product { left: gather, right: gather, count: 2, m: 1, k: 2, n: 1 };
        let product = b.push("product", product).unwrap();
        let sparse = Sparse {
            cols: 2,
            starts: vec![0, 1, 3],
            columns: vec![1, 0, 1],
            values: Constants::exact(vec![1.0, 2.0, 3.0]),
        };
        let mixed = b.affine("sparse", product, Map::Sparse(sparse), None).unwrap();
        let weights = vec![1.0, -1.0].into();
        let dense = Map::Dense { count: 1, rows: 1, cols: 2, weights };
        let out = b.affine("dense", mixed, dense, None).unwrap();
        b.finish(out).unwrap()
    }

    #[test]
    fn the_core_accepts_every_kind_of_step_with_the_same_sizes() {
        let program = every_kind();
        let tables = program.tables();
        let core = tables.program();
        assert_eq!((core.inputs(), core.outputs()), (program.inputs(), program.outputs()));
        assert_eq!(core.slots(), program.slots());
        for (index, (owned, step)) in program.steps().iter().zip(core.steps()).enumerate() {
            assert_eq!(step.len, program.size(Slot(index + 1)));
            let mut read = Vec::new();
            core.for_each_input(step, |slot| read.push(slot));
            assert_eq!(read, owned.operation.inputs());
        }
    }

    #[test]
    fn the_core_refuses_steps_that_do_not_fit() {
        let program = every_kind();
        let tables = program.tables();
        let refused = |change: &dyn Fn(&mut Vec<CoreStep<'_>>, &mut Vec<CoreTerm<'_>>)| {
            let (mut steps, mut terms) = (tables.steps.clone(), tables.terms.clone());
            change(&mut steps, &mut terms);
            core::Program::new(6, &steps, &terms).err()
        };
        let fault = |step, fault| Some(ProgramError::Step { step, fault });
        assert_eq!(refused(&|_, _| ()), None);
        assert_eq!(refused(&|s, _| s[1].len = 5), fault(1, Fault::Length { expected: 6, found: 5 }));
        assert_eq!(refused(&|_, t| t[0].input = Slot(1)), fault(0, Fault::Slot { slot: 1 }));
        assert_eq!(refused(&|_, t| t[4].map = t[0].map), fault(4, Fault::Terms));
        assert_eq!(refused(&|_, t| t.truncate(6)), fault(6, Fault::Terms));
        let weights = [f32::NAN; 6];
        let change = |t: &mut Vec<CoreTerm<'_>>| match &mut t[0].map {
            CoreMap::Conv(conv) => conv.stride = [1, 0],
            _ => unreachable!("a convolution"),
        };
        assert_eq!(refused(&|_, t| change(t)), fault(0, Fault::Empty));
        let mut terms = tables.terms.clone();
        let CoreMap::Conv(conv) = &mut terms[0].map else { unreachable!("a convolution") };
        conv.weights = &weights;
        assert_eq!(core::Program::new(6, &tables.steps, &terms).err(), fault(0, Fault::NonFinite));
        let members = [0, 1, 2, 3, 4, 6];
        let mut steps = tables.steps.clone();
        let CoreOperation::Max { groups, .. } = &mut steps[3].operation else { unreachable!("a max") };
        groups.members = &members;
        let error = core::Program::new(6, &steps, &tables.terms).err();
        assert_eq!(error, fault(3, Fault::Index { index: 6 }));
    }
}
