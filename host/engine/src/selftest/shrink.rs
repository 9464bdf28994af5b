//! A failing case made small.

use std::sync::atomic::{AtomicBool, Ordering};

use super::judge::{Finding, Question, Truth, judge, truth};
use super::{CELLS_MAX, Q};
use num_bigint::BigInt;
use num_traits::Zero;

/// The smallest question found that still has a wrong answer: alternatives, rows and constants are taken away as long as that
/// stays so and nobody asks for the end.
pub fn shrink(question: &Question, stop: &AtomicBool) -> Question {
    let mut best = question.clone();
    loop {
        let ends = || stop.load(Ordering::Relaxed);
        match candidates(&best).into_iter().find(|c| ends() || fails(c, stop)) {
            Some(smaller) if !ends() => best = smaller,
            _ => return best,
        }
    }
}

fn fails(question: &Question, stop: &AtomicBool) -> bool {
    let Ok(truth): Result<Truth, _> = truth(&question.network, &question.statement, CELLS_MAX) else {
        return false;
    };
    matches!(judge(question, &truth, true, stop), Finding::Wrong(_))
}

/// Questions with one thing less.
fn candidates(question: &Question) -> Vec<Question> {
    let mut all = Vec::new();
    let mut add = |change: &dyn Fn(&mut Question)| {
        let mut smaller = question.clone();
        change(&mut smaller);
        if smaller.network != question.network || smaller.statement != question.statement {
            all.push(smaller);
        }
    };
    let cases = &question.statement.cases;
    for (c, case) in cases.iter().enumerate() {
        if cases.len() > 1 {
            add(&|q| drop(q.statement.cases.remove(c)));
        }
        for (d, disjunct) in case.disjuncts.iter().enumerate() {
            if case.disjuncts.len() > 1 {
                add(&|q| drop(q.statement.cases[c].disjuncts.remove(d)));
            }
            for r in 0..disjunct.len() {
                if disjunct.len() > 1 {
                    add(&|q| drop(q.statement.cases[c].disjuncts[d].remove(r)));
                }
            }
        }
        for j in 0..case.region.lower.len() {
            add(&|q| {
                let region = &mut q.statement.cases[c].region;
                let centre = (&region.lower[j] + &region.upper[j]) / Q::from(BigInt::from(2));
                (region.lower[j], region.upper[j]) = (centre.clone(), centre);
            });
        }
    }
    let lengths: Vec<usize> = question.network.clone().constants_mut().iter().map(|c| c.len()).collect();
    for (t, length) in lengths.iter().enumerate() {
        for i in 0..*length {
            add(&|q| q.network.constants_mut()[t][i] = 0.0);
        }
    }
    for (c, case) in cases.iter().enumerate() {
        for (d, disjunct) in case.disjuncts.iter().enumerate() {
            for (r, row) in disjunct.iter().enumerate() {
                for e in 0..row.coefficients.len() {
                    add(&|q| q.statement.cases[c].disjuncts[d][r].coefficients[e] = Q::zero());
                }
            }
        }
    }
    all
}
