//! The examples of the VNN-LIB 2.0 standard: all are read; which of them can be lowered, and what refuses the others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use certus_engine::property::{Equivalence, Lowered, Query, parse_query};

fn query(name: &str) -> Query {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vnnlib2").join(format!("{name}.vnnlib"));
    parse_query(&fs::read_to_string(path).unwrap()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn lowered(name: &str) -> Lowered {
    query(name).lower().unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn every_example_is_read_and_lowered_or_refused_with_its_reason() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vnnlib2");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned();
        let outcome = query(&name).lower().map_or_else(|e| e.to_string(), |_| "lowered".into());
        found.insert(name, outcome);
    }
    let expected = [
        ("acc", "lowered"),
        ("cartpole", "lowered"),
        ("drones", "lowered"),
        ("dubinsrejoin", "lowered"),
        (
            "initialized",
            "line 4, column 2: input `A` is `initialized`, which is not supported; assert its value with ==",
        ),
        // Files that elide bounds (`; ...`), bound three inputs of five, or contradict themselves.
        ("intermediate_nodes", "lowered"),
        ("lunarlander", "lowered"),
        ("mnist", "line 3, column 2: input X[0,1] has no lower bound; add one"),
        ("multiple_networks", "line 3, column 2: input A[1] has no lower bound; add one"),
        ("single_network", "lowered"),
        (
            "test_linearise",
            "line 83, column 14: input X[0] has an empty interval: lower bound 5, upper bound 2",
        ),
    ];
    let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    assert_eq!(found, expected);
}

#[test]
fn the_examples_mean_what_they_say() {
    // -1.5·X[1] + X[2] ≤ -15 and one of Y ≤ -3, Y ≥ 0; X[1] and X[2] are passed on behind Y.
    let acc = lowered("acc");
    assert_eq!(acc.composition.passed, [1, 2]);
    let case = &acc.property.cases[0];
    assert_eq!(
        (case.region.lower.as_slice(), case.region.upper.as_slice()),
        (&[0.0, -50.0, 0.0][..], &[50.0, 50.0, 150.0][..])
    );
    let rows: Vec<Vec<(&[f64], f64)>> = case
        .disjuncts
        .iter()
        .map(|d| d.rows.iter().map(|r| (r.coefficients.as_slice(), r.rhs_upper)).collect())
        .collect();
    let relation: (&[f64], f64) = (&[0.0, -1.5, 1.0], -15.0);
    assert_eq!(rows, [[relation, (&[1.0, 0.0, 0.0], -3.0)], [relation, (&[-1.0, 0.0, 0.0], 0.0)]]);

    // Three `or` of two give eight conjunctions.
    let single = lowered("single_network");
    assert_eq!(single.property.cases[0].disjuncts.len(), 8);

    let several = query("multiple_networks");
    let relations: Vec<_> = several.networks.iter().map(|n| n.equivalence).collect();
    assert_eq!(relations, [None, Some(Equivalence::EqualTo(0)), Some(Equivalence::IsomorphicTo(0))]);
    assert_eq!((several.model_of(1), several.model_of(2)), (0, 2));

    let hidden = query("intermediate_nodes");
    assert_eq!(hidden.networks[0].hidden[0].onnx.as_deref(), Some("onnx"));
    let hidden = hidden.lower().unwrap();
    assert_eq!((hidden.composition.parts[0].outputs, hidden.property.outputs), (5, 7));
}
