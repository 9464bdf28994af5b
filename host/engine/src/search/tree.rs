//! The tree of splits that a search leaves behind: what becomes the proof.

use super::{Bytes, Recorder};
use std::sync::{Arc, Mutex};

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
    /// Planes above neurons of a chain's first layer.
    pub planes: Planes,
    /// Weights of the rows of the disjunct, or empty for the row alone.
    pub weights: Vec<f32>,
}

/// Planes as `certus_core::proof::Planes` reads them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planes {
    /// How many.
    pub count: u16,
    /// Their bytes.
    pub bytes: Vec<u8>,
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

/// A growing tree; node 0 is the root. If it is recorded, every change is noted as it happens.
#[derive(Default)]
pub struct Tree {
    nodes: Mutex<Nodes>,
    log: Option<Log>,
}

struct Nodes(Vec<Node>);

impl Default for Nodes {
    fn default() -> Self {
        Self(vec![Node::Open])
    }
}

/// Who takes notes, and the tree's name there.
struct Log {
    recorder: Arc<dyn Recorder>,
    key: [u8; 32],
}

/// A node that is no split, and the way to it.
#[derive(Clone, Debug)]
pub struct Tip {
    /// The node.
    pub node: u32,
    /// The splits above it; true for the second half.
    pub path: Vec<(Cut, bool)>,
    /// Its claims, if it was noted as proved.
    pub leaf: Option<Leaf>,
}

impl Tree {
    /// A tree that `recorder` takes notes of under the name `key`. If it has notes of an earlier run the tree is as it was then, up
    /// to a note that cannot be read or a cut that is not `valid`.
    pub fn recorded(
        recorder: Option<Arc<dyn Recorder>>,
        key: impl FnOnce() -> [u8; 32],
        valid: impl Fn(&Cut) -> bool,
    ) -> Self {
        let Some(recorder) = recorder else { return Self::default() };
        let key = key();
        let mut nodes = Nodes::default();
        if let Some(events) = recorder.recorded(&key) {
            let mut events = Events(Bytes::new(&events));
            while events.apply(&mut nodes.0, &valid).is_some() {}
        }
        Self { nodes: Mutex::new(nodes), log: Some(Log { recorder, key }) }
    }

    /// Splits an open node; returns its two halves.
    pub fn split(&self, node: u32, cut: Cut) -> (u32, u32) {
        let mut nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        let first = split(&mut nodes.0, node, cut);
        self.note(node, |event| write_cut(cut, event));
        (first, first + 1)
    }

    /// Marks an open node as proved.
    pub fn prove(&self, node: u32, leaf: Leaf) {
        let mut nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        self.note(node, |event| note_leaf(&leaf, event));
        nodes.0[node as usize] = Node::Leaf(leaf);
    }

    /// Opens a node that an earlier run held for proved.
    pub fn reopen(&self, node: u32) {
        self.nodes.lock().expect("no worker panics while it holds the tree").0[node as usize] = Node::Open;
    }

    /// Called while the tree is locked, so that notes are in order.
    fn note(&self, node: u32, event: impl FnOnce(&mut Vec<u8>)) {
        if let Some(Log { recorder, key }) = &self.log {
            let mut bytes = node.to_le_bytes().to_vec();
            event(&mut bytes);
            recorder.record(key, &bytes);
        }
    }

    /// All nodes that are no splits, if an earlier run left any splits or leaves.
    pub fn tips(&self) -> Option<Vec<Tip>> {
        let nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        if matches!(nodes.0[0], Node::Open) {
            return None;
        }
        let mut tips = Vec::new();
        let mut stack = vec![(0u32, Vec::new())];
        while let Some((node, path)) = stack.pop() {
            match &nodes.0[node as usize] {
                Node::Open => tips.push(Tip { node, path, leaf: None }),
                Node::Leaf(leaf) => tips.push(Tip { node, path, leaf: Some(leaf.clone()) }),
                Node::Split { cut, first } => {
                    let half = |second: bool| [path.as_slice(), &[(*cut, second)]].concat();
                    stack.extend([(first + 1, half(true)), (*first, half(false))]);
                }
            }
        }
        Some(tips)
    }

    /// The proof's bytes, as `certus_core::proof::walk` reads them, or `None` while a node is open.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        let nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        let mut bytes = Vec::with_capacity(nodes.0.len() * 8);
        let mut stack = vec![0u32];
        while let Some(node) = stack.pop() {
            match &nodes.0[node as usize] {
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
        let lists = [
            claim.alpha.is_empty(),
            claim.beta.is_empty(),
            claim.planes.count == 0,
            claim.weights.is_empty(),
        ];
        bytes.push(lists.iter().enumerate().map(|(bit, empty)| u8::from(!empty) << bit).sum());
        bytes.extend(&claim.alpha);
        claim.beta.iter().for_each(|b| bytes.extend(b.to_le_bytes()));
        if claim.planes.count > 0 {
            bytes.extend(claim.planes.count.to_le_bytes());
            bytes.extend(&claim.planes.bytes);
        }
        if !claim.weights.is_empty() {
            bytes.extend((claim.weights.len() as u16).to_le_bytes());
            claim.weights.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
        }
    }
}

/// Puts two open nodes below `node`; returns the first.
fn split(nodes: &mut Vec<Node>, node: u32, cut: Cut) -> u32 {
    let first = nodes.len() as u32;
    nodes.extend([Node::Open, Node::Open]);
    nodes[node as usize] = Node::Split { cut, first };
    first
}

/// A leaf with the lengths of its lists, so that it can be read without its path.
fn note_leaf(leaf: &Leaf, bytes: &mut Vec<u8>) {
    bytes.push(3);
    bytes.extend((leaf.claims.len() as u32).to_le_bytes());
    for claim in &leaf.claims {
        bytes.extend(claim.row.to_le_bytes());
        bytes.extend((claim.alpha.len() as u32).to_le_bytes());
        bytes.extend(&claim.alpha);
        bytes.extend((claim.beta.len() as u32).to_le_bytes());
        claim.beta.iter().for_each(|b| bytes.extend(b.to_le_bytes()));
        bytes.extend(claim.planes.count.to_le_bytes());
        bytes.extend((claim.planes.bytes.len() as u32).to_le_bytes());
        bytes.extend(&claim.planes.bytes);
        bytes.extend((claim.weights.len() as u32).to_le_bytes());
        claim.weights.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
    }
}

/// Notes of a tree.
struct Events<'e>(Bytes<'e>);

impl Events<'_> {
    /// Applies the next event; `None` at the end or where it has no meaning.
    fn apply(&mut self, nodes: &mut Vec<Node>, valid: &impl Fn(&Cut) -> bool) -> Option<()> {
        let node = self.0.u32()?;
        if matches!(nodes.get(node as usize)?, Node::Split { .. }) {
            return None;
        }
        let cut = match self.0.array()? {
            [1] => Cut::Input { coordinate: self.0.u16()?, value: f64::from_le_bytes(self.0.array()?) },
            [2] => Cut::Neuron { layer: self.0.u16()?, neuron: self.0.u32()? },
            [3] => {
                nodes[node as usize] = Node::Leaf(self.leaf()?);
                return Some(());
            }
            _ => return None,
        };
        valid(&cut).then(|| split(nodes, node, cut)).map(|_| ())
    }

    fn floats(&mut self) -> Option<Vec<f32>> {
        let count = self.0.u32()? as usize;
        self.0.floats(count)
    }

    fn leaf(&mut self) -> Option<Leaf> {
        let mut leaf = Leaf::default();
        for _ in 0..self.0.u32()? {
            let row = self.0.u16()?;
            let alpha = self.0.list()?.to_vec();
            let beta = self.floats()?;
            let planes = Planes { count: self.0.u16()?, bytes: self.0.list()?.to_vec() };
            leaf.claims.push(Claim { row, alpha, beta, planes, weights: self.floats()? });
        }
        Some(leaf)
    }
}
