//! Any text as VNN-LIB of either version, and as a counterexample file: parsing and lowering are total, and what
//! comes out keeps the invariants that proofs and witnesses stand on.
#![no_main]

use certus_engine::property::{
    Lowered, Property, Specification, parse_specification, parse_vnnlib_str, parse_witness,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(property) = parse_vnnlib_str(text) {
        check(&property);
    }
    match parse_specification(text) {
        Ok(Specification::V1(lowered)) => check_lowered(&lowered),
        Ok(Specification::V2(query)) => {
            for (index, network) in query.networks.iter().enumerate() {
                assert!(!network.inputs.is_empty() && !network.outputs.is_empty());
                assert!(query.model_of(index) <= index);
            }
            if let Ok(lowered) = query.lower() {
                assert_eq!(lowered.composition.parts.len(), query.networks.len());
                check_lowered(&lowered);
            }
        }
        Err(e) => assert!(!e.to_string().contains('\n')),
    }
    if let Ok(witness) = parse_witness(text) {
        let back = parse_witness(&witness.to_string()).expect("what is written, is read");
        assert_eq!(format!("{back:?}"), format!("{witness:?}"));
    }
});

fn check_lowered(lowered: &Lowered) {
    let composition = &lowered.composition;
    assert_eq!(
        (composition.inputs, composition.outputs()),
        (lowered.property.inputs, lowered.property.outputs)
    );
    let used = composition.parts.iter().flat_map(|p| &p.inputs).chain(&composition.passed);
    assert!(used.into_iter().all(|i| *i < composition.inputs));
    check(&lowered.property);
}

fn check(property: &Property) {
    assert!(property.inputs > 0 && property.outputs > 0 && !property.cases.is_empty());
    for case in &property.cases {
        let region = &case.region;
        for i in 0..property.inputs {
            let (lower, upper) = (region.lower[i], region.upper[i]);
            assert!(lower.is_finite() && upper.is_finite() && lower <= upper);
            let (first, last) = (region.witness_lower[i], region.witness_upper[i]);
            let inside = f64::from(first) >= lower && f64::from(last) <= upper;
            // Where no float lies between the ends, the nearest one stands for them.
            let outside = |x: f32| f64::from(x) < lower || f64::from(x) > upper;
            let nearest = first == last
                && first.is_finite()
                && [first.next_down(), first, first.next_up()].into_iter().all(outside);
            assert!(inside || nearest);
        }
        assert!(!case.disjuncts.is_empty());
        for row in case.disjuncts.iter().flat_map(|d| &d.rows) {
            assert_eq!(row.coefficients.len(), property.outputs);
            let trivial = row.rhs_lower == 0.0 && row.coefficients.iter().all(|c| *c == 0.0);
            assert!(row.coefficients.iter().all(|c| c.is_finite()));
            assert!(trivial || row.coefficients.iter().any(|c| *c != 0.0));
            assert!(row.rhs_lower <= row.rhs_upper);
            assert!(row.rhs_lower == row.rhs_upper || row.rhs_lower.next_up() == row.rhs_upper);
        }
        assert!(case.disjuncts.iter().all(|d| !d.rows.is_empty()));
    }
}
