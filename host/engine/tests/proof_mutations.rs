//! Mutated proofs of tiny networks against an exact check: whatever a mutation makes false, the checker refuses.
//!
//! A proof says of each leaf that one row of each disjunct fails everywhere in it. An oracle decides that exactly, over the
//! rationals: it parses the tree by itself and cuts each leaf into the polygons on which the network is affine. Mutations change
//! network, box, rows, thresholds, splits, claims and the tree's shape. Those that the oracle refutes must not be accepted; the
//! others may be, for a true leaf may be shown or not.

mod support;

use num_traits::ToPrimitive;
use support::exact::{Net, Question, all_claims_hold, minimum, q};
use support::tiny::{Random, base};
use support::tree::{Node, Style};
use support::{accepts, program_proof};

/// Counts of a run.
#[derive(Default, Debug)]
struct Counts {
    mutations: usize,
    refuted: usize,
    accepted: usize,
}

/// One mutation of question or proof.
fn mutate(kind: usize, question: &mut Question, root: &mut Node, style: Style, random: &mut Random) {
    match kind {
        // Thresholds at the exact minimum, or above it by little or much.
        0 | 1 => {
            let disjunct = random.below(question.disjuncts.len());
            let (lower, upper) = (question.lower.clone(), question.upper.clone());
            for (row, rhs) in &mut question.disjuncts[disjunct] {
                let least = minimum(&question.net, &lower, &upper, row);
                *rhs = least.to_f64().expect("finite");
                while q(*rhs) < least {
                    *rhs = rhs.next_up();
                }
                if kind == 1 {
                    *rhs += 2f64.powi(4 - random.below(40) as i32);
                }
            }
        }
        // A wider box.
        2 => {
            let j = random.below(2);
            let by = 8.0 * random.unit();
            if random.below(2) == 0 { question.lower[j] -= by } else { question.upper[j] += by }
        }
        // Another weight or bias.
        3 => {
            let layer = random.below(question.net.layers.len());
            let layer = &mut question.net.layers[layer];
            let at = random.below(layer.weights.len() + layer.bias.len());
            let by = random.eighths(16);
            if at < layer.weights.len() {
                layer.weights[at] += by
            } else {
                layer.bias[at - layer.weights.len()] += by
            }
        }
        // A row with the other sign, or another coefficient.
        4 => {
            let disjunct = random.below(question.disjuncts.len());
            let row = random.below(question.disjuncts[disjunct].len());
            let (row, _) = &mut question.disjuncts[disjunct][row];
            if random.below(2) == 0 {
                row.iter_mut().for_each(|c| *c = -*c);
            } else {
                let at = random.below(row.len());
                row[at] += f64::from(random.eighths(16));
            }
        }
        // Another row of the disjunct in a leaf.
        5 => {
            if let Node::Leaf { claims } = root.any_leaf(random) {
                let d = random.below(claims.len());
                claims[d].row = random.below(question.disjuncts[d].len()) as u16;
            }
        }
        // A split that is dropped with one of its halves.
        6 | 7 => root.drop_half(random),
        // Another split.
        8 => root.change_split(question, style, random),
        // Two subtrees in each other's place.
        9 => root.swap_halves(random),
        // Other slopes or multipliers: no claim is false by that.
        _ => {
            let len = question.net.claims_len(style);
            if let Node::Leaf { claims } = root.any_leaf(random) {
                let d = random.below(claims.len());
                if random.below(2) == 0 {
                    claims[d].alpha = (0..len).map(|_| random.below(256) as u8).collect();
                } else {
                    claims[d].beta.iter_mut().for_each(|b| *b = 8.0 * random.unit() as f32);
                }
            }
        }
    }
}

/// The mutations of one proof, by kind: most change what is said, some only how it is shown.
const KINDS: [usize; 33] =
    [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 7, 8, 8, 9, 9, 10];

/// Mutates the proofs of so many networks.
fn campaign(style: Style, proofs: usize) -> Counts {
    let mut counts = Counts::default();
    let mut random = Random(0x5eed + style as u64);
    while counts.mutations < proofs * KINDS.len() {
        let Some((question, bytes)) = base(&mut random) else { continue };
        let bytes = match style {
            Style::Chain => Some(bytes),
            Style::Program => program_proof(&question, &bytes, random.below(2) == 0),
        };
        let Some(bytes) = bytes else { continue };
        let root = Node::parse(&bytes, style, &question);
        assert!(all_claims_hold(&question, &root), "the search's own proof is true");
        assert_eq!(root.to_bytes(style), bytes, "the oracle reads what the checker reads");
        assert!(accepts(&question, style, &bytes).is_ok(), "the search's own proof is accepted");
        for kind in KINDS {
            let (mut question, mut root) = (question.clone(), root.clone());
            mutate(kind, &mut question, &mut root, style, &mut random);
            let holds = all_claims_hold(&question, &root);
            let accepted = accepts(&question, style, &root.to_bytes(style)).is_ok();
            counts.mutations += 1;
            counts.refuted += usize::from(!holds);
            counts.accepted += usize::from(accepted);
            assert!(
                holds || !accepted,
                "mutation {kind} makes a leaf's claim false, and the proof is accepted: {question:?} {root:?}"
            );
        }
    }
    counts
}

#[test]
fn no_mutated_proof_of_a_chain_that_the_exact_check_refutes_is_accepted() {
    let counts = campaign(Style::Chain, 32);
    println!("{counts:?}");
    assert!(counts.mutations >= 1000 && 2 * counts.refuted >= counts.mutations, "{counts:?}");
    assert!(counts.accepted >= 100, "the rest is not refused for other reasons: {counts:?}");
}

#[test]
fn no_mutated_proof_of_a_program_that_the_exact_check_refutes_is_accepted() {
    let counts = campaign(Style::Program, 32);
    println!("{counts:?}");
    assert!(counts.mutations >= 1000 && 2 * counts.refuted >= counts.mutations, "{counts:?}");
    assert!(counts.accepted >= 100, "the rest is not refused for other reasons: {counts:?}");
}

#[test]
fn the_oracle_knows_a_minimum_by_heart() {
    // |x| + |y| on [−1, 2]²: at least 0, reached at the origin, which no corner shows.
    let net = Net::of(&[
        (vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0], vec![0.0; 4], true),
        (vec![1.0; 4], vec![0.0], false),
    ]);
    let question = |rhs| Question {
        net: net.clone(),
        lower: vec![-1.0; 2],
        upper: vec![2.0; 2],
        disjuncts: vec![vec![(vec![1.0], rhs)]],
    };
    let leaf = Node::leaf(1);
    assert!(all_claims_hold(&question(-1e-300), &leaf));
    assert!(!all_claims_hold(&question(0.0), &leaf));
}
