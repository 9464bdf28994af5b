//! Computations as graphs of tensors, closed under differentiation.
//!
//! A [`Graph`] lists [`Op`]s, each after its inputs; building it computes nothing. [`Graph::gradient`] adds the nodes of a reverse
//! pass, which are operations of the same set, so that gradients have gradients. Equal operations on equal inputs are one node.
//! [`crate::run`] evaluates: a plain `f64` executor that is the oracle, and a planned `f32` one.
//!
//! The batch is the *last* axis of a tensor (lanes): `[features, lanes]`, `[channels, height, width, lanes]`. Weights have none.
//! Everything that is done neuron by neuron is then a loop over contiguous lanes.

mod build;
mod gradient;
mod op;
#[cfg(test)]
mod tests;

pub use op::{Axis, Binary, Conv, Op, Scalar, Unary};

use std::collections::HashMap;

/// A tensor of a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(u32);

impl Node {
    /// Its place in the graph: greater than those of its inputs.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The node at `index`.
    pub(crate) fn at(index: usize) -> Self {
        Self(u32::try_from(index).expect("fewer than 2³² nodes"))
    }
}

/// What a node is.
#[derive(Clone, Debug)]
pub struct Entry {
    /// How it is computed.
    pub op: Op,
    /// From what.
    pub inputs: Vec<Node>,
    /// Its shape, the last axis contiguous.
    pub shape: Vec<usize>,
}

impl Entry {
    /// Elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Operations in an order in which they can be evaluated.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    entries: Vec<Entry>,
    leaves: Vec<Node>,
    tensors: Vec<Vec<f64>>,
    known: HashMap<(u32, Op, Vec<Node>, Vec<usize>), Node>,
    /// Nodes of different generations are not merged.
    generation: u32,
}

impl Graph {
    /// No nodes.
    pub fn new() -> Self {
        Self::default()
    }

    /// All nodes, inputs first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What `node` is.
    pub fn entry(&self, node: Node) -> &Entry {
        &self.entries[node.index()]
    }

    /// The shape of `node`.
    pub fn shape(&self, node: Node) -> &[usize] {
        &self.entry(node).shape
    }

    /// The leaves, in the order in which values are handed over.
    pub fn leaves(&self) -> &[Node] {
        &self.leaves
    }

    /// The tensors that the graph holds, by their numbers.
    pub fn tensors(&self) -> &[Vec<f64>] {
        &self.tensors
    }

    fn insert(&mut self, op: Op, inputs: &[Node], shape: Vec<usize>) -> Node {
        let key = (self.generation, op, inputs.to_vec(), shape);
        if let Some(node) = self.known.get(&key) {
            return *node;
        }
        let node = Node(u32::try_from(self.entries.len()).expect("fewer than 2³² nodes"));
        self.entries.push(Entry { op, inputs: inputs.to_vec(), shape: key.3.clone() });
        self.known.insert(key, node);
        node
    }

    /// A value that is the same at each evaluation.
    ///
    /// # Panics
    /// If the number of elements is not the shape's.
    pub fn tensor(&mut self, shape: &[usize], values: Vec<f64>) -> Node {
        assert_eq!(values.len(), shape.iter().product::<usize>(), "elements of {shape:?}");
        let number = match self.tensors.iter().position(|t| *t == values) {
            Some(number) => number,
            None => {
                self.tensors.push(values);
                self.tensors.len() - 1
            }
        };
        self.insert(Op::Tensor(number as u32), &[], shape.to_vec())
    }

    /// A value that is handed over at each evaluation.
    pub fn leaf(&mut self, shape: &[usize]) -> Node {
        let number = u32::try_from(self.leaves.len()).expect("fewer than 2³² leaves");
        let node = self.insert(Op::Leaf(number), &[], shape.to_vec());
        self.leaves.push(node);
        node
    }
}
