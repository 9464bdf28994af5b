//! What a lemma, a leaf and a step of a program's proof may say: whatever else is refused, by the rule that it breaks.

mod support;

use certus_core::program::Function;
use certus_core::proof::program::{
    Bounds, Checker, Claim, Frame, Layout, Lemma, Plain, Problem, Row, Split, TreeMemory,
};
use certus_core::proof::{Meaning, Rejection, Stats};
use support::{Owned, OwnedMap, OwnedStep, Room};

const LEMMA: [u8; 4] = [20, 1, 0, 0];
const LEAF: [u8; 4] = [19, 0, 0, 0];

/// `relu(w·x)` twice, summed: three slots above the input, of 2, 2 and 1 elements.
fn two_neurons(weight: f32) -> Owned {
    let dense = |rows, cols, weights| OwnedMap::Dense { count: 1, rows, cols, weights };
    Owned {
        sizes: vec![1, 2, 2, 1],
        steps: vec![
            OwnedStep::Affine { terms: vec![(0, dense(2, 1, vec![weight, -weight]))], bias: None },
            OwnedStep::Elementwise(1, Function::Relu),
            OwnedStep::Affine { terms: vec![(2, dense(1, 2, vec![1.0; 2]))], bias: None },
        ],
    }
}

/// What the checker says of `bytes` as a proof that the sum is above −3 on the box.
fn check(owned: &Owned, region: (f64, f64), bytes: &[u8]) -> Result<Stats, Rejection> {
    check_all(owned, region, &[&[Row { output: &[1.0], input: &[], rhs: -3.0 }]], bytes)
}

/// What the checker says of `bytes` as a proof that no disjunct is satisfied on the box.
fn check_all(
    owned: &Owned,
    region: (f64, f64),
    disjuncts: &[&[Row<'_>]],
    bytes: &[u8],
) -> Result<Stats, Rejection> {
    let tables = owned.tables();
    let program = support::program(owned, &tables);
    let problem = Problem { program, disjuncts, meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words)?;
    let mut room = Room::new(&layout, 2);
    let mut checker = Checker::new(&problem, &layout, Plain, room.memory())?;
    let mut memory = vec![f64::NAN; layout.bounds_len()];
    let tree = TreeMemory {
        frames: &mut [Frame::EMPTY; 8],
        splits: &mut [Split { slot: certus_core::program::Slot(1), element: 0, point: 0.0, above: false }; 8],
        levels: &mut [Bounds::new(&layout, &mut memory)],
        claims: &mut vec![Claim::default(); disjuncts.len()],
        margins: &mut vec![0.0; disjuncts.len()],
    };
    checker.check_tree(bytes, (&mut [region.0], &mut [region.1]), tree)
}

/// The lemma's bytes after its first, from a default and entries (slot, mode, rest).
fn lemma(default: u8, entries: &[(u32, u8, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![default];
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (slot, mode, rest) in entries {
        bytes.extend(slot.to_le_bytes());
        bytes.push(*mode);
        bytes.extend(*rest);
    }
    bytes
}

/// A whole proof of one leaf below a lemma.
fn with_lemma(lemma: &[u8]) -> Vec<u8> {
    [&[20], lemma, &LEAF].concat()
}

#[test]
fn a_lemma_names_slots_of_the_program_in_order_and_modes_that_exist() {
    let owned = two_neurons(1.0);
    let tables = owned.tables();
    let program = support::program(&owned, &tables);
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words).unwrap();
    let named = |element: u32| [&1u32.to_le_bytes()[..], &element.to_le_bytes()].concat();
    let region = (-1.0, 2.0);
    let good: [Vec<u8>; 5] = [
        lemma(0, &[]),
        lemma(1, &[]),
        lemma(0, &[(1, 1, &[]), (3, 0, &[])]),
        lemma(1, &[(1, 2, &[])]),
        lemma(0, &[(1, 4, &named(1)), (2, 1, &[])]),
    ];
    for bytes in &good {
        assert!(Lemma::new(bytes, &layout, program.slots()).is_ok(), "{bytes:?}");
        assert_eq!(check(&owned, region, &with_lemma(bytes)), Ok(Stats { leaves: 1, depth: 1 }), "{bytes:?}");
    }
    let bad: [(Vec<u8>, Rejection); 8] = [
        (lemma(2, &[]), Rejection::Claim),
        (lemma(0, &[(0, 1, &[])]), Rejection::Claim),
        (lemma(0, &[(4, 1, &[])]), Rejection::Claim),
        (lemma(0, &[(2, 1, &[]), (1, 1, &[])]), Rejection::Claim),
        (lemma(0, &[(2, 1, &[]), (2, 1, &[])]), Rejection::Claim),
        (lemma(0, &[(1, 255, &[])]), Rejection::Claim),
        (lemma(0, &[(1, 3, &u32::MAX.to_le_bytes())]), Rejection::Length),
        (lemma(0, &[(1, 3, &[1, 0])]), Rejection::Length),
    ];
    for (bytes, why) in &bad {
        let slots = program.slots();
        assert_eq!(Lemma::new(bytes, &layout, slots).map(|_| ()), Err(*why), "{bytes:?}");
        assert!(check(&owned, region, &with_lemma(bytes)).is_err(), "{bytes:?}");
    }
    let longer = [good[0].as_slice(), &[0]].concat();
    assert_eq!(Lemma::new(&longer, &layout, program.slots()).map(|_| ()), Err(Rejection::Length));
}

#[test]
fn steps_and_flags_that_do_not_exist_are_refused() {
    let owned = two_neurons(1.0);
    let region = (-1.0, 2.0);
    assert!(check(&owned, region, &[LEMMA, LEAF].concat()).is_ok());
    for step in (0..=u8::MAX).filter(|step| !(17..=21).contains(step)) {
        let bytes = [&LEMMA[..], &[step], &LEAF[1..], &LEAF].concat();
        assert_eq!(check(&owned, region, &bytes), Err(Rejection::Step { at: 4 }), "step {step}");
    }
    for flags in 4..=u8::MAX {
        assert_eq!(check(&owned, region, &[&LEMMA[..], &[19, 0, 0, flags]].concat()), Err(Rejection::Claim));
    }
    // A leaf outside any lemma, a proof that ends early, one that goes on, a row that the disjunct does not have.
    assert_eq!(check(&owned, region, &LEAF), Err(Rejection::Step { at: 0 }));
    assert_eq!(check(&owned, region, &LEMMA), Err(Rejection::Length));
    assert_eq!(check(&owned, region, &[&LEMMA[..], &LEAF, &[0]].concat()), Err(Rejection::Length));
    assert_eq!(check(&owned, region, &[&LEMMA[..], &[19, 1, 0, 0]].concat()), Err(Rejection::Claim));
}

#[test]
fn boxes_and_bounds_that_are_not_finite_are_refused() {
    let proof = [LEMMA, LEAF].concat();
    let owned = two_neurons(1.0);
    assert_eq!(check(&owned, (-1e300, 1e300), &proof), Err(Rejection::NotProved { disjunct: 0 }));
    for region in
        [(f64::NEG_INFINITY, 1.0), (0.0, f64::INFINITY), (f64::NAN, 1.0), (0.0, f64::NAN), (1.0, 0.0)]
    {
        assert_eq!(check(&owned, region, &proof), Err(Rejection::Shape), "{region:?}");
    }
    // A product that overflows.
    assert_eq!(check(&two_neurons(1e30), (-1e300, 1e300), &proof), Err(Rejection::NonFinite));
}

#[test]
fn disjuncts_that_were_divided_are_all_open_again_in_the_next_half() {
    // The first disjunct holds for x ≥ 1, the second nowhere.
    let owned = two_neurons(1.0);
    let row = |input: &'static [f64], rhs| [Row { output: &[0.0], input, rhs }];
    let (first, second, third) = (row(&[-1.0], -1.0), row(&[1.0], -3.0), row(&[1.0], -4.0));
    let disjuncts: [&[Row<'_>]; 3] = [&first, &second, &third];
    let one = [0, 0, 0];
    let split_at = |at: u8| [21, at, 0];
    let halves = |value: f64, one_half: &[u8], other: &[u8]| {
        [&LEMMA[..], &[17, 0, 0, 0, 0], &value.to_le_bytes(), one_half, other].concat()
    };
    let leaf = |claims: usize| [&[19][..], &one.repeat(claims)].concat();
    let divided = [&split_at(1)[..], &leaf(1), &split_at(2), &leaf(1), &leaf(1)].concat();
    let says = |region, bytes: &[u8]| check_all(&owned, region, &disjuncts, bytes);
    // Below 1 all three fail, in one leaf or divided.
    for (a, b) in [(&leaf(3), &leaf(3)), (&divided, &leaf(3)), (&leaf(3), &divided), (&divided, &divided)] {
        assert!(says((-1.0, 0.9), &halves(0.5, a, b)).is_ok(), "{a:?} {b:?}");
    }
    // Above, a half that leaves out the first disjunct, or the first two, is refused.
    for claims in 1..3 {
        assert!(says((-1.0, 2.0), &halves(0.5, &divided, &leaf(claims))).is_err());
        assert!(says((-1.0, 2.0), &halves(0.5, &leaf(claims), &divided)).is_err());
    }
    assert_eq!(
        says((-1.0, 2.0), &halves(0.5, &divided, &leaf(3))),
        Err(Rejection::NotProved { disjunct: 0 })
    );
    // Both parts have a disjunct.
    for at in [0, 3, 4] {
        let bytes = [&LEMMA[..], &split_at(at), &leaf(3), &leaf(3)].concat();
        assert_eq!(says((-1.0, 0.9), &bytes), Err(Rejection::Split { at: 4 }));
    }
}
