//! The composed network as a chain of layers.
//!
//! Networks run side by side in block layers and end together. Values that have to wait (inputs that are passed on, inputs
//! of a network with fewer ReLU layers than another) travel as `x − s` with `s` at most the lower end of their
//! box: there `x − s ≥ 0`, so that ReLU leaves them alone, over the reals exactly.

use super::compose::{Composition, Part};
use super::error::{Problem, PropertyError};
use crate::{Chain, OwnedAffine, OwnedLayer};

/// Cap on the weights of one block layer.
const WEIGHTS_MAX: usize = 1 << 28;

/// What occupies one block.
struct Track<'a> {
    width: usize,
    /// Layers still to come, first one first; empty for passed inputs.
    layers: &'a [OwnedLayer],
    /// What waiting inputs were shifted by.
    shift: Option<Vec<f32>>,
    /// ReLU layers before it begins.
    wait: usize,
}

impl Composition {
    /// The composed network on inputs that are at least `lower`, `[inputs]`.
    ///
    /// # Errors
    /// [`Problem::Compose`] if it would be too large, or a lower end is beyond `f32`.
    pub fn chain(&self, chains: &[&Chain], lower: &[f64]) -> Result<Chain, PropertyError> {
        if self.is_plain() {
            return Ok(chains[self.parts[0].network].clone());
        }
        self.block_chain(chains, lower).map_err(|what| PropertyError::whole(Problem::Compose(what)))
    }

    fn block_chain(&self, chains: &[&Chain], lower: &[f64]) -> Result<Chain, String> {
        let relus = |part: &Part| chains[part.network].layers().iter().filter(|l| l.relu).count();
        let rounds = self.parts.iter().map(relus).max().unwrap_or(0);
        let shift = |inputs: &[usize]| inputs.iter().map(|i| -floor_f32(lower[*i])).collect::<Vec<f32>>();
        let mut sources: Vec<&[usize]> = Vec::new();
        let mut tracks: Vec<Track<'_>> = Vec::new();
        for part in &self.parts {
            let wait = rounds - relus(part);
            let shift = (wait > 0).then(|| shift(&part.inputs));
            sources.push(&part.inputs);
            tracks.push(Track {
                width: part.inputs.len(),
                layers: chains[part.network].layers(),
                shift,
                wait,
            });
        }
        if !self.passed.is_empty() {
            let shift = (rounds > 0).then(|| shift(&self.passed));
            sources.push(&self.passed);
            tracks.push(Track { width: self.passed.len(), layers: &[], shift, wait: rounds });
        }
        let mut layers = vec![selection(self.inputs, &sources, &tracks)?];
        for round in 0..=rounds {
            while let Some(layer) = step(&mut tracks, |t| t.affine(round))? {
                layers.push(OwnedLayer { affine: layer, relu: false });
            }
            if round < rounds {
                let layer = step(&mut tracks, |t| t.relu(round))?.ok_or("a ReLU layer has no part")?;
                layers.push(OwnedLayer { affine: layer, relu: true });
            }
        }
        Chain::new(layers).map_err(|e| e.to_string())
    }
}

impl<'a> Track<'a> {
    /// Its next map without ReLU, if one is due before ReLU layer `round`.
    fn affine(&mut self, round: usize) -> Option<OwnedAffine> {
        if round < self.wait {
            return None;
        }
        if let Some(shift) = self.shift.take() {
            let back = shift.iter().map(|s| -s).collect();
            return Some(OwnedAffine::Scale { scale: vec![1.0; self.width], shift: back });
        }
        self.next(false)
    }

    /// Its map of ReLU layer `round`; `None` if it waits.
    fn relu(&mut self, round: usize) -> Option<OwnedAffine> {
        if round < self.wait { None } else { self.next(true) }
    }

    fn next(&mut self, relu: bool) -> Option<OwnedAffine> {
        let (first, rest) = self.layers.split_first().filter(|(l, _)| l.relu == relu)?;
        self.layers = rest;
        Some(first.affine.written_out().into_owned())
    }
}

/// `f32` at most `x`; not finite beyond the range.
fn floor_f32(x: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "corrected by comparing")]
    let y = x as f32;
    if f64::from(y) > x { y.next_down() } else { y }
}

/// The first layer: gives each track its inputs, shifted where they wait.
fn selection(inputs: usize, sources: &[&[usize]], tracks: &[Track<'_>]) -> Result<OwnedLayer, String> {
    let rows: usize = sources.iter().map(|s| s.len()).sum();
    check_size(rows, inputs)?;
    let (mut weights, mut bias) = (vec![0.0; rows * inputs], Vec::with_capacity(rows));
    for (row, input) in sources.iter().flat_map(|s| s.iter()).enumerate() {
        weights[row * inputs + input] = 1.0;
    }
    for track in tracks {
        match &track.shift {
            Some(shift) => bias.extend(shift),
            None => bias.extend(std::iter::repeat_n(0.0, track.width)),
        }
    }
    if !bias.iter().all(|b: &f32| b.is_finite()) {
        return Err(
            "an input that constraints relate to others has a bound beyond f32; bound it closer".into()
        );
    }
    Ok(OwnedLayer { affine: OwnedAffine::Dense { rows, cols: inputs, weights, bias }, relu: false })
}

/// One layer in which the tracks do what `next` gives and the others stay; `None` if all stay.
fn step(
    tracks: &mut [Track<'_>],
    mut next: impl FnMut(&mut Track<'_>) -> Option<OwnedAffine>,
) -> Result<Option<OwnedAffine>, String> {
    let blocks: Vec<Option<OwnedAffine>> = tracks.iter_mut().map(&mut next).collect();
    if blocks.iter().all(Option::is_none) {
        return Ok(None);
    }
    let cols: usize = tracks.iter().map(|t| t.width).sum();
    let stay = |n: usize| OwnedAffine::Scale { scale: vec![1.0; n], shift: vec![0.0; n] };
    let blocks: Vec<OwnedAffine> =
        blocks.into_iter().zip(tracks.iter()).map(|(b, t)| b.unwrap_or_else(|| stay(t.width))).collect();
    for (track, block) in tracks.iter_mut().zip(&blocks) {
        track.width = block.outputs();
    }
    let rows: usize = tracks.iter().map(|t| t.width).sum();
    if blocks.iter().all(|b| matches!(b, OwnedAffine::Scale { .. })) {
        let (mut scales, mut shifts) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for block in blocks {
            if let OwnedAffine::Scale { scale, shift } = block {
                scales.extend(scale);
                shifts.extend(shift);
            }
        }
        return Ok(Some(OwnedAffine::Scale { scale: scales, shift: shifts }));
    }
    check_size(rows, cols)?;
    Ok(Some(block_diagonal(&blocks, rows, cols)))
}

fn block_diagonal(blocks: &[OwnedAffine], rows: usize, cols: usize) -> OwnedAffine {
    let (mut weights, mut bias) = (vec![0.0; rows * cols], Vec::with_capacity(rows));
    let mut col = 0;
    for block in blocks {
        let row = bias.len();
        match block {
            OwnedAffine::Dense { cols: own, weights: w, bias: b, .. } => {
                for (i, line) in w.chunks_exact(*own).enumerate() {
                    weights[(row + i) * cols + col..][..*own].copy_from_slice(line);
                }
                bias.extend(b);
                col += own;
            }
            OwnedAffine::Sparse { matrix, bias: b } => {
                let values = &matrix.values.values;
                matrix.for_each(|i, j, k| weights[(row + i) * cols + col + j] = values[k]);
                bias.extend(b);
                col += matrix.cols;
            }
            OwnedAffine::Scale { scale, shift } => {
                scale.iter().enumerate().for_each(|(i, s)| weights[(row + i) * cols + col + i] = *s);
                bias.extend(shift);
                col += scale.len();
            }
        }
    }
    OwnedAffine::Dense { rows, cols, weights, bias }
}

fn check_size(rows: usize, cols: usize) -> Result<(), String> {
    match rows.checked_mul(cols).is_some_and(|n| n <= WEIGHTS_MAX) {
        true => Ok(()),
        false => {
            Err(format!("the networks side by side need a layer of {rows} × {cols} weights (limit 2^28)"))
        }
    }
}
