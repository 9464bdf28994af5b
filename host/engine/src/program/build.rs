//! Building a program step by step, each checked as it is added.

use crate::graph::are_finite;

use super::{
    Affine, Constants, Conv, Function, Groups, Map, Operation, Program, ProgramError, Slot, Sparse, Step,
    Term, ZERO,
};

/// A program under construction.
#[derive(Clone, Debug)]
pub struct Builder {
    steps: Vec<Step>,
    sizes: Vec<usize>,
}

impl Builder {
    /// A program of `inputs` inputs and no step yet.
    pub fn new(inputs: usize) -> Self {
        Self { steps: Vec::new(), sizes: vec![inputs] }
    }

    /// Elements of a slot.
    pub fn size(&self, slot: Slot) -> usize {
        self.sizes[slot.0]
    }

    /// Adds a step and returns the slot of what it gives.
    ///
    /// # Errors
    /// [`ProgramError`] names the step and what does not fit.
    pub fn push(&mut self, name: &str, operation: Operation) -> Result<Slot, ProgramError> {
        let size = Check { sizes: &self.sizes, step: name }.operation(&operation)?;
        self.steps.push(Step { name: name.to_owned(), operation });
        self.sizes.push(size);
        Ok(Slot(self.sizes.len() - 1))
    }

    /// Adds `bias + map(input)`.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn affine(
        &mut self,
        name: &str,
        input: Slot,
        map: Map,
        bias: Option<Constants>,
    ) -> Result<Slot, ProgramError> {
        self.push(name, Operation::Affine(Affine { terms: vec![Term { input, map }], bias }))
    }

    /// Adds `function(input)`.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn elementwise(&mut self, name: &str, input: Slot, function: Function) -> Result<Slot, ProgramError> {
        self.push(name, Operation::Elementwise { input, function })
    }

    /// The program whose result is `output`. Steps that it does not need are dropped.
    ///
    /// # Errors
    /// [`ProgramError::Slot`] if there is no such slot, [`ProgramError::Empty`] if there is no input.
    pub fn finish(self, output: Slot) -> Result<Program, ProgramError> {
        if output.0 >= self.sizes.len() {
            return Err(ProgramError::Slot { step: "output".into(), slot: output.0 });
        }
        if self.sizes[0] == 0 {
            return Err(ProgramError::Empty { step: "input".into(), what: "it has no elements" });
        }
        let mut needed = vec![false; self.sizes.len()];
        (needed[0], needed[output.0]) = (true, true);
        for (i, step) in self.steps.iter().enumerate().rev() {
            if needed[i + 1] {
                step.operation.inputs().iter().for_each(|s| needed[s.0] = true);
            }
        }
        let mut renamed = vec![Slot(0); self.sizes.len()];
        for (new, (old, _)) in needed.iter().enumerate().filter(|(_, n)| **n).enumerate() {
            renamed[old] = Slot(new);
        }
        let sizes = self.sizes.iter().zip(&needed).filter(|(_, n)| **n).map(|(s, _)| *s).collect();
        let mut steps = self.steps;
        let mut keep = needed[1..].iter();
        steps.retain(|_| *keep.next().expect("one flag a step"));
        steps.iter_mut().for_each(|s| s.operation.rename(|s| renamed[s.0]));
        Ok(Program { steps, sizes, output: renamed[output.0] })
    }
}

impl Operation {
    /// Reads `new(slot)` in place of every slot.
    pub(crate) fn rename(&mut self, new: impl Fn(Slot) -> Slot) {
        let new = |s: &mut Slot| *s = new(*s);
        match self {
            Self::Affine(affine) => affine.terms.iter_mut().for_each(|t| new(&mut t.input)),
            Self::Elementwise { input, .. } | Self::Max { input, .. } => new(input),
            Self::Product { left, right, .. } => [left, right].into_iter().for_each(new),
            Self::Index { inputs, .. } => inputs.iter_mut().for_each(new),
        }
    }
}

/// The checks of one step.
struct Check<'a> {
    sizes: &'a [usize],
    step: &'a str,
}

impl Check<'_> {
    fn slot(&self, slot: Slot) -> Result<usize, ProgramError> {
        self.sizes
            .get(slot.0)
            .copied()
            .ok_or_else(|| ProgramError::Slot { step: self.step.into(), slot: slot.0 })
    }

    fn size(&self, what: &'static str, expected: usize, found: usize) -> Result<(), ProgramError> {
        if expected == found {
            Ok(())
        } else {
            Err(ProgramError::Size { step: self.step.into(), what, expected, found })
        }
    }

    fn empty(&self, what: &'static str) -> ProgramError {
        ProgramError::Empty { step: self.step.into(), what }
    }

    fn index(&self, indices: &[u32], len: usize) -> Result<(), ProgramError> {
        match indices.iter().find(|i| **i as usize >= len) {
            Some(i) => Err(ProgramError::Index { step: self.step.into(), index: *i as usize, len }),
            None => Ok(()),
        }
    }

    fn finite(&self, values: &[f32]) -> Result<(), ProgramError> {
        if are_finite(values) { Ok(()) } else { Err(ProgramError::NonFinite { step: self.step.into() }) }
    }

    fn constants(&self, constants: &Constants) -> Result<(), ProgramError> {
        self.finite(&constants.values)?;
        if let Some(error) = &constants.error {
            self.size("the error of its constants", constants.len(), error.len())?;
            if !error.iter().all(|e| e.is_finite() && *e >= 0.0) {
                return Err(ProgramError::NonFinite { step: self.step.into() });
            }
        }
        Ok(())
    }

    fn starts(&self, starts: &[u32], members: usize) -> Result<(), ProgramError> {
        let ordered = starts.windows(2).all(|w| w[0] <= w[1]);
        let ends = starts.first() == Some(&0) && starts.last().is_some_and(|s| *s as usize == members);
        if ordered && ends { Ok(()) } else { Err(self.empty("its lists do not follow one another")) }
    }

    fn operation(&self, operation: &Operation) -> Result<usize, ProgramError> {
        let size = match operation {
            Operation::Affine(affine) => self.affine(affine)?,
            Operation::Elementwise { input, function } => {
                self.function(*function)?;
                self.slot(*input)?
            }
            Operation::Max { input, groups } => self.max(*input, groups)?,
            Operation::Product { left, right, count, m, k, n } => {
                self.size("its left operand", count * m * k, self.slot(*left)?)?;
                self.size("its right operand", count * k * n, self.slot(*right)?)?;
                count * m * n
            }
            Operation::Index { inputs, indices } => {
                let mut len = 0;
                for input in inputs {
                    len += self.slot(*input)?;
                }
                let real: Vec<u32> = indices.iter().copied().filter(|i| *i != ZERO).collect();
                self.index(&real, len)?;
                indices.len()
            }
        };
        if size == 0 { Err(self.empty("it gives no elements")) } else { Ok(size) }
    }

    fn function(&self, function: Function) -> Result<(), ProgramError> {
        let settings = match function {
            Function::LeakyRelu { slope } => [slope, 0.0],
            Function::Elu { alpha } => [alpha, 0.0],
            Function::HardSigmoid { alpha, beta } => [alpha, beta],
            Function::Clip { lower, upper } if lower <= upper => [0.0, 0.0],
            Function::Clip { .. } => return Err(self.empty("its lower limit is above its upper")),
            Function::Power { exponent } if exponent < 2 => return Err(self.empty("its exponent is below 2")),
            _ => [0.0, 0.0],
        };
        self.finite(&settings)
    }

    fn max(&self, input: Slot, groups: &Groups) -> Result<usize, ProgramError> {
        let len = self.slot(input)?;
        self.starts(&groups.starts, groups.members.len())?;
        self.index(&groups.members, len)?;
        if groups.iter().any(<[u32]>::is_empty) {
            return Err(self.empty("a group has no member"));
        }
        Ok(groups.len())
    }

    fn affine(&self, affine: &Affine) -> Result<usize, ProgramError> {
        let mut size = None;
        for term in &affine.terms {
            let len = self.slot(term.input)?;
            self.map(&term.map)?;
            let (reads, gives) = term.map.shape(len);
            self.size("an operand", reads, len)?;
            self.size("a term", *size.get_or_insert(gives), gives)?;
        }
        let size = size.ok_or_else(|| self.empty("it has no term"))?;
        if let Some(bias) = &affine.bias {
            self.size("its bias", size, bias.len())?;
            self.constants(bias)?;
        }
        Ok(size)
    }

    fn map(&self, map: &Map) -> Result<(), ProgramError> {
        match map {
            Map::Identity => Ok(()),
            Map::Scale(scale) => self.constants(scale),
            Map::Dense { rows, cols, weights, .. } => {
                self.size("its weight", rows * cols, weights.len())?;
                self.finite(weights)
            }
            Map::Conv(conv) | Map::ConvTranspose(conv) => self.conv(conv),
            Map::Sparse(Sparse { cols, starts, columns, values }) => {
                self.starts(starts, columns.len())?;
                self.size("its values", columns.len(), values.len())?;
                self.index(columns, *cols)?;
                self.constants(values)
            }
        }
    }

    fn conv(&self, conv: &Conv) -> Result<(), ProgramError> {
        let lengths = [conv.groups, conv.channels_in, conv.channels_out];
        let pairs = [conv.size_in, conv.size_out, conv.kernel, conv.stride, conv.dilation];
        if lengths.contains(&0) || pairs.iter().flatten().any(|v| *v == 0) {
            return Err(self.empty("a size of its convolution is 0"));
        }
        if !conv.channels_in.is_multiple_of(conv.groups) || !conv.channels_out.is_multiple_of(conv.groups) {
            return Err(self.empty("its channels do not divide into its groups"));
        }
        let weights = conv.channels_out * (conv.channels_in / conv.groups) * conv.kernel[0] * conv.kernel[1];
        self.size("its kernel", weights, conv.weights.len())?;
        self.finite(&conv.weights)
    }
}
