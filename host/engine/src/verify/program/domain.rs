//! A subproblem of the search on a program: a box, and computed values kept to one side of a point.

use std::sync::Arc;

use super::tree::{Cut, LeafClaim};
use crate::bounds::program::batch::Start;
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
        match (cut, cut.splits()) {
            (Cut::Input { coordinate, value }, _) => {
                Arc::make_mut(&mut halves[0].upper)[coordinate as usize] = value;
                Arc::make_mut(&mut halves[1].lower)[coordinate as usize] = value;
            }
            (Cut::Value { .. }, Some(splits)) => {
                halves.iter_mut().zip(splits).for_each(|(half, split)| half.splits.push(split));
            }
            (Cut::Disjuncts { at }, _) => {
                let kept = usize::from(at) - halves[0].first;
                halves[0].hints.truncate(kept);
                halves[1].hints.drain(..kept);
                halves[1].first = usize::from(at);
            }
            (Cut::Value { .. }, None) => unreachable!("a value is split in two"),
        }
        halves
    }
}
