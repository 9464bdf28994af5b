//! The checks of [`Program::new`](super::Program::new).

use super::{
    Constants, Conv, Fault, Function, Groups, Map, Operation, Program, ProgramError, Slot, Sparse, Step,
    Terms, ZERO, to_usize,
};

/// Checks every step in order.
pub(super) fn check(program: &Program<'_>) -> Result<(), ProgramError> {
    if program.inputs == 0 {
        return Err(ProgramError::Empty);
    }
    for (index, step) in program.steps.iter().enumerate() {
        Check { program, step: index }
            .step(step)
            .map_err(|fault| ProgramError::Step { step: index, fault })?;
    }
    Ok(())
}

/// The checks of one step, with the program whose steps before it are checked.
struct Check<'p, 'a> {
    program: &'p Program<'a>,
    step: usize,
}

fn length(expected: usize, found: usize) -> Result<(), Fault> {
    if expected == found { Ok(()) } else { Err(Fault::Length { expected, found }) }
}

fn finite(values: &[f32]) -> Result<(), Fault> {
    if values.iter().all(|v| v.is_finite()) { Ok(()) } else { Err(Fault::NonFinite) }
}

fn constants(constants: &Constants<'_>) -> Result<(), Fault> {
    finite(constants.values)?;
    let Some(error) = constants.error else { return Ok(()) };
    length(constants.values.len(), error.len())?;
    if error.iter().all(|e| e.is_finite() && *e >= 0.0) { Ok(()) } else { Err(Fault::NonFinite) }
}

/// Every index is below `len`, or is `also`.
fn indices(list: &[u32], len: usize, also: Option<u32>) -> Result<(), Fault> {
    match list.iter().find(|i| to_usize(**i) >= len && Some(**i) != also) {
        Some(index) => Err(Fault::Index { index: *index }),
        None => Ok(()),
    }
}

/// Lists start at 0, follow one another and end at `members`.
fn starts(starts: &[u32], members: usize) -> Result<(), Fault> {
    let follow = starts.iter().zip(starts.get(1..).unwrap_or_default()).all(|(from, to)| from <= to);
    let ends = starts.first() == Some(&0) && starts.last().is_some_and(|s| to_usize(*s) == members);
    if follow && ends { Ok(()) } else { Err(Fault::Lists) }
}

/// A product of sizes, if it fits.
fn product(sizes: &[usize]) -> Result<usize, Fault> {
    sizes.iter().try_fold(1usize, |product, size| product.checked_mul(*size)).ok_or(Fault::Empty)
}

impl Check<'_, '_> {
    fn step(&self, step: &Step<'_>) -> Result<(), Fault> {
        let len = match step.operation {
            Operation::Affine { terms, bias } => self.affine(terms, bias)?,
            Operation::Elementwise { input, function } => {
                settings(function)?;
                self.slot(input)?
            }
            Operation::Max { input, groups } => self.max(input, groups)?,
            Operation::Product { left, right, count, m, k, n } => {
                length(product(&[count, m, k])?, self.slot(left)?)?;
                length(product(&[count, k, n])?, self.slot(right)?)?;
                product(&[count, m, n])?
            }
            Operation::Index { terms, indices } => self.index(terms, indices)?,
        };
        if len == 0 {
            return Err(Fault::Empty);
        }
        length(len, step.len)
    }

    /// Elements of a slot that an earlier step gives.
    fn slot(&self, slot: Slot) -> Result<usize, Fault> {
        if slot.0 > self.step { Err(Fault::Slot { slot: slot.0 }) } else { Ok(self.program.size(slot)) }
    }

    fn terms(&self, run: Terms) -> Result<(), Fault> {
        let inside = run.first.checked_add(run.count).is_some_and(|end| end <= self.program.terms.len());
        if inside && run.count > 0 { Ok(()) } else { Err(Fault::Terms) }
    }

    fn affine(&self, run: Terms, bias: Option<Constants<'_>>) -> Result<usize, Fault> {
        self.terms(run)?;
        let mut size = None;
        for term in self.program.terms(run) {
            let len = self.slot(term.input)?;
            map(&term.map)?;
            let (reads, gives) = term.map.shape(len);
            length(reads, len)?;
            length(*size.get_or_insert(gives), gives)?;
        }
        let size = size.unwrap_or(0);
        if let Some(bias) = bias {
            length(size, bias.values.len())?;
            constants(&bias)?;
        }
        Ok(size)
    }

    fn index(&self, run: Terms, list: &[u32]) -> Result<usize, Fault> {
        self.terms(run)?;
        let mut len = 0usize;
        for term in self.program.terms(run) {
            if !matches!(term.map, Map::Identity) {
                return Err(Fault::Terms);
            }
            len = len.checked_add(self.slot(term.input)?).ok_or(Fault::Empty)?;
        }
        // The index that stands for zero names no element.
        indices(list, len.min(to_usize(ZERO)), Some(ZERO))?;
        Ok(list.len())
    }

    fn max(&self, input: Slot, groups: Groups<'_>) -> Result<usize, Fault> {
        let len = self.slot(input)?;
        starts(groups.starts, groups.members.len())?;
        indices(groups.members, len, None)?;
        if groups.iter().any(<[u32]>::is_empty) { Err(Fault::Empty) } else { Ok(groups.len()) }
    }
}

fn settings(function: Function) -> Result<(), Fault> {
    let values = match function {
        Function::LeakyRelu { slope } => [slope, 0.0],
        Function::Elu { alpha } => [alpha, 0.0],
        Function::HardSigmoid { alpha, beta } => [alpha, beta],
        Function::Clip { lower, upper } if lower <= upper => [0.0, 0.0],
        Function::Clip { .. } => return Err(Fault::Empty),
        Function::Power { exponent } if exponent < 2 => return Err(Fault::Empty),
        _ => [0.0, 0.0],
    };
    finite(&values)
}

fn map(map: &Map<'_>) -> Result<(), Fault> {
    match map {
        Map::Identity => Ok(()),
        Map::Scale(scale) => constants(scale),
        Map::Dense { count, rows, cols, weights } => {
            product(&[*count, *rows])?;
            product(&[*count, *cols])?;
            length(product(&[*rows, *cols])?, weights.len())?;
            finite(weights)
        }
        Map::Conv(inner) | Map::ConvTranspose(inner) => conv(inner),
        Map::Sparse(Sparse { cols, starts: from, columns, values }) => {
            starts(from, columns.len())?;
            length(columns.len(), values.values.len())?;
            indices(columns, *cols, None)?;
            constants(values)
        }
    }
}

fn conv(conv: &Conv<'_>) -> Result<(), Fault> {
    let sizes = [[conv.groups, 1], conv.size_in, conv.size_out, conv.kernel, conv.stride, conv.dilation];
    if sizes.iter().flatten().any(|size| *size == 0) || conv.channels_in == 0 || conv.channels_out == 0 {
        return Err(Fault::Empty);
    }
    if !conv.channels_in.is_multiple_of(conv.groups) || !conv.channels_out.is_multiple_of(conv.groups) {
        return Err(Fault::Empty);
    }
    for axis in 0..2 {
        let at = |pair: [usize; 2]| pair.get(axis).copied().unwrap_or(0);
        // The farthest position of the window can be computed.
        let reach = product(&[at(conv.size_out), at(conv.stride)])?
            .checked_add(product(&[at(conv.kernel), at(conv.dilation)])?);
        reach.ok_or(Fault::Empty)?;
    }
    let ([ih, iw], [oh, ow], [kh, kw]) = (conv.size_in, conv.size_out, conv.kernel);
    product(&[conv.channels_in, ih, iw])?;
    product(&[conv.channels_out, oh, ow])?;
    length(product(&[conv.channels_out, conv.group_channels_in(), kh, kw])?, conv.weights.len())?;
    finite(conv.weights)
}
