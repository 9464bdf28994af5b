//! The tree of splits that a search leaves behind: what becomes the proof.

use std::sync::Mutex;

/// A proved domain: how each disjunct is refuted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leaf {
    /// Per disjunct.
    pub claims: Vec<Claim>,
}

/// How a leaf refutes a disjunct; see `certus_core::proof::Claim`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    /// Row of the disjunct.
    pub row: u16,
    /// Lower slopes, `α·255` per neuron of the program, or empty.
    pub alpha: Vec<u8>,
    /// Multipliers, one per neuron split of the path, or empty.
    pub beta: Vec<f32>,
}

/// What divides a domain in two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// `x ≤ value`, then `x ≥ value`.
    Input {
        /// Coordinate.
        coordinate: u16,
        /// Where.
        value: f64,
    },
    /// `z ≥ 0`, then `z ≤ 0`.
    Neuron {
        /// Layer of the program.
        layer: u16,
        /// Neuron of the layer.
        neuron: u32,
    },
}

#[derive(Clone, Debug)]
enum Node {
    Open,
    Split { cut: Cut, first: u32 },
    Leaf(Leaf),
}

/// A growing tree; node 0 is the root.
#[derive(Debug)]
pub struct Tree {
    nodes: Mutex<Vec<Node>>,
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: Mutex::new(vec![Node::Open]) }
    }
}

impl Tree {
    /// Splits an open node; returns its two halves.
    pub fn split(&self, node: u32, cut: Cut) -> (u32, u32) {
        let mut nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        let first = nodes.len() as u32;
        nodes.extend([Node::Open, Node::Open]);
        nodes[node as usize] = Node::Split { cut, first };
        (first, first + 1)
    }

    /// Marks an open node as proved.
    pub fn prove(&self, node: u32, leaf: Leaf) {
        self.nodes.lock().expect("no worker panics while it holds the tree")[node as usize] =
            Node::Leaf(leaf);
    }

    /// The proof's bytes, as `certus_core::proof::walk` reads them, or `None` while a node is open.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        let mut bytes = Vec::with_capacity(nodes.len() * 8);
        let mut stack = vec![0u32];
        while let Some(node) = stack.pop() {
            match &nodes[node as usize] {
                Node::Open => return None,
                Node::Split { cut, first } => {
                    write_cut(*cut, &mut bytes);
                    stack.extend([first + 1, *first]);
                }
                Node::Leaf(leaf) => write_leaf(leaf, &mut bytes),
            }
        }
        Some(bytes)
    }
}

fn write_cut(cut: Cut, bytes: &mut Vec<u8>) {
    match cut {
        Cut::Input { coordinate, value } => {
            bytes.push(1);
            bytes.extend(coordinate.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        Cut::Neuron { layer, neuron } => {
            bytes.push(2);
            bytes.extend(layer.to_le_bytes());
            bytes.extend(neuron.to_le_bytes());
        }
    }
}

fn write_leaf(leaf: &Leaf, bytes: &mut Vec<u8>) {
    bytes.push(3);
    for claim in &leaf.claims {
        bytes.extend(claim.row.to_le_bytes());
        bytes.push(u8::from(!claim.alpha.is_empty()) | (u8::from(!claim.beta.is_empty()) << 1));
        bytes.extend(&claim.alpha);
        claim.beta.iter().for_each(|b| bytes.extend(b.to_le_bytes()));
    }
}
