//! Values and gradients at points, many at once in lanes.
//!
//! Gradients are those of the elements where they exist; at a kink one side's is taken, and a step function gets the slope of a
//! smooth one, so that an attack has a direction to go. On a plateau an attack asks for a `leak`, the slope of functions where they are
//! flat.
//!
//! # Rounding
//! *Estimate*.

use std::sync::Arc;

use super::conv::{Lists, Way};
use super::prepare::{Linear, Node, Prepared, Product};
use super::rows::{Rows, Support};
use crate::program::{Float, Function, Groups};
use certus_kernels::lanes::{add_scaled, add_weighted};

/// Buffers for one net and one number of lanes.
#[derive(Debug)]
pub struct Points<'n> {
    net: &'n Prepared,
    lanes: usize,
    /// Per slot, `[neurons, lanes]`; empty for slots that are fused away.
    values: Vec<Rows>,
    /// Per slot, `[neurons, lanes]`, while a gradient is under way.
    adjoints: Vec<Option<Rows>>,
    full: Vec<Arc<Support>>,
    lists: Lists,
    gradient: Vec<f32>,
}

impl<'n> Points<'n> {
    /// Buffers for `lanes` points (a multiple of 16 is fastest).
    pub fn new(net: &'n Prepared, lanes: usize) -> Self {
        let full: Vec<Arc<Support>> = net.sizes.iter().map(|n| Arc::new(Support::all(*n))).collect();
        let values = full.iter().map(|s| Rows { support: Arc::clone(s), data: Vec::new() }).collect();
        let adjoints = net.sizes.iter().map(|_| None).collect();
        Self { net, lanes, values, adjoints, full, lists: Lists::default(), gradient: Vec::new() }
    }

    /// Points evaluated together.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// From the next evaluation on, `lanes` points.
    pub fn set_lanes(&mut self, lanes: usize) {
        self.lanes = lanes;
    }

    /// What is evaluated.
    pub fn net(&self) -> &'n Prepared {
        self.net
    }

    /// The outputs `[outputs, lanes]` at the points `x` `[inputs, lanes]`.
    ///
    /// # Panics
    /// If `x` has another length.
    pub fn evaluate(&mut self, x: &[f32]) -> &[f32] {
        assert_eq!(x.len(), self.net.inputs() * self.lanes, "points of the inputs");
        self.values[0].data.clear();
        self.values[0].data.extend_from_slice(x);
        for slot in 1..self.net.nodes.len() {
            let len = self.net.sizes[slot] * self.lanes;
            let mut data = std::mem::take(&mut self.values[slot].data);
            data.clear();
            data.resize(len, 0.0);
            let mut to = Rows { support: Arc::clone(&self.full[slot]), data };
            self.step(slot, &mut to);
            self.values[slot] = to;
        }
        &self.values[self.net.output].data
    }

    fn step(&mut self, slot: usize, to: &mut Rows) {
        let (net, lanes) = (self.net, self.lanes);
        match &net.nodes[slot] {
            Node::Input | Node::Unused => {}
            Node::Affine { terms, bias } => {
                let mut part = Rows { support: Arc::clone(&to.support), data: Vec::new() };
                for (k, (input, map)) in terms.iter().enumerate() {
                    if k == 0 {
                        map.apply(Way::Forward, &self.values[*input], to, lanes, &mut self.lists);
                    } else {
                        part.data.resize(to.data.len(), 0.0);
                        map.apply(Way::Forward, &self.values[*input], &mut part, lanes, &mut self.lists);
                        add_scaled(&mut to.data, &part.data, 1.0);
                    }
                }
                for (row, b) in to.data.chunks_exact_mut(lanes).zip(bias.iter().flatten()) {
                    row.iter_mut().for_each(|v| *v += b);
                }
            }
            Node::Elementwise { input, function } => {
                let from = &self.values[*input].data;
                to.data.iter_mut().zip(from).for_each(|(y, x)| *y = x.apply(*function));
            }
            Node::Max { input, groups } => maxima(groups, &self.values[*input].data, &mut to.data, lanes),
            Node::Product(p) => {
                let (left, right) = (&self.values[p.left].data, &self.values[p.right].data);
                for (j, out) in to.data.chunks_exact_mut(lanes).enumerate() {
                    for term in 0..p.k {
                        let (x, y) = p.operands(j, term);
                        let pair = left[x * lanes..][..lanes].iter().zip(&right[y * lanes..][..lanes]);
                        out.iter_mut().zip(pair).for_each(|(o, (x, y))| *o += x * y);
                    }
                }
            }
            Node::Index { inputs, sources } => {
                for (out, source) in to.data.chunks_exact_mut(lanes).zip(sources) {
                    if let Some((of, element)) = source {
                        let from = &self.values[inputs[*of as usize]].data;
                        out.copy_from_slice(&from[*element as usize * lanes..][..lanes]);
                    }
                }
            }
        }
    }

    /// The gradient `[inputs, lanes]` of `Σ weights·output` at the points last evaluated, `weights` `[outputs, lanes]`.
    /// Functions that are flat where they are evaluated have the slope `leak` there.
    ///
    /// # Panics
    /// If `weights` has another length.
    pub fn gradient(&mut self, weights: &[f32], leak: f32) -> &[f32] {
        assert_eq!(weights.len(), self.net.outputs() * self.lanes, "weights of the outputs");
        let output = self.net.output;
        self.adjoints[output] =
            Some(Rows { support: Arc::clone(&self.full[output]), data: weights.to_vec() });
        for slot in (1..=output).rev() {
            if let Some(rows) = self.adjoints[slot].take() {
                self.back(slot, rows, leak);
            }
        }
        self.gradient = match self.adjoints[0].take() {
            Some(rows) => rows.data,
            None => vec![0.0; self.net.inputs() * self.lanes],
        };
        &self.gradient
    }

    fn back(&mut self, slot: usize, mut rows: Rows, leak: f32) {
        let (net, lanes) = (self.net, self.lanes);
        match &net.nodes[slot] {
            Node::Input | Node::Unused => {}
            Node::Affine { terms, .. } => {
                for (input, map) in terms {
                    self.through(*input, map, &rows);
                }
            }
            Node::Elementwise { input, function } => {
                let (x, y) = (&self.values[*input].data, &self.values[slot].data);
                for ((a, x), y) in rows.data.iter_mut().zip(x).zip(y) {
                    *a *= derivative(*function, *x, *y, leak);
                }
                self.put(*input, rows.data);
            }
            Node::Max { input, groups } => {
                let mut to = vec![0.0; net.sizes[*input] * lanes];
                let x = &self.values[*input].data;
                for (group, row) in groups.iter().zip(rows.data.chunks_exact(lanes)) {
                    for (r, a) in row.iter().enumerate() {
                        let value = |j: &u32| x[*j as usize * lanes + r];
                        let largest = group.iter().max_by(|a, b| value(a).total_cmp(&value(b)));
                        to[*largest.expect("a group has a member") as usize * lanes + r] += a;
                    }
                }
                self.put(*input, to);
            }
            Node::Product(p) => self.product(*p, &rows),
            Node::Index { inputs, sources } => {
                for (k, input) in inputs.iter().enumerate() {
                    let mut to = vec![0.0; net.sizes[*input] * lanes];
                    for (row, source) in rows.data.chunks_exact(lanes).zip(sources) {
                        if let Some((of, element)) = source
                            && *of as usize == k
                        {
                            add_scaled(&mut to[*element as usize * lanes..][..lanes], row, 1.0);
                        }
                    }
                    self.put(*input, to);
                }
            }
        }
    }

    fn through(&mut self, input: usize, map: &Linear, rows: &Rows) {
        if matches!(map, Linear::Identity) {
            return self.put(input, rows.data.clone());
        }
        let data = vec![0.0; self.net.sizes[input] * self.lanes];
        let mut to = Rows { support: Arc::clone(&self.full[input]), data };
        map.apply(Way::Backward, rows, &mut to, self.lanes, &mut self.lists);
        self.put(input, to.data);
    }

    fn product(&mut self, p: Product, rows: &Rows) {
        let lanes = self.lanes;
        let mut sums = [p.left, p.right].map(|s| vec![0.0; self.net.sizes[s] * lanes]);
        let (left, right) = (&self.values[p.left].data, &self.values[p.right].data);
        for (j, row) in rows.data.chunks_exact(lanes).enumerate() {
            for term in 0..p.k {
                let (x, y) = p.operands(j, term);
                for (r, a) in row.iter().enumerate() {
                    sums[0][x * lanes + r] += a * right[y * lanes + r];
                    sums[1][y * lanes + r] += a * left[x * lanes + r];
                }
            }
        }
        let [left, right] = sums;
        self.put(p.left, left);
        self.put(p.right, right);
    }

    fn put(&mut self, slot: usize, data: Vec<f32>) {
        match &mut self.adjoints[slot] {
            Some(rows) => add_scaled(&mut rows.data, &data, 1.0),
            empty => *empty = Some(Rows { support: Arc::clone(&self.full[slot]), data }),
        }
    }

    /// Rows `weights·y + bias` (`[rows, outputs]`, `[rows]`) at the points last evaluated: `[rows, lanes]`.
    ///
    /// # Panics
    /// If `weights` does not fit.
    pub fn rows(&self, weights: &[f32], bias: &[f32]) -> Vec<f32> {
        let (outputs, lanes) = (self.net.outputs(), self.lanes);
        assert_eq!(weights.len(), bias.len() * outputs, "rows of the outputs");
        let live = &self.full[self.net.output].live;
        let mut sums = vec![0.0; bias.len() * lanes];
        for ((sum, w), b) in sums.chunks_exact_mut(lanes).zip(weights.chunks_exact(outputs)).zip(bias) {
            sum.fill(*b);
            add_weighted(&self.values[self.net.output].data, live, w, lanes, sum);
        }
        sums
    }
}

fn maxima(groups: &Groups, from: &[f32], to: &mut [f32], lanes: usize) {
    for (group, out) in groups.iter().zip(to.chunks_exact_mut(lanes)) {
        out.fill(f32::NEG_INFINITY);
        for j in group {
            out.iter_mut().zip(&from[*j as usize * lanes..][..lanes]).for_each(|(m, x)| *m = m.max(*x));
        }
    }
}

/// The derivative at `x`, where the function is `y`; `leak` where the function is flat.
fn derivative(function: Function, x: f32, y: f32, leak: f32) -> f32 {
    let inside = |yes: bool, slope: f32| if yes { slope } else { leak };
    match function {
        Function::Relu => inside(x > 0.0, 1.0),
        Function::LeakyRelu { slope } => {
            if x >= 0.0 {
                1.0
            } else {
                slope
            }
        }
        Function::Clip { lower, upper } => inside(lower < x && x < upper, 1.0),
        Function::Abs => x.signum(),
        // Of x / (1 + |x|): where the step lies.
        Function::Sign | Function::Softsign => 1.0 / ((1.0 + x.abs()) * (1.0 + x.abs())),
        Function::Sigmoid => y * (1.0 - y),
        Function::Tanh => 1.0 - y * y,
        Function::Exp => y,
        Function::Log => x.recip(),
        Function::Sin => x.cos(),
        Function::Cos => -x.sin(),
        Function::Sqrt => 0.5 / y.max(f32::MIN_POSITIVE),
        Function::Reciprocal => -y * y,
        Function::Power { exponent } => exponent as f32 * x.powi(exponent.cast_signed() - 1),
        Function::Erf => std::f32::consts::FRAC_2_SQRT_PI * (-x * x).exp(),
        Function::Softplus => Float::apply(x, Function::Sigmoid),
        Function::Elu { alpha } => {
            if x >= 0.0 {
                1.0
            } else {
                y + alpha
            }
        }
        Function::HardSigmoid { alpha, .. } => inside(0.0 < y && y < 1.0, alpha),
        Function::Floor => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Affine, Builder, Map, Operation, Program, Slot, Term};

    /// conv → sigmoid → + x → max of pairs → product with itself, and a sine beside.
    fn program() -> Program {
        let mut b = Builder::new(4);
        let conv = crate::program::Conv {
            channels_in: 1,
            channels_out: 1,
            groups: 1,
            size_in: [2, 2],
            size_out: [2, 2],
            kernel: [3, 2],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [1, 1],
            weights: Arc::new(vec![0.5, -1.0, 0.25, 2.0, -0.75, 1.5]),
        };
        let z = b.affine("conv", Slot::INPUT, Map::Conv(conv), None).unwrap();
        let s = b.elementwise("sigmoid", z, Function::Sigmoid).unwrap();
        let terms = [s, Slot::INPUT].map(|input| Term { input, map: Map::Identity }).to_vec();
        let sum = b.push("add", Operation::Affine(Affine { terms, bias: None })).unwrap();
        let groups = Groups { starts: vec![0, 2, 4], members: vec![0, 1, 2, 3] };
        let max = b.push("max", Operation::Max { input: sum, groups }).unwrap();
        let product = Operation::Product { left: max, right: max, count: 1, m: 1, k: 2, n: 1 };
        let dot = b.push("dot", product).unwrap();
        let sine = b.elementwise("sine", sum, Function::Sin).unwrap();
        let index = Operation::Index { inputs: vec![dot, sine], indices: vec![3, 0] };
        let out = b.push("pick", index).unwrap();
        b.finish(out).unwrap()
    }

    #[test]
    fn values_are_the_programs_and_gradients_are_difference_quotients() {
        let program = program();
        let net = Prepared::new(&program);
        let mut points = Points::new(&net, 16);
        let at = |r: usize| -> Vec<f64> { (0..4).map(|j| ((r * 4 + j) as f64 * 0.7).sin()).collect() };
        let x: Vec<f32> = (0..4).flat_map(|j| (0..16).map(move |r| at(r)[j] as f32)).collect();
        let values = points.evaluate(&x).to_vec();
        let weights: Vec<f32> = [1.0f32, -2.0].iter().flat_map(|w| [*w; 16]).collect();
        let gradient = points.gradient(&weights, 0.0).to_vec();
        for r in 0..16 {
            let y = program.eval(&at(r));
            for (i, y) in y.iter().enumerate() {
                assert!((f64::from(values[i * 16 + r]) - y).abs() < 1e-5, "{r} {i}");
            }
            let objective = |x: &[f64]| {
                let y = program.eval(x);
                y[0] - 2.0 * y[1]
            };
            for j in 0..4 {
                let (mut above, mut below) = (at(r), at(r));
                above[j] += 1e-6;
                below[j] -= 1e-6;
                let quotient = (objective(&above) - objective(&below)) / 2e-6;
                assert!((f64::from(gradient[j * 16 + r]) - quotient).abs() < 1e-3, "{r} {j}");
            }
        }
    }
}
