//! The tree of splits that a search on a program leaves behind: what becomes the proof.

use std::sync::{Arc, Mutex};

use super::notes::Notes;
use crate::search::Recorder;

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

/// First byte of a lemma of affine forms.
pub const FORMS: u8 = 2;

/// The lemma of affine forms with so many symbols.
pub fn forms_lemma(columns: usize) -> LemmaBytes {
    let [a, b] = (columns as u16).to_le_bytes();
    Arc::new([FORMS, a, b])
}

/// Whether a lemma is one of affine forms.
pub fn has_forms(lemma: &LemmaBytes) -> bool {
    lemma.first() == Some(&FORMS)
}

/// The leaves that the checker accepted and the splits above them; node 0 is the root. If it is recorded, every change is noted as
/// it happens.
pub struct Tree {
    grown: Mutex<Grown>,
}

struct Grown {
    nodes: Vec<Node>,
    notes: Option<Notes>,
}

/// A node of the tree.
#[derive(Default)]
pub struct Node {
    /// A lemma in front of it.
    pub lemma: Option<LemmaBytes>,
    /// What it is.
    pub step: Step,
}

/// What a node is.
#[derive(Default)]
pub enum Step {
    /// To be bounded.
    #[default]
    Open,
    /// In two halves, the nodes `first` and the next.
    Split {
        /// What divides them.
        cut: Cut,
        /// The first half.
        first: u32,
    },
    /// Proved.
    Leaf(Vec<LeafClaim>),
}

impl Default for Tree {
    fn default() -> Self {
        Self { grown: Mutex::new(Grown { nodes: vec![Node::default()], notes: None }) }
    }
}

/// A node that is no split, and the way to it.
pub struct Tip {
    /// The node.
    pub node: u32,
    /// The splits above it; true for the second half.
    pub path: Vec<(Cut, bool)>,
    /// A lemma in front of it.
    pub lemma: Option<LemmaBytes>,
    /// Its claims, if it was noted as proved.
    pub leaf: Option<Vec<LeafClaim>>,
}

/// What an earlier run left.
pub struct Left {
    /// The lemma at the root, if it is no tip.
    pub lemma: Option<LemmaBytes>,
    /// All nodes that are no splits.
    pub tips: Vec<Tip>,
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
        let (notes, nodes) = Notes::open(recorder, key(), valid);
        Self { grown: Mutex::new(Grown { nodes, notes: Some(notes) }) }
    }

    /// Splits an open node; returns its two halves.
    pub fn split(&self, node: u32, cut: Cut) -> [u32; 2] {
        let mut grown = self.grown.lock().expect("no worker panics while it holds the tree");
        if let Some(notes) = &grown.notes {
            notes.split(node, cut);
        }
        let first = split(&mut grown.nodes, node, cut);
        [first, first + 1]
    }

    /// Puts a lemma in front of an open node.
    pub fn state(&self, node: u32, lemma: LemmaBytes) {
        let mut grown = self.grown.lock().expect("no worker panics while it holds the tree");
        if let Some(notes) = &grown.notes {
            notes.state(node, &lemma);
        }
        grown.nodes[node as usize].lemma = Some(lemma);
    }

    /// Marks an open node as proved.
    pub fn prove(&self, node: u32, claims: Vec<LeafClaim>) {
        let mut grown = self.grown.lock().expect("no worker panics while it holds the tree");
        if let Some(notes) = &mut grown.notes {
            notes.prove(node, &claims);
        }
        grown.nodes[node as usize].step = Step::Leaf(claims);
    }

    /// Opens a node that an earlier run held for proved. A lemma of the root stays, on which others may stand.
    pub fn reopen(&self, node: u32) {
        let mut grown = self.grown.lock().expect("no worker panics while it holds the tree");
        if let Some(notes) = &grown.notes {
            notes.reopen(node);
        }
        reopen(&mut grown.nodes, node);
    }

    /// Forgets what an earlier run left.
    pub fn begin_anew(&self) {
        let mut grown = self.grown.lock().expect("no worker panics while it holds the tree");
        if grown.nodes.len() > 1
            || grown.nodes[0].lemma.is_some()
            || !matches!(grown.nodes[0].step, Step::Open)
        {
            grown.nodes = vec![Node::default()];
            if let Some(notes) = &mut grown.notes {
                notes.begin_anew();
            }
        }
    }

    /// What an earlier run left, if it left anything; `None` too if lemmas stand between root and tips.
    pub fn left(&self) -> Option<Left> {
        let grown = self.grown.lock().expect("no worker panics while it holds the tree");
        let nodes = &grown.nodes;
        if matches!(nodes[0].step, Step::Open) && nodes[0].lemma.is_none() {
            return None;
        }
        let (mut tips, mut lemma) = (Vec::new(), None);
        let mut stack = vec![(0u32, Vec::new())];
        while let Some((node, path)) = stack.pop() {
            let Node { lemma: here, step } = &nodes[node as usize];
            match step {
                Step::Split { cut, first } => {
                    match (node, here) {
                        (_, None) => {}
                        (0, Some(root)) => lemma = Some(root.clone()),
                        (_, Some(_)) => return None,
                    }
                    let half = |second: bool| [path.as_slice(), &[(*cut, second)]].concat();
                    stack.extend([(first + 1, half(true)), (*first, half(false))]);
                }
                Step::Open => tips.push(Tip { node, path, lemma: here.clone(), leaf: None }),
                Step::Leaf(claims) => {
                    tips.push(Tip { node, path, lemma: here.clone(), leaf: Some(claims.clone()) });
                }
            }
        }
        Some(Left { lemma, tips })
    }

    /// The proof's bytes, as `certus_core::proof::program` reads them, or `None` while a node is open or if there would be more
    /// than `most` bytes.
    pub fn to_bytes(&self, most: usize) -> Option<Vec<u8>> {
        bytes_of(&self.grown.lock().expect("no worker panics while it holds the tree").nodes, most)
    }
}

/// The bytes of a tree, or `None` while a node is open or if there would be more than `most`.
pub fn bytes_of(nodes: &[Node], most: usize) -> Option<Vec<u8>> {
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

/// Puts two open nodes below `node`; returns the first.
pub fn split(nodes: &mut Vec<Node>, node: u32, cut: Cut) -> u32 {
    let first = nodes.len() as u32;
    nodes.extend([Node::default(), Node::default()]);
    nodes[node as usize].step = Step::Split { cut, first };
    first
}

/// Opens a node; a lemma of the root stays, on which others may stand.
pub fn reopen(nodes: &mut [Node], node: u32) {
    let Node { lemma, step } = &mut nodes[node as usize];
    *step = Step::Open;
    if node > 0 {
        *lemma = None;
    }
}

// First bytes of steps.
pub const INPUT: u8 = 17;
pub const VALUE: u8 = 18;
pub const LEAF: u8 = 19;
pub const LEMMA: u8 = 20;
pub const DISJUNCTS: u8 = 21;

/// A split as the bytes of a proof have it.
pub fn write_cut(cut: Cut, bytes: &mut Vec<u8>) {
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
