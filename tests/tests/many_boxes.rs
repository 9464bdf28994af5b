//! Properties of many boxes: the proofs of groups cover every case once, and each is accepted from its bytes alone.

use certus_core::proof::Meaning;
use certus_engine::property::{Property, parse_vnnlib_str};
use certus_engine::search::Silent;
use certus_engine::verify::{CaseProblem, CaseProof, Parts, Settings, Verdict, check_case, verify};
use certus_engine::{Chain, OwnedAffine, OwnedLayer};
use std::fmt::Write as _;
use std::sync::atomic::AtomicBool;

/// `f(x) = x + |x − ½|` in steps: monotone, with a kink.
fn chain() -> Chain {
    let hidden =
        OwnedAffine::Dense { rows: 3, cols: 1, weights: vec![1.0, 1.0, -1.0], bias: vec![8.0, -0.5, 0.5] };
    let last = OwnedAffine::Dense { rows: 1, cols: 3, weights: vec![1.0, 1.0, 1.0], bias: vec![-8.0] };
    Chain::new(vec![OwnedLayer { affine: hidden, relu: true }, OwnedLayer { affine: last, relu: false }])
        .unwrap()
}

fn exact(x: f64) -> f64 {
    x + (x - 0.5).abs()
}

/// `boxes` boxes that tile [0, 1], each with the band `f(centre) ± band`, in an order that is not theirs.
fn property(boxes: usize, band: f64) -> Property {
    let mut text = String::from("(declare-const X_0 Real)(declare-const Y_0 Real)(assert (or\n");
    for i in 0..boxes {
        let i = i * 7 % boxes;
        let (l, u) = (i as f64 / boxes as f64, (i + 1) as f64 / boxes as f64);
        let y = exact(0.5 * (l + u));
        for row in [format!("(<= Y_0 {:.6})", y - band), format!("(>= Y_0 {:.6})", y + band)] {
            writeln!(text, "(and (>= X_0 {l:.6}) (<= X_0 {u:.6}) {row})").unwrap();
        }
    }
    parse_vnnlib_str(&(text + "))")).unwrap()
}

fn decide(property: &Property, threads: usize) -> (Verdict, usize) {
    let settings = Settings { threads, ..Settings::default() };
    let report = verify(&chain(), property, &settings, &AtomicBool::new(false), &Silent);
    (report.verdict, report.stats.leaves)
}

fn is_accepted(property: &Property, cases: &[usize], proof: &CaseProof) -> bool {
    let (chain, merged) = (chain(), property.merged(cases));
    let layers = chain.core_layers();
    let parts = Parts::new(&chain, &layers, &chain);
    let problem = CaseProblem::new(&parts, property, &merged, Meaning::Real);
    check_case(&problem, &proof.bytes).is_ok()
}

#[test]
fn the_proofs_of_groups_cover_every_box_once() {
    let property = property(1000, 0.05);
    assert_eq!(property.cases.len(), 1000);
    for threads in [1, 2] {
        let (verdict, leaves) = decide(&property, threads);
        let Verdict::Holds(proofs) = verdict else { panic!("{verdict:?}") };
        let mut covered: Vec<usize> = proofs.iter().flat_map(|p| p.cases.clone()).collect();
        covered.sort_unstable();
        assert_eq!(covered, (0..1000).collect::<Vec<_>>());
        assert!(leaves < 200, "{leaves} leaves for 1000 boxes");
        assert!(proofs.iter().all(|p| is_accepted(&property, &p.cases, p)));
    }
}

#[test]
fn a_groups_proof_is_none_of_a_larger_group() {
    let property = property(100, 0.05);
    let (Verdict::Holds(proofs), _) = decide(&property, 1) else { panic!("holds") };
    let all: Vec<usize> = (0..100).collect();
    assert!(proofs.len() > 1);
    assert!(!is_accepted(&property, &all, &proofs[0]));
}

#[test]
fn one_violated_box_among_many_is_found() {
    let mut broken = property(500, 0.05);
    // At box 77 the band's lower end rises above the network's values there.
    let row = &mut broken.cases[77].disjuncts[0].rows[0];
    (row.rhs_lower, row.rhs_upper) = (row.rhs_lower + 0.06, row.rhs_upper + 0.06);
    let (Verdict::Violated(witness), _) = decide(&broken, 1) else { panic!("violated") };
    assert!(broken.cases[77].region.contains(&witness.input));
    let y = chain().eval_f64(&[f64::from(witness.input[0])]);
    assert!(broken.cases[77].disjuncts[0].rows[0].holds(&y));
    // Only at an edge of its box, where no centre lies.
    let mut edge = property(500, 0.05);
    let highest = exact(edge.cases[400].region.upper[0]);
    let row = &mut edge.cases[400].disjuncts[1].rows[0];
    (row.rhs_lower, row.rhs_upper) = (1e-4 - highest, 1e-4 - highest);
    assert!(matches!(decide(&edge, 1).0, Verdict::Violated(_)));
}
