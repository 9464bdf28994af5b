//! The engine's hand on the checker of programs: memory, the tree that becomes the proof, and which leaves were accepted.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use crate::device::ProgramKernel;
use certus_core::program::Slot;
use certus_core::proof::program::{
    Adaptive, Bounds, Checker, Claim, Frame, IntervalsOnly, Layout, LeafBytes, Lemma, Memory, Problem, Row,
    Split, TreeMemory, Visitor, walk,
};
use certus_core::proof::{Meaning, Rejection, Stats};

/// Rows bounded together by the checker.
const LANES: usize = 64;

/// What divides a domain in two: `x ≤ value`, then `x ≥ value`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Coordinate of the input.
    pub coordinate: u32,
    /// Where.
    pub value: f64,
}

/// How a leaf refutes a disjunct; see [`Claim`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeafClaim {
    /// Row of the disjunct.
    pub row: u16,
    /// Slopes, or empty for the adaptive rules.
    pub alpha: Vec<u8>,
    /// Multipliers, one per split of the path, or empty.
    pub beta: Vec<f32>,
}

/// The leaves that the checker accepted and the splits above them; node 0 is the root.
pub struct Tree {
    nodes: Mutex<Vec<Node>>,
}

enum Node {
    Open,
    Split { cut: Cut, first: u32 },
    Leaf(Vec<LeafClaim>),
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
    pub fn prove(&self, node: u32, claims: Vec<LeafClaim>) {
        let mut nodes = self.nodes.lock().expect("no worker panics while it holds the tree");
        nodes[node as usize] = Node::Leaf(claims);
    }

    /// The proof's bytes, as `certus_core::proof::program` reads them, or `None` while a node is open. Each leaf has its own lemma.
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
                Node::Leaf(claims) => {
                    // Rows with adaptive slopes for every value that needs them.
                    bytes.extend([LEMMA, 1, 0, 0]);
                    write_leaf(claims, &mut bytes);
                }
            }
        }
        Some(bytes)
    }
}

/// First bytes of steps.
const INPUT: u8 = 17;
const LEAF: u8 = 19;
const LEMMA: u8 = 20;

fn write_cut(cut: Cut, bytes: &mut Vec<u8>) {
    bytes.push(INPUT);
    bytes.extend(cut.coordinate.to_le_bytes());
    bytes.extend(cut.value.to_le_bytes());
}

fn write_leaf(claims: &[LeafClaim], bytes: &mut Vec<u8>) {
    bytes.push(LEAF);
    for claim in claims {
        bytes.extend(claim.row.to_le_bytes());
        bytes.push(u8::from(!claim.alpha.is_empty()) | (u8::from(!claim.beta.is_empty()) << 1));
        bytes.extend(&claim.alpha);
        claim.beta.iter().for_each(|b| bytes.extend(b.to_le_bytes()));
    }
}

/// The checker's problem of a case, and the tables that one checker per thread reads.
pub struct Desk<'a> {
    problem: Problem<'a>,
    layout: Layout<'a>,
    kernel: ProgramKernel,
}

impl<'a> Desk<'a> {
    /// The problem over `program`; `words` is lent for the tables.
    ///
    /// # Errors
    /// [`Rejection`] if the program is too large to lay out.
    pub fn new(
        program: certus_core::program::Program<'a>,
        disjuncts: &'a [&'a [Row<'a>]],
        meaning: Meaning,
        kernel: &ProgramKernel,
        words: &'a mut Vec<usize>,
    ) -> Result<Self, Rejection> {
        words.resize(Layout::words(&program), 0);
        let layout = Layout::new(&program, words)?;
        Ok(Self { problem: Problem { program, disjuncts, meaning }, layout, kernel: kernel.clone() })
    }
}

/// Memory of one thread's checker.
#[derive(Default)]
pub struct Desktop {
    floats: Vec<f64>,
    index: Vec<u32>,
    bounds: Vec<f64>,
}

/// One thread's checker.
pub struct Referee<'a> {
    checker: Checker<'a, ProgramKernel>,
    layout: &'a Layout<'a>,
    bounds: &'a mut [f64],
    margins: Vec<f64>,
}

impl<'a> Referee<'a> {
    /// A checker of the desk's problem in `memory`.
    ///
    /// # Errors
    /// [`Rejection::Unsupported`] if the checker does not take the problem.
    pub fn new(desk: &'a Desk<'a>, memory: &'a mut Desktop) -> Result<Self, Rejection> {
        memory.floats.resize(desk.layout.memory_len(LANES), 0.0);
        memory.index.resize(desk.layout.index_len(LANES), 0);
        memory.bounds.resize(desk.layout.bounds_len(), 0.0);
        let lent = Memory { floats: &mut memory.floats, index: &mut memory.index, lanes: LANES };
        let checker = Checker::new(&desk.problem, &desk.layout, desk.kernel.clone(), lent)?;
        let margins = vec![0.0; desk.problem.disjuncts.len()];
        Ok(Self { checker, layout: &desk.layout, bounds: &mut memory.bounds, margins })
    }

    /// Bounds of every value on a box by intervals.
    ///
    /// # Errors
    /// [`Rejection`].
    pub fn bound(&mut self, region: Box64<'_>) -> Result<bool, Rejection> {
        let mut bounds = Bounds::new(self.layout, self.bounds);
        self.checker.derive(None, region, &[], &IntervalsOnly, &mut bounds)
    }

    /// Whether the checker, from the box and the splits alone, accepts that the claims refute every disjunct.
    pub fn accept(&mut self, region: (&[f64], &[f64]), splits: &[Split], claims: &[LeafClaim]) -> bool {
        let betas: Vec<Vec<u8>> =
            claims.iter().map(|c| c.beta.iter().flat_map(|b| b.to_le_bytes()).collect()).collect();
        let claims: Vec<Claim<'_>> =
            claims.iter().zip(&betas).map(|(c, beta)| Claim { row: c.row, alpha: &c.alpha, beta }).collect();
        let mut bounds = Bounds::new(self.layout, self.bounds);
        match self.checker.derive(None, region, splits, &Adaptive, &mut bounds) {
            Ok(_) => self.checker.check_leaf(&bounds, region, splits, &claims, &mut self.margins).is_ok(),
            Err(_) => false,
        }
    }
}

/// Deepest tree.
const DEPTH: usize = 4096;

const NO_SPLIT: Split = Split { slot: Slot(1), element: 0, point: 0.0, above: false };

type Box64<'a> = (&'a [f64], &'a [f64]);

/// The leaves that were accepted, by fingerprints of box, splits and claims under two secret keys.
pub struct Accepted {
    keys: [RandomState; 2],
    seen: Mutex<HashSet<(u64, u64)>>,
}

impl Default for Accepted {
    fn default() -> Self {
        Self { keys: [RandomState::new(), RandomState::new()], seen: Mutex::default() }
    }
}

impl Accepted {
    fn fingerprint(&self, (lower, upper): Box64<'_>, splits: &[Split], claims: &[LeafClaim]) -> (u64, u64) {
        let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let splits: Vec<_> =
            splits.iter().map(|s| (s.slot.0, s.element, s.point.to_bits(), s.above)).collect();
        let claims: Vec<_> = claims
            .iter()
            .map(|c| (c.row, &c.alpha, c.beta.iter().map(|b| b.to_bits()).collect::<Vec<_>>()))
            .collect();
        let all = (bits(lower), bits(upper), splits, claims);
        (self.keys[0].hash_one(&all), self.keys[1].hash_one(&all))
    }

    /// Remembers an accepted leaf.
    pub fn insert(&self, region: Box64<'_>, splits: &[Split], claims: &[LeafClaim]) {
        let fingerprint = self.fingerprint(region, splits, claims);
        self.seen.lock().expect("no worker panics while it holds the set").insert(fingerprint);
    }
}

/// A walk that asks of each leaf whether it was accepted.
struct Cover<'c, 'p> {
    accepted: &'c Accepted,
    claims: Vec<Claim<'p>>,
}

impl<'p> Visitor<'p> for Cover<'_, 'p> {
    fn lemma(&mut self, _: usize, _: Box64<'_>, _: &[Split], _: &Lemma<'p>) -> Result<(), Rejection> {
        Ok(())
    }

    fn leaf(
        &mut self,
        _: usize,
        region: Box64<'_>,
        splits: &[Split],
        leaf: LeafBytes<'p>,
    ) -> Result<(), Rejection> {
        leaf.parse(&mut self.claims)?;
        let claims: Vec<LeafClaim> = self.claims.iter().map(owned).collect();
        let fingerprint = self.accepted.fingerprint(region, splits, &claims);
        let seen = self.accepted.seen.lock().expect("no worker panics while it holds the set");
        if seen.contains(&fingerprint) { Ok(()) } else { Err(Rejection::NotProved { disjunct: 0 }) }
    }
}

fn owned(claim: &Claim<'_>) -> LeafClaim {
    let beta = claim.beta.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    LeafClaim { row: claim.row, alpha: claim.alpha.to_vec(), beta }
}

impl Desk<'_> {
    /// Whether the leaves of the proof `bytes`, derived from its splits alone, are all among those accepted.
    ///
    /// # Errors
    /// [`Rejection`] of the tree, or `NotProved` for a leaf that was not accepted.
    pub fn cover(&self, bytes: &[u8], region: Box64<'_>, accepted: &Accepted) -> Result<(), Rejection> {
        let (mut lower, mut upper) = (region.0.to_vec(), region.1.to_vec());
        let (mut frames, mut splits) = (vec![Frame::EMPTY; DEPTH], vec![NO_SPLIT; DEPTH]);
        let mut cover = Cover { accepted, claims: vec![Claim::default(); self.problem.disjuncts.len()] };
        let path = (frames.as_mut_slice(), splits.as_mut_slice());
        walk(&self.problem, &self.layout, bytes, (&mut lower, &mut upper), path, &mut cover).map(|_| ())
    }

    /// Checks a whole proof from its bytes: every lemma and leaf again, from nothing but splits and claims.
    ///
    /// # Errors
    /// [`Rejection`].
    pub fn check(&self, bytes: &[u8], region: Box64<'_>) -> Result<Stats, Rejection> {
        let mut memory = Desktop::default();
        let mut referee = Referee::new(self, &mut memory)?;
        let (mut lower, mut upper) = (region.0.to_vec(), region.1.to_vec());
        let (mut frames, mut splits) = (vec![Frame::EMPTY; DEPTH], vec![NO_SPLIT; DEPTH]);
        let disjuncts = self.problem.disjuncts.len();
        let (mut claims, mut margins) = (vec![Claim::default(); disjuncts], vec![0.0; disjuncts]);
        let mut floats: Vec<Vec<f64>> = vec![vec![0.0; self.layout.bounds_len()]; LEVELS];
        let mut levels: Vec<Bounds<'_>> = floats.iter_mut().map(|f| Bounds::new(&self.layout, f)).collect();
        let tree = TreeMemory {
            frames: &mut frames,
            splits: &mut splits,
            levels: &mut levels,
            claims: &mut claims,
            margins: &mut margins,
        };
        referee.checker.check_tree(bytes, (&mut lower, &mut upper), tree)
    }
}

/// Lemmas within lemmas that the search writes at most.
const LEVELS: usize = 2;
