//! A subproblem of the search on a program: a box, and computed values kept to one side of a point.

use std::sync::Arc;

use super::checker::Kept;
use super::tree::{Cut, LeafClaim, LemmaBytes};
use crate::bounds::program::batch::Start;
use crate::search::Waiting;
use certus_core::proof::program::Split;

/// A subproblem waiting to be bounded.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its node in the tree.
    pub node: u32,
    /// Splits of boxes and values above it.
    pub depth: u32,
    /// Lower ends of its box, `[inputs]`; shared with other domains of the same box.
    pub lower: Arc<Vec<f64>>,
    /// Upper ends.
    pub upper: Arc<Vec<f64>>,
    /// Splits of computed values, in order of depth.
    pub splits: Vec<Split>,
    /// First of the disjuncts that are open in it.
    pub first: usize,
    /// What is known of each open disjunct; empty where none was optimised.
    pub hints: Vec<Hint>,
    /// Cuts that its parent held for the next best.
    pub spare: Arc<Vec<Cut>>,
    /// How many times the checker refused what the search held for proved, here and above.
    pub refused: u8,
    /// Lower bound that is known of it, the highest of those above.
    pub bound: f32,
    /// Bounds of its parent, where each box has a lemma below that of its parent.
    pub above: Option<Arc<Kept>>,
    /// What an earlier run held for its proof.
    pub noted: Option<Box<Noted>>,
}

/// A proof that is not accepted yet.
#[derive(Clone, Debug)]
pub struct Noted {
    /// A lemma of its own.
    pub lemma: Option<LemmaBytes>,
    /// How each disjunct is refuted.
    pub claims: Vec<LeafClaim>,
}

/// What a domain hands on to its halves about a disjunct.
#[derive(Clone, Debug)]
pub struct Hint {
    /// The row that is to be refuted.
    pub row: u16,
    /// Slopes and multipliers to start from.
    pub start: Arc<Start>,
    /// The claim, once the row is held for refuted.
    pub claim: Option<LeafClaim>,
}

impl Waiting for Domain {
    fn bytes(&self) -> usize {
        let claim = |c: &LeafClaim| size_of_val(&*c.alpha) + size_of_val(&*c.beta);
        let hint = |h: &Hint| {
            let alpha = &h.start.alpha;
            size_of::<Hint>()
                + size_of_val(&*alpha.places)
                + size_of_val(&*alpha.shares)
                + size_of_val(&*h.start.beta)
                + h.claim.as_ref().map_or(0, claim)
        };
        // Domains whose values are split mostly have the root's box.
        let own_box = if self.splits.is_empty() { 2 * size_of_val(self.lower.as_slice()) } else { 0 };
        size_of::<Self>()
            + own_box
            // Halves share it.
            + self.above.as_ref().map_or(0, |kept| kept.bytes() / 2)
            + size_of_val(&*self.splits)
            + size_of_val(self.spare.as_slice())
            + self.hints.iter().map(hint).sum::<usize>()
            + self.noted.iter().flat_map(|n| &n.claims).map(claim).sum::<usize>()
    }

    fn shed(&mut self) {
        self.spare = Arc::default();
        for hint in &mut self.hints {
            (hint.start, hint.claim) = (Arc::default(), None);
        }
    }

    fn bound(&self) -> f32 {
        self.bound
    }
}

/// A domain that the checker refuses for the last time stays open: its bound is within rounding of the threshold.
const MOST_REFUSALS: u8 = 12;

impl Domain {
    /// The whole of a box.
    pub fn root(lower: &[f64], upper: &[f64]) -> Self {
        Self {
            node: 0,
            depth: 0,
            lower: Arc::new(lower.to_vec()),
            upper: Arc::new(upper.to_vec()),
            splits: Vec::new(),
            first: 0,
            hints: Vec::new(),
            spare: Arc::default(),
            refused: 0,
            bound: f32::NEG_INFINITY,
            above: None,
            noted: None,
        }
    }

    /// Whether splitting it further has no prospect.
    pub fn is_hopeless(&self) -> bool {
        self.refused >= MOST_REFUSALS
    }

    /// Its box and splits.
    pub fn place(&self) -> ((&[f64], &[f64]), &[Split]) {
        ((&self.lower, &self.upper), &self.splits)
    }

    /// The box in `f32`, rounded outward.
    pub fn rounded(&self) -> (Vec<f32>, Vec<f32>) {
        crate::verify::rounded_box(&self.lower, &self.upper)
    }

    /// A point of `f32` strictly inside coordinate `j`, about the middle.
    pub fn middle(&self, j: usize) -> Option<f64> {
        let (l, u) = (self.lower[j], self.upper[j]);
        let middle = f64::from((0.5 * l + 0.5 * u) as f32);
        (l < middle && middle < u).then_some(middle)
    }

    /// Its halves, of the nodes given, in the order of the tree.
    pub fn halve(self, cut: Cut, nodes: [u32; 2]) -> [Self; 2] {
        let deeper = u32::from(!matches!(cut, Cut::Disjuncts { .. }));
        let mut halves = [Self { node: nodes[0], depth: self.depth + deeper, ..self.clone() }, self];
        (halves[1].node, halves[1].depth) = (nodes[1], halves[0].depth);
        halves[0].cut(cut, false);
        halves[1].cut(cut, true);
        halves
    }

    /// Cuts it to one side, the second half if `second`.
    pub fn cut(&mut self, cut: Cut, second: bool) {
        match (cut, cut.splits()) {
            (Cut::Input { coordinate, value }, _) => {
                let ends = if second { &mut self.lower } else { &mut self.upper };
                Arc::make_mut(ends)[coordinate as usize] = value;
            }
            (Cut::Value { .. }, Some(splits)) => self.splits.push(splits[usize::from(second)]),
            (Cut::Disjuncts { at }, _) => {
                let kept = usize::from(at) - self.first;
                if second {
                    self.hints.drain(..kept);
                    self.first = usize::from(at);
                } else {
                    self.hints.truncate(kept);
                }
            }
            (Cut::Value { .. }, None) => unreachable!("a value is split in two"),
        }
    }
}
