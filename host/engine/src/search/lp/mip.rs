//! Exact decision of tiny networks: branch and bound over the sides of unstable neurons, best first, with the LP as bound.
//!
//! A node is a path of fixed neurons; its LP differs from its parent's in bounds alone and starts from its basis. A leaf's duals
//! become its claims: the tree is a proof of the usual form.

use super::leaf::{Refuted, by_ray_of, limits};
use super::relaxation::{Linear, Relaxation};
use super::{Basis, Lp, Outcome, simplex};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

/// When to give up.
#[derive(Clone, Copy, Debug)]
pub struct MipLimits {
    /// Most nodes. Default 20,000.
    pub nodes: usize,
    /// When time is up. Default never.
    pub deadline: Option<Instant>,
}

impl Default for MipLimits {
    fn default() -> Self {
        Self { nodes: 20_000, deadline: None }
    }
}

/// The tree of a search; node 0 is the root.
#[derive(Clone, Debug, PartialEq)]
pub enum MipNode {
    /// Not decided: out of nodes or time, or within rounding of 0.
    Open,
    /// The neuron with this id is active in node `first`, inactive in `first + 1`.
    Split {
        /// What the caller calls it.
        id: usize,
        /// Where the halves are.
        first: usize,
    },
    /// Every disjunct is refuted; `β` of the domain's own splits first, then of the path's.
    Leaf(Vec<Refuted>),
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq)]
pub enum MipOutcome {
    /// The tree as far as it was grown; a proof if no node is open.
    Tree(Vec<MipNode>),
    /// An input that the caller recognised as a counterexample.
    Violated(Vec<f64>),
}

/// A node to be branched on.
struct Pending {
    lowest: f64,
    node: usize,
    path: Vec<(usize, bool)>,
    refuted: Vec<Option<Refuted>>,
    basis: Basis,
    branch: usize,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Pending {}
impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pending {
    /// The lowest bound is the greatest: it comes first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.lowest.total_cmp(&self.lowest).then(other.node.cmp(&self.node))
    }
}

/// What bounding a node gives.
enum Bounded {
    Proved(Vec<Refuted>),
    Branch(Pending),
    Violated(Vec<f64>),
    /// No neuron is left to branch on.
    Stuck,
}

/// Decides the disjuncts on the relaxation's domain; `is_violated` tells whether an input is a counterexample.
///
/// Every disjunct has one row: with several, no single one need fail in a leaf, and such a node stays open.
pub fn solve(
    relaxation: &Relaxation,
    disjuncts: &[Vec<Linear>],
    budget: MipLimits,
    is_violated: &mut dyn FnMut(&[f64]) -> bool,
) -> MipOutcome {
    let mut tree = vec![MipNode::Open];
    let mut search = Search { relaxation, disjuncts, lp: relaxation.lp().clone(), deadline: budget.deadline };
    let root = Pending {
        lowest: f64::NEG_INFINITY,
        node: 0,
        path: Vec::new(),
        refuted: vec![None; disjuncts.len()],
        basis: Basis::default(),
        branch: 0,
    };
    let mut open = BinaryHeap::new();
    let mut waiting = vec![root];
    loop {
        for node in waiting.drain(..) {
            let at = node.node;
            match search.bound(node, is_violated) {
                Bounded::Proved(claims) => tree[at] = MipNode::Leaf(claims),
                Bounded::Branch(pending) => open.push(pending),
                Bounded::Violated(point) => return MipOutcome::Violated(point),
                Bounded::Stuck => {}
            }
        }
        let spent = tree.len() >= budget.nodes || budget.deadline.is_some_and(|d| Instant::now() >= d);
        let Some(next) = (if spent { None } else { open.pop() }) else { return MipOutcome::Tree(tree) };
        let first = tree.len();
        tree.extend([MipNode::Open, MipNode::Open]);
        tree[next.node] = MipNode::Split { id: relaxation.unstable()[next.branch].id, first };
        waiting = [true, false]
            .into_iter()
            .enumerate()
            .map(|(k, active)| {
                let mut path = next.path.clone();
                path.push((next.branch, active));
                let (refuted, basis) = (next.refuted.clone(), next.basis.clone());
                Pending { node: first + k, path, refuted, basis, ..next }
            })
            .collect();
    }
}

struct Search<'a> {
    relaxation: &'a Relaxation,
    disjuncts: &'a [Vec<Linear>],
    lp: Lp,
    deadline: Option<Instant>,
}

impl Search<'_> {
    fn bound(&mut self, node: Pending, is_violated: &mut dyn FnMut(&[f64]) -> bool) -> Bounded {
        node.path.iter().for_each(|(index, active)| self.relaxation.fix(&mut self.lp, *index, *active));
        let path = node.path.clone();
        let bounded = self.bound_fixed(node, is_violated);
        path.iter().for_each(|(index, _)| self.relaxation.release(&mut self.lp, *index));
        bounded
    }

    fn bound_fixed(&mut self, mut node: Pending, is_violated: &mut dyn FnMut(&[f64]) -> bool) -> Bounded {
        node.lowest = f64::INFINITY;
        let mut branch: Option<(f64, usize)> = None;
        let mut stuck = false;
        for (disjunct, rows) in self.disjuncts.iter().enumerate() {
            if let Some(refuted) = &mut node.refuted[disjunct] {
                // What the parent refuted, the half refutes too, with 0 for the new split.
                refuted.evidence.beta.push(0.0);
                refuted.evidence.shares.retain(|(id, _)| !self.is_fixed(&node.path, *id));
                continue;
            }
            let mut best = f64::NEG_INFINITY;
            for (index, row) in rows.iter().enumerate() {
                self.lp.set_cost(&self.relaxation.cost(row));
                let limits = limits(self.relaxation, row, self.deadline);
                let (outcome, basis) = simplex::solve(&self.lp, Some(&node.basis), limits);
                let evidence = match &outcome {
                    Outcome::Infeasible { ray } => by_ray_of(self.relaxation, &self.lp, row, ray, &node.path),
                    Outcome::Optimal(super::Optimum { duals, .. }) | Outcome::Stopped { duals, .. } => {
                        Some(self.relaxation.evidence(&self.lp, row.offset(), duals, &node.path))
                    }
                };
                if let Some(evidence) = evidence {
                    best = best.max(evidence.bound);
                    if evidence.bound > 0.0 {
                        node.refuted[disjunct] = Some(Refuted { row: index as u16, evidence });
                        break;
                    }
                }
                if let Outcome::Optimal(found) = outcome {
                    let point = &found.primal[..self.relaxation.inputs()];
                    if is_violated(point) {
                        return Bounded::Violated(point.to_vec());
                    }
                    node.basis = basis;
                    let worst = self.widest(&found.primal, &node.path);
                    stuck |= worst.is_none();
                    branch = branch.into_iter().chain(worst).max_by(|a, b| a.0.total_cmp(&b.0));
                }
            }
            if node.refuted[disjunct].is_none() {
                node.lowest = node.lowest.min(best);
            }
        }
        if node.refuted.iter().all(Option::is_some) {
            return Bounded::Proved(node.refuted.into_iter().flatten().collect());
        }
        let left = (0..self.relaxation.unstable().len()).find(|i| !node.path.iter().any(|(k, _)| k == i));
        match branch.map(|b| b.1).or(left) {
            Some(neuron) if !(stuck && branch.is_none() && left.is_none()) => {
                node.branch = neuron;
                Bounded::Branch(node)
            }
            _ => Bounded::Stuck,
        }
    }

    fn is_fixed(&self, path: &[(usize, bool)], id: usize) -> bool {
        path.iter().any(|(index, _)| self.relaxation.unstable()[*index].id == id)
    }

    /// The unstable neuron whose value at `x` is furthest off its function, if any is off, as a share of its triangle's height.
    fn widest(&self, x: &[f64], path: &[(usize, bool)]) -> Option<(f64, usize)> {
        let free = self.relaxation.unstable().iter().enumerate();
        free.filter(|(i, _)| !path.iter().any(|(k, _)| k == i))
            .map(|(i, neuron)| (neuron.gap(x), i))
            .filter(|(gap, _)| *gap > 1e-9)
            .max_by(|a, b| a.0.total_cmp(&b.0))
    }
}
