//! The engine's hand on the checker: memory, and which leaves were accepted.

use super::problem::{CaseProblem, Parts};
use crate::search::Leaf;
use crate::search::tree::{self, Claim};
use certus_core::proof::{self, Frame, Memory, Rejection, Split, TreeMemory, check_leaf, check_tree, walk};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Rows bounded together by the checker.
const LANES: usize = 64;

/// Deepest tree.
const DEPTH: usize = 4096;

/// A box, `[inputs]` each.
pub type Box64<'a> = (&'a [f64], &'a [f64]);

/// Checks leaves; one per thread.
pub struct Checker {
    /// Time spent in it.
    pub spent: Duration,
    kernel: crate::device::ProofKernel,
    floats: Vec<f64>,
    index: Vec<u32>,
}

impl Checker {
    /// Memory for the network.
    pub fn new(parts: &Parts<'_>) -> Self {
        let (len, width) = (proof::memory_len(&parts.network, LANES), parts.network.width());
        Self {
            spent: Duration::ZERO,
            kernel: parts.kernel.clone(),
            floats: vec![0.0; len],
            index: vec![0; width],
        }
    }

    /// Whether the checker accepts the leaf.
    ///
    /// # Errors
    /// Its [`Rejection`].
    pub fn accept(
        &mut self,
        problem: &proof::Problem<'_>,
        region: Box64<'_>,
        splits: &[Split],
        leaf: &Leaf,
    ) -> Result<(), Rejection> {
        let bytes = |floats: &[f32]| floats.iter().flat_map(|b| b.to_le_bytes()).collect::<Vec<u8>>();
        let floats: Vec<[Vec<u8>; 2]> =
            leaf.claims.iter().map(|c| [bytes(&c.beta), bytes(&c.weights)]).collect();
        let inputs = problem.network.inputs();
        let claims: Vec<proof::Claim<'_>> = leaf
            .claims
            .iter()
            .zip(&floats)
            .map(|(c, [beta, weights])| proof::Claim {
                row: c.row,
                alpha: &c.alpha,
                beta,
                planes: proof::Planes::new(&c.planes.bytes, inputs),
                weights,
            })
            .collect();
        let mut memory = Memory { floats: &mut self.floats, index: &mut self.index, lanes: LANES };
        let start = Instant::now();
        let outcome = check_leaf(problem, &mut self.kernel, region, splits, &claims, &mut memory);
        self.spent += start.elapsed();
        outcome
    }
}

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
    fn fingerprint(&self, (lower, upper): Box64<'_>, splits: &[Split], claims: &[Claim]) -> (u64, u64) {
        let bits = |x: &[f64]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let floats = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        let splits: Vec<_> = splits.iter().map(|s| (s.layer, s.neuron, s.active)).collect();
        let claims: Vec<_> = claims
            .iter()
            .map(|c| (c.row, &c.alpha, floats(&c.beta), &c.planes.bytes, floats(&c.weights)))
            .collect();
        let all = (bits(lower), bits(upper), splits, claims);
        (self.keys[0].hash_one(&all), self.keys[1].hash_one(&all))
    }

    /// Remembers an accepted leaf.
    pub fn insert(&self, region: Box64<'_>, splits: &[Split], leaf: &Leaf) {
        let fingerprint = self.fingerprint(region, splits, &leaf.claims);
        self.seen.lock().expect("no worker panics while it holds the set").insert(fingerprint);
    }

    /// Whether the leaves of the proof `bytes`, derived from its splits alone, are all among those accepted.
    ///
    /// # Errors
    /// [`Rejection`] of the tree, or `NotProved` for a leaf that was not accepted.
    pub fn cover(&self, problem: &CaseProblem<'_>, bytes: &[u8]) -> Result<(), Rejection> {
        let region = &problem.case.region;
        let (mut lower, mut upper) = (region.lower.clone(), region.upper.clone());
        let (mut frames, mut splits) = (vec![Frame::EMPTY; DEPTH], vec![NO_SPLIT; DEPTH]);
        let mut claims = vec![proof::Claim::default(); problem.disjuncts()];
        let seen = self.seen.lock().expect("no worker panics while it holds the set");
        let stride = proof::Planes::stride(problem.parts.network.inputs());
        problem.with_proof_problem(|p| {
            walk(p, bytes, (&mut lower, &mut upper), &mut frames, &mut splits, |region, splits, leaf| {
                leaf.parse(&mut claims)?;
                let claims: Vec<Claim> = claims.iter().map(|c| owned(c, stride)).collect();
                let known = seen.contains(&self.fingerprint(region, splits, &claims));
                if known { Ok(()) } else { Err(Rejection::NotProved { disjunct: 0 }) }
            })
            .map(|_| ())
        })
    }
}

/// `stride` bytes are a plane.
fn owned(claim: &proof::Claim<'_>, stride: usize) -> Claim {
    let floats =
        |bytes: &[u8]| bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    let bytes = claim.planes.bytes().to_vec();
    let planes = tree::Planes { count: (bytes.len() / stride.max(1)) as u16, bytes };
    let (beta, weights) = (floats(claim.beta), floats(claim.weights));
    Claim { row: claim.row, alpha: claim.alpha.to_vec(), beta, planes, weights }
}

const NO_SPLIT: Split = Split { layer: 0, neuron: 0, active: false };

/// Checks a whole proof of a case from its bytes: every leaf again, from nothing but the splits and claims.
///
/// # Errors
/// [`Rejection`].
pub fn check_case(problem: &CaseProblem<'_>, bytes: &[u8]) -> Result<proof::Stats, Rejection> {
    let mut checker = Checker::new(problem.parts);
    let region = &problem.case.region;
    let (mut lower, mut upper) = (region.lower.clone(), region.upper.clone());
    let (mut frames, mut splits) = (vec![Frame::EMPTY; DEPTH], vec![NO_SPLIT; DEPTH]);
    let mut claims = vec![proof::Claim::default(); problem.disjuncts()];
    let tree = TreeMemory { frames: &mut frames, splits: &mut splits, claims: &mut claims };
    let mut memory = Memory { floats: &mut checker.floats, index: &mut checker.index, lanes: LANES };
    problem.with_proof_problem(|p| {
        check_tree(p, &mut checker.kernel, bytes, (&mut lower, &mut upper), tree, &mut memory)
    })
}
