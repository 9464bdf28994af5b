//! The walk of a proof: its leaves cover the box, whatever the splits, and no damaged sequence of steps is walked.

use certus_core::proof::{Claim, Frame, Meaning, Problem, Rejection, Row, Split, Stats, walk};
use certus_core::{Dense, Layer, Network};
use proptest::prelude::*;

/// A tree of splits.
#[derive(Clone, Debug)]
enum Tree {
    Leaf,
    Input(u16, f64, Box<(Tree, Tree)>),
    Neuron(u32, Box<(Tree, Tree)>),
}

fn tree() -> impl Strategy<Value = Tree> {
    Just(Tree::Leaf).prop_recursive(6, 64, 2, |inner| {
        let pair = (inner.clone(), inner);
        prop_oneof![
            (0u16..2, 0.0f64..=1.0, pair.clone()).prop_map(|(c, t, p)| Tree::Input(c, t, Box::new(p))),
            (0u32..3, pair).prop_map(|(n, p)| Tree::Neuron(n, Box::new(p))),
        ]
    })
}

/// Writes the steps; an input split lies at share `t` of the box that is left.
fn write(tree: &Tree, lower: [f64; 2], upper: [f64; 2], bytes: &mut Vec<u8>) {
    match tree {
        Tree::Leaf => bytes.extend([3, 0, 0, 0]),
        Tree::Input(c, t, halves) => {
            let j = usize::from(*c);
            let value = (lower[j] + t * (upper[j] - lower[j])).clamp(lower[j], upper[j]);
            bytes.push(1);
            bytes.extend(c.to_le_bytes());
            bytes.extend(value.to_le_bytes());
            let (mut below, mut above) = (upper, lower);
            below[j] = value;
            above[j] = value;
            write(&halves.0, lower, below, bytes);
            write(&halves.1, above, upper, bytes);
        }
        Tree::Neuron(neuron, halves) => {
            bytes.extend([2, 0, 0]);
            bytes.extend(neuron.to_le_bytes());
            write(&halves.0, lower, upper, bytes);
            write(&halves.1, lower, upper, bytes);
        }
    }
}

/// A leaf as the walk gives it.
type Found = (Vec<f64>, Vec<f64>, Vec<Split>);

/// Walks `bytes` on the box; the boxes and splits of its leaves, if it is walked to its end.
fn leaves(bytes: &[u8], lower: [f64; 2], upper: [f64; 2]) -> Result<(Vec<Found>, Stats), Rejection> {
    let (weights, bias) = ([1.0f32, -1.0, 0.5, 2.0, -0.5, 1.0], [0.0f32; 3]);
    let layers = [Layer::dense(Dense::new(3, 2, &weights, &bias).unwrap(), true)];
    let rows = [Row { coefficients: &[1.0, 0.0, 0.0], rhs: -1.0 }];
    let problem =
        Problem { network: Network::new(&layers).unwrap(), disjuncts: &[&rows], meaning: Meaning::Real };
    let (mut l, mut u) = (lower, upper);
    let mut frames = vec![Frame::EMPTY; 64];
    let mut splits = vec![Split { layer: 0, neuron: 0, active: false }; 64];
    let mut found = Vec::new();
    let stats = walk(&problem, bytes, (&mut l, &mut u), &mut frames, &mut splits, |region, splits, leaf| {
        leaf.parse(&mut [Claim::default()])?;
        found.push((region.0.to_vec(), region.1.to_vec(), splits.to_vec()));
        Ok(())
    })?;
    assert_eq!((l, u), (lower, upper), "the box is restored");
    Ok((found, stats))
}

const LOWER: [f64; 2] = [-1.0, 0.25];
const UPPER: [f64; 2] = [3.0, 0.75];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every point with every assignment of signs lies in some leaf.
    #[test]
    fn leaves_cover_the_box_and_every_sign(tree in tree(), points in prop::collection::vec((0.0f64..=1.0, 0.0f64..=1.0, 0u8..8), 40)) {
        let mut bytes = Vec::new();
        write(&tree, LOWER, UPPER, &mut bytes);
        let (found, stats) = leaves(&bytes, LOWER, UPPER).unwrap();
        prop_assert_eq!(found.len(), stats.leaves);
        for (s, t, signs) in points {
            let x = [LOWER[0] + s * (UPPER[0] - LOWER[0]), LOWER[1] + t * (UPPER[1] - LOWER[1])];
            let inside = |(l, u, splits): &Found| {
                (0..2).all(|j| l[j] <= x[j] && x[j] <= u[j])
                    && splits.iter().all(|split| (signs >> split.neuron & 1 == 1) == split.active)
            };
            prop_assert!(found.iter().any(inside), "{x:?} with signs {signs:03b} lies in no leaf");
        }
    }

    #[test]
    fn shortened_and_lengthened_proofs_are_refused(tree in tree(), extra in any::<u8>()) {
        let mut bytes = Vec::new();
        write(&tree, LOWER, UPPER, &mut bytes);
        for end in 0..bytes.len() {
            prop_assert!(leaves(&bytes[..end], LOWER, UPPER).is_err(), "cut to {end} of {} bytes", bytes.len());
        }
        bytes.push(extra);
        prop_assert!(leaves(&bytes, LOWER, UPPER).is_err());
    }
}

#[test]
fn splits_outside_the_box_and_too_deep_trees_are_refused() {
    let split = |value: f64| {
        let mut bytes = vec![1, 0, 0];
        bytes.extend(value.to_le_bytes());
        bytes.extend([3, 0, 0, 0, 3, 0, 0, 0]);
        bytes
    };
    assert!(leaves(&split(0.0), LOWER, UPPER).is_ok());
    for value in [-1.5, 3.5, f64::NAN, f64::INFINITY] {
        assert_eq!(leaves(&split(value), LOWER, UPPER).unwrap_err(), Rejection::Split { at: 0 });
    }
    let mut coordinate = split(0.0);
    coordinate[1] = 2;
    assert_eq!(leaves(&coordinate, LOWER, UPPER).unwrap_err(), Rejection::Split { at: 0 });
    let deep: Vec<u8> = [2, 0, 0, 0, 0, 0, 0].repeat(65);
    assert_eq!(leaves(&deep, LOWER, UPPER).unwrap_err(), Rejection::Depth);
    assert_eq!(leaves(&[9], LOWER, UPPER).unwrap_err(), Rejection::Step { at: 0 });
    assert_eq!(leaves(&[3, 0, 0, 16], LOWER, UPPER).unwrap_err(), Rejection::Claim);
    assert_eq!(leaves(&[3, 0, 0, 4, 1, 0, 0, 0, 9], LOWER, UPPER).unwrap_err(), Rejection::Length);
    assert_eq!(leaves(&[3, 0, 0, 8, 1, 0, 0, 0, 0], LOWER, UPPER).unwrap_err(), Rejection::Length);
}
