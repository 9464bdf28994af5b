//! What a proof is about, as digests: the files given, and the problem as the checker reads it.

use sha2::{Digest, Sha256};

use super::format::{Identity, Kind};
use crate::chain::{Chain, OwnedAffine};
use crate::file::{self, FileError};
use crate::model::Model;
use crate::program::{Conv, Map, Operation, Program, Slot, Sparse};
use crate::property::{Case, Property};
use certus_core::proof::Meaning;
use std::path::Path;

/// Cap on a file that is named by its digest, unpacked, bytes.
const LIMIT_BYTES: u64 = 1 << 34;

/// SHA-256 of the file at `path`, unpacked if it is gzip.
///
/// # Errors
/// [`FileError`].
pub fn sha256_of_file(path: &Path) -> Result<[u8; 32], FileError> {
    Ok(Sha256::digest(file::read(path, LIMIT_BYTES)?).into())
}

/// The identity of a question: `network`, `weights` (zeros if none were given) and `property` are digests of files.
pub fn identify(
    model: &Model,
    property: &Property,
    meaning: Meaning,
    [network, weights, of_property]: [[u8; 32]; 3],
) -> Identity {
    let mut digest = Numbers::default();
    let kind = match model {
        Model::Chain(chain) => {
            digest.chain(chain);
            Kind::Chain
        }
        Model::Program(program) => {
            digest.program(program);
            Kind::Program
        }
    };
    digest.property(property);
    let cases = u32::try_from(property.cases.len()).unwrap_or(u32::MAX);
    Identity { kind, meaning, network, weights, property: of_property, lowered: digest.finish(), cases }
}

/// A digest of one case, as the checker reads it: names the case in a journal.
pub fn case_key(case: &Case) -> [u8; 32] {
    let mut digest = Numbers::default();
    digest.case(case);
    digest.finish()
}

/// Hashes numbers, each list with its length before it, so that different problems give different bytes.
#[derive(Default)]
struct Numbers {
    hash: Sha256,
    buffer: Vec<u8>,
}

impl Numbers {
    fn finish(mut self) -> [u8; 32] {
        self.flush();
        self.hash.finalize().into()
    }

    fn flush(&mut self) {
        self.hash.update(&self.buffer);
        self.buffer.clear();
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
        if self.buffer.len() > 1 << 16 {
            self.flush();
        }
    }

    fn size(&mut self, n: usize) {
        self.bytes(&(n as u64).to_le_bytes());
    }

    fn sizes(&mut self, all: &[usize]) {
        self.size(all.len());
        all.iter().for_each(|n| self.size(*n));
    }

    fn text(&mut self, text: &str) {
        self.size(text.len());
        self.bytes(text.as_bytes());
    }

    fn f32s(&mut self, values: &[f32]) {
        self.size(values.len());
        values.iter().for_each(|v| self.bytes(&v.to_bits().to_le_bytes()));
    }

    /// As [`Self::f32s`] of all entries of a matrix.
    fn with_zeros(&mut self, matrix: &Sparse) {
        self.size(matrix.rows() * matrix.cols);
        let mut row = vec![0; 4 * matrix.cols];
        for ends in matrix.starts.windows(2) {
            let stored = ends[0] as usize..ends[1] as usize;
            for k in stored.clone() {
                let bits = matrix.values.values[k].to_bits();
                row[4 * matrix.columns[k] as usize..][..4].copy_from_slice(&bits.to_le_bytes());
            }
            self.bytes(&row);
            matrix.columns[stored].iter().for_each(|j| row[4 * *j as usize..][..4].fill(0));
        }
    }

    fn f64s(&mut self, values: &[f64]) {
        self.size(values.len());
        values.iter().for_each(|v| self.bytes(&v.to_bits().to_le_bytes()));
    }

    fn u32s(&mut self, values: &[u32]) {
        self.size(values.len());
        values.iter().for_each(|v| self.bytes(&v.to_le_bytes()));
    }

    fn constants(&mut self, constants: &crate::program::Constants) {
        self.f32s(&constants.values);
        self.size(usize::from(constants.error.is_some()));
        self.f32s(constants.error.as_deref().unwrap_or_default());
    }

    fn chain(&mut self, chain: &Chain) {
        self.size(chain.layers().len());
        for layer in chain.layers() {
            self.size(usize::from(layer.relu));
            match &layer.affine {
                OwnedAffine::Dense { rows, cols, weights, bias } => {
                    self.sizes(&[0, *rows, *cols]);
                    self.f32s(weights);
                    self.f32s(bias);
                }
                // The same network as with zeros, and so the same digest.
                OwnedAffine::Sparse { matrix, bias } => {
                    self.sizes(&[0, matrix.rows(), matrix.cols]);
                    self.with_zeros(matrix);
                    self.f32s(bias);
                }
                OwnedAffine::Scale { scale, shift } => {
                    self.sizes(&[1, scale.len()]);
                    self.f32s(scale);
                    self.f32s(shift);
                }
            }
        }
    }

    fn program(&mut self, program: &Program) {
        self.sizes(&[program.inputs(), program.slots(), program.output().0]);
        for (index, step) in program.steps().iter().enumerate() {
            self.size(program.size(Slot(index + 1)));
            match &step.operation {
                Operation::Affine(affine) => {
                    self.sizes(&[0, affine.terms.len(), usize::from(affine.bias.is_some())]);
                    for term in &affine.terms {
                        self.size(term.input.0);
                        self.map(&term.map);
                    }
                    if let Some(bias) = &affine.bias {
                        self.constants(bias);
                    }
                }
                Operation::Elementwise { input, function } => {
                    self.sizes(&[1, input.0]);
                    // The numbers of a function are printed so that they read back exactly.
                    self.text(&format!("{function:?}"));
                }
                Operation::Max { input, groups } => {
                    self.sizes(&[2, input.0]);
                    self.u32s(&groups.starts);
                    self.u32s(&groups.members);
                }
                Operation::Product { left, right, count, m, k, n } => {
                    self.sizes(&[3, left.0, right.0, *count, *m, *k, *n]);
                }
                Operation::Index { inputs, indices } => {
                    self.size(4);
                    self.sizes(&inputs.iter().map(|s| s.0).collect::<Vec<_>>());
                    self.u32s(indices);
                }
            }
        }
    }

    fn map(&mut self, map: &Map) {
        match map {
            Map::Identity => self.sizes(&[0]),
            Map::Scale(scale) => {
                self.sizes(&[1]);
                self.constants(scale);
            }
            Map::Dense { count, rows, cols, weights } => {
                self.sizes(&[2, *count, *rows, *cols]);
                self.f32s(weights);
            }
            Map::Conv(conv) => self.conv(3, conv),
            Map::ConvTranspose(conv) => self.conv(4, conv),
            Map::Sparse(sparse) => {
                self.sizes(&[5]);
                self.u32s(&sparse.starts);
                self.u32s(&sparse.columns);
                self.constants(&sparse.values);
            }
        }
    }

    fn conv(&mut self, tag: usize, conv: &Conv) {
        self.sizes(&[tag, conv.channels_in, conv.channels_out, conv.groups]);
        for pair in [conv.size_in, conv.size_out, conv.kernel, conv.stride, conv.dilation, conv.pad] {
            self.sizes(&pair);
        }
        self.f32s(&conv.weights);
    }

    /// Of a case only what a proof speaks of: the outer box, coefficients, the larger right-hand sides.
    fn case(&mut self, case: &Case) {
        self.f64s(&case.region.lower);
        self.f64s(&case.region.upper);
        self.size(case.disjuncts.len());
        for disjunct in &case.disjuncts {
            self.size(disjunct.rows.len());
            for row in &disjunct.rows {
                self.f64s(&row.coefficients);
                self.f64s(&[row.rhs_upper]);
            }
        }
    }

    fn property(&mut self, property: &Property) {
        self.sizes(&[property.inputs, property.outputs, property.cases.len()]);
        property.cases.iter().for_each(|c| self.case(c));
    }
}
