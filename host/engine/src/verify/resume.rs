//! Going on from the notes of an earlier run.
//!
//! What that run held for proved counts again only when the checker has accepted it again, by box, splits and claims of its own
//! tree; the rest is open.

use super::leaf::Checker;
use super::shared::{Domain, Shared};
use crate::search::tree::Tip;
use certus_core::proof;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The open domains of a tree that an earlier run left; `None` if it left none.
pub(super) fn resume(
    shared: &Shared<'_>,
    problem: &proof::Problem<'_>,
    threads: usize,
) -> Option<Vec<Domain>> {
    let tips = shared.tree.tips()?;
    let next = AtomicUsize::new(0);
    let open = Mutex::new(Vec::new());
    let work = || {
        let mut checker = Checker::new(shared.problem.parts);
        while let Some(tip) = tips.get(next.fetch_add(1, Ordering::Relaxed)) {
            let domain = domain_of(shared, tip);
            if !is_accepted(shared, problem, &mut checker, &domain, tip) {
                shared.tree.reopen(tip.node);
                open.lock().expect("no thread panics while it holds the list").push(domain);
            }
        }
    };
    std::thread::scope(|scope| {
        (1..threads).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
    Some(open.into_inner().expect("all threads have ended"))
}

fn domain_of(shared: &Shared<'_>, tip: &Tip) -> Domain {
    let mut domain = shared.root();
    for (cut, second) in &tip.path {
        shared.cut(&mut domain, *cut, *second);
    }
    Domain { node: tip.node, depth: tip.path.len() as u32, ..domain }
}

fn is_accepted(
    shared: &Shared<'_>,
    problem: &proof::Problem<'_>,
    checker: &mut Checker,
    domain: &Domain,
    tip: &Tip,
) -> bool {
    let Some(leaf) = &tip.leaf else { return false };
    let splits = shared.problem.proof_splits(&domain.splits);
    let region = (domain.lower.as_slice(), domain.upper.as_slice());
    let accepted = !shared.budget.is_spent() && checker.accept(problem, region, &splits, leaf).is_ok();
    if accepted {
        shared.accepted.insert(region, &splits, leaf);
        shared.leaves.fetch_add(1, Ordering::Relaxed);
        shared.note(f32::INFINITY, 0.5f64.powi(domain.depth as i32));
    }
    accepted
}
