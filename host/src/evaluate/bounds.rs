//! Sound margins of a class on a box: intervals with the last layer elided, then CROWN-IBP.
//!
//! # The elided row
//! With `h ∈ [l, u]` what the last layer reads, in both meanings, its outputs are `y = W h + b + p`. Over the reals `p = 0` (up to what
//! constants are off by). On the device `|pᵢ| ≤ γ_K tᵢ + nη`, `tᵢ = |bᵢ| + Σ|wᵢⱼ| mⱼ`, `mⱼ = max(|lⱼ|, |uⱼ|)`: no path of its sum has
//! more than `K = n + 2` roundings. So `y_c − y_k ≥ Σ min(dⱼlⱼ, dⱼuⱼ) + b_c − b_k − q_c − q_k` with `d = W_c − W_k` and
//! `qᵢ ≥ |pᵢ|`. All of it is computed in `f64`: a difference, a product and `n + 1` additions round by at most
//! `γ_{n+3}(t_c + t_k)` there (units of 2⁻⁵³), which is deducted twice over; terms below 2⁻¹⁰⁰⁰ do not occur, as factors are `f32`.

use certus_core::bounds::program::{interval, memory_len, prepare, row_lower};
use certus_core::bounds::{BoundError, Method};
use certus_core::program::Planned;
use certus_engine::program::{Function, Map, Operation, Program, Slot};

use super::Bound;

/// The last layer, if it is dense and reads ReLUs.
#[derive(Clone, Debug)]
struct Last<'p> {
    /// What the ReLUs read.
    before: Slot,
    weights: &'p [f32],
    bias: Vec<f64>,
    /// How far a bias may be off the real one.
    error: Vec<f64>,
}

impl<'p> Last<'p> {
    fn of(program: &'p Program) -> Option<Self> {
        let [.., relu, dense] = program.steps() else { return None };
        let at = program.steps().len();
        let Operation::Elementwise { input, function: Function::Relu } = relu.operation else { return None };
        let Operation::Affine(affine) = &dense.operation else { return None };
        let [term] = &affine.terms[..] else { return None };
        let Map::Dense { count: 1, rows, weights, .. } = &term.map else { return None };
        if term.input != Slot(at - 1) || program.output() != Slot(at) {
            return None;
        }
        let (bias, error) = match &affine.bias {
            None => (vec![0.0; *rows], vec![0.0; *rows]),
            Some(of) => {
                let widen = |values: &[f32]| values.iter().map(|x| f64::from(*x)).collect();
                (widen(&of.values), of.error.as_deref().map_or(vec![0.0; *rows], widen))
            }
        };
        Some(Self { before: input, weights, bias, error })
    }

    /// Lower bounds of `y_class − y_k` for each `k`; 0 at the class itself.
    fn margins(&self, lower: &[f32], upper: &[f32], class: usize) -> Vec<f64> {
        let n = lower.len();
        let relu = |x: &f32| f64::from(x.max(0.0));
        let (lower, upper): (Vec<f64>, Vec<f64>) =
            (lower.iter().map(relu).collect(), upper.iter().map(relu).collect());
        let row = |k: usize| &self.weights[k * n..][..n];
        let mass = |k: usize| -> f64 {
            // Behind a ReLU the upper end is the larger one.
            row(k).iter().zip(&upper).map(|(w, m)| f64::from(w.abs()) * m).sum::<f64>() + self.bias[k].abs()
        };
        // Roundings of a path: 2⁻²⁴ each on the device, 2⁻⁵³ here; the masses' own errors and γ's divisor are in the last factor.
        let roundings = (n + 8) as f64;
        let device = roundings * (0.5f64.powi(24) + 4.0 * 0.5f64.powi(53)) * (1.0 + 1e-3);
        let tiny = roundings * 0.5f64.powi(148);
        let own = mass(class);
        let one = |k: usize| {
            if k == class {
                return 0.0;
            }
            let terms = row(class).iter().zip(row(k)).zip(lower.iter().zip(&upper));
            let sum: f64 = terms
                .map(|((a, b), (l, u))| {
                    let d = f64::from(*a) - f64::from(*b);
                    if d > 0.0 { d * l } else { d * u }
                })
                .sum();
            let off = device * (own + mass(k)) + 2.0 * tiny + 2.0 * (self.error[class] + self.error[k]);
            sum + self.bias[class] - self.bias[k] - off
        };
        // γ needs a number of roundings far below 2²⁴.
        if n > 1 << 13 {
            vec![f64::NEG_INFINITY; self.bias.len()]
        } else {
            (0..self.bias.len()).map(one).collect()
        }
    }
}

/// Bounds a network on boxes, one after the other.
#[derive(Debug)]
pub struct Bounder<'p> {
    planned: &'p Planned<'p>,
    last: Option<Last<'p>>,
    memory: Vec<f32>,
}

impl<'p> Bounder<'p> {
    /// For `program`, which `planned` is of.
    pub fn new(program: &'p Program, planned: &'p Planned<'p>) -> Self {
        let memory = vec![0.0; memory_len(planned, Method::Crown).max(memory_len(planned, Method::Ibp))];
        Self { planned, last: Last::of(program), memory }
    }

    /// The loosest bound that shows `class` to have the largest output on all of the box `[lower, upper]`, both over the reals and on the device;
    /// `None` if neither does.
    pub fn shows(&mut self, lower: &[f32], upper: &[f32], class: usize) -> Option<Bound> {
        let outputs = self.planned.program().outputs();
        let mut shown = vec![false; outputs];
        if let Some(margins) = self.interval_margins(lower, upper, class) {
            shown.iter_mut().zip(&margins).for_each(|(s, m)| *s = *m > 0.0);
        }
        shown[class] = true;
        if shown.iter().all(|s| *s) {
            return Some(Bound::Ibp);
        }
        if self.last.is_none() {
            prepare(self.planned, lower, upper, Method::Crown, &mut self.memory).ok()?;
        }
        for k in (0..outputs).filter(|k| !shown[*k]) {
            let mut row = vec![0.0; outputs];
            (row[class], row[k]) = (1.0, -1.0);
            let bound = row_lower(self.planned, Method::Crown, &row, &mut self.memory);
            if bound.is_ok_and(|b| b > 0.0) {
                continue;
            }
            return None;
        }
        Some(Bound::CrownIbp)
    }

    /// Margins from intervals: elided if the last layer allows, and then memory is prepared for rows too.
    pub(super) fn interval_margins(
        &mut self,
        lower: &[f32],
        upper: &[f32],
        class: usize,
    ) -> Option<Vec<f64>> {
        if let Some(last) = &self.last {
            prepare(self.planned, lower, upper, Method::Crown, &mut self.memory).ok()?;
            let (lower, upper) = interval(self.planned, last.before, &mut self.memory)?;
            return Some(last.margins(lower, upper, class));
        }
        prepare(self.planned, lower, upper, Method::Ibp, &mut self.memory).ok()?;
        let outputs = self.planned.program().outputs();
        let margin = |k: usize, memory: &mut [f32]| -> Result<f64, BoundError> {
            let mut row = vec![0.0; outputs];
            (row[class], row[k]) = (1.0, -1.0);
            row_lower(self.planned, Method::Ibp, &row, memory).map(f64::from)
        };
        let one = |k: usize| if k == class { Ok(0.0) } else { margin(k, &mut self.memory) };
        (0..outputs).map(one).collect::<Result<_, _>>().ok()
    }

    /// Bounds of each output on the box: `[lower, upper]` from CROWN-IBP, or from intervals where these are tighter.
    pub fn outputs(&mut self, lower: &[f32], upper: &[f32]) -> Option<Vec<[f32; 2]>> {
        let outputs = self.planned.program().outputs();
        let mut ends = vec![[f32::NEG_INFINITY, f32::INFINITY]; outputs];
        for method in [Method::Ibp, Method::Crown] {
            prepare(self.planned, lower, upper, method, &mut self.memory).ok()?;
            for (k, ends) in ends.iter_mut().enumerate() {
                let mut row = vec![0.0; outputs];
                row[k] = 1.0;
                if let Ok(below) = row_lower(self.planned, method, &row, &mut self.memory) {
                    ends[0] = ends[0].max(below);
                }
                row[k] = -1.0;
                if let Ok(above) = row_lower(self.planned, method, &row, &mut self.memory) {
                    ends[1] = ends[1].min(-above);
                }
            }
        }
        Some(ends)
    }
}
