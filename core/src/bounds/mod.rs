//! Float-sound bounds on the device: interval bounds (IBP) and linear bounds (CROWN), in `f32`.
//!
//! # What is bounded
//! On a box of inputs, every pre-activation `z` and every row `c·y` of the outputs, for *both* meanings of
//! the network at once: `Real` (real arithmetic on the same constants) and `F32` (the forward pass of
//! [`crate::infer`]). With `x` the inputs of a layer, the device computes `z̃ᵢ = Wᵢx̃ + bᵢ + δᵢ`; ReLU is exact.
//! So both meanings are members of one family, the real network with a perturbation `δᵢ` added to each
//! pre-activation: `δ = 0` is `Real`, some `|δᵢ| ≤ γ_K tᵢ + nη` is `F32`, where `tᵢ = Σ|Wᵢⱼ|mⱼ + |bᵢ|`,
//! `mⱼ ≥ |x̃ⱼ|`, and `K`, `n` count roundings and products of the layer (see [`crate::round`]).
//!
//! # Rounding of the bounds themselves
//! Write `h = 1 + 4g ≥ 1/(1 − γ)` and let a hat mean *as computed*.
//!
//! *Interval step.* With centre `c`, radius `r ≥ |x − c|`, `|c| ≤ m`: the computed centre `ŷᵢ` of row `i` is
//! within `γ_K tᵢ + nη` of `Wᵢc + bᵢ`, and the device within the same of `Wᵢx̃ + bᵢ`, so
//! `|z̃ᵢ − ŷᵢ| ≤ Σ|Wᵢⱼ|rⱼ + 2(γ_K tᵢ + nη)`, and likewise for `Real`. Sums of non-negative terms satisfy
//! `s ≤ (ŝ + nη)h`; each further step is rounded up with [`crate::round::up`]. A finite `tᵢ·h` also proves
//! that no partial sum of the device overflows on the box.
//!
//! *Backward step.* A row of coefficients `Â` on `z` need not be what exact arithmetic would give: it is
//! taken as chosen, and only what is done with it is accounted for. `Σ Âᵢz̃ᵢ = Σⱼ(Σᵢ ÂᵢWᵢⱼ)xⱼ + Σ Âᵢbᵢ + Σ Âᵢδᵢ`.
//! The computed product differs by at most `γ_B Σᵢ|ÂᵢWᵢⱼ| + Bη/2·(1 + γ_B)` in coefficient `j` (`B` rows, `B + 1` roundings),
//! so with `|xⱼ| ≤ mⱼ` the row differs by at most `γ_B Σ|Âᵢ|tᵢ + Bη(Σmⱼ + 1)`, bias term included. Together with
//! `δ` that is one more dot product, `Σ|Âᵢ|qᵢ` with `qᵢ ≥ (γ_K + γ_B)tᵢ + nη`, stored per neuron.
//!
//! *ReLU.* For coefficient `a` on `x = relu(z)`, `z ∈ [l, u]`, `l < 0 < u`, and any chosen `â` between 0 and `a`:
//! `a ≥ 0`: `a·relu(z) ≥ âz` (both pieces are). `a < 0`: `a·relu(z) − âz` is concave, so it is at least
//! `−max(âl, (â − a)u)`, its smaller end value. The deductions are non-negative, formed with two roundings, and
//! summed with `B` more, which `h` of the layer covers. So the slope may round as it likes.
//!
//! *Concretization.* `Σ min(Aⱼlⱼ, Aⱼuⱼ)` is off by at most `γ Σ|Aⱼ|mⱼ + nη`. The constant is rounded down at each addition.
//!
//! Range: every layer has at most `2¹⁶ − 5` inputs and outputs, so that `K, B + 1 ≤ 2¹⁶ − 4`, checked by [`crate::Network::new`]. Every result is tested finite; overflow
//! and NaN end as [`BoundError::NonFinite`], never as a bound.
//!
//! Source: interval and linear relaxation, Gowal et al. 2018 (arXiv:1810.12715), Zhang et al. 2018
//! (arXiv:1811.00866); rounding analysis after Higham 2002, ch. 3, and Rump's midpoint-radius arithmetic.

mod crown;
mod ibp;
pub mod program;

use crate::layer::{Layer, Network};
use core::fmt;

/// Which bounds are computed on a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Method {
    /// Intervals, layer by layer. Memory `7 × width`.
    Ibp,
    /// Rows are propagated back by CROWN over interval bounds of the neurons.
    Crown,
    /// As `Crown`, and every unstable neuron's interval is tightened by two CROWN rows of its own.
    #[default]
    CrownFull,
}

/// Why a bound could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BoundError {
    /// The box is not a box: a bound is NaN or infinite, or `lower > upper`.
    BadInterval,
    /// A bound left the range of `f32`.
    NonFinite,
    /// A slice has the wrong length, or `memory` is shorter than [`memory_len`]: `needed` elements.
    Capacity {
        /// Elements needed.
        needed: usize,
    },
}

impl fmt::Display for BoundError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BadInterval => write!(f, "the input box has a bound that is not finite, or lower > upper"),
            Self::NonFinite => write!(f, "a bound leaves the range of f32"),
            Self::Capacity { needed } => write!(f, "a buffer needs {needed} elements"),
        }
    }
}

impl core::error::Error for BoundError {}

/// Elements of `f32` memory that [`prepare`] and [`row_lower`] need.
pub fn memory_len(network: &Network<'_>, method: Method) -> usize {
    let layers = network.layers().len();
    memory_len_of_shapes(network.inputs(), network.width(), network.neurons(), layers, method)
}

/// [`memory_len`] from shapes alone.
pub(crate) fn memory_len_of_shapes(
    inputs: usize,
    width: usize,
    neurons: usize,
    layers: usize,
    method: Method,
) -> usize {
    match method {
        Method::Ibp => ibp::memory_len(width),
        Method::Crown | Method::CrownFull => crown::memory_len(inputs, width, neurons, layers),
    }
}

/// Bounds all that [`row_lower`] needs on the box `[lower, upper]` and leaves it in `memory`.
///
/// # Shapes
/// `lower`, `upper` `[inputs]`; `memory` at least [`memory_len`].
///
/// # Errors
/// [`BoundError`]; `memory` then holds nothing of use.
///
/// # Rounding
/// Sound for `Real` and `F32`.
pub fn prepare(
    network: &Network<'_>,
    lower: &[f32],
    upper: &[f32],
    method: Method,
    memory: &mut [f32],
) -> Result<(), BoundError> {
    let inputs = network.inputs();
    if lower.len() != inputs || upper.len() != inputs {
        return Err(BoundError::Capacity { needed: inputs });
    }
    if !lower.iter().zip(upper).all(|(l, u)| l.is_finite() && u.is_finite() && l <= u) {
        return Err(BoundError::BadInterval);
    }
    match method {
        Method::Ibp => ibp::prepare(network, lower, upper, memory),
        Method::Crown => crown::prepare(network, lower, upper, false, memory),
        Method::CrownFull => crown::prepare(network, lower, upper, true, memory),
    }
}

/// A lower bound of `coefficients · y` over the box given to [`prepare`] with the same `network` and `method`.
///
/// # Shapes
/// `coefficients` `[outputs]`, finite.
///
/// # Errors
/// [`BoundError::NonFinite`] if no finite bound results, [`BoundError::Capacity`] if a slice does not fit.
///
/// # Rounding
/// Sound for `Real` and `F32`, where `y` of `F32` are the device's outputs and the row is taken exactly.
pub fn row_lower(
    network: &Network<'_>,
    method: Method,
    coefficients: &[f32],
    memory: &mut [f32],
) -> Result<f32, BoundError> {
    if coefficients.len() != network.outputs() {
        return Err(BoundError::Capacity { needed: network.outputs() });
    }
    let bound = match method {
        Method::Ibp => ibp::row_lower(network, coefficients, memory),
        Method::Crown | Method::CrownFull => crown::row_lower(network, coefficients, memory),
    }?;
    if bound.is_finite() { Ok(bound) } else { Err(BoundError::NonFinite) }
}

/// Bounds of every pre-activation, layer after layer, as [`prepare`] with a CROWN method left them.
///
/// # Errors
/// [`BoundError::Capacity`] if `memory` is too short.
pub fn pre_activations<'m>(
    network: &Network<'_>,
    memory: &'m mut [f32],
) -> Result<(&'m [f32], &'m [f32]), BoundError> {
    crown::pre_activations(network, memory)
}

/// `post` bounds of a pre-activation interval.
#[inline]
fn post(relu: bool, lower: f32, upper: f32) -> (f32, f32) {
    if relu {
        (if lower > 0.0 { lower } else { 0.0 }, if upper > 0.0 { upper } else { 0.0 })
    } else {
        (lower, upper)
    }
}

/// The layer's factors of the rounding argument.
#[derive(Clone, Copy)]
struct Factors {
    /// `≥ γ` of the forward pass.
    forward: f32,
    /// `≥ γ` of a product with the transposed weights, of a sum over the layer's outputs, and of a sum over its inputs.
    backward: f32,
    /// `≥ 1/(1 − γ)` for both.
    inflate: f32,
    /// `≥ nη` for the products of one output, `≥ Bη` for those of one input.
    eta: f32,
}

impl Factors {
    fn new(layer: &Layer<'_>) -> Result<Self, BoundError> {
        use crate::round::{eta_times, gamma_factor, up};
        let longest_sum = layer.outputs().max(layer.inputs()) + 1;
        let (Some(forward), Some(backward)) =
            (gamma_factor(layer.forward_roundings()), gamma_factor(longest_sum))
        else {
            return Err(BoundError::NonFinite);
        };
        let worst = if forward > backward { forward } else { backward };
        Ok(Self { forward, backward, inflate: up(1.0 + 4.0 * worst), eta: eta_times(longest_sum) })
    }
}
