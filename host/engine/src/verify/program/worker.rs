//! One thread's tools: the checker's hand, and attacks.

use std::sync::atomic::Ordering::Relaxed;

use super::attack::Attacker;
use super::checker::{Fingerprint, Referee};
use super::domain::Domain;
use super::shared::Shared;
use super::tree::{LeafClaim, LemmaBytes};
use crate::bounds::program::Region;
use crate::property::check_witness;
use crate::verify::Verdict;
use crate::verify::attack::PointBox;
use certus_core::proof::program::Bounds;

/// Points attacked together.
pub const ATTACK_LANES: usize = 32;
/// Steps of an attack on the whole box.
pub const ATTACK_STEPS: usize = 40;
/// Steps of an attack on a domain.
const DOMAIN_STEPS: usize = 6;
/// One domain in this many is attacked.
const ATTACK_EVERY: usize = 16;

/// A lemma at the root, from which domains inherit.
pub struct Base<'b> {
    /// What it says, as the leaves below are remembered.
    pub lemma: Fingerprint,
    /// The checker's bounds.
    pub bounds: &'b Bounds<'b>,
}

impl<'b> Base<'b> {
    /// Of the lemma's bytes and the bounds derived for it.
    pub fn new(shared: &Shared<'_>, lemma: &LemmaBytes, bounds: &'b Bounds<'b>) -> Self {
        let region = &shared.problem.case.region;
        let root = ((region.lower.as_slice(), region.upper.as_slice()), [].as_slice());
        Self { lemma: shared.accepted.lemma(None, root, lemma), bounds }
    }
}

/// What the checker says of a domain.
pub struct Answer {
    pub accepted: bool,
    /// Margins of its disjuncts; NaN where none was computed.
    pub margins: Vec<f64>,
}

/// One thread's tools.
pub struct Worker<'a, 'c> {
    pub shared: &'a Shared<'a>,
    pub referee: Referee<'c>,
    pub attacker: Attacker<'a>,
    /// Threads that bounds may use.
    pub threads: usize,
    /// Lanes that a domain of the last batch took.
    pub lanes_each: usize,
    /// What climbing the rows of a box gained of late.
    pub climb_gain: f32,
    /// Boxes since one was climbed.
    pub since_climb: usize,
    since_attack: usize,
}

impl<'a, 'c> Worker<'a, 'c> {
    pub fn new(shared: &'a Shared<'a>, referee: Referee<'c>, index: usize, threads: usize) -> Self {
        let seed = shared.settings.seed.wrapping_add(index as u64 * 0x1_0001);
        let attacker = Attacker::new(shared.problem, ATTACK_LANES, seed);
        Self {
            shared,
            referee,
            attacker,
            threads,
            lanes_each: 1,
            climb_gain: f32::INFINITY,
            since_climb: 0,
            since_attack: 0,
        }
    }

    /// Has the checker accept a domain, and puts it into the tree: by its own `lemma`, or by that of the root.
    pub fn prove(
        &mut self,
        base: Option<&Base<'_>>,
        domain: &mut Domain,
        lemma: Option<LemmaBytes>,
        claims: Vec<LeafClaim>,
    ) -> bool {
        if !self.accepts(base, domain, lemma.as_ref(), &claims) {
            self.shared.rejected.fetch_add(1, Relaxed);
            domain.refused += 1;
            return false;
        }
        if let Some(lemma) = lemma {
            self.shared.tree.state(domain.node, lemma);
        }
        self.shared.tree.prove(domain.node, claims);
        true
    }

    /// Whether the checker accepts a domain; if so, that is remembered.
    pub fn accepts(
        &mut self,
        base: Option<&Base<'_>>,
        domain: &Domain,
        lemma: Option<&LemmaBytes>,
        claims: &[LeafClaim],
    ) -> bool {
        let (shared, place) = (self.shared, domain.place());
        let above = base.map(|b| b.bounds);
        if self.referee.accept(above, place, lemma, claims, shared.stop()).is_err() {
            return false;
        }
        let root = base.map(|b| b.lemma);
        let own = lemma.map(|bytes| shared.accepted.lemma(root, place, bytes));
        self.remember(own.or(root), domain, claims);
        true
    }

    /// Has the checker accept several domains below the root's lemma, each with its claims, and puts those into the tree that it
    /// accepts.
    pub fn prove_many(
        &mut self,
        base: &Base<'_>,
        domains: Vec<(&mut Domain, Vec<LeafClaim>)>,
    ) -> Vec<Answer> {
        let leaves: Vec<_> =
            domains.iter().map(|(d, claims)| (d.place(), d.first, claims.as_slice())).collect();
        let answers = self.referee.accept_many(base.bounds, &leaves);
        for ((domain, claims), answer) in domains.into_iter().zip(&answers) {
            if answer.accepted {
                self.record(Some(base.lemma), domain, claims);
            } else {
                self.shared.rejected.fetch_add(1, Relaxed);
                domain.refused += 1;
            }
        }
        answers
    }

    /// Puts an accepted leaf into the tree.
    fn record(&self, lemma: Option<Fingerprint>, domain: &Domain, claims: Vec<LeafClaim>) {
        self.remember(lemma, domain, &claims);
        self.shared.tree.prove(domain.node, claims);
    }

    /// Remembers that the checker has accepted a leaf.
    pub fn remember(&self, lemma: Option<Fingerprint>, domain: &Domain, claims: &[LeafClaim]) {
        self.shared.leaves.fetch_add(1, Relaxed);
        if let Some(lemma) = lemma {
            self.shared.accepted.insert(lemma, domain.place(), domain.first, claims);
        }
    }

    /// Tries a point, moved into the box of witnesses; ends the search if it is a counterexample.
    pub fn try_point(&mut self, point: &[f32]) -> bool {
        let (problem, all) = (self.shared.problem, &self.shared.problem.case.region);
        let inside = all.witness_lower.iter().zip(&all.witness_upper);
        let point: Vec<f32> = point.iter().zip(inside).map(|(x, (l, u))| x.max(*l).min(*u)).collect();
        let found = check_witness(problem.parts.network, problem.property, &point);
        found.is_some_and(|witness| {
            self.shared.end(Verdict::Violated(witness));
            true
        })
    }

    /// Attacks the whole box; ends the search if that finds a counterexample.
    pub fn attack_root(&mut self, rounds: usize) -> bool {
        let found = self.attacker.descend_root(rounds, ATTACK_STEPS, self.shared.budget);
        found.is_some_and(|witness| {
            self.shared.end(Verdict::Violated(witness));
            true
        })
    }

    /// Now and then attacks a domain's part of the box of witnesses.
    pub fn attack(&mut self, region: Region<'_>) -> bool {
        self.since_attack += 1;
        if self.since_attack < ATTACK_EVERY {
            return false;
        }
        self.since_attack = 0;
        let all = &self.shared.problem.case.region;
        let clip = |ends: &[f32]| -> Vec<f32> {
            let inside = all.witness_lower.iter().zip(&all.witness_upper);
            ends.iter().zip(inside).map(|(x, (l, u))| x.max(*l).min(*u)).collect()
        };
        let (lower, upper) = (clip(region.lower), clip(region.upper));
        if lower.iter().zip(&upper).any(|(l, u)| l > u) {
            return false;
        }
        let budget = self.shared.budget;
        let points = PointBox { lower: &lower, upper: &upper };
        let found = self.attacker.descend(points, DOMAIN_STEPS, || budget.is_spent());
        found.is_some_and(|witness| {
            self.shared.end(Verdict::Violated(witness));
            true
        })
    }
}
