//! The tree of splits that a search on a program leaves behind: what becomes the proof.

use std::sync::{Arc, Mutex};

use certus_core::program::Slot;
use certus_core::proof::program::Split;

/// What divides a domain in two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cut {
    /// `x ≤ value`, then `x ≥ value`.
    Input {
        /// Coordinate of the input.
        coordinate: u32,
        /// Where.
        value: f64,
    },
    /// `z ≥ point`, then `z ≤ point`.
    Value {
        /// Slot of the program.
        slot: u32,
        /// Element of the slot.
        element: u32,
        /// Where.
        point: f32,
    },
    /// The open disjuncts before an index, then the others.
    Disjuncts {
        /// First of the others.
        at: u16,
    },
}

impl Cut {
    /// The splits of a computed value: its first and its second half; `None` for other cuts.
    pub fn splits(self) -> Option<[Split; 2]> {
        match self {
            Self::Input { .. } | Self::Disjuncts { .. } => None,
            Self::Value { slot, element, point } => {
                Some([true, false].map(|above| Split { slot: Slot(slot as usize), element, point, above }))
            }
        }
    }
}

/// How a leaf refutes a disjunct; see [`certus_core::proof::program::Claim`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeafClaim {
    /// Row of the disjunct.
    pub row: u16,
    /// Slopes, or empty for the adaptive rules. Leaves may share them.
    pub alpha: Arc<[u8]>,
    /// Multipliers, one per split of the path, or empty.
    pub beta: Vec<f32>,
}

/// Which rows tighten the bounds of all values at a node, as the bytes of a proof have them after the step's first byte.
pub type LemmaBytes = Arc<[u8]>;

/// The lemma with adaptive slopes for every value that rows can tighten.
pub fn adaptive_lemma() -> LemmaBytes {
    Arc::new([1, 0, 0])
}

/// The leaves that the checker accepted and the splits above them; node 0 is the root.
pub struct Tree {
    nodes: Mutex<Vec<Node>>,
}

#[derive(Default)]
struct Node {
    /// A lemma in front of it.
    lemma: Option<LemmaBytes>,
    step: Step,
}

#[derive(Default)]
enum Step {
    #[default]
    Open,
    Split {
        cut: Cut,
        first: u32,
    },
    Leaf(Vec<LeafClaim>),
}

impl Default for Tree {
    fn default() -> Self {
        Self { nodes: Mutex::new(vec![Node::default()]) }
    }
}

impl Tree {
    /// Splits an open node; returns its two halves.
    pub fn split(&self, node: u32, cut: Cut) -> [u32; 2] {
        let mut nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        let first = nodes.len() as u32;
        nodes.extend([Node::default(), Node::default()]);
        nodes[node as usize].step = Step::Split { cut, first };
        [first, first + 1]
    }

    /// Puts a lemma in front of an open node.
    pub fn state(&self, node: u32, lemma: LemmaBytes) {
        let mut nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        nodes[node as usize].lemma = Some(lemma);
    }

    /// Marks an open node as proved.
    pub fn prove(&self, node: u32, claims: Vec<LeafClaim>) {
        let mut nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        nodes[node as usize].step = Step::Leaf(claims);
    }

    /// The proof's bytes, as `certus_core::proof::program` reads them, or `None` while a node is open or if there would be more
    /// than `most` bytes.
    pub fn to_bytes(&self, most: usize) -> Option<Vec<u8>> {
        let nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        let mut bytes = Vec::with_capacity(nodes.len() * 8);
        let mut stack = vec![0u32];
        while let Some(node) = stack.pop() {
            let Node { lemma, step } = &nodes[node as usize];
            if let Some(lemma) = lemma {
                bytes.push(LEMMA);
                bytes.extend(lemma.iter());
            }
            match step {
                Step::Open => return None,
                Step::Split { cut, first } => {
                    write_cut(*cut, &mut bytes);
                    stack.extend([first + 1, *first]);
                }
                Step::Leaf(claims) => write_leaf(claims, &mut bytes),
            }
            if bytes.len() > most {
                return None;
            }
        }
        Some(bytes)
    }
}

/// First bytes of steps.
const INPUT: u8 = 17;
const VALUE: u8 = 18;
const LEAF: u8 = 19;
const LEMMA: u8 = 20;
const DISJUNCTS: u8 = 21;

fn write_cut(cut: Cut, bytes: &mut Vec<u8>) {
    match cut {
        Cut::Input { coordinate, value } => {
            bytes.push(INPUT);
            bytes.extend(coordinate.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        Cut::Value { slot, element, point } => {
            bytes.push(VALUE);
            bytes.extend(slot.to_le_bytes());
            bytes.extend(element.to_le_bytes());
            bytes.extend(point.to_le_bytes());
        }
        Cut::Disjuncts { at } => {
            bytes.push(DISJUNCTS);
            bytes.extend(at.to_le_bytes());
        }
    }
}

fn write_leaf(claims: &[LeafClaim], bytes: &mut Vec<u8>) {
    bytes.push(LEAF);
    for claim in claims {
        bytes.extend(claim.row.to_le_bytes());
        bytes.push(u8::from(!claim.alpha.is_empty()) | (u8::from(!claim.beta.is_empty()) << 1));
        bytes.extend(claim.alpha.iter());
        claim.beta.iter().for_each(|b| bytes.extend(b.to_le_bytes()));
    }
}
