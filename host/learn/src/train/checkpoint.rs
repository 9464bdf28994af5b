//! A run of training as one file: weights, what the optimizer keeps, and where the run is.
//!
//! Safetensors: the tensors `model/…`, `statistics/…`, `optimizer/…`, `average/…`; the rest is one JSON text in the metadata. Files are written
//! whole or not at all.

use super::{Settings, Task, Trainer};
use crate::model::Model;
use certus_kernels::Level;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Version of the layout.
const FORMAT: u32 = 1;
/// Key of the metadata.
const KEY: &str = "certus.checkpoint";

/// Why a checkpoint is not written, or is not gone on from.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused.
    #[error("{path}: cannot {action}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `write`.
        action: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// No checkpoint, or a damaged one.
    #[error("{path}: {problem}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// One of another run.
    #[error("{path}: is of another run: {what}; start again, or go on with what it was made with")]
    Other {
        /// The file.
        path: PathBuf,
        /// What differs.
        what: String,
    },
}

/// What stands beside the tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Version of the layout.
    pub format: u32,
    /// Steps done.
    pub step: u64,
    /// Settings of the run, threads made definite.
    pub settings: Settings,
    /// Training inputs.
    pub inputs: usize,
    /// Digest of the training data.
    pub data: String,
    /// Instructions that the sums were taken with.
    pub processor: String,
    /// Version of the program.
    pub version: String,
    /// Steps that the optimizer counts.
    pub optimizer_steps: u64,
    /// Weights that the mean holds.
    pub averaged: u64,
}

fn processor() -> String {
    format!("{} {:?}", std::env::consts::ARCH, Level::detect())
}

impl Trainer {
    /// Writes the run to `path`; `data` is a digest of what it learns from.
    ///
    /// # Errors
    /// [`CheckpointError::Io`].
    pub fn save(&self, path: &Path, inputs: usize, data: &str) -> Result<(), CheckpointError> {
        let head = Checkpoint {
            format: FORMAT,
            step: self.step,
            settings: self.settings.clone(),
            inputs,
            data: data.to_owned(),
            processor: processor(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            optimizer_steps: self.optimizer.steps,
            averaged: self.average.as_ref().map_or(0, |a| a.count),
        };
        let problem = |problem: String| CheckpointError::Content { path: path.to_owned(), problem };
        let text = serde_json::to_string(&head).map_err(|e| problem(e.to_string()))?;
        let named: Vec<(String, Vec<u8>)> =
            self.tensors().into_iter().map(|(name, values)| (name, to_bytes(values))).collect();
        let views = named.iter().map(|(name, bytes)| {
            TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).map(|view| (name, view))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>().map_err(|e| problem(e.to_string()))?;
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| problem(e.to_string()))?;
        write_atomic(path, &bytes)
    }

    /// The run in `path`, which `settings`, `task`, `model` (its architecture) and the data must be those of.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn resume(
        path: &Path,
        settings: Settings,
        task: Task,
        model: Model,
        (inputs, data): (usize, &str),
    ) -> Result<Self, CheckpointError> {
        let bytes = std::fs::read(path).map_err(|source| CheckpointError::Io {
            path: path.to_owned(),
            action: "read",
            source,
        })?;
        let damaged = |problem: String| CheckpointError::Content { path: path.to_owned(), problem };
        let head = head(&bytes).map_err(damaged)?;
        let mut trainer = Self::with(settings, task, model, inputs);
        if let Some(what) = differs(&head, &trainer.settings, inputs, data) {
            return Err(CheckpointError::Other { path: path.to_owned(), what });
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        for (name, values) in trainer.tensors_mut() {
            let tensor = tensors.tensor(&name).map_err(|e| damaged(format!("tensor {name}: {e}")))?;
            if tensor.dtype() != Dtype::F32 || tensor.data().len() != 4 * values.len() {
                let what = format!("tensor {name} is no {} numbers of 32 bits", values.len());
                return Err(CheckpointError::Other { path: path.to_owned(), what });
            }
            for (value, bytes) in values.iter_mut().zip(tensor.data().chunks_exact(4)) {
                *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            }
        }
        trainer.step = head.step;
        trainer.optimizer.steps = head.optimizer_steps;
        if let Some(average) = &mut trainer.average {
            average.count = head.averaged;
        }
        Ok(trainer)
    }

    /// All tensors of the run, with their names in the file.
    pub(super) fn tensors(&self) -> Vec<(String, &[f32])> {
        let mut all: Vec<(String, &[f32])> = Vec::new();
        let names: Vec<&String> = self.model.parameters.iter().map(|p| &p.name).collect();
        for parameter in &self.model.parameters {
            all.push((format!("model/{}", parameter.name), &parameter.values));
        }
        for (k, of) in self.model.statistics.iter().enumerate() {
            all.push((format!("statistics/{k}.mean"), &of.mean));
            all.push((format!("statistics/{k}.variance"), &of.variance));
        }
        for (name, [first, second]) in names.iter().zip(&self.optimizer.state) {
            all.push((format!("optimizer/{name}.0"), first));
            all.push((format!("optimizer/{name}.1"), second));
        }
        if let Some(average) = &self.average {
            all.extend(
                names.iter().zip(&average.tensors).map(|(n, t)| (format!("average/{n}"), t.as_slice())),
            );
        }
        all
    }

    /// As [`Self::tensors`], to be filled.
    fn tensors_mut(&mut self) -> Vec<(String, &mut [f32])> {
        let names: Vec<String> = self.model.parameters.iter().map(|p| p.name.clone()).collect();
        let mut all: Vec<(String, &mut [f32])> = Vec::new();
        for parameter in &mut self.model.parameters {
            all.push((format!("model/{}", parameter.name), &mut parameter.values));
        }
        for (k, of) in self.model.statistics.iter_mut().enumerate() {
            all.push((format!("statistics/{k}.mean"), &mut of.mean));
            all.push((format!("statistics/{k}.variance"), &mut of.variance));
        }
        for (name, [first, second]) in names.iter().zip(&mut self.optimizer.state) {
            all.push((format!("optimizer/{name}.0"), first));
            all.push((format!("optimizer/{name}.1"), second));
        }
        if let Some(average) = &mut self.average {
            let tensors = names.iter().zip(&mut average.tensors);
            all.extend(tensors.map(|(n, t)| (format!("average/{n}"), t.as_mut_slice())));
        }
        all
    }
}

/// What stands beside the tensors in `bytes`.
fn head(bytes: &[u8]) -> Result<Checkpoint, String> {
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|e| format!("is no checkpoint, or is cut short ({e})"))?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(KEY));
    let text = text.ok_or("is no checkpoint of training")?;
    let head: Checkpoint = serde_json::from_str(text).map_err(|e| format!("its head does not read: {e}"))?;
    if head.format != FORMAT {
        return Err(format!("is of format {}, this program reads {FORMAT}", head.format));
    }
    Ok(head)
}

/// What of a run differs from a checkpoint's, so that its steps would not be the same.
fn differs(head: &Checkpoint, settings: &Settings, inputs: usize, data: &str) -> Option<String> {
    let mut same = head.settings.clone();
    // A run may be made longer.
    same.epochs = settings.epochs;
    let processor = processor();
    let version = env!("CARGO_PKG_VERSION");
    if head.inputs != inputs || head.data != data {
        Some(format!("it learned from {} inputs with digest {}", head.inputs, head.data))
    } else if same.threads != settings.threads {
        Some(format!("{} threads, not {}", same.threads, settings.threads))
    } else if head.processor != processor {
        Some(format!("a processor `{}`, this is `{processor}`", head.processor))
    } else if head.version != version {
        Some(format!("version {}, this is {version}", head.version))
    } else if same != *settings {
        Some("its settings".to_owned())
    } else {
        None
    }
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Writes to a file beside `path`, then renames it: there is the old content or the new.
fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let part = path.with_extension(format!("part{}", std::process::id()));
    let written = std::fs::File::create(&part).and_then(|mut file| {
        std::io::Write::write_all(&mut file, bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    });
    written.map_err(|source| {
        let _ = std::fs::remove_file(&part);
        CheckpointError::Io { path: path.to_owned(), action: "write", source }
    })
}
