//! α,β-CROWN: lower slopes `α` of unstable neurons and multipliers `β ≥ 0` of split neurons, optimised for many
//! subproblems at once, one per lane, with intermediate bounds held fixed.
//!
//! A lane bounds one row of a spec on the box, with its own intervals, slopes and splits. Backward, with `a` the coefficient
//! on a post-activation, `s`, `t` the upper line, `σ = ±1` the sign of a split (0 without):
//! `â = max(a,0)·α + min(a,0)·s − σβ`, constant `+= min(a,0)·t + â·b`. The bound is concave in `(α, β)`; its gradient needs no
//! tape: the adjoint of the backward pass is one forward sweep of the concretizing point `x*`,
//! `z* = Wx* + b`, `x* ← αz*` if `a ≥ 0`, else `sz* + t`, and then `∂/∂α = max(a,0)·z*`, `∂/∂β = −σz*`.
//! Every iterate is a bound; the best one of each lane is kept.
//!
//! Source: Xu et al. 2021 (arXiv:2011.13824), Wang et al. 2021 (arXiv:2103.06624); Adam with decaying rate.

use super::crown::{Interval, Region, relu_lines};
use super::{Net, Spec};
use certus_kernels::relax::wide;
use certus_kernels::{LANE_MULTIPLE, padded_lanes};

/// How long and how fast to climb.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climb {
    /// Iterations.
    pub iterations: usize,
    /// Rate of `α`.
    pub alpha_rate: f32,
    /// Rate of `β`, times the largest weight of the spec.
    pub beta_rate: f32,
    /// Factor of both rates per iteration.
    pub decay: f32,
}

/// One subproblem.
#[derive(Clone, Debug)]
pub struct Lane<'a> {
    /// Intervals per hidden layer, cut at the splits.
    pub intervals: &'a [Interval],
    /// Row of the spec.
    pub row: usize,
    /// Split neurons: hidden layer, neuron, `z ≥ 0`; the intervals need not be cut at the last ones yet.
    pub splits: &'a [(usize, usize, bool)],
    /// Slopes to start from, `α·255`, `[neurons]`, or empty for the adaptive ones.
    pub alpha: &'a [u8],
    /// Multipliers to start from, one per split (missing ones are 0).
    pub beta: &'a [f32],
}

/// The best bound of a lane, and where it was found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Lower bound of the row.
    pub bound: f32,
    /// Slopes, `[neurons]`.
    pub alpha: Vec<f32>,
    /// Multipliers, one per split.
    pub beta: Vec<f32>,
    /// What each neuron's relaxation loses with these slopes, `[neurons]`; 0 where stable.
    pub gaps: Vec<f32>,
    /// The point that attains the linear bound, `[inputs]`.
    pub point: Vec<f32>,
}

/// State of all lanes; `[neurons, lanes]` unless said otherwise.
struct State {
    lanes: usize,
    first: Vec<usize>,
    alpha: Vec<f32>,
    beta: Vec<f32>,
    /// σ of a split, else 0.
    sign: Vec<f32>,
    upper_slope: Vec<f32>,
    upper_intercept: Vec<f32>,
    /// 1 where `α` is free.
    free: Vec<f32>,
    /// Coefficients on post-activations of the last backward pass.
    post: Vec<f32>,
    moments: [Vec<f32>; 4],
    /// `α` and `β` of each lane's best pass.
    best: [Vec<f32>; 2],
    /// Per neuron: whether `α` is free, or it is split, in some lane.
    has_free: Vec<bool>,
    has_split: Vec<bool>,
    /// `[width, lanes]`.
    a: Vec<f32>,
    next: Vec<f32>,
    /// `[inputs, lanes]`.
    point: Vec<f32>,
    /// `[lanes]`.
    value: Vec<f32>,
}

/// Climbs from the lanes' starts; stops early when every bound is positive.
pub fn optimise(net: &Net, spec: &Spec, region: Region<'_>, lanes: &[Lane<'_>], climb: Climb) -> Vec<Found> {
    let mut state = State::new(net, lanes);
    let best = state.climb(net, spec, region, lanes, climb, true);
    state.restore();
    state.backward(net, spec, region, lanes);
    let found = |(r, (lane, bound)): (usize, (&Lane<'_>, f32))| state.found(net, lane, r, bound);
    lanes.iter().zip(best).enumerate().map(found).collect()
}

/// As [`optimise`], the bounds alone.
pub fn optimised_bounds(
    net: &Net,
    spec: &Spec,
    region: Region<'_>,
    lanes: &[Lane<'_>],
    climb: Climb,
) -> Vec<f32> {
    State::new(net, lanes).climb(net, spec, region, lanes, climb, false)
}

impl State {
    fn new(net: &Net, lanes: &[Lane<'_>]) -> Self {
        let count = padded_lanes(lanes.len());
        let neurons = net.neurons();
        let zeros = || vec![0.0f32; neurons * count];
        let mut first = vec![0];
        net.hidden.iter().for_each(|h| first.push(first[first.len() - 1] + h.rows));
        let mut state = Self {
            lanes: count,
            first,
            alpha: zeros(),
            beta: zeros(),
            sign: zeros(),
            upper_slope: zeros(),
            upper_intercept: zeros(),
            free: zeros(),
            post: zeros(),
            moments: [zeros(), zeros(), zeros(), zeros()],
            best: [zeros(), zeros()],
            has_free: vec![false; neurons],
            has_split: vec![false; neurons],
            a: vec![0.0; net.width() * count],
            next: vec![0.0; net.width() * count],
            point: vec![0.0; net.inputs * count],
            value: vec![0.0; count],
        };
        for (r, lane) in lanes.iter().enumerate() {
            state.load(lane, r);
        }
        let any = |x: &[f32]| x.chunks_exact(count).map(|row| row.iter().any(|v| *v != 0.0)).collect();
        (state.has_free, state.has_split) = (any(&state.free), any(&state.sign));
        state
    }

    fn load(&mut self, lane: &Lane<'_>, r: usize) {
        for (k, interval) in lane.intervals.iter().enumerate() {
            for (i, (l, u)) in interval.lower.iter().zip(&interval.upper).enumerate() {
                let neuron = self.first[k] + i;
                let at = neuron * self.lanes + r;
                if *u <= 0.0 {
                    continue; // inactive: everything 0
                }
                if *l >= 0.0 {
                    (self.alpha[at], self.upper_slope[at]) = (1.0, 1.0);
                    continue;
                }
                let lines = relu_lines(*l, *u);
                self.free[at] = 1.0;
                self.upper_slope[at] = lines.upper_slope;
                self.upper_intercept[at] = lines.upper_intercept;
                self.alpha[at] = lane.alpha.get(neuron).map_or(lines.lower_slope, |a| f32::from(*a) / 255.0);
            }
        }
        for (index, (k, i, active)) in lane.splits.iter().enumerate() {
            let at = (self.first[*k] + i) * self.lanes + r;
            self.sign[at] = if *active { 1.0 } else { -1.0 };
            if self.free[at] == 1.0 {
                let slope = if *active { 1.0 } else { 0.0 };
                (self.alpha[at], self.upper_slope[at]) = (slope, slope);
                (self.free[at], self.upper_intercept[at]) = (0.0, 0.0);
            }
            self.beta[at] = lane.beta.get(index).copied().unwrap_or(0.0);
        }
    }

    /// The best bound of each lane; its variables go to `best` if `keep`.
    fn climb(
        &mut self,
        net: &Net,
        spec: &Spec,
        region: Region<'_>,
        lanes: &[Lane<'_>],
        climb: Climb,
        keep: bool,
    ) -> Vec<f32> {
        // Multipliers are measured in coefficients of the rows.
        let scale = spec.weights.iter().fold(0.0f32, |s, w| s.max(w.abs()));
        let mut best = vec![f32::NEG_INFINITY; lanes.len()];
        let mut risen = vec![0.0f32; self.lanes];
        for iteration in 0..=climb.iterations {
            self.backward(net, spec, region, lanes);
            for ((best, risen), value) in best.iter_mut().zip(&mut risen).zip(&self.value) {
                *risen = if *value > *best { 1.0 } else { 0.0 };
                *best = best.max(*value);
            }
            if keep {
                self.keep(&risen);
            }
            if iteration == climb.iterations || best.iter().all(|b| *b > 0.0) {
                break;
            }
            let rate = climb.decay.powi(iteration as i32);
            self.ascend(net, iteration, rate * climb.alpha_rate, rate * climb.beta_rate * scale);
        }
        best
    }

    /// Keeps the variables of the lanes that have risen (1, else 0).
    fn keep(&mut self, risen: &[f32]) {
        let (alpha, beta) = (&self.alpha, &self.beta);
        let [best_alpha, best_beta] = &mut self.best;
        wide(|| {
            take_risen(best_alpha, alpha, risen);
            take_risen(best_beta, beta, risen);
        });
    }

    /// Goes back to the variables that were kept.
    fn restore(&mut self) {
        let [alpha, beta] = &self.best;
        self.alpha.copy_from_slice(alpha);
        self.beta.copy_from_slice(beta);
    }

    /// The bounds of all lanes into `value`, their coefficients into `post`, their minimisers into `point`.
    fn backward(&mut self, net: &Net, spec: &Spec, region: Region<'_>, lanes: &[Lane<'_>]) {
        let count = self.lanes;
        self.value.fill(0.0);
        for (r, lane) in lanes.iter().enumerate() {
            self.value[r] = spec.bias[lane.row];
            let weights = &spec.weights[lane.row * spec.cols..][..spec.cols];
            self.a[r..].iter_mut().step_by(count).zip(weights).for_each(|(a, w)| *a = *w);
        }
        for (k, layer) in net.hidden.iter().enumerate().rev() {
            let range = self.first[k] * count..self.first[k + 1] * count;
            self.post[range.clone()].copy_from_slice(&self.a[..layer.rows * count]);
            let lines = Lines {
                alpha: &self.alpha[range.clone()],
                upper_slope: &self.upper_slope[range.clone()],
                upper_intercept: &self.upper_intercept[range.clone()],
                sign: &self.sign[range.clone()],
                beta: &self.beta[range],
            };
            let (a, value) = (&mut self.a[..layer.rows * count], &mut self.value);
            wide(|| relax(a, value, lines, &layer.bias, count));
            layer.backward.product(None, &self.a, count, &mut self.next);
            std::mem::swap(&mut self.a, &mut self.next);
        }
        let inputs = self.a.chunks_exact(count).zip(self.point.chunks_exact_mut(count));
        for (((a, x), l), u) in inputs.zip(region.lower).zip(region.upper) {
            for ((a, x), v) in a.iter().zip(x).zip(&mut self.value) {
                *x = if *a >= 0.0 { *l } else { *u };
                *v += a * *x;
            }
        }
    }

    /// One Adam step of `α` and `β` along the gradient, projected to `[0, 1]` and `[0, ∞)`.
    fn ascend(&mut self, net: &Net, iteration: usize, alpha_rate: f32, beta_rate: f32) {
        let count = self.lanes;
        let mut x = std::mem::take(&mut self.a);
        let mut z = std::mem::take(&mut self.next);
        x[..self.point.len()].copy_from_slice(&self.point);
        let step = iteration as i32 + 1;
        let correction = (1.0 - BETA_2.powi(step)).sqrt() / (1.0 - BETA_1.powi(step));
        for (k, layer) in net.hidden.iter().enumerate() {
            layer.forward.product(None, &x, count, &mut z);
            let neurons = self.first[k]..self.first[k + 1];
            let range = neurons.start * count..neurons.end * count;
            let [m_alpha, v_alpha, m_beta, v_beta] = &mut self.moments;
            let layer_state = LayerState {
                has_free: &self.has_free[neurons.clone()],
                has_split: &self.has_split[neurons],
                alpha: &mut self.alpha[range.clone()],
                beta: &mut self.beta[range.clone()],
                sign: &self.sign[range.clone()],
                upper_slope: &self.upper_slope[range.clone()],
                upper_intercept: &self.upper_intercept[range.clone()],
                free: &self.free[range.clone()],
                post: &self.post[range.clone()],
                m_alpha: &mut m_alpha[range.clone()],
                v_alpha: &mut v_alpha[range.clone()],
                m_beta: &mut m_beta[range.clone()],
                v_beta: &mut v_beta[range],
            };
            let rates = (alpha_rate * correction, beta_rate * correction);
            let z = &z[..layer.rows * count];
            let x = &mut x[..layer.rows * count];
            wide(|| layer_step(layer_state, z, x, &layer.bias, count, rates));
        }
        self.a = x;
        self.next = z;
    }

    /// A lane's variables, after a pass with those that gave `bound`.
    fn found(&self, net: &Net, lane: &Lane<'_>, r: usize, bound: f32) -> Found {
        let column = |x: &[f32]| x[r..].iter().step_by(self.lanes).copied().collect::<Vec<f32>>();
        if bound == f32::NEG_INFINITY {
            // Every pass overflowed.
            return Found { bound, ..Found::default() };
        }
        let beta =
            lane.splits.iter().map(|(k, i, _)| self.beta[(self.first[*k] + i) * self.lanes + r]).collect();
        let mut point = column(&self.point);
        point.truncate(net.inputs);
        let mut gaps = Vec::with_capacity(net.neurons());
        for (k, interval) in lane.intervals.iter().enumerate() {
            for (i, (l, u)) in interval.lower.iter().zip(&interval.upper).enumerate() {
                let at = (self.first[k] + i) * self.lanes + r;
                let (a, alpha) = (self.post[at], self.alpha[at]);
                let below = (-l * alpha).max(u * (1.0 - alpha));
                let gap = LOWER_SHARE * a.max(0.0) * below - a.min(0.0) * self.upper_intercept[at];
                gaps.push(self.free[at] * gap);
            }
        }
        Found { bound, alpha: column(&self.alpha), beta, gaps, point }
    }
}

/// Copies the lanes of `from` that `risen` marks, `[rows, lanes]` each.
#[inline(always)]
fn take_risen(to: &mut [f32], from: &[f32], risen: &[f32]) {
    for (to, from) in to.chunks_exact_mut(risen.len()).zip(from.chunks_exact(risen.len())) {
        for ((to, from), risen) in to.iter_mut().zip(from).zip(risen) {
            *to = if *risen == 1.0 { *from } else { *to };
        }
    }
}

/// What counts of the gap below a neuron: free slopes close most of it, in a network of one layer all of it; splits close
/// the gap above.
const LOWER_SHARE: f32 = 0.02;

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;

#[derive(Clone, Copy)]
struct Lines<'a> {
    alpha: &'a [f32],
    upper_slope: &'a [f32],
    upper_intercept: &'a [f32],
    sign: &'a [f32],
    beta: &'a [f32],
}

#[inline(always)]
fn relax(a: &mut [f32], value: &mut [f32], lines: Lines<'_>, bias: &[f32], lanes: usize) {
    let rows = a.chunks_exact_mut(lanes).zip(bias).zip(lines.alpha.chunks_exact(lanes));
    let lines = lines
        .upper_slope
        .chunks_exact(lanes)
        .zip(lines.upper_intercept.chunks_exact(lanes))
        .zip(lines.sign.chunks_exact(lanes).zip(lines.beta.chunks_exact(lanes)));
    for (((a, b), alpha), ((slope, intercept), (sign, beta))) in rows.zip(lines) {
        for r in 0..lanes {
            let (plus, minus) = (a[r].max(0.0), a[r].min(0.0));
            let next = plus * alpha[r] + minus * slope[r] - sign[r] * beta[r];
            value[r] += minus * intercept[r] + next * b;
            a[r] = next;
        }
    }
}

struct LayerState<'a> {
    has_free: &'a [bool],
    has_split: &'a [bool],
    alpha: &'a mut [f32],
    beta: &'a mut [f32],
    sign: &'a [f32],
    upper_slope: &'a [f32],
    upper_intercept: &'a [f32],
    free: &'a [f32],
    post: &'a [f32],
    m_alpha: &'a mut [f32],
    v_alpha: &'a mut [f32],
    m_beta: &'a mut [f32],
    v_beta: &'a mut [f32],
}

/// The sweep through one layer with the step of its variables.
#[inline(always)]
fn layer_step(s: LayerState<'_>, z: &[f32], x: &mut [f32], bias: &[f32], lanes: usize, rates: (f32, f32)) {
    for (row, b) in bias.iter().enumerate() {
        let at = row * lanes;
        let (z, x) = (&z[at..][..lanes], &mut x[at..][..lanes]);
        let (post, alpha) = (&s.post[at..][..lanes], &mut s.alpha[at..][..lanes]);
        let (slope, intercept) = (&s.upper_slope[at..][..lanes], &s.upper_intercept[at..][..lanes]);
        for r in 0..lanes {
            let z = z[r] + b;
            x[r] = if post[r] >= 0.0 { alpha[r] * z } else { slope[r] * z + intercept[r] };
        }
        if s.has_free[row] {
            let (free, m, v) =
                (&s.free[at..][..lanes], &mut s.m_alpha[at..][..lanes], &mut s.v_alpha[at..][..lanes]);
            for r in 0..lanes {
                let step = adam(free[r] * post[r].max(0.0) * (z[r] + b), &mut m[r], &mut v[r]);
                alpha[r] = (alpha[r] + free[r] * rates.0 * step).clamp(0.0, 1.0);
            }
        }
        if s.has_split[row] {
            let (sign, beta) = (&s.sign[at..][..lanes], &mut s.beta[at..][..lanes]);
            let (m, v) = (&mut s.m_beta[at..][..lanes], &mut s.v_beta[at..][..lanes]);
            for r in 0..lanes {
                let step = adam(-sign[r] * (z[r] + b), &mut m[r], &mut v[r]);
                beta[r] = (beta[r] + rates.1 * step).max(0.0);
            }
        }
    }
}

/// The direction of a step of rate 1, without bias corrections.
#[inline(always)]
fn adam(gradient: f32, m: &mut f32, v: &mut f32) -> f32 {
    *m = BETA_1 * *m + (1.0 - BETA_1) * gradient;
    *v = BETA_2 * *v + (1.0 - BETA_2) * gradient * gradient;
    *m / (v.sqrt() + 1e-8)
}

const _: () = assert!(LANE_MULTIPLE > 0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::crown::{Bounds, Mode, Scratch, bound};
    use crate::chain::{Chain, OwnedAffine, OwnedLayer};

    fn chain(widths: &[usize]) -> Chain {
        let mut state = 7u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let last = widths.len() - 2;
        let layers = widths
            .windows(2)
            .enumerate()
            .map(|(i, p)| {
                let weights = (0..p[0] * p[1]).map(|_| random()).collect();
                let bias = (0..p[1]).map(|_| 0.3 * random()).collect();
                OwnedLayer {
                    affine: OwnedAffine::Dense { rows: p[1], cols: p[0], weights, bias },
                    relu: i < last,
                }
            })
            .collect();
        Chain::new(layers).expect("a network")
    }

    /// The sweep's gradient against central differences of the bound. The bound is piecewise bilinear in one variable, so a
    /// difference that does not cross a kink is exact up to `f32`.
    #[test]
    fn the_gradient_agrees_with_finite_differences() {
        let chain = chain(&[3, 8, 8, 2]);
        let net = Net::new(&chain);
        let spec = net.output_spec();
        let (lower, upper) = ([-0.7f32; 3], [0.6f32; 3]);
        let region = Region { lower: &lower, upper: &upper };
        let (mut scratch, mut bounds) = (Scratch::default(), Bounds::default());
        assert!(bound(&net, &spec, region, &[], Mode::Default, &mut scratch, &mut bounds));
        let alpha = vec![102u8; net.neurons()];
        let splits = [(1, 2, true), (0, 1, false)];
        let lane =
            Lane { intervals: &bounds.layers, row: 1, splits: &splits, alpha: &alpha, beta: &[0.1, 0.2] };
        let lanes = [lane];
        let value = |change: &dyn Fn(&mut State)| {
            let mut state = State::new(&net, &lanes);
            change(&mut state);
            state.backward(&net, &spec, region, &lanes);
            f64::from(state.value[0])
        };
        let mut state = State::new(&net, &lanes);
        state.backward(&net, &spec, region, &lanes);
        // A step of rate 0 leaves the variables and writes (1 − β₁)·gradient into the first moments.
        state.ascend(&net, 0, 0.0, 0.0);
        let (mut compared, h) = (0, 1e-2f32);
        for neuron in 0..net.neurons() {
            let at = neuron * state.lanes;
            let slopes = |beta: bool| {
                let shifted = |by: f32| {
                    value(&move |s: &mut State| if beta { s.beta[at] += by } else { s.alpha[at] += by })
                };
                ((shifted(h) - value(&|_| ())) / f64::from(h), (value(&|_| ()) - shifted(-h)) / f64::from(h))
            };
            let variables = [(state.free[at], 0, false), (state.sign[at].abs(), 2, true)];
            for (present, moment, beta) in variables.into_iter().filter(|v| v.0 == 1.0) {
                let gradient = f64::from(state.moments[moment][at] / (1.0 - BETA_1));
                let (right, left) = slopes(beta);
                let close = |x: f64| (gradient - x).abs() <= 2e-3 * (1.0 + x.abs());
                assert!(close(right) || close(left), "neuron {neuron}: {gradient} against {left}, {right}");
                compared += present as usize;
            }
        }
        assert!(compared >= 8, "only {compared} variables were compared");
    }

    #[test]
    fn climbing_never_ends_below_its_start_nor_above_a_sampled_value() {
        let chain = chain(&[4, 12, 12, 1]);
        let net = Net::new(&chain);
        let spec = net.output_spec();
        let (lower, upper) = ([-0.5f32; 4], [0.5f32; 4]);
        let region = Region { lower: &lower, upper: &upper };
        let (mut scratch, mut bounds) = (Scratch::default(), Bounds::default());
        assert!(bound(&net, &spec, region, &[], Mode::Default, &mut scratch, &mut bounds));
        let lane = Lane { intervals: &bounds.layers, row: 0, splits: &[], alpha: &[], beta: &[] };
        let climb = Climb { iterations: 50, alpha_rate: 0.1, beta_rate: 0.0, decay: 0.98 };
        let found = &optimise(&net, &spec, region, &[lane], climb)[0];
        assert!(found.bound > bounds.rows[0], "nothing was gained: {} from {}", found.bound, bounds.rows[0]);
        for k in 0..4096u32 {
            let x: Vec<f32> = (0..4)
                .map(|j| -0.5 + (k.wrapping_mul(2_654_435_761).rotate_left(8 * j) % 1000) as f32 / 999.0)
                .collect();
            assert!(chain.eval_f32(&x)[0] >= found.bound - 1e-5, "{x:?}");
        }
    }
}
