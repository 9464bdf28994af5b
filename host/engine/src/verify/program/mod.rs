//! Verdicts about general programs: attack, branch and bound, and leaves that `certus_core::proof::program` accepted.
//!
//! As for chains (see [`super`]): the search may be wrong by rounding, so a counterexample is replayed in both meanings, and a
//! domain counts as proved when the checker has derived all its bounds again and accepted it.

mod attack;
mod branch;
mod checker;
mod domain;
mod exact;
mod forms;
mod group;
mod inputs;
mod lemma;
mod notes;
mod problem;
mod refine;
mod resume;
mod root;
mod shared;
mod shorten;
mod single;
#[cfg(test)]
mod testing;
mod tree;
mod values;
mod worker;

use std::sync::atomic::AtomicBool;

use super::{Branching, CaseProof, Reason, Report, Settings, Stats, Verdict, attack_first, worker_threads};
use crate::bounds::program::{Points, Prepared};
use crate::device::ProgramKernel;
use crate::program::Program;
use crate::property::{Evaluate, Property};
use crate::search::{Budget, Patience, Progress};
use attack::Attacker;
use certus_core::proof::{Meaning, Rejection};
use certus_kernels::LANE_MULTIPLE;
use checker::{Desk, Desktop, Referee};
use group::prove_groups;
use problem::{CaseProblem, Parts};
use root::Plan;
use shared::Shared;
pub use shorten::shorten;
use values::Values;
use worker::{ATTACK_LANES, ATTACK_STEPS, Base, Worker};

/// Decides `property` for `program`; counterexamples are checked with `network`, which computes the same.
///
/// # Panics
/// If the property's inputs or outputs are not those of both ([`Property::check_against`]).
pub fn verify_program(
    program: &Program,
    network: &dyn Evaluate,
    property: &Property,
    settings: &Settings,
    stop: &AtomicBool,
    progress: &dyn Progress,
) -> Report {
    let expected = (property.inputs, property.outputs);
    assert_eq!((program.inputs(), program.outputs()), expected, "the property fits");
    assert_eq!((network.inputs(), network.outputs()), expected, "the property fits");
    let budget = Budget::new(settings.timeout, stop);
    let mut stats = Stats::default();
    let net = Prepared::new(program);
    let points = &mut Points::new(&net, LANE_MULTIPLE);
    let verdict = match attack_first(points, network, property, settings, &budget) {
        Some(witness) => Verdict::Violated(witness),
        None => {
            let parts = Parts::with_net(program, network, net);
            decide_all(&parts, property, settings, &budget, progress, &mut stats)
        }
    };
    stats.seconds = budget.elapsed().as_secs_f64();
    Report { verdict, stats }
}

fn decide_all(
    parts: &Parts<'_>,
    property: &Property,
    settings: &Settings,
    budget: &Budget<'_>,
    progress: &dyn Progress,
    stats: &mut Stats,
) -> Verdict {
    let grouped = prove_groups(parts, property, settings, budget, progress, stats);
    if let Some(witness) = grouped.witness {
        return Verdict::Violated(witness);
    }
    let mut proofs = grouped.proofs;
    for index in grouped.open {
        if budget.is_spent() {
            let reason = if budget.is_stopped() { Reason::Stopped } else { Reason::Timeout };
            return Verdict::Unknown { reason, lower_bound: None };
        }
        let problem = CaseProblem::new(parts, property, &property.cases[index]);
        match decide(&problem, settings, budget, progress, stats) {
            Ok(bytes) => proofs.push(CaseProof { cases: vec![index], bytes }),
            Err(verdict) => return verdict,
        }
    }
    Verdict::Holds(proofs)
}

/// Decides a case: its proof, or another verdict. Where halving boxes stalls, computed values are split instead.
fn decide(
    problem: &CaseProblem<'_>,
    settings: &Settings,
    budget: &Budget<'_>,
    progress: &dyn Progress,
    stats: &mut Stats,
) -> Result<Vec<u8>, Verdict> {
    let boxes = Shared::new(problem, settings, budget, progress);
    if let Some(decided) = search(boxes, stats, Notes::GoOn) {
        return decided;
    }
    let settings = Settings { branching: Branching::Neurons, ..settings.clone() };
    let values = Shared::new(problem, &settings, budget, progress);
    search(values, stats, Notes::BeginAnew).expect("only boxes stall")
}

/// What becomes of the notes that are there of a case.
#[derive(Clone, Copy, PartialEq)]
enum Notes {
    GoOn,
    BeginAnew,
}

/// Decides a case by one way of branching; `None` if that stalls.
fn search(mut shared: Shared<'_>, stats: &mut Stats, notes: Notes) -> Option<Result<Vec<u8>, Verdict>> {
    let (problem, settings, budget) = (shared.problem, shared.settings, shared.budget);
    let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
    let (mut words, mut memory) = (Vec::new(), Desktop::default());
    let kernel = &problem.parts.kernel;
    let desk = Desk::new(problem.parts.tables.program(), &disjuncts, settings.meaning, kernel, &mut words);
    let Ok(desk) = desk else { return Some(Err(attack_alone(problem, settings, budget))) };
    shared.columns = forms::columns(&desk, problem, settings);
    let Ok(referee) = Referee::new(&desk, &mut memory, shared.columns) else {
        return Some(Err(attack_alone(problem, settings, budget)));
    };
    let threads = worker_threads(settings);
    let mut floats = Vec::new();
    let mut bounds = desk.bounds(&mut floats);
    let mut floats = vec![Vec::new(); refine::passes(problem.parts.program).len()];
    let mut finer: Vec<_> = floats.iter_mut().map(|f| desk.bounds(f)).collect();
    let mut first = Worker::new(&shared, referee, 0, threads);
    let resumed = (notes == Notes::GoOn).then(|| first.resume(&desk, &mut bounds)).flatten();
    let (lemma, plan) = resumed.unwrap_or_else(|| {
        shared.tree.begin_anew();
        first.root(&desk, &mut bounds)
    });
    let base = lemma.as_ref().map(|lemma| Base::new(&shared, lemma, &bounds));
    let (way, open) = match (plan, base) {
        (Plan::Ended, _) | (Plan::Values { .. } | Plan::Resumed { .. }, None) => {
            return Some(shared.conclude(&desk, stats));
        }
        (Plan::Inputs(open), base) => {
            if settings.branching == Branching::Automatic && shared.columns == 0 {
                shared.patience.get_or_init(|| Patience::new(budget));
            }
            (Way::Inputs(base), open)
        }
        (Plan::Values { domain, intervals, slopes }, Some(base)) => {
            let mut values = Values { base, intervals };
            let open = first.refine_all(&desk, &mut values, domain, &slopes, &mut finer);
            (Way::Values(values), open)
        }
        (Plan::Resumed { domain, intervals, tips }, Some(base)) => {
            let values = Values { base, intervals };
            let lemma = lemma.as_ref().expect("there is a base");
            let open = first.resume_values(&values, lemma, (domain, tips));
            (Way::Values(values), open)
        }
    };
    shared.pool.open(open);
    first.threads = 1;
    let run = |worker: &mut Worker<'_, '_>| match &way {
        Way::Values(values) => worker.run_values(values, threads),
        Way::Inputs(base) => worker.run_inputs(base.as_ref()),
    };
    if !shared.has_ended() {
        std::thread::scope(|scope| {
            for index in 1..threads {
                let (shared, desk, run) = (&shared, &desk, &run);
                scope.spawn(move || {
                    let mut memory = Desktop::default();
                    let referee =
                        Referee::new(desk, &mut memory, shared.columns).expect("the first thread's was made");
                    run(&mut Worker::new(shared, referee, index, 1));
                });
            }
            run(&mut first);
        });
    }
    let stalled = shared.has_stalled();
    let concluded = shared.conclude(&desk, stats);
    (!stalled).then_some(concluded)
}

/// What is halved after the root.
enum Way<'b> {
    /// Boxes; the lemma at the root, if there is one.
    Inputs(Option<Base<'b>>),
    /// Computed values.
    Values(Values<'b>),
}

/// What can be said where nothing can be proved: a counterexample, if the attack finds one.
fn attack_alone(problem: &CaseProblem<'_>, settings: &Settings, budget: &Budget<'_>) -> Verdict {
    let mut attacker = Attacker::new(problem, ATTACK_LANES, settings.seed);
    let found = if settings.attack { attacker.descend_root(8, ATTACK_STEPS, budget) } else { None };
    found.map_or(Verdict::Unknown { reason: Reason::Unchecked, lower_bound: None }, Verdict::Violated)
}

/// Checks the proof of some cases of `property` about `program` from its bytes, for the meaning `Real`: every lemma and leaf
/// again, from nothing but splits and claims.
///
/// # Errors
/// [`Rejection`].
///
/// # Panics
/// If the proof names a case that the property does not have.
pub fn check_program(
    program: &Program,
    property: &Property,
    proof: &CaseProof,
) -> Result<certus_core::proof::Stats, Rejection> {
    let case = property.merged(&proof.cases);
    let parts = Parts::new(program, program);
    let problem = CaseProblem::new(&parts, property, &case);
    let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
    let mut words = Vec::new();
    let desk = Desk::new(parts.tables.program(), &disjuncts, Meaning::Real, &parts.kernel, &mut words)?;
    desk.check(&proof.bytes, (&case.region.lower, &case.region.upper))
}

/// Whether the checker bounds every step of `program` in the meaning `Real`, where its operands lie in the functions' domains.
pub fn is_provable(program: &Program) -> bool {
    let tables = program.tables();
    let mut words = Vec::new();
    let Ok(desk) =
        Desk::new(tables.program(), &[], Meaning::Real, &ProgramKernel::new(&tables.program()), &mut words)
    else {
        return false;
    };
    let mut memory = Desktop::default();
    let Ok(mut referee) = Referee::new(&desk, &mut memory, 0) else { return false };
    let n = program.inputs();
    !matches!(referee.bound((&vec![0.25; n], &vec![0.5; n])), Err(Rejection::Unsupported { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Silent;
    use crate::verify::Settings;

    #[test]
    fn where_boxes_stall_values_are_split_from_the_root_and_the_proof_is_accepted() {
        let program = testing::deep(3);
        let mut number = testing::numbers(8);
        let sampled = (0..20_000).map(|_| {
            let y = program.eval(&[number(), number(), number()].map(|x| 3.0 * f64::from(x)));
            y[0] - y[1]
        });
        let property = testing::property(-3.0, 3.0, sampled.fold(f64::INFINITY, f64::min) - 0.3);
        let parts = Parts::new(&program, &program);
        let problem = CaseProblem::new(&parts, &property, &property.cases[0]);
        let (settings, stop) = (Settings { threads: 1, ..Settings::default() }, AtomicBool::new(false));
        let budget = Budget::new(settings.timeout, &stop);
        let mut stats = Stats::default();
        let boxes = Shared::new(&problem, &settings, &budget, &Silent);
        boxes.patience.get_or_init(Patience::lost);
        assert!(search(boxes, &mut stats, Notes::GoOn).is_none(), "{stats:?}");
        let settings = Settings { branching: Branching::Neurons, ..settings };
        let values = Shared::new(&problem, &settings, &budget, &Silent);
        let bytes = search(values, &mut stats, Notes::BeginAnew)
            .expect("values do not stall")
            .expect("no input is that low");
        let proof = CaseProof { cases: vec![0], bytes };
        assert!(check_program(&program, &property, &proof).is_ok());
    }
}
