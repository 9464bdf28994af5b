//! Optimizers: what becomes of parameters and gradients, each in one pass over memory.
//!
//! All count steps `t` from 1. `g` is the gradient, after [`clip`]; decay `λ`:
//!
//! | rule | update |
//! | --- | --- |
//! | SGD | `g += λw`; `v = μv + (1 − d)g` (`v = g` at first); `w −= η(v` or, Nesterov, `g + μv)` |
//! | Adam | `g += λw`; `m = β₁m + (1 − β₁)g`; `v = β₂v + (1 − β₂)g²`; `w −= η m̂/(√v̂ + ε)` |
//! | AdamW | as Adam, but `w −= ηλw` in the place of `g += λw` |
//! | RMSprop | `g += λw`; `v = αv + (1 − α)g²`; `b = μb + g/(√v + ε)`; `w −= ηb` |
//! | LAMB | `r = m̂/(√v̂ + ε) + λw`; `w −= η·φ·r`, `φ = ‖w‖/‖r‖` of the tensor, 1 where one is 0 |
//! | Lion | `u = sign(β₁m + (1 − β₁)g)`; `w −= η(u + λw)`; `m = β₂m + (1 − β₂)g` |
//!
//! Source: as PyTorch has them; Kingma and Ba 2015 (arXiv:1412.6980), Loshchilov and Hutter 2019 (arXiv:1711.05101), You et al. 2020
//! (arXiv:1904.00962), Chen et al. 2023 (arXiv:2302.06675).

mod average;
mod schedule;
#[cfg(test)]
mod tests;

pub use average::Average;
pub use schedule::{Ramp, Rate};

use certus_kernels::relax::wide;
use rayon::prelude::*;

/// A rule with its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Gradient descent, with momentum.
    Sgd {
        /// `μ`, 0 for none.
        momentum: f32,
        /// `d`.
        dampening: f32,
        /// Whether the step looks ahead.
        nesterov: bool,
    },
    /// Adam.
    Adam(Moments),
    /// Adam with decay apart from the gradient.
    AdamW(Moments),
    /// RMSprop.
    RmsProp {
        /// `α`.
        smoothing: f32,
        /// `ε`.
        epsilon: f32,
        /// `μ`.
        momentum: f32,
    },
    /// Adam's step, scaled for each tensor by its norm.
    Lamb(Moments),
    /// The sign of a mean of gradients.
    Lion {
        /// `β₁`, `β₂`.
        betas: [f32; 2],
    },
}

/// Means of the gradient and of its square.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// `β₁`, `β₂`.
    pub betas: [f32; 2],
    /// `ε`.
    pub epsilon: f32,
}

impl Default for Moments {
    fn default() -> Self {
        Self { betas: [0.9, 0.999], epsilon: 1e-8 }
    }
}

/// A rule's memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimizer {
    /// The rule.
    pub rule: Rule,
    /// `λ`.
    pub decay: f32,
    /// Steps done.
    pub steps: u64,
    /// For each tensor, what the rule keeps: at most two tensors as large.
    pub state: Vec<[Vec<f32>; 2]>,
}

impl Optimizer {
    /// Nothing done, for tensors of these sizes.
    pub fn new(rule: Rule, decay: f32, sizes: impl IntoIterator<Item = usize>) -> Self {
        let two = !matches!(rule, Rule::Lion { .. } | Rule::Sgd { .. });
        let state = sizes.into_iter().map(|n| [vec![0.0; n], vec![0.0; if two { n } else { 0 }]]);
        Self { rule, decay, steps: 0, state: state.collect() }
    }

    /// One step at rate `rate`: `tensors[k]` moves against `gradients[k]` times `factor` (see [`clip`]). Threads of rayon's current pool share
    /// large tensors; each element's arithmetic is the same with any number of them.
    ///
    /// # Panics
    /// If the sizes are not those of [`Self::new`].
    pub fn step<'t>(
        &mut self,
        tensors: impl IntoIterator<Item = &'t mut [f32]>,
        gradients: &[&[f32]],
        rate: f32,
        factor: f32,
    ) {
        self.steps += 1;
        let step = Step { rule: self.rule, decay: self.decay, rate, factor, steps: self.steps };
        let mut count = 0;
        for ((w, g), [m, v]) in tensors.into_iter().zip(gradients).zip(&mut self.state) {
            assert_eq!([w.len(), g.len()], [m.len(); 2], "tensor {count} has its size");
            step.apply_shared(w, g, m, v);
            count += 1;
        }
        assert_eq!([count, gradients.len()], [self.state.len(); 2], "all tensors");
    }
}

/// One step of one rule.
#[derive(Clone, Copy)]
struct Step {
    rule: Rule,
    decay: f32,
    rate: f32,
    factor: f32,
    steps: u64,
}

/// Elements that a thread takes at a time.
const SHARE: usize = 1 << 16;

impl Step {
    /// As [`Self::apply`], shared among threads where elements do not depend on one another.
    fn apply_shared(self, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        if matches!(self.rule, Rule::Lamb(_)) || w.len() <= SHARE {
            wide(|| self.apply(w, g, m, v));
            return;
        }
        let parts = w.par_chunks_mut(SHARE).zip(g.par_chunks(SHARE)).zip(m.par_chunks_mut(SHARE));
        if v.is_empty() {
            parts.for_each(|((w, g), m)| wide(|| self.apply(w, g, m, &mut [])));
        } else {
            parts.zip(v.par_chunks_mut(SHARE)).for_each(|(((w, g), m), v)| wide(|| self.apply(w, g, m, v)));
        }
    }

    #[inline(always)]
    fn apply(self, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        let Self { decay, rate, factor, steps, .. } = self;
        let all = w.iter_mut().zip(g).zip(m.iter_mut());
        match self.rule {
            Rule::Sgd { momentum, dampening, nesterov } => {
                let fresh = if steps == 1 { 1.0 } else { 1.0 - dampening };
                for ((w, g), m) in all {
                    let g = factor * g + decay * *w;
                    *m = momentum * *m + fresh * g;
                    *w -= rate * if nesterov { g + momentum * *m } else { *m };
                }
            }
            Rule::Adam(moments) | Rule::AdamW(moments) => {
                let apart = matches!(self.rule, Rule::AdamW(_));
                let (inside, outside) = if apart { (0.0, decay) } else { (decay, 0.0) };
                let [first, second] = corrections(moments.betas, steps);
                let [b1, b2] = moments.betas;
                for (((w, g), m), v) in all.zip(v) {
                    let g = factor * g + inside * *w;
                    *m = b1 * *m + (1.0 - b1) * g;
                    *v = b2 * *v + (1.0 - b2) * g * g;
                    let up = *m * first / ((*v * second).sqrt() + moments.epsilon);
                    *w -= rate * (up + outside * *w);
                }
            }
            Rule::RmsProp { smoothing, epsilon, momentum } => {
                for (((w, g), b), v) in all.zip(v) {
                    let g = factor * g + decay * *w;
                    *v = smoothing * *v + (1.0 - smoothing) * g * g;
                    *b = momentum * *b + g / (v.sqrt() + epsilon);
                    *w -= rate * *b;
                }
            }
            Rule::Lamb(moments) => {
                let [first, second] = corrections(moments.betas, steps);
                let [b1, b2] = moments.betas;
                let (mut weights, mut moves) = (0.0f64, 0.0f64);
                let up =
                    |m: f32, v: f32, w: f32| m * first / ((v * second).sqrt() + moments.epsilon) + decay * w;
                for (((w, g), m), v) in all.zip(v.iter_mut()) {
                    let g = factor * g;
                    *m = b1 * *m + (1.0 - b1) * g;
                    *v = b2 * *v + (1.0 - b2) * g * g;
                    let r = f64::from(up(*m, *v, *w));
                    (weights, moves) = (weights + f64::from(*w) * f64::from(*w), moves + r * r);
                }
                let trust = if weights > 0.0 && moves > 0.0 { (weights / moves).sqrt() as f32 } else { 1.0 };
                for ((w, m), v) in w.iter_mut().zip(m).zip(v) {
                    *w -= rate * trust * up(*m, *v, *w);
                }
            }
            Rule::Lion { betas: [b1, b2] } => {
                for ((w, g), m) in all {
                    let g = factor * g;
                    let mixed = b1 * *m + (1.0 - b1) * g;
                    let sign = if mixed > 0.0 {
                        1.0
                    } else if mixed < 0.0 {
                        -1.0
                    } else {
                        0.0
                    };
                    *w -= rate * (sign + decay * *w);
                    *m = b2 * *m + (1.0 - b2) * g;
                }
            }
        }
    }
}

/// What undoes that the means began at 0: `1/(1 − βᵗ)`.
fn corrections(betas: [f32; 2], steps: u64) -> [f32; 2] {
    betas.map(|b| (1.0 / (1.0 - f64::from(b).powi(i32::try_from(steps).unwrap_or(i32::MAX)))) as f32)
}

/// The factor that brings the norm of all gradients together down to `limit`, 1 if it is not above; and that norm.
pub fn clip(gradients: &[&[f32]], limit: f32) -> (f32, f64) {
    let squares: f64 = gradients.iter().map(|g| sum_of_squares(g)).sum();
    let norm = squares.sqrt();
    // As PyTorch: a margin below the limit.
    let factor = f64::from(limit) / (norm + 1e-6);
    (if factor < 1.0 { factor as f32 } else { 1.0 }, norm)
}

/// Elements whose squares are summed in `f32`.
const BLOCK: usize = 4096;
/// Partial sums: a vector's worth, so that the order does not depend on the width.
const PARTS: usize = 16;

/// Threads take blocks; sums of blocks are added in order, whatever the threads.
fn sum_of_squares(x: &[f32]) -> f64 {
    let (blocks, rest) = x.split_at(x.len() / BLOCK * BLOCK);
    let sums: Vec<f64> = blocks.par_chunks(BLOCK).with_min_len(8).map(|x| wide(|| block_sum(x))).collect();
    let total: f64 = sums.iter().sum();
    let loose: f64 = rest.chunks_exact(PARTS).remainder().iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    total + loose + wide(|| block_sum(rest))
}

#[inline(always)]
fn block_sum(x: &[f32]) -> f64 {
    let mut parts = [0.0f32; PARTS];
    for chunk in x.chunks_exact(PARTS) {
        parts.iter_mut().zip(chunk).for_each(|(p, x)| *p += x * x);
    }
    parts.iter().map(|p| f64::from(*p)).sum::<f64>()
}
