//! Going on from the notes of an earlier run.
//!
//! Its tree's tips are domains again. What that run held for proved counts only when the checker has accepted it once more, from
//! box, splits, lemma and claims; the rest is open. Where the notes do not fit, the search begins anew.

use super::checker::Desk;
use super::domain::{Domain, Noted};
use super::inputs::lowest;
use super::lemma::is_refined;
use super::refine;
use super::root::{Plan, ROWS};
use super::tree::{Cut, LemmaBytes, Tip};
use super::values::Values;
use super::worker::{Base, Worker};
use crate::bounds::program::Region;
use certus_core::proof::program::Bounds;

impl Worker<'_, '_> {
    /// The lemma at the root, derived into `bounds`, and the tips of an earlier run's tree; `None` if there is none or if it does
    /// not fit.
    pub fn resume(&mut self, desk: &Desk<'_>, bounds: &mut Bounds<'_>) -> Option<(Option<LemmaBytes>, Plan)> {
        let shared = self.shared;
        let left = shared.tree.left()?;
        let of_root = || left.tips.iter().find(|t| t.node == 0).and_then(|t| t.lemma.clone());
        let lemma = left.lemma.clone().or_else(of_root);
        let mut domain = Domain::root(&shared.problem.case.region.lower, &shared.problem.case.region.upper);
        let Some(lemma) = lemma else {
            let open = self.domains_of(&domain, left.tips)?;
            return Some((None, Plan::Inputs(open)));
        };
        // What precedes the refinement of bounds is short; without them the rest may be long.
        let open = left.tips.iter().any(|tip| tip.leaf.is_none());
        // A run that had given up halving boxes splits values on.
        let of_value = |tip: &Tip| tip.path.iter().any(|(cut, _)| matches!(cut, Cut::Value { .. }));
        let boxes = self.splits_inputs(&domain) && !left.tips.iter().any(of_value);
        let refines = !refine::passes(shared.problem.parts.program).is_empty() && !boxes;
        if open && refines && !is_refined(&lemma, desk) {
            return None;
        }
        if !self.referee.derive(self.threads, domain.place(), &lemma, bounds, shared.stop()) {
            return shared.out_of_budget().then_some((None, Plan::Ended));
        }
        if boxes {
            let open = self.domains_of(&domain, without_root_lemma(left.tips))?;
            return Some((Some(lemma), Plan::Inputs(open)));
        }
        let intervals = desk.intervals(bounds)?;
        let (lower, upper) = domain.rounded();
        let region = Region { lower: &lower, upper: &upper };
        let Some(judged) = self.bound(region) else {
            shared.out_of_budget();
            return Some((None, Plan::Ended));
        };
        let climbed = self.climb_rows(region, &judged, ROWS);
        let start = |d: usize| climbed.iter().find(|c| c.disjunct == d).map(|c| c.found.start.clone());
        domain.hints = self.root_hints(&judged.rows, |d| start(d).unwrap_or_default());
        shared.note(lowest(&judged, &climbed), 0.0);
        Some((Some(lemma), Plan::Resumed { domain, intervals, tips: left.tips }))
    }

    /// The domains of a value search that goes on; if the tips do not fit, of one that begins anew with the same lemma.
    pub fn resume_values(
        &mut self,
        values: &Values<'_>,
        lemma: &LemmaBytes,
        (domain, tips): (Domain, Vec<Tip>),
    ) -> Vec<Domain> {
        let root = self.climb_root(values, domain);
        self.domains_of(&root, without_root_lemma(tips)).unwrap_or_else(|| {
            self.shared.tree.begin_anew();
            self.shared.tree.state(0, lemma.clone());
            vec![root]
        })
    }

    /// The domain of each tip, with what its root hands on; `None` if a cut does not fit.
    fn domains_of(&self, root: &Domain, tips: Vec<Tip>) -> Option<Vec<Domain>> {
        let domain = |Tip { node, path, lemma, leaf }: Tip| {
            let mut domain = Domain { node, ..root.clone() };
            for (cut, second) in path {
                if !fits(&domain, cut) {
                    return None;
                }
                domain.depth += u32::from(!matches!(cut, Cut::Disjuncts { .. }));
                domain.cut(cut, second);
            }
            match leaf {
                Some(claims) => domain.noted = Some(Box::new(Noted { lemma, claims })),
                None if lemma.is_some() => self.shared.tree.reopen(node),
                None => {}
            }
            Some(domain)
        };
        tips.into_iter().map(domain).collect()
    }

    /// Of a batch those domains that an earlier run did not hold for proved, or that the checker does not accept again.
    pub fn recheck(&mut self, base: Option<&Base<'_>>, batch: Vec<Domain>) -> Vec<Domain> {
        let (mut open, mut below, mut own) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        for mut domain in batch {
            match (domain.noted.take().map(|n| *n), base) {
                (None, _) => open.push(domain),
                (Some(Noted { lemma: None, claims }), Some(_)) if claims.len() == domain.hints.len() => {
                    below.push((domain, claims));
                }
                (Some(noted), _) => own.push((domain, noted)),
            }
        }
        let mut answered = Vec::new();
        if let Some(base) = base.filter(|_| !below.is_empty()) {
            let leaves: Vec<_> =
                below.iter().map(|(d, claims)| (d.place(), d.first, claims.as_slice())).collect();
            let answers = self.referee.accept_many(base.bounds, &leaves);
            for ((domain, claims), answer) in below.into_iter().zip(answers) {
                if answer.accepted {
                    self.remember(Some(base.lemma), &domain, &claims);
                }
                answered.push((domain, answer.accepted));
            }
        }
        for (domain, Noted { lemma, claims }) in own {
            let accepted = domain.first == 0 && self.accepts(base, &domain, lemma.as_ref(), &claims);
            answered.push((domain, accepted));
        }
        for (domain, accepted) in answered {
            if accepted {
                self.shared.note(f32::INFINITY, self.shared.share(&domain));
            } else if !self.shared.out_of_budget() {
                self.shared.tree.reopen(domain.node);
                open.push(domain);
            }
        }
        open
    }
}

/// The lemma at the root is the search's own, not one of a tip.
fn without_root_lemma(tips: Vec<Tip>) -> Vec<Tip> {
    tips.into_iter().map(|t| Tip { lemma: t.lemma.filter(|_| t.node > 0), ..t }).collect()
}

/// Whether a domain is divided by a cut, or cut at an end.
fn fits(domain: &Domain, cut: Cut) -> bool {
    match cut {
        Cut::Input { coordinate, value } => {
            let j = coordinate as usize;
            domain.lower[j] <= value && value <= domain.upper[j]
        }
        Cut::Value { .. } => true,
        Cut::Disjuncts { at } => {
            let at = usize::from(at);
            domain.first < at && at < domain.first + domain.hints.len()
        }
    }
}
