//! The program section: a step table, a term table, then the constants of each step, read in place.

use super::common::{Common, common_accessors};
use super::error::ArtifactError;
use super::format::{
    FUNCTION_ABS, FUNCTION_CLIP, FUNCTION_LEAKY_RELU, FUNCTION_RELU, FUNCTION_SIGMOID, FUNCTION_TANH,
    MAP_CONV, MAP_CONV_TRANSPOSE, MAP_DENSE, MAP_IDENTITY, MAP_SCALE, MAP_SPARSE, ORDER_BLOCKED_32,
    PROGRAM_HEADER_LEN, STEP_AFFINE, STEP_BIAS, STEP_ELEMENTWISE, STEP_ENTRY_LEN, STEP_INDEX, STEP_MAX,
    SectionId, TERM_ENTRY_LEN, TERM_SIZES, WITH_ERRORS, align_up,
};
use super::header::{Envelope, Section};
use super::reader::{Reader, to_usize};
use crate::program::{Constants, Conv, Function, Groups, Map, Operation, Slot, Sparse, Step, Term, Terms};

/// A checked artifact over borrowed bytes, whose network is a program.
///
/// The view checks all places and kinds. That the steps form a program is checked where they are put into tables,
/// by [`crate::program::Program::new`] when a monitor is built.
#[derive(Clone, Copy, Debug)]
pub struct ProgramView<'a> {
    pub(crate) common: Common<'a>,
    section: ProgramSection<'a>,
}

impl<'a> ProgramView<'a> {
    /// Checks `bytes`, envelope first, then the meaning of every section.
    ///
    /// # Errors
    /// The first check that fails, as an [`ArtifactError`]. Nothing of the artifact is usable then.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, ArtifactError> {
        let envelope = Envelope::new_checked(bytes)?;
        let section = ProgramSection::new_checked(envelope.require(SectionId::PROGRAM)?)?;
        if envelope.find(SectionId::NETWORK).is_some() {
            return Err(ArtifactError::TwoNetworks);
        }
        let common = Common::new_checked(envelope, section.inputs, section.outputs)?;
        Ok(Self { common, section })
    }

    common_accessors!();

    /// Inputs of the network: features of a sample.
    pub fn inputs(&self) -> usize {
        self.section.inputs
    }
    /// Outputs of the network.
    pub fn outputs(&self) -> usize {
        self.section.outputs
    }
    /// How many steps.
    pub fn step_count(&self) -> usize {
        self.section.steps.len() / STEP_ENTRY_LEN
    }
    /// How many terms.
    pub fn term_count(&self) -> usize {
        self.section.terms.len() / TERM_ENTRY_LEN
    }
    /// The steps in order.
    pub fn steps(&self) -> impl Iterator<Item = Step<'a>> + use<'a> {
        let payload = self.section.payload;
        let entries = self.section.steps.chunks_exact(STEP_ENTRY_LEN);
        entries.filter_map(move |raw| StepEntry::read(raw)?.step(payload))
    }
    /// The terms of the steps, in order.
    pub fn terms(&self) -> impl Iterator<Item = Term<'a>> + use<'a> {
        let payload = self.section.payload;
        let entries = self.section.terms.chunks_exact(TERM_ENTRY_LEN);
        entries.filter_map(move |raw| TermEntry::read(raw)?.term(payload))
    }
}

/// Tables whose kinds and places are checked.
#[derive(Clone, Copy, Debug)]
struct ProgramSection<'a> {
    payload: &'a [u8],
    steps: &'a [u8],
    terms: &'a [u8],
    inputs: usize,
    outputs: usize,
}

/// One entry of the step table.
struct StepEntry {
    kind: u8,
    function: u8,
    flags: u8,
    reserved: u8,
    len: usize,
    /// Operand, or index of the first term.
    input: usize,
    /// Terms.
    terms: usize,
    settings: [f32; 2],
    offset: usize,
    /// Members of all groups.
    members: usize,
}

impl StepEntry {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut r = Reader::new(raw);
        Some(Self {
            kind: r.u8()?,
            function: r.u8()?,
            flags: r.u8()?,
            reserved: r.u8()?,
            len: to_usize(r.u32()?),
            input: to_usize(r.u32()?),
            terms: to_usize(r.u32()?),
            settings: [r.f32()?, r.f32()?],
            offset: to_usize(r.u32()?),
            members: to_usize(r.u32()?),
        })
    }

    fn function(&self) -> Option<Function> {
        let [first, second] = self.settings;
        let used = match self.function {
            FUNCTION_CLIP => 2,
            FUNCTION_LEAKY_RELU => 1,
            _ => 0,
        };
        let unused = self.settings.iter().skip(used);
        if !unused.map(|v| v.to_bits()).all(|bits| bits == 0) {
            return None;
        }
        Some(match self.function {
            FUNCTION_RELU => Function::Relu,
            FUNCTION_LEAKY_RELU => Function::LeakyRelu { slope: first },
            FUNCTION_CLIP => Function::Clip { lower: first, upper: second },
            FUNCTION_ABS => Function::Abs,
            FUNCTION_SIGMOID => Function::Sigmoid,
            FUNCTION_TANH => Function::Tanh,
            _ => return None,
        })
    }

    /// Whether kind, function and flags are known, and every field that the kind does not use is zero.
    fn is_known(&self) -> bool {
        let no_settings = self.settings.iter().all(|v| v.to_bits() == 0);
        let no_function = self.function == 0 && no_settings;
        match self.kind {
            STEP_AFFINE => {
                let flags = matches!(self.flags, 0 | STEP_BIAS) || self.flags == STEP_BIAS | WITH_ERRORS;
                no_function && flags && self.members == 0
            }
            STEP_ELEMENTWISE => {
                let rest = [self.terms, self.members, self.offset];
                self.flags == 0 && self.function().is_some() && rest == [0; 3]
            }
            STEP_MAX => no_function && self.flags == 0 && self.terms == 0,
            STEP_INDEX => no_function && self.flags == 0 && self.members == 0,
            _ => false,
        }
    }

    /// Words of its own constants: bias and its errors, group starts and members, or indices.
    fn constants(&self) -> Option<usize> {
        match self.kind {
            STEP_AFFINE if self.flags == 0 => Some(0),
            STEP_AFFINE if self.flags & WITH_ERRORS != 0 => self.len.checked_mul(2),
            STEP_MAX => self.len.checked_add(1)?.checked_add(self.members),
            STEP_ELEMENTWISE => Some(0),
            _ => Some(self.len),
        }
    }

    fn step<'a>(&self, payload: &'a [u8]) -> Option<Step<'a>> {
        let mut r = Reader::new(payload.get(self.offset..)?);
        let terms = Terms { first: self.input, count: self.terms };
        let operation = match self.kind {
            STEP_AFFINE => {
                let bias = if self.flags & STEP_BIAS == 0 {
                    None
                } else {
                    Some(constants(&mut r, self.len, self.flags)?)
                };
                Operation::Affine { terms, bias }
            }
            STEP_ELEMENTWISE => {
                Operation::Elementwise { input: Slot(self.input), function: self.function()? }
            }
            STEP_MAX => {
                let starts = r.u32s(self.len.checked_add(1)?)?;
                let groups = Groups { starts, members: r.u32s(self.members)? };
                Operation::Max { input: Slot(self.input), groups }
            }
            STEP_INDEX => Operation::Index { terms, indices: r.u32s(self.len)? },
            _ => return None,
        };
        Some(Step { len: self.len, operation })
    }
}

/// `len` constants, with their errors behind them if the flag says so.
fn constants<'a>(r: &mut Reader<'a>, len: usize, flags: u8) -> Option<Constants<'a>> {
    let values = r.f32s(len)?;
    let error = if flags & WITH_ERRORS == 0 { None } else { Some(r.f32s(len)?) };
    Some(Constants { values, error })
}

/// One entry of the term table.
struct TermEntry {
    kind: u8,
    flags: u8,
    reserved: u16,
    input: usize,
    offset: usize,
    sizes: [usize; TERM_SIZES],
    reserved_end: [u32; 2],
}

impl TermEntry {
    fn read(raw: &[u8]) -> Option<Self> {
        let mut r = Reader::new(raw);
        let (kind, flags, reserved) = (r.u8()?, r.u8()?, r.u16()?);
        let (input, offset) = (to_usize(r.u32()?), to_usize(r.u32()?));
        let mut sizes = [0; TERM_SIZES];
        for size in &mut sizes {
            *size = to_usize(r.u32()?);
        }
        Some(Self { kind, flags, reserved, input, offset, sizes, reserved_end: [r.u32()?, r.u32()?] })
    }

    /// Sizes that the kind uses, from the front.
    fn used_sizes(&self) -> Option<usize> {
        Some(match self.kind {
            MAP_IDENTITY => 0,
            MAP_SCALE => 1,
            MAP_DENSE | MAP_SPARSE => 3,
            MAP_CONV | MAP_CONV_TRANSPOSE => TERM_SIZES,
            _ => return None,
        })
    }

    fn is_known(&self) -> bool {
        let Some(used) = self.used_sizes() else { return false };
        let may_have_errors = matches!(self.kind, MAP_SCALE | MAP_SPARSE);
        let flags = self.flags == 0 || (may_have_errors && self.flags == WITH_ERRORS);
        let zeros = self.sizes.iter().skip(used).all(|size| *size == 0);
        let placed = self.kind != MAP_IDENTITY || self.offset == 0;
        flags && zeros && placed && self.reserved_end == [0; 2]
    }

    /// Words of its constants.
    fn constants(&self) -> Option<usize> {
        let [first, second, third, ..] = self.sizes;
        let copies = if self.flags & WITH_ERRORS == 0 { 1 } else { 2usize };
        match self.kind {
            MAP_IDENTITY => Some(0),
            MAP_SCALE => first.checked_mul(copies),
            MAP_DENSE => second.checked_mul(third),
            MAP_SPARSE => first.checked_add(1)?.checked_add(third.checked_mul(copies.checked_add(1)?)?),
            _ => self.conv_weights(),
        }
    }

    fn conv_weights(&self) -> Option<usize> {
        let [channels_in, channels_out, groups, _, _, _, _, height, width, ..] = self.sizes;
        let per_group = channels_in.checked_div(groups)?;
        channels_out.checked_mul(per_group)?.checked_mul(height)?.checked_mul(width)
    }

    fn term<'a>(&self, payload: &'a [u8]) -> Option<Term<'a>> {
        let mut r = Reader::new(payload.get(self.offset..)?);
        let [first, second, third, ..] = self.sizes;
        let map = match self.kind {
            MAP_IDENTITY => Map::Identity,
            MAP_SCALE => Map::Scale(constants(&mut r, first, self.flags)?),
            MAP_DENSE => {
                let weights = r.f32s(second.checked_mul(third)?)?;
                Map::Dense { count: first, rows: second, cols: third, weights }
            }
            MAP_CONV => Map::Conv(self.conv(&mut r)?),
            MAP_CONV_TRANSPOSE => Map::ConvTranspose(self.conv(&mut r)?),
            MAP_SPARSE => {
                let (starts, columns) = (r.u32s(first.checked_add(1)?)?, r.u32s(third)?);
                let values = constants(&mut r, third, self.flags)?;
                Map::Sparse(Sparse { cols: second, starts, columns, values })
            }
            _ => return None,
        };
        Some(Term { input: Slot(self.input), map })
    }

    fn conv<'a>(&self, r: &mut Reader<'a>) -> Option<Conv<'a>> {
        let [channels_in, channels_out, groups, ih, iw, oh, ow, kh, kw, sy, sx, dy, dx, py, px] = self.sizes;
        Some(Conv {
            channels_in,
            channels_out,
            groups,
            size_in: [ih, iw],
            size_out: [oh, ow],
            kernel: [kh, kw],
            stride: [sy, sx],
            dilation: [dy, dx],
            pad: [py, px],
            weights: r.f32s(self.conv_weights()?)?,
        })
    }
}

impl<'a> ProgramSection<'a> {
    fn new_checked(section: Section<'a>) -> Result<Self, ArtifactError> {
        let payload = section.payload;
        let short = ArtifactError::SectionLength { id: SectionId::PROGRAM };
        let mut reader = Reader::new(payload);
        let order = reader.u16().ok_or(short)?;
        if order != ORDER_BLOCKED_32 {
            return Err(ArtifactError::SummationOrder { found: order });
        }
        let steps = usize::from(reader.u16().ok_or(short)?);
        let inputs = to_usize(reader.u32().ok_or(short)?);
        let outputs = to_usize(reader.u32().ok_or(short)?);
        let terms = to_usize(reader.u32().ok_or(short)?);
        if reader.bytes(PROGRAM_HEADER_LEN - 16).ok_or(short)?.iter().any(|byte| *byte != 0) {
            return Err(ArtifactError::ReservedNonZero { offset: section.offset.saturating_add(16) });
        }
        let steps = reader.bytes(steps.saturating_mul(STEP_ENTRY_LEN)).ok_or(short)?;
        let terms = reader.bytes(terms.saturating_mul(TERM_ENTRY_LEN)).ok_or(short)?;
        let checked = Self { payload, steps, terms, inputs, outputs };
        checked.check(section.offset)?;
        Ok(checked)
    }

    /// Checks kinds and places of every step and its terms, in order.
    fn check(&self, section_offset: usize) -> Result<(), ArtifactError> {
        let short = ArtifactError::SectionLength { id: SectionId::PROGRAM };
        let start = PROGRAM_HEADER_LEN.saturating_add(self.steps.len()).saturating_add(self.terms.len());
        let mut place = Place { payload: self.payload, section_offset, start, stop: start };
        let mut terms = self.terms.chunks_exact(TERM_ENTRY_LEN);
        let (mut first_term, mut last_len) = (0usize, self.inputs);
        for (step, raw) in self.steps.chunks_exact(STEP_ENTRY_LEN).enumerate() {
            let (kind, misplaced) = (ArtifactError::StepKind { step }, ArtifactError::StepPlace { step });
            let entry = StepEntry::read(raw).ok_or(short)?;
            if !entry.is_known() || entry.reserved != 0 {
                return Err(kind);
            }
            if matches!(entry.kind, STEP_AFFINE | STEP_INDEX) {
                if entry.input != first_term {
                    return Err(misplaced);
                }
                for _ in 0..entry.terms {
                    let term = terms.next().and_then(TermEntry::read).ok_or(misplaced)?;
                    if !term.is_known() || term.reserved != 0 {
                        return Err(kind);
                    }
                    place.take(term.constants().ok_or(misplaced)?, term.offset, misplaced)?;
                    first_term = first_term.saturating_add(1);
                }
            }
            place.take(entry.constants().ok_or(misplaced)?, entry.offset, misplaced)?;
            last_len = entry.len;
        }
        if terms.next().is_some() || place.stop != self.payload.len() {
            return Err(short);
        }
        if last_len != self.outputs {
            return Err(ArtifactError::StepPlace { step: self.steps.len() / STEP_ENTRY_LEN });
        }
        Ok(())
    }
}

/// Where the next constants lie.
struct Place<'a> {
    payload: &'a [u8],
    section_offset: usize,
    /// Where they start, a multiple of 16.
    start: usize,
    /// Where those before end.
    stop: usize,
}

impl Place<'_> {
    /// Checks that `words` words lie at `offset`, which is 0 if there are none, behind zeros.
    fn take(&mut self, words: usize, offset: usize, misplaced: ArtifactError) -> Result<(), ArtifactError> {
        if words == 0 {
            return if offset == 0 { Ok(()) } else { Err(misplaced) };
        }
        if offset != self.start {
            return Err(misplaced);
        }
        let gap = self.payload.get(self.stop..self.start).ok_or(misplaced)?;
        if let Some(at) = gap.iter().position(|byte| *byte != 0) {
            let offset = self.section_offset.saturating_add(self.stop).saturating_add(at);
            return Err(ArtifactError::ReservedNonZero { offset });
        }
        let stop = words.checked_mul(4).and_then(|len| self.start.checked_add(len)).ok_or(misplaced)?;
        if stop > self.payload.len() {
            return Err(misplaced);
        }
        (self.stop, self.start) = (stop, align_up(stop).ok_or(misplaced)?);
        Ok(())
    }
}
