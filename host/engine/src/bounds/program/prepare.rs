//! A program with its matrices packed and its runs of affine steps fused.

use std::sync::{Arc, OnceLock};

use super::conv::{Taps, Way};
use crate::program::{Constants, Conv, Function, Groups, Map, Operation, Program, Sparse, ZERO};
use certus_kernels::gather::Panels;

/// A program as bounds read it. Slots are those of the program; some are fused away.
#[derive(Debug)]
pub struct Prepared {
    pub(super) sizes: Vec<usize>,
    /// Name of the step that gives each slot.
    pub(super) names: Vec<String>,
    /// What gives each slot.
    pub(super) nodes: Vec<Node>,
    pub(super) output: usize,
    /// Channels, height and width of a slot that a convolution gives or reads, else one row.
    pub(super) shapes: Vec<[usize; 3]>,
    /// Whether interval arithmetic is exact on each element of a slot, given the box.
    pub(super) exact: Vec<bool>,
    /// The last step that reads a slot; its own slot if none does.
    pub(super) last_reader: Vec<usize>,
    /// Whether a maximum or a product reads the slot: its planes' derivatives by the slot's bounds are not computed.
    pub(super) undifferentiated: Vec<bool>,
    /// Whether a nonlinear step reads the slot.
    pub(super) relaxed: Vec<bool>,
}

/// What gives a slot.
#[derive(Debug)]
pub(super) enum Node {
    Input,
    /// Fused into what reads it, or read by nothing.
    Unused,
    Affine {
        terms: Vec<(usize, Linear)>,
        bias: Option<Vec<f32>>,
    },
    Elementwise {
        input: usize,
        function: Function,
    },
    Max {
        input: usize,
        groups: Groups,
    },
    Product(Product),
    Index {
        inputs: Vec<usize>,
        /// Per output the input (an index into `inputs`) and its element; `None` is 0.
        sources: Vec<Option<(u32, u32)>>,
    },
}

/// A batched matrix product of computed values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Product {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) m: usize,
    pub(super) k: usize,
    pub(super) n: usize,
}

impl Product {
    /// Left and right operands of the `term`-th summand of output `index`.
    pub(super) fn operands(&self, index: usize, term: usize) -> (usize, usize) {
        let (batch, row, col) = (index / (self.m * self.n), index / self.n % self.m, index % self.n);
        ((batch * self.m + row) * self.k + term, (batch * self.k + term) * self.n + col)
    }
}

/// A linear map, packed.
#[derive(Debug)]
pub(super) enum Linear {
    Identity,
    Scale(Vec<f32>),
    Dense(Dense),
    Conv(PackedConv),
    ConvTranspose(PackedConv),
    Sparse { by_row: Sparse, cols: usize },
}

#[derive(Debug)]
pub(super) struct Dense {
    pub(super) count: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) weights: Arc<Vec<f32>>,
    backward: OnceLock<Panels>,
    forward: OnceLock<Panels>,
}

impl Dense {
    /// `Wᵀ`.
    pub(super) fn backward(&self) -> &Panels {
        let w = &self.weights;
        self.backward.get_or_init(|| Panels::new(self.cols, self.rows, |j, i| w[i * self.cols + j]))
    }
    /// `W`.
    pub(super) fn forward(&self) -> &Panels {
        let w = &self.weights;
        self.forward.get_or_init(|| Panels::new(self.rows, self.cols, |i, j| w[i * self.cols + j]))
    }
}

/// A convolution with its matrices per group.
#[derive(Debug)]
pub(super) struct PackedConv {
    pub(super) conv: Conv,
    taps: [Taps; 2],
    backward: OnceLock<Vec<Panels>>,
    forward: OnceLock<Vec<Panels>>,
}

impl PackedConv {
    pub(super) fn new(conv: &Conv) -> Self {
        Self {
            conv: conv.clone(),
            taps: [Way::Backward, Way::Forward].map(|way| Taps::new(conv, way)),
            backward: OnceLock::new(),
            forward: OnceLock::new(),
        }
    }
    /// Which taps connect which pixels.
    pub(super) fn taps(&self, way: Way) -> &Taps {
        &self.taps[usize::from(way == Way::Forward)]
    }
    /// Per group `[channels in, taps × channels out]`.
    pub(super) fn backward(&self) -> &[Panels] {
        self.backward.get_or_init(|| self.pack(true))
    }
    /// Per group `[channels out, taps × channels in]`.
    pub(super) fn forward(&self) -> &[Panels] {
        self.forward.get_or_init(|| self.pack(false))
    }

    fn pack(&self, backward: bool) -> Vec<Panels> {
        let c = &self.conv;
        let (cin, cout, taps) =
            (c.channels_in / c.groups, c.channels_out / c.groups, c.kernel[0] * c.kernel[1]);
        let weight =
            |g: usize, o: usize, i: usize, tap: usize| c.weights[((g * cout + o) * cin + i) * taps + tap];
        (0..c.groups)
            .map(|g| {
                if backward {
                    Panels::new(cin, taps * cout, |i, col| weight(g, col % cout, i, col / cout))
                } else {
                    Panels::new(cout, taps * cin, |o, col| weight(g, o, col % cin, col / cin))
                }
            })
            .collect()
    }
}

impl Linear {
    fn new(map: &Map) -> Self {
        match map {
            Map::Identity => Self::Identity,
            Map::Scale(scale) => Self::Scale(scale.values.clone()),
            Map::Dense { count, rows, cols, weights } => Self::Dense(Dense {
                count: *count,
                rows: *rows,
                cols: *cols,
                weights: Arc::clone(weights),
                backward: OnceLock::new(),
                forward: OnceLock::new(),
            }),
            Map::Conv(conv) => Self::Conv(PackedConv::new(conv)),
            Map::ConvTranspose(conv) => Self::ConvTranspose(PackedConv::new(conv)),
            Map::Sparse(sparse) => Self::Sparse { by_row: sparse.clone(), cols: sparse.cols },
        }
    }

    fn products(&self) -> usize {
        match self {
            Self::Identity => 0,
            Self::Scale(scale) => scale.len(),
            Self::Dense(dense) => dense.count * dense.weights.len(),
            // Padding is counted as if it were not there.
            Self::Conv(p) | Self::ConvTranspose(p) => {
                p.conv.weights.len() * p.conv.size_out.iter().product::<usize>()
            }
            Self::Sparse { by_row, .. } => by_row.columns.len(),
        }
    }

    /// Whether each output depends on at most one input.
    fn is_diagonal(&self) -> bool {
        matches!(self, Self::Identity | Self::Scale(_))
    }
}

impl Prepared {
    /// Packs `program`.
    pub fn new(program: &Program) -> Self {
        let sizes: Vec<usize> = (0..program.slots()).map(|s| program.size(crate::program::Slot(s))).collect();
        let mut nodes = vec![Node::Input];
        nodes.extend(program.steps().iter().map(|s| node(&s.operation, &sizes)));
        let output = program.output().0;
        fuse(&mut nodes, output);
        let mut prepared = Self {
            shapes: shapes(&nodes, &sizes),
            exact: exact(&nodes),
            last_reader: (0..nodes.len()).collect(),
            relaxed: vec![false; nodes.len()],
            undifferentiated: vec![false; nodes.len()],
            names: std::iter::once("input".to_owned())
                .chain(program.steps().iter().map(|s| s.name.clone()))
                .collect(),
            sizes,
            nodes,
            output,
        };
        for (slot, node) in prepared.nodes.iter().enumerate() {
            node.inputs().into_iter().for_each(|input| prepared.last_reader[input] = slot);
            match node {
                Node::Elementwise { input, .. } => prepared.relaxed[*input] = true,
                Node::Max { .. } | Node::Product(_) => {
                    for input in node.inputs() {
                        (prepared.relaxed[input], prepared.undifferentiated[input]) = (true, true);
                    }
                }
                Node::Input | Node::Unused | Node::Affine { .. } | Node::Index { .. } => {}
            }
        }
        prepared
    }

    /// Elements of the input.
    pub fn inputs(&self) -> usize {
        self.sizes[0]
    }
    /// Elements of the output.
    pub fn outputs(&self) -> usize {
        self.sizes[self.output]
    }
    /// About how many products an evaluation at one point takes: those of its linear maps and matrix products.
    pub fn products(&self) -> usize {
        let of = |node: &Node| match node {
            Node::Affine { terms, .. } => terms.iter().map(|(_, map)| map.products()).sum(),
            Node::Product(p) => p.m.max(1) * p.k * self.sizes[p.right],
            _ => 0,
        };
        self.nodes.iter().map(of).sum()
    }
}

impl Node {
    /// The slots it reads.
    pub(super) fn inputs(&self) -> Vec<usize> {
        match self {
            Self::Input | Self::Unused => Vec::new(),
            Self::Affine { terms, .. } => terms.iter().map(|(s, _)| *s).collect(),
            Self::Elementwise { input, .. } | Self::Max { input, .. } => vec![*input],
            Self::Product(p) => vec![p.left, p.right],
            Self::Index { inputs, .. } => inputs.clone(),
        }
    }
}

fn node(operation: &Operation, sizes: &[usize]) -> Node {
    match operation {
        Operation::Affine(affine) => Node::Affine {
            terms: affine.terms.iter().map(|t| (t.input.0, Linear::new(&t.map))).collect(),
            bias: affine.bias.as_ref().map(|Constants { values, .. }| values.clone()),
        },
        Operation::Elementwise { input, function } => {
            Node::Elementwise { input: input.0, function: *function }
        }
        Operation::Max { input, groups } => Node::Max { input: input.0, groups: groups.clone() },
        Operation::Product { left, right, m, k, n, .. } => {
            Node::Product(Product { left: left.0, right: right.0, m: *m, k: *k, n: *n })
        }
        Operation::Index { inputs, indices } => {
            let inputs: Vec<usize> = inputs.iter().map(|s| s.0).collect();
            let mut first = vec![0u32];
            inputs.iter().for_each(|s| first.push(first[first.len() - 1] + sizes[*s] as u32));
            let source = |i: &u32| {
                (*i != ZERO).then(|| {
                    let of = first.partition_point(|f| f <= i) - 1;
                    (of as u32, i - first[of])
                })
            };
            Node::Index { sources: indices.iter().map(source).collect(), inputs }
        }
    }
}

/// Replaces an identity term by the terms of the affine step that it alone reads.
fn fuse(nodes: &mut [Node], output: usize) {
    let mut readers = vec![0usize; nodes.len()];
    readers[output] += 1;
    nodes.iter().flat_map(Node::inputs).for_each(|s| readers[s] += 1);
    for i in 1..nodes.len() {
        let Node::Affine { terms, bias } = &mut nodes[i] else { continue };
        let (mut terms, mut bias) = (std::mem::take(terms), bias.take());
        let mut fused = Vec::new();
        for (slot, map) in terms.drain(..) {
            let alone = matches!(map, Linear::Identity) && readers[slot] == 1;
            if !(alone && matches!(nodes[slot], Node::Affine { .. })) {
                fused.push((slot, map));
                continue;
            }
            if let Node::Affine { terms: inner, bias: inner_bias } =
                std::mem::replace(&mut nodes[slot], Node::Unused)
            {
                fused.extend(inner);
                bias = match (bias.take(), inner_bias) {
                    (Some(a), Some(b)) => Some(a.iter().zip(&b).map(|(a, b)| a + b).collect()),
                    (a, b) => a.or(b),
                };
            }
        }
        nodes[i] = Node::Affine { terms: fused, bias };
    }
    // What nothing reads any more: the program holds no such step before fusing.
    debug_assert!(readers[1..].iter().all(|r| *r > 0));
}

/// Shapes by the convolutions that give or read a slot, carried through steps that keep the order of elements.
fn shapes(nodes: &[Node], sizes: &[usize]) -> Vec<[usize; 3]> {
    let mut shapes: Vec<[usize; 3]> = sizes.iter().map(|n| [*n, 1, 1]).collect();
    for (slot, node) in nodes.iter().enumerate() {
        match node {
            Node::Affine { terms, .. } => {
                for (input, map) in terms {
                    let (read, given) = match map {
                        Linear::Conv(p) => (p.conv.shape_in(), p.conv.shape_out()),
                        Linear::ConvTranspose(p) => (p.conv.shape_out(), p.conv.shape_in()),
                        Linear::Identity | Linear::Scale(_) => (shapes[*input], shapes[*input]),
                        Linear::Dense(_) | Linear::Sparse { .. } => continue,
                    };
                    (shapes[*input], shapes[slot]) = (read, given);
                }
            }
            Node::Elementwise { input, .. } => shapes[slot] = shapes[*input],
            Node::Input | Node::Unused | Node::Max { .. } | Node::Product(_) | Node::Index { .. } => {}
        }
    }
    shapes
}

impl Conv {
    fn shape_in(&self) -> [usize; 3] {
        [self.channels_in, self.size_in[0], self.size_in[1]]
    }
    fn shape_out(&self) -> [usize; 3] {
        [self.channels_out, self.size_out[0], self.size_out[1]]
    }
}

/// Interval arithmetic over a box is exact for one map that mixes independent elements.
fn exact(nodes: &[Node]) -> Vec<bool> {
    let mut independent = vec![false; nodes.len()];
    let mut exact = vec![false; nodes.len()];
    for (slot, node) in nodes.iter().enumerate() {
        (independent[slot], exact[slot]) = match node {
            Node::Input => (true, true),
            Node::Affine { terms, .. } => match terms.as_slice() {
                [(input, map)] if map.is_diagonal() => (independent[*input], exact[*input]),
                [(input, _)] => (false, independent[*input]),
                _ => (false, false),
            },
            Node::Elementwise { input, .. } => (false, exact[*input]),
            Node::Unused | Node::Max { .. } | Node::Product(_) | Node::Index { .. } => (false, false),
        };
    }
    exact
}
