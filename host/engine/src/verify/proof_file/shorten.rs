//! Makes a chain's proof shorter without making it false: every change is one that the checker accepts.
//!
//! From the leaves up, a leaf loses slopes and multipliers that it does not need, and a split goes whose half's claims, without the
//! multiplier of the split, hold for the whole. What is left to try when time is up stays as it is.

use std::time::Instant;

use super::judge::chain_row;
use crate::device::ProofKernel;
use crate::property::Case;
use certus_core::Network;
use certus_core::proof::{self, Claim, Meaning, Memory, Planes, Split, check_leaf, memory_len};

/// Rows bounded together.
const LANES: usize = 64;

/// A step of the tree; nodes are in preorder.
struct Node {
    parent: usize,
    /// Whether it is the second half of its parent.
    second: bool,
    step: Step,
}

enum Step {
    Input {
        coordinate: u16,
        value: f64,
    },
    Neuron {
        layer: u16,
        neuron: u32,
    },
    Leaf(Vec<Owned>),
    /// Below a split that went.
    Gone,
}

/// A claim that owns its bytes.
#[derive(Clone, Default)]
struct Owned {
    row: u16,
    alpha: Vec<u8>,
    beta: Vec<u8>,
    planes: Vec<u8>,
    weights: Vec<u8>,
}

impl Owned {
    fn borrow(&self, inputs: usize) -> Claim<'_> {
        let planes = Planes::new(&self.planes, inputs);
        Claim { row: self.row, alpha: &self.alpha, beta: &self.beta, planes, weights: &self.weights }
    }
}

/// What proves a case, and with what it is checked.
pub struct Shortener<'a> {
    network: Network<'a>,
    case: &'a Case,
    meaning: Meaning,
    kernel: ProofKernel,
    floats: Vec<f64>,
    index: Vec<u32>,
}

impl<'a> Shortener<'a> {
    /// Memory for a network.
    pub fn new(network: Network<'a>, kernel: ProofKernel, case: &'a Case, meaning: Meaning) -> Self {
        let (floats, index) = (vec![0.0; memory_len(&network, LANES)], vec![0; network.width()]);
        Self { network, case, meaning, kernel, floats, index }
    }

    /// A proof that says the same in fewer bytes, as far as `until` allows; `None` if `bytes` are no tree.
    pub fn shorten(&mut self, bytes: &[u8], until: Instant) -> Option<Vec<u8>> {
        let mut nodes = self.parse(bytes)?;
        for at in (0..nodes.len()).rev() {
            if Instant::now() >= until {
                break;
            }
            match &nodes[at].step {
                Step::Leaf(claims) => {
                    if let Some(fewer) = self.with_less(&nodes, at, claims) {
                        nodes[at].step = Step::Leaf(fewer);
                    }
                }
                Step::Input { .. } | Step::Neuron { .. } => self.join(&mut nodes, at),
                Step::Gone => {}
            }
        }
        let shorter = write(&nodes, Planes::stride(self.network.inputs()));
        Some(if shorter.len() < bytes.len() { shorter } else { bytes.to_vec() })
    }

    fn parse(&self, bytes: &[u8]) -> Option<Vec<Node>> {
        let (neurons, disjuncts) = (self.network.neurons(), self.case.disjuncts.len());
        let stride = Planes::stride(self.network.inputs());
        let mut rest = bytes;
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at_checked(n)?;
            rest = tail;
            Some(head)
        };
        let mut nodes: Vec<Node> = Vec::new();
        // Halves that are to come: parent, whether the second, neuron splits above.
        let mut open = vec![(usize::MAX, false, 0usize)];
        while let Some((parent, second, splits)) = open.pop() {
            let at = nodes.len();
            let step = match take(1)? {
                [1] => {
                    let coordinate = u16::from_le_bytes(take(2)?.try_into().ok()?);
                    open.extend([(at, true, splits), (at, false, splits)]);
                    Step::Input { coordinate, value: f64::from_le_bytes(take(8)?.try_into().ok()?) }
                }
                [2] => {
                    let layer = u16::from_le_bytes(take(2)?.try_into().ok()?);
                    open.extend([(at, true, splits + 1), (at, false, splits + 1)]);
                    Step::Neuron { layer, neuron: u32::from_le_bytes(take(4)?.try_into().ok()?) }
                }
                [3] => {
                    let mut claims = Vec::new();
                    for _ in 0..disjuncts {
                        let row = u16::from_le_bytes(take(2)?.try_into().ok()?);
                        let flags = take(1)?[0];
                        let alpha = take(if flags & 1 != 0 { neurons } else { 0 })?.to_vec();
                        let beta = take(if flags & 2 != 0 { 4 * splits } else { 0 })?.to_vec();
                        let mut list = |flag: u8, stride: usize| -> Option<Vec<u8>> {
                            let count = if flags & flag != 0 { take(2)? } else { &[0, 0] };
                            let count = usize::from(u16::from_le_bytes(count.try_into().ok()?));
                            Some(take(count * stride)?.to_vec())
                        };
                        let (planes, weights) = (list(4, stride)?, list(8, 4)?);
                        claims.push(Owned { row, alpha, beta, planes, weights });
                    }
                    Step::Leaf(claims)
                }
                _ => return None,
            };
            nodes.push(Node { parent, second, step });
        }
        rest.is_empty().then_some(nodes)
    }

    /// The claims of a leaf without what it does not need, if that is less.
    fn with_less(&mut self, nodes: &[Node], at: usize, claims: &[Owned]) -> Option<Vec<Owned>> {
        let bare = |keep_beta: bool| -> Vec<Owned> {
            let claim = |c: &Owned| Owned {
                row: c.row,
                beta: if keep_beta { c.beta.clone() } else { Vec::new() },
                alpha: Vec::new(),
                ..c.clone()
            };
            claims.iter().map(claim).collect()
        };
        let (alpha, beta) =
            (claims.iter().any(|c| !c.alpha.is_empty()), claims.iter().any(|c| !c.beta.is_empty()));
        if !alpha && !beta {
            return None;
        }
        let tries = [Some(bare(false)), (alpha && beta).then(|| bare(true))];
        tries.into_iter().flatten().find(|claims| self.accepts(nodes, at, claims))
    }

    /// Makes a split of two leaves one leaf, if the claims of either half are enough.
    fn join(&mut self, nodes: &mut [Node], at: usize) {
        // The first half is next; the second is too where the first is a leaf, but for what went.
        let mut below = (at + 1..nodes.len()).filter(|i| !matches!(nodes[*i].step, Step::Gone));
        let halves = [below.next(), below.next()].map(|half| half.unwrap_or(at));
        if halves.iter().any(|half| nodes[*half].parent != at) {
            return;
        }
        let neuron = matches!(nodes[at].step, Step::Neuron { .. });
        let mut tries = Vec::new();
        for half in &halves {
            let Step::Leaf(claims) = &nodes[*half].step else { return };
            let mut claims = claims.clone();
            if neuron {
                // The split's own multiplier is the last.
                claims.iter_mut().for_each(|c| c.beta.truncate(c.beta.len().saturating_sub(4)));
            }
            tries.push(claims);
        }
        if let Some(claims) = tries.into_iter().find(|claims| self.accepts(nodes, at, claims)) {
            nodes[at].step = Step::Leaf(claims);
            halves.into_iter().for_each(|half: usize| nodes[half].step = Step::Gone);
        }
    }

    /// Whether the checker accepts claims at a node.
    fn accepts(&mut self, nodes: &[Node], at: usize, claims: &[Owned]) -> bool {
        let (mut lower, mut upper) = (self.case.region.lower.clone(), self.case.region.upper.clone());
        let mut splits = Vec::new();
        let mut here = at;
        while let Some(above) = nodes.get(nodes[here].parent) {
            let second = nodes[here].second;
            match above.step {
                Step::Input { coordinate, value } => {
                    let ends = if second { &mut lower } else { &mut upper };
                    let Some(end) = ends.get_mut(usize::from(coordinate)) else { return false };
                    // Cuts further up are looser.
                    *end = if second { end.max(value) } else { end.min(value) };
                }
                Step::Neuron { layer, neuron } => splits.push(Split { layer, neuron, active: !second }),
                Step::Leaf(_) | Step::Gone => return false,
            }
            here = nodes[here].parent;
        }
        splits.reverse();
        let rows: Vec<Vec<proof::Row<'_>>> =
            self.case.disjuncts.iter().map(|d| d.rows.iter().map(chain_row).collect()).collect();
        let disjuncts: Vec<&[proof::Row<'_>]> = rows.iter().map(Vec::as_slice).collect();
        let problem = proof::Problem { network: self.network, disjuncts: &disjuncts, meaning: self.meaning };
        let inputs = self.network.inputs();
        let claims: Vec<Claim<'_>> = claims.iter().map(|c| c.borrow(inputs)).collect();
        let mut memory = Memory { floats: &mut self.floats, index: &mut self.index, lanes: LANES };
        check_leaf(&problem, &mut self.kernel, (&lower, &upper), &splits, &claims, &mut memory).is_ok()
    }
}

/// The tree's bytes; `stride` bytes are a plane.
fn write(nodes: &[Node], stride: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for node in nodes {
        match &node.step {
            Step::Input { coordinate, value } => {
                bytes.push(1);
                bytes.extend(coordinate.to_le_bytes());
                bytes.extend(value.to_le_bytes());
            }
            Step::Neuron { layer, neuron } => {
                bytes.push(2);
                bytes.extend(layer.to_le_bytes());
                bytes.extend(neuron.to_le_bytes());
            }
            Step::Leaf(claims) => {
                bytes.push(3);
                for claim in claims {
                    bytes.extend(claim.row.to_le_bytes());
                    let lists = [&claim.alpha, &claim.beta, &claim.planes, &claim.weights];
                    let flags = lists.iter().enumerate().map(|(bit, list)| u8::from(!list.is_empty()) << bit);
                    bytes.push(flags.sum());
                    bytes.extend(&claim.alpha);
                    bytes.extend(&claim.beta);
                    for (list, stride) in [(&claim.planes, stride), (&claim.weights, 4)] {
                        if !list.is_empty() {
                            bytes.extend(((list.len() / stride) as u16).to_le_bytes());
                            bytes.extend(list);
                        }
                    }
                }
            }
            Step::Gone => {}
        }
    }
    bytes
}

/// Shortens the proofs of `property` about `model`, as far as `until` allows.
pub fn shorten(
    model: &crate::model::Model,
    property: &crate::property::Property,
    meaning: Meaning,
    proofs: &mut [crate::verify::CaseProof],
    until: Instant,
) {
    let chain = match model {
        crate::model::Model::Chain(chain) => chain,
        crate::model::Model::Program(program) => {
            return crate::verify::program::shorten(program, property, meaning, proofs, until);
        }
    };
    let layers = chain.core_layers();
    let network = Network::new(&layers).expect("checked by Chain::new");
    let kernel = ProofKernel::new(&layers);
    for proof in proofs.iter_mut().filter(|_| Instant::now() < until) {
        let case = property.merged(&proof.cases);
        let mut shortener = Shortener::new(network, kernel.clone(), &case, meaning);
        if let Some(bytes) = shortener.shorten(&proof.bytes, until) {
            proof.bytes = bytes;
        }
    }
}
