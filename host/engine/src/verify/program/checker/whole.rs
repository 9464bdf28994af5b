//! Whole proofs: which of their leaves were accepted while they were searched for, what they need, and the check of them from their bytes.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Mutex;

use super::{Box64, Desk, Desktop, Referee};
use crate::verify::program::tree::LeafClaim;
use crate::verify::proof_file::LEVELS;
use certus_core::program::Slot;
use certus_core::proof::program::{
    Bounds, Claim, Frame, LeafBytes, Lemma, Slopes, Split, TreeMemory, Visitor, walk,
};
use certus_core::proof::{Rejection, Stats};
use certus_kernels::LANE_MULTIPLE;

/// Deepest tree.
const DEPTH: usize = 4096;

const NO_SPLIT: Split = Split { slot: Slot(1), element: 0, point: 0.0, above: false };

/// A fingerprint under two secret keys.
pub type Fingerprint = (u64, u64);

/// The leaves that were accepted, by fingerprints of box, splits, lemmas above, disjuncts and claims.
pub struct Accepted {
    keys: [RandomState; 2],
    /// The box of the root.
    root: (Vec<f64>, Vec<f64>),
    seen: Mutex<HashSet<Fingerprint>>,
}

impl Accepted {
    /// None yet, below the root's box.
    pub fn new((lower, upper): Box64<'_>) -> Self {
        let keys = [RandomState::new(), RandomState::new()];
        Self { keys, root: (lower.to_vec(), upper.to_vec()), seen: Mutex::default() }
    }

    fn of(&self, content: impl std::hash::Hash) -> Fingerprint {
        (self.keys[0].hash_one(&content), self.keys[1].hash_one(&content))
    }

    /// Of a lemma at a place below another.
    pub fn lemma(
        &self,
        above: Option<Fingerprint>,
        domain: (Box64<'_>, &[Split]),
        bytes: &[u8],
    ) -> Fingerprint {
        self.of((above, self.place(domain), bytes))
    }

    fn leaf(
        &self,
        lemma: Fingerprint,
        domain: (Box64<'_>, &[Split]),
        first: usize,
        claims: &[LeafClaim],
    ) -> Fingerprint {
        let claims: Vec<_> = claims
            .iter()
            .map(|c| (c.row, &*c.alpha, c.beta.iter().map(|b| b.to_bits()).collect::<Vec<_>>()))
            .collect();
        self.of((lemma, self.place(domain), first, claims))
    }

    /// Remembers an accepted leaf, the lemma that it inherits from and the first of the disjuncts that it refutes.
    pub fn insert(
        &self,
        lemma: Fingerprint,
        domain: (Box64<'_>, &[Split]),
        first: usize,
        claims: &[LeafClaim],
    ) {
        let fingerprint = self.leaf(lemma, domain, first, claims);
        self.seen.lock().expect("no worker panics while it holds the set").insert(fingerprint);
    }

    /// A box, by where it differs from the root's, and splits, as bits.
    fn place(&self, ((lower, upper), splits): (Box64<'_>, &[Split])) -> impl std::hash::Hash {
        let bits = |x: &[f64], root: &[f64]| {
            let both = x.iter().map(|x| x.to_bits()).zip(root.iter().map(|x| x.to_bits())).enumerate();
            let changed: Vec<_> = both.filter(|(_, (x, root))| x != root).map(|(j, (x, _))| (j, x)).collect();
            (x.len(), changed)
        };
        let splits: Vec<_> =
            splits.iter().map(|s| (s.slot.0, s.element, s.point.to_bits(), s.above)).collect();
        (bits(lower, &self.root.0), bits(upper, &self.root.1), splits)
    }
}

/// A walk that finds the most symbols that a lemma asks for, and the lemmas on a path.
#[derive(Default)]
struct Needs {
    columns: usize,
    levels: usize,
}

impl<'p> Visitor<'p> for Needs {
    fn lemma(&mut self, level: usize, _: Box64<'_>, _: &[Split], lemma: &Lemma<'p>) -> Result<(), Rejection> {
        if level >= LEVELS {
            return Err(Rejection::Depth);
        }
        self.columns = self.columns.max(lemma.columns());
        self.levels = self.levels.max(level + 1);
        Ok(())
    }

    fn leaf(&mut self, _: usize, _: Box64<'_>, _: &[Split], _: LeafBytes<'p>) -> Result<(), Rejection> {
        Ok(())
    }
}

/// A walk that asks of each leaf whether it was accepted.
struct Cover<'c, 'p> {
    accepted: &'c Accepted,
    /// The lemmas above, outermost first.
    lemmas: Vec<Fingerprint>,
    claims: Vec<Claim<'p>>,
}

impl<'p> Visitor<'p> for Cover<'_, 'p> {
    fn lemma(
        &mut self,
        level: usize,
        region: Box64<'_>,
        splits: &[Split],
        lemma: &Lemma<'p>,
    ) -> Result<(), Rejection> {
        self.lemmas.truncate(level);
        let above = self.lemmas.last().copied();
        self.lemmas.push(self.accepted.lemma(above, (region, splits), lemma.bytes()));
        Ok(())
    }

    fn leaf(
        &mut self,
        level: usize,
        region: Box64<'_>,
        splits: &[Split],
        leaf: LeafBytes<'p>,
    ) -> Result<(), Rejection> {
        let claims: Vec<LeafClaim> = leaf.parse(&mut self.claims)?.iter().map(owned).collect();
        let lemma = *self.lemmas.get(level).ok_or(Rejection::Shape)?;
        let fingerprint = self.accepted.leaf(lemma, (region, splits), leaf.disjuncts().start, &claims);
        let seen = self.accepted.seen.lock().expect("no worker panics while it holds the set");
        if seen.contains(&fingerprint) { Ok(()) } else { Err(Rejection::NotProved { disjunct: 0 }) }
    }
}

fn owned(claim: &Claim<'_>) -> LeafClaim {
    let beta = claim.beta.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    LeafClaim { row: claim.row, alpha: claim.alpha.into(), beta }
}

impl Desk<'_> {
    /// Whether the leaves of the proof `bytes`, derived from its splits alone, are all among those accepted.
    ///
    /// # Errors
    /// [`Rejection`] of the tree, or `NotProved` for a leaf that was not accepted.
    pub fn cover(&self, bytes: &[u8], region: Box64<'_>, accepted: &Accepted) -> Result<(), Rejection> {
        let (mut lower, mut upper) = (region.0.to_vec(), region.1.to_vec());
        let (mut frames, mut splits) = (vec![Frame::EMPTY; DEPTH], vec![NO_SPLIT; DEPTH]);
        let claims = vec![Claim::default(); self.problem.disjuncts.len()];
        let mut cover = Cover { accepted, lemmas: Vec::new(), claims };
        let path = (frames.as_mut_slice(), splits.as_mut_slice());
        walk(&self.problem, &self.layout, bytes, (&mut lower, &mut upper), path, &mut cover).map(|_| ())
    }

    /// Symbols of affine forms that the lemmas of a proof ask for at most.
    ///
    /// # Errors
    /// [`Rejection`] of the tree.
    pub fn columns_of(&self, bytes: &[u8], region: Box64<'_>) -> Result<usize, Rejection> {
        self.needs(bytes, region).map(|needs| needs.columns)
    }

    fn needs(&self, bytes: &[u8], region: Box64<'_>) -> Result<Needs, Rejection> {
        let (mut lower, mut upper) = (region.0.to_vec(), region.1.to_vec());
        let (mut frames, mut splits) = (vec![Frame::EMPTY; DEPTH], vec![NO_SPLIT; DEPTH]);
        let mut needs = Needs::default();
        let path = (frames.as_mut_slice(), splits.as_mut_slice());
        walk(&self.problem, &self.layout, bytes, (&mut lower, &mut upper), path, &mut needs)?;
        Ok(needs)
    }

    /// Symbols for which affine forms of all values of the program take at most `bytes` of memory.
    pub fn columns_within(&self, bytes: usize) -> usize {
        let fits =
            |columns: &usize| self.layout.forms_len(*columns, LANE_MULTIPLE).saturating_mul(8) <= bytes;
        (1..=16).map(|k| LANE_MULTIPLE * k - 2).take_while(fits).last().unwrap_or(0)
    }

    /// Checks a whole proof from its bytes: every lemma and leaf again, from nothing but splits and claims.
    ///
    /// # Errors
    /// [`Rejection`].
    pub fn check(&self, bytes: &[u8], region: Box64<'_>) -> Result<Stats, Rejection> {
        let mut memory = Desktop::default();
        let needs = self.needs(bytes, region)?;
        let mut referee = Referee::new(self, &mut memory, needs.columns)?;
        let (mut lower, mut upper) = (region.0.to_vec(), region.1.to_vec());
        let (mut frames, mut splits) = (vec![Frame::EMPTY; DEPTH], vec![NO_SPLIT; DEPTH]);
        let disjuncts = self.problem.disjuncts.len();
        let (mut claims, mut margins) = (vec![Claim::default(); disjuncts], vec![0.0; disjuncts]);
        let mut floats: Vec<Vec<f64>> = vec![vec![0.0; self.layout.bounds_len()]; needs.levels];
        let mut levels: Vec<Bounds<'_>> = floats.iter_mut().map(|f| Bounds::new(&self.layout, f)).collect();
        let tree = TreeMemory {
            frames: &mut frames,
            splits: &mut splits,
            levels: &mut levels,
            claims: &mut claims,
            margins: &mut margins,
        };
        referee.lemmas.check_tree(bytes, (&mut lower, &mut upper), tree)
    }
}
