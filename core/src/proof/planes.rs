//! Planes above neurons of the first layer: closer than the chord of the neuron's interval.
//!
//! A neuron `y = relu(w·x + b)` of a layer that reads the box itself lies, for any `g`, below the plane
//! `y ≤ g·x + h`, `h = max(−min g·x, b + max (w − g)·x)` over the box: both pieces of `relu` do, each a linear function that its
//! greatest value on a box bounds. A claim names `g = θ·w`, input by input; `θ` the same everywhere is the chord. The best planes
//! are the faces of the neuron's convex hull over the box, of which the chord is one.
//!
//! # Rounding
//! `g` is what `θⱼwⱼ` rounds to: as good as any other. `h` is off by at most `g̃·t`, and so is the product of the row's coefficient
//! with it, and that with `g`, whose entries are at most `|w|` (`g̃` and `t` the module's `g` and `t`): together below `3g̃t|a|`, which
//! `|a|q` covers. The device's pre-activation is off by `e` more, and `relu` of it by no more than that: `q` has `2e`.
//!
//! Source: Anderson et al. 2020 (Mathematical Programming 183), Tjandraatmadja et al. 2020 (arXiv:2006.14076): the hull; that any
//! `θ` in `[0, 1]` is checked by two sums is how we use it.

use super::Rejection;
use crate::layer::Dense;

/// Planes of a claim, as bytes: per plane neuron `u16`, then `θ·255` per input; neurons ascend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Planes<'a> {
    bytes: &'a [u8],
    inputs: usize,
}

impl<'a> Planes<'a> {
    /// Planes over `inputs` inputs.
    pub const fn new(bytes: &'a [u8], inputs: usize) -> Self {
        Self { bytes, inputs }
    }

    /// Bytes of one plane.
    pub const fn stride(inputs: usize) -> usize {
        2 + inputs
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Neuron and `θ·255` of each plane.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &'a [u8])> + use<'a> {
        self.bytes.chunks_exact(Self::stride(self.inputs).max(1)).filter_map(|plane| match plane {
            [a, b, shares @ ..] => Some((usize::from(u16::from_le_bytes([*a, *b])), shares)),
            _ => None,
        })
    }

    /// Whether they are whole, over `inputs` inputs, of ascending neurons below `neurons`.
    pub(super) fn fit(&self, inputs: usize, neurons: usize) -> bool {
        let whole = self.bytes.len().is_multiple_of(Self::stride(self.inputs));
        let mut least = 0;
        let ascending = self.iter().all(|(neuron, _)| {
            let fits = least <= neuron && neuron < neurons;
            least = neuron + 1;
            fits
        });
        self.is_empty() || (self.inputs == inputs && whole && ascending)
    }
}

/// Adds `a·g` to the coefficients of the inputs (every `step`-th of `coefficients`); returns `a·h`.
pub(super) fn add_plane(
    dense: &Dense<'_>,
    (neuron, shares): (usize, &[u8]),
    region: (&[f64], &[f64]),
    a: f64,
    coefficients: &mut [f64],
    step: usize,
) -> Result<f64, Rejection> {
    let start = neuron * dense.cols();
    let weights = dense.weights().get(start..start + dense.cols()).ok_or(Rejection::Shape)?;
    let bias = f64::from(*dense.bias().get(neuron).ok_or(Rejection::Shape)?);
    let (mut least, mut rise) = (0.0, 0.0);
    let ends = region.0.iter().zip(region.1);
    let slots = coefficients.iter_mut().step_by(step.max(1));
    for (((w, share), (l, u)), slot) in weights.iter().zip(shares).zip(ends).zip(slots) {
        let w = f64::from(*w);
        let g = w * (f64::from(*share) / 255.0);
        let rest = w - g;
        least += g * if g >= 0.0 { *l } else { *u };
        rise += rest * if rest >= 0.0 { *u } else { *l };
        *slot += a * g;
    }
    let (zero, linear) = (-least, bias + rise);
    Ok(a * if zero > linear { zero } else { linear })
}
