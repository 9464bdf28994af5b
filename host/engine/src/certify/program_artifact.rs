//! Writing and reading artifacts whose network is a program; [`ProgramArtifact::parse`] and
//! [`ProgramArtifact::emit`] are inverse up to the names of the steps, which an artifact does not hold.

use std::collections::BTreeMap;

use certus_core::ArtifactError;
use certus_core::artifact::ProgramView;
use certus_core::artifact::format::{
    FUNCTION_ABS, FUNCTION_CLIP, FUNCTION_LEAKY_RELU, FUNCTION_RELU, FUNCTION_SIGMOID, FUNCTION_TANH,
    MAP_CONV, MAP_CONV_TRANSPOSE, MAP_DENSE, MAP_IDENTITY, MAP_SCALE, MAP_SPARSE, ORDER_BLOCKED_32,
    PROGRAM_HEADER_LEN, STEP_AFFINE, STEP_BIAS, STEP_ELEMENTWISE, STEP_ENTRY_LEN, STEP_INDEX, STEP_MAX,
    SectionId, TERM_ENTRY_LEN, TERM_SIZES, WITH_ERRORS,
};
use certus_core::monitor::program_memory_len;
use certus_core::program::{self as core, ProgramError as CoreError};
use sha2::{Digest, Sha256};

use super::aligned::AlignedBytes;
use super::artifact::{
    Content, EmitError, InputRange, MonitorSettings, Part, UnknownSection, assemble, content_of, pad,
    put_f32s, u32_of,
};
use super::region::RegionCertificate;
use crate::program::{Affine, Constants, Conv, Function, Map, Operation, Program, Slot, Step};

/// Everything that an artifact of a program holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ProgramArtifact {
    /// Minor version of the format; [`super::Artifact::MINOR`] for new artifacts.
    pub minor: u16,
    /// The network.
    pub program: Program,
    /// The inputs that the monitor accepts.
    pub range: InputRange,
    /// What the monitor certifies.
    pub settings: MonitorSettings,
    /// What was proved before export.
    pub certificates: Vec<RegionCertificate>,
    /// Where the artifact comes from: recipe, digests, versions, times.
    pub provenance: BTreeMap<String, String>,
    /// Sections that this version does not know.
    pub unknown: Vec<UnknownSection>,
}

/// Why a program cannot be put into an artifact.
fn unsupported(step: usize) -> EmitError {
    EmitError::Refused(ArtifactError::Program(CoreError::Step { step, fault: core::Fault::Unsupported }))
}

/// A table entry and the constants it points to.
struct Writer {
    table: Vec<u8>,
    terms: Vec<u8>,
    constants: Vec<u8>,
    /// Where constants start.
    start: usize,
}

impl Writer {
    /// Starts a block of constants; its offset.
    fn offset(&mut self, words: usize) -> Result<u32, EmitError> {
        if words == 0 {
            return Ok(0);
        }
        pad(&mut self.constants);
        u32_of(self.start + self.constants.len(), "the network")
    }

    fn u32s(&mut self, values: &[u32]) {
        self.constants.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }

    fn put(&mut self, constants: &Constants) {
        put_f32s(&mut self.constants, &constants.values);
        put_f32s(&mut self.constants, constants.error.as_deref().unwrap_or_default());
    }

    fn term(&mut self, input: Slot, map: &Map) -> Result<(), EmitError> {
        let errors = |constants: &Constants| if constants.error.is_some() { WITH_ERRORS } else { 0 };
        let (kind, flags, sizes) = match map {
            Map::Identity => (MAP_IDENTITY, 0, vec![]),
            Map::Scale(scale) => (MAP_SCALE, errors(scale), vec![scale.len()]),
            Map::Dense { count, rows, cols, .. } => (MAP_DENSE, 0, vec![*count, *rows, *cols]),
            Map::Conv(conv) => (MAP_CONV, 0, conv_sizes(conv)),
            Map::ConvTranspose(conv) => (MAP_CONV_TRANSPOSE, 0, conv_sizes(conv)),
            Map::Sparse(sparse) => {
                let sizes = vec![sparse.rows(), sparse.cols, sparse.columns.len()];
                (MAP_SPARSE, errors(&sparse.values), sizes)
            }
        };
        let offset = self.offset(usize::from(kind != MAP_IDENTITY))?;
        match map {
            Map::Identity => {}
            Map::Scale(scale) => self.put(scale),
            Map::Dense { weights, .. } => put_f32s(&mut self.constants, weights),
            Map::Conv(conv) | Map::ConvTranspose(conv) => put_f32s(&mut self.constants, &conv.weights),
            Map::Sparse(sparse) => {
                self.u32s(&sparse.starts);
                self.u32s(&sparse.columns);
                self.put(&sparse.values);
            }
        }
        self.terms.extend([kind, flags, 0, 0]);
        self.terms.extend(u32_of(input.0, "a step")?.to_le_bytes());
        self.terms.extend(offset.to_le_bytes());
        for index in 0..TERM_SIZES {
            let size = sizes.get(index).copied().unwrap_or(0);
            self.terms.extend(u32_of(size, "a size")?.to_le_bytes());
        }
        self.terms.extend([0; 8]);
        Ok(())
    }

    /// Index of the next term.
    fn next_term(&self) -> usize {
        self.terms.len() / TERM_ENTRY_LEN
    }

    fn step(&mut self, index: usize, step: &Step, len: usize) -> Result<(), EmitError> {
        let (mut function, mut flags, mut settings, mut members) = (0, 0, [0.0f32; 2], 0);
        let (kind, input, terms) = match &step.operation {
            Operation::Affine(Affine { terms, .. }) => (STEP_AFFINE, self.next_term(), terms.len()),
            Operation::Index { inputs, .. } => (STEP_INDEX, self.next_term(), inputs.len()),
            Operation::Elementwise { input, .. } => (STEP_ELEMENTWISE, input.0, 0),
            Operation::Max { input, .. } => (STEP_MAX, input.0, 0),
            Operation::Product { .. } => return Err(unsupported(index)),
        };
        let offset = match &step.operation {
            Operation::Affine(Affine { terms, bias }) => {
                terms.iter().try_for_each(|t| self.term(t.input, &t.map))?;
                let offset = self.offset(bias.as_ref().map_or(0, Constants::len))?;
                if let Some(bias) = bias {
                    flags = STEP_BIAS | if bias.error.is_some() { WITH_ERRORS } else { 0 };
                    self.put(bias);
                }
                offset
            }
            Operation::Index { inputs, indices } => {
                inputs.iter().try_for_each(|s| self.term(*s, &Map::Identity))?;
                let offset = self.offset(indices.len())?;
                self.u32s(indices);
                offset
            }
            Operation::Elementwise { function: f, .. } => {
                (function, settings) = function_code(*f).ok_or(unsupported(index))?;
                0
            }
            Operation::Max { groups, .. } => {
                members = groups.members.len();
                let offset = self.offset(1)?;
                self.u32s(&groups.starts);
                self.u32s(&groups.members);
                offset
            }
            Operation::Product { .. } => return Err(unsupported(index)),
        };
        self.table.extend([kind, function, flags, 0]);
        for value in [len, input, terms] {
            self.table.extend(u32_of(value, "a step")?.to_le_bytes());
        }
        put_f32s(&mut self.table, &settings);
        self.table.extend(offset.to_le_bytes());
        self.table.extend(u32_of(members, "a step")?.to_le_bytes());
        Ok(())
    }
}

fn conv_sizes(conv: &Conv) -> Vec<usize> {
    let pairs = [conv.size_in, conv.size_out, conv.kernel, conv.stride, conv.dilation, conv.pad];
    [conv.channels_in, conv.channels_out, conv.groups].into_iter().chain(pairs.concat()).collect()
}

fn function_code(function: Function) -> Option<(u8, [f32; 2])> {
    Some(match function {
        Function::Relu => (FUNCTION_RELU, [0.0; 2]),
        Function::LeakyRelu { slope } => (FUNCTION_LEAKY_RELU, [slope, 0.0]),
        Function::Clip { lower, upper } => (FUNCTION_CLIP, [lower, upper]),
        Function::Abs => (FUNCTION_ABS, [0.0; 2]),
        Function::Sigmoid => (FUNCTION_SIGMOID, [0.0; 2]),
        Function::Tanh => (FUNCTION_TANH, [0.0; 2]),
        _ => return None,
    })
}

/// The program section's bytes.
fn program_payload(program: &Program) -> Result<Vec<u8>, EmitError> {
    let steps = program.steps();
    let count =
        u16::try_from(steps.len()).map_err(|_| EmitError::TooLarge { what: "the number of steps" })?;
    let terms: usize = steps
        .iter()
        .map(|step| match &step.operation {
            Operation::Affine(affine) => affine.terms.len(),
            Operation::Index { inputs, .. } => inputs.len(),
            _ => 0,
        })
        .sum();
    let start = PROGRAM_HEADER_LEN + steps.len() * STEP_ENTRY_LEN + terms * TERM_ENTRY_LEN;
    let mut writer = Writer { table: Vec::new(), terms: Vec::new(), constants: Vec::new(), start };
    for (index, step) in steps.iter().enumerate() {
        writer.step(index, step, program.size(Slot(index + 1)))?;
    }
    let mut bytes = Vec::new();
    bytes.extend(ORDER_BLOCKED_32.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(u32_of(program.inputs(), "the number of inputs")?.to_le_bytes());
    bytes.extend(u32_of(program.outputs(), "the number of outputs")?.to_le_bytes());
    bytes.extend(u32_of(terms, "the number of terms")?.to_le_bytes());
    bytes.resize(PROGRAM_HEADER_LEN, 0);
    bytes.extend(writer.table);
    bytes.extend(writer.terms);
    bytes.extend(writer.constants);
    Ok(bytes)
}

/// SHA-256 of the program as an artifact stores it: names a network by its steps and constants.
///
/// # Errors
/// [`EmitError`] if the program does not fit an artifact.
pub fn program_digest(program: &Program) -> Result<[u8; 32], EmitError> {
    Ok(Sha256::digest(program_payload(program)?).into())
}

/// Checks that a device runs and bounds the program.
///
/// # Errors
/// The step that it does not.
pub fn check_device(program: &Program) -> Result<(), CoreError> {
    program.tables().plan(&mut Vec::new()).map(|_| ())
}

/// The sizes of a monitor of `view`: its program's places are found as the device finds them.
///
/// # Errors
/// [`CoreError`] if the steps form no program that devices run.
pub fn with_planned<T>(
    view: &ProgramView<'_>,
    read: impl FnOnce(&core::Planned<'_>) -> T,
) -> Result<T, CoreError> {
    let (steps, terms): (Vec<_>, Vec<_>) = (view.steps().collect(), view.terms().collect());
    let program = core::Program::new(view.inputs(), &steps, &terms)?;
    let mut places = vec![core::Place::default(); program.slots()];
    let width = (0..program.slots()).map(|slot| program.size(Slot(slot))).max().unwrap_or(0);
    let planned = core::Planned::new(program, &mut places, &mut vec![0.0; width])?;
    Ok(read(&planned))
}

/// `f32` elements that a monitor of `view` needs.
///
/// # Errors
/// As [`with_planned`].
pub fn memory_len(view: &ProgramView<'_>) -> Result<usize, CoreError> {
    with_planned(view, |planned| program_memory_len(view, planned))
}

impl ProgramArtifact {
    /// The artifact's bytes; the same value gives the same bytes.
    ///
    /// # Errors
    /// [`EmitError::Shape`], [`EmitError::Refused`] with the check that the bytes would fail, or another
    /// [`EmitError`].
    pub fn emit(&self) -> Result<Vec<u8>, EmitError> {
        let bytes = self.emit_unchecked()?;
        check_device(&self.program).map_err(ArtifactError::Program)?;
        if Self::parse(&bytes)?.emit_unchecked()? == bytes { Ok(bytes) } else { Err(EmitError::Ambiguous) }
    }

    fn emit_unchecked(&self) -> Result<Vec<u8>, EmitError> {
        let content = Content {
            range: &self.range,
            settings: &self.settings,
            certificates: &self.certificates,
            provenance: &self.provenance,
            unknown: &self.unknown,
        };
        content.check_shapes(self.program.inputs(), self.program.outputs())?;
        let network = Part::known(SectionId::PROGRAM, program_payload(&self.program)?);
        assemble(self.minor, &content.parts(network)?)
    }

    /// Reads an artifact whole.
    ///
    /// # Errors
    /// As [`ProgramView::new_checked`], for bytes at any address; [`ArtifactError::Program`] if the steps form no
    /// program that devices run.
    pub fn parse(bytes: &[u8]) -> Result<Self, ArtifactError> {
        Self::from_view(&ProgramView::new_checked(AlignedBytes::from(bytes).as_slice())?)
    }

    /// Copies what `view` shows.
    ///
    /// # Errors
    /// [`ArtifactError::Program`] if the steps form no program that devices run.
    pub fn from_view(view: &ProgramView<'_>) -> Result<Self, ArtifactError> {
        let program = with_planned(view, |planned| Program::from_core(planned.program()))
            .map_err(ArtifactError::Program)?;
        let (range, settings, certificates, provenance, unknown) = content_of!(view);
        Ok(Self { minor: view.version().1, program, range, settings, certificates, provenance, unknown })
    }
}
