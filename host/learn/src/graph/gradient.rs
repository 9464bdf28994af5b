//! The reverse pass, as nodes of the same graph.
//!
//! Products, convolutions and sums have the derivatives of linear maps: of `C = A·B` they are `G·Bᵀ` and `Aᵀ·G`, and the three
//! operations of a convolution are each the others' derivatives. Kinks take one side: `relu'(0) = 0`, `|·|'(0) = 0`; of a largest
//! element that occurs several times each gets the derivative.

use super::{Binary, Graph, Node, Op, Unary};

impl Graph {
    /// The gradients of `of` (one element) to each of `to`, zeros where it does not depend on it.
    ///
    /// # Panics
    /// If `of` has more than one element.
    pub fn gradient(&mut self, of: Node, to: &[Node]) -> Vec<Node> {
        self.gradient_recomputing(of, to, &[])
    }

    /// As [`Graph::gradient`], with less memory: nodes between two of `checkpoints` (indices of nodes, ascending) are computed a second
    /// time in the reverse pass, from what is before the checkpoint, in the place of being kept.
    ///
    /// # Panics
    /// As [`Graph::gradient`].
    pub fn gradient_recomputing(&mut self, of: Node, to: &[Node], checkpoints: &[Node]) -> Vec<Node> {
        assert_eq!(self.entry(of).len(), 1, "the gradient of one element");
        let end = of.index() + 1;
        let wanted = self.depending(to, end);
        let mut adjoints: Vec<Option<Node>> = vec![None; end];
        let shape = self.shape(of).to_vec();
        adjoints[of.index()] = Some(self.constant(1.0, &shape));
        let mut segment = Segment::after_all(end, checkpoints);
        for index in (0..end).rev() {
            if !wanted[index] {
                continue;
            }
            let Some(adjoint) = adjoints[index] else { continue };
            segment.enter(self, index, checkpoints);
            let node = segment.now(Node(index as u32));
            let entry = self.entries[index].clone();
            let inputs: Vec<Node> = entry.inputs.iter().map(|x| segment.now(*x)).collect();
            for (k, original) in entry.inputs.iter().enumerate() {
                if !wanted[original.index()] {
                    continue;
                }
                if let Some(part) = self.derivative(entry.op, &inputs, node, adjoint, k) {
                    adjoints[original.index()] = Some(match adjoints[original.index()] {
                        Some(sum) => self.add(sum, part),
                        None => part,
                    });
                }
            }
        }
        let zeros = |graph: &mut Self, x: Node| {
            let shape = graph.shape(x).to_vec();
            graph.constant(0.0, &shape)
        };
        to.iter()
            .map(|x| adjoints.get(x.index()).copied().flatten().unwrap_or_else(|| zeros(self, *x)))
            .collect()
    }

    /// Which of the first `end` nodes depend on one of `to`.
    fn depending(&self, to: &[Node], end: usize) -> Vec<bool> {
        let mut found = vec![false; end];
        for index in 0..end {
            let inputs = &self.entries[index].inputs;
            found[index] =
                to.contains(&Node(index as u32)) || inputs.iter().any(|input| found[input.index()]);
        }
        found
    }

    /// What input `k` gets of the adjoint `g` of `y = op(x)`; `None` where there is no derivative.
    fn derivative(&mut self, op: Op, x: &[Node], y: Node, g: Node, k: usize) -> Option<Node> {
        Some(match op {
            Op::Leaf(_) | Op::Tensor(_) | Op::Constant(_) | Op::Detach => return None,
            Op::Unary(function) => return self.derivative_of_unary(function, x[0], y, g),
            Op::Binary(function) => return self.derivative_of_binary(function, [x[0], x[1]], g, k),
            Op::Expand(at) => {
                let sum = self.sum_at(g, at);
                let shape = self.shape(x[0]).to_vec();
                self.reshape(sum, &shape)
            }
            Op::Sum(at) => {
                let shape = self.shape(x[0]).to_vec();
                self.expand_at(g, at, &shape)
            }
            Op::Largest(at) => {
                let shape = self.shape(x[0]).to_vec();
                let (top, g) = (self.expand_at(y, at, &shape), self.expand_at(g, at, &shape));
                let is_top = self.binary(Binary::Equal, x[0], top);
                self.mul(g, is_top)
            }
            Op::Reshape => {
                let shape = self.shape(x[0]).to_vec();
                self.reshape(g, &shape)
            }
            Op::MatMul([ta, tb]) => match (k, [ta, tb][k]) {
                (0, false) => self.matmul(g, x[1], [false, !tb]),
                (0, true) => self.matmul(x[1], g, [tb, true]),
                (_, false) => self.matmul(x[0], g, [!ta, false]),
                (_, true) => self.matmul(g, x[0], [true, ta]),
            },
            Op::Conv(c) if k == 0 => self.conv_data(c, g, x[1]),
            Op::Conv(c) => self.conv_weight(c, g, x[0]),
            Op::ConvData(c) if k == 0 => self.conv(c, g, x[1]),
            Op::ConvData(c) => self.conv_weight(c, x[0], g),
            Op::ConvWeight(c) if k == 0 => self.conv(c, x[1], g),
            Op::ConvWeight(c) => self.conv_data(c, x[0], g),
            Op::Repeat { times, .. } => self.fold(g, times),
            Op::Fold { times, .. } => self.repeat(g, times),
            Op::Slice { start } => {
                let len = self.shape(x[0])[0];
                self.embed(g, start, len)
            }
            Op::Embed { start } => {
                let len = self.shape(x[0])[0];
                self.slice(g, start, len)
            }
        })
    }

    fn derivative_of_unary(&mut self, function: Unary, x: Node, y: Node, g: Node) -> Option<Node> {
        let slope = match function {
            Unary::Sign | Unary::Step => return None,
            Unary::Neg => return Some(self.unary(Unary::Neg, g)),
            Unary::Shift(_) => return Some(g),
            Unary::Scale(c) => return Some(self.scale(g, c.get())),
            Unary::Abs => self.unary(Unary::Sign, x),
            Unary::Relu => self.unary(Unary::Step, x),
            Unary::Exp => y,
            Unary::Log => self.unary(Unary::Recip, x),
            Unary::Sqrt => {
                let inverse = self.unary(Unary::Recip, y);
                self.scale(inverse, 0.5)
            }
            Unary::Recip => {
                let square = self.unary(Unary::Square, y);
                self.unary(Unary::Neg, square)
            }
            Unary::Square => self.scale(x, 2.0),
            Unary::Tanh => {
                let square = self.unary(Unary::Square, y);
                let negated = self.unary(Unary::Neg, square);
                self.shift(negated, 1.0)
            }
            Unary::Sigmoid => {
                let negated = self.unary(Unary::Neg, y);
                let rest = self.shift(negated, 1.0);
                self.mul(y, rest)
            }
        };
        Some(self.mul(g, slope))
    }

    fn derivative_of_binary(&mut self, function: Binary, x: [Node; 2], g: Node, k: usize) -> Option<Node> {
        Some(match (function, k) {
            (Binary::Greater | Binary::Equal, _) => return None,
            (Binary::Add, _) | (Binary::Sub, 0) => g,
            (Binary::Sub, _) => self.unary(Unary::Neg, g),
            (Binary::Mul, _) => self.mul(g, x[1 - k]),
            (Binary::Max | Binary::Min, _) => {
                // One mask for both inputs: where they are equal the second gets the derivative.
                let (a, b) = if function == Binary::Max { (x[0], x[1]) } else { (x[1], x[0]) };
                let first = self.binary(Binary::Greater, a, b);
                if k == 0 {
                    self.mul(g, first)
                } else {
                    let rest = self.unary(Unary::Neg, first);
                    let rest = self.shift(rest, 1.0);
                    self.mul(g, rest)
                }
            }
        })
    }
}

/// The nodes between two checkpoints, and what takes their place in the reverse pass.
struct Segment {
    /// First node; nodes before are kept as they are.
    start: usize,
    /// How many checkpoints lie before.
    rank: usize,
    copies: Vec<Option<Node>>,
}

impl Segment {
    /// After the last checkpoint nothing is computed again.
    fn after_all(end: usize, checkpoints: &[Node]) -> Self {
        let start = checkpoints.last().map_or(0, |c| c.index() + 1).min(end);
        Self { start, rank: checkpoints.len(), copies: Vec::new() }
    }

    /// Goes back to the segment of node `index`, whose nodes are computed again.
    fn enter(&mut self, graph: &mut Graph, index: usize, checkpoints: &[Node]) {
        if index >= self.start {
            return;
        }
        while self.rank > 0 && index <= checkpoints[self.rank - 1].index() {
            self.rank -= 1;
        }
        let end = checkpoints[self.rank].index();
        self.start = if self.rank == 0 { 0 } else { checkpoints[self.rank - 1].index() + 1 };
        self.copies = vec![None; end];
        graph.generation += 1;
        for index in self.start..end {
            let entry = graph.entries[index].clone();
            if matches!(entry.op, Op::Leaf(_) | Op::Tensor(_) | Op::Constant(_)) {
                continue;
            }
            let inputs: Vec<Node> = entry.inputs.iter().map(|x| self.now(*x)).collect();
            self.copies[index] = Some(graph.insert(entry.op, &inputs, entry.shape));
        }
    }

    fn now(&self, node: Node) -> Node {
        self.copies.get(node.index()).copied().flatten().unwrap_or(node)
    }
}
