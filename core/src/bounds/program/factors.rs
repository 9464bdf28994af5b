//! The rounding factors of one step.

use crate::bounds::BoundError;
use crate::program::Terms;
use crate::program::plan::{Planned, blocked_sum_roundings};
use crate::program::rows::step_counts;
use crate::round::{eta_times, gamma_factor, up};

/// Factors of the rounding argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Factors {
    /// `≥ γ` of the forward pass.
    pub(super) forward: f32,
    /// `≥ γ` of a coefficient of a backward pass, and of a sum over the outputs.
    pub(super) backward: f32,
    /// `≥ 1/(1 − γ)` for both.
    pub(super) inflate: f32,
    /// `≥ nη` for the products of one output, of one coefficient, and of a sum over the outputs.
    pub(super) eta: f32,
}

impl Factors {
    /// Factors for `forward` and `backward` roundings and `products` products.
    fn new(forward: usize, backward: usize, products: usize) -> Result<Self, BoundError> {
        let (Some(forward), Some(backward)) = (gamma_factor(forward), gamma_factor(backward)) else {
            return Err(BoundError::NonFinite);
        };
        let worst = if forward > backward { forward } else { backward };
        Ok(Self { forward, backward, inflate: up(1.0 + 4.0 * worst), eta: eta_times(products) })
    }

    /// Of an affine step of `outputs` outputs.
    pub(super) fn of_affine(planned: &Planned<'_>, terms: Terms, outputs: usize) -> Result<Self, BoundError> {
        let terms = planned.program().terms(terms);
        let counts = step_counts(terms);
        // A coefficient is a product and the additions into it; the other sums run over outputs or operands.
        let (mut longest, mut products) = (blocked_sum_roundings(outputs), counts.products.max(outputs));
        for term in terms {
            let size = planned.program().size(term.input);
            let fan = planned.fan(term.input).saturating_add(1);
            longest = longest.max(fan).max(blocked_sum_roundings(size));
            products = products.max(fan);
        }
        Self::new(counts.roundings, longest, products.saturating_add(1))
    }

    /// Of a sum of `n` products in blocks.
    pub(super) fn of_blocked_sum(n: usize) -> Result<Self, BoundError> {
        let roundings = blocked_sum_roundings(n);
        Self::new(roundings, roundings, n.saturating_add(1))
    }

    /// Of `fan` additions.
    pub(super) fn of_sum(fan: usize) -> Result<Self, BoundError> {
        Self::new(fan, fan, fan)
    }

    /// `≥ γ` of a contribution to a coefficient of `fan` additions; 0 if it is the only one, which is added to 0.
    pub(super) fn shared(&self, fan: usize) -> f32 {
        if fan > 1 { self.backward } else { 0.0 }
    }
}
