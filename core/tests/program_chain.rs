//! On chains of dense layers the program checker proves what the chain checker proves, up to rounding.

mod support;

use certus_core::program::{Function, Slot};
use certus_core::proof::program::{self, Adaptive, Bounds, Checker, Layout, Split};
use certus_core::proof::{self, Meaning, Rejection};
use certus_core::{Dense, Layer, Network};
use support::{Owned, OwnedConstants, OwnedMap, OwnedStep, Random};

/// Layers `(rows, cols, weights, bias)`; ReLU after all but the last.
struct Chain(Vec<(usize, usize, Vec<f32>, Vec<f32>)>);

impl Chain {
    fn random(random: &mut Random) -> Self {
        let depth = 2 + random.below(3);
        let mut widths = vec![1 + random.below(5)];
        widths.extend((0..depth).map(|_| 2 + random.below(12)));
        let layer = |w: &[usize]| (w[1], w[0], random.weights(w[1] * w[0]), random.weights(w[1]));
        Self(widths.windows(2).map(layer).collect())
    }

    fn program(&self) -> Owned {
        let mut owned = Owned { sizes: vec![self.0[0].1], steps: Vec::new() };
        for (i, (rows, cols, weights, bias)) in self.0.iter().enumerate() {
            let map = OwnedMap::Dense { count: 1, rows: *rows, cols: *cols, weights: weights.clone() };
            let bias = Some(OwnedConstants { values: bias.clone(), error: None, place: Vec::new() });
            let affine = OwnedStep::Affine { terms: vec![(owned.sizes.len() - 1, map)], bias };
            owned.steps.push(affine);
            owned.sizes.push(*rows);
            if i + 1 < self.0.len() {
                owned.steps.push(OwnedStep::Elementwise(owned.sizes.len() - 1, Function::Relu));
                owned.sizes.push(*rows);
            }
        }
        owned
    }
}

/// Claims of a leaf of the chain: slopes of the ReLU layers (others ignored), multipliers.
struct Leaf {
    region: (Vec<f64>, Vec<f64>),
    /// Layer, neuron, side.
    splits: Vec<(usize, usize, bool)>,
    alpha: Vec<u8>,
    beta: Vec<u8>,
    row: Vec<f64>,
}

/// Whether the chain checker accepts the right-hand side.
fn chain_accepts(chain: &Chain, leaf: &Leaf, rhs: f64) -> Result<(), Rejection> {
    let last = chain.0.len() - 1;
    let layers: Vec<Layer<'_>> = (chain.0.iter().enumerate())
        .map(|(i, (rows, cols, w, b))| Layer::dense(Dense::new(*rows, *cols, w, b).unwrap(), i < last))
        .collect();
    let network = Network::new(&layers).unwrap();
    let rows = [proof::Row { coefficients: &leaf.row, rhs }];
    let problem = proof::Problem { network, disjuncts: &[&rows], meaning: Meaning::Real };
    let lanes = 4;
    let (mut floats, mut index) = (vec![0.0; proof::memory_len(&network, lanes)], vec![0; network.width()]);
    let mut memory = proof::Memory { floats: &mut floats, index: &mut index, lanes };
    let splits: Vec<proof::Split> = (leaf.splits.iter())
        .map(|(layer, neuron, active)| proof::Split {
            layer: *layer as u16,
            neuron: *neuron as u32,
            active: *active,
        })
        .collect();
    // The chain numbers slopes of the last layer too, which has none.
    let mut alpha = leaf.alpha.clone();
    alpha.extend(vec![0; chain.0[last].0]);
    let claim = proof::Claim { row: 0, alpha: &alpha, beta: &leaf.beta, ..proof::Claim::default() };
    let region: (&[f64], &[f64]) = (&leaf.region.0, &leaf.region.1);
    proof::check_leaf(&problem, &mut proof::Plain, region, &splits, &[claim], &mut memory)
}

/// The program checker's bound; a lemma with the leaf's splits, as the chain checker derives all bounds under them.
fn program_bound(owned: &Owned, leaf: &Leaf) -> Option<f64> {
    let tables = owned.tables();
    let program = support::program(owned, &tables);
    let rows = [program::Row { output: &leaf.row, input: &[], rhs: 0.0 }];
    let problem = program::Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words).unwrap();
    let lanes = 6;
    let (mut floats, mut index) = (vec![0.0; layout.memory_len(lanes)], vec![0; layout.index_len(lanes)]);
    let memory = program::Memory { floats: &mut floats, index: &mut index, lanes };
    let mut checker = Checker::new(&problem, &layout, program::Plain, memory).unwrap();
    let mut memory = vec![0.0; layout.bounds_len()];
    let mut bounds = Bounds::new(&layout, &mut memory);
    let splits: Vec<Split> = (leaf.splits.iter())
        .map(|(layer, neuron, above)| Split {
            slot: Slot(1 + 2 * layer),
            element: *neuron as u32,
            point: 0.0,
            above: *above,
        })
        .collect();
    let region: (&[f64], &[f64]) = (&leaf.region.0, &leaf.region.1);
    if !checker.derive(None, region, &splits, &Adaptive, &mut bounds).unwrap() {
        return None;
    }
    let claim = program::Claim { row: 0, alpha: &leaf.alpha, beta: &leaf.beta };
    let mut margins = [0.0];
    let _ = checker.check_leaf(&bounds, region, &splits, &[claim], &mut margins);
    Some(margins[0])
}

#[test]
fn chains_have_the_bounds_of_the_chain_checker() {
    let mut compared = 0;
    for seed in 0..400 {
        let mut random = Random::new(seed ^ 0x1234);
        let chain = Chain::random(&mut random);
        let epsilon = [1e-3, 0.1, 0.7][random.below(3)];
        let centre: Vec<f64> = (0..chain.0[0].1).map(|_| random.unit()).collect();
        let hidden = chain.0.len() - 1;
        let mut splits: Vec<(usize, usize, bool)> = (0..random.below(4))
            .map(|_| {
                let layer = random.below(hidden);
                (layer, random.below(chain.0[layer].0), random.below(2) == 0)
            })
            .collect();
        // A neuron split on both sides is at 0, where each checker may take either piece.
        splits.sort_unstable();
        splits.dedup_by_key(|s| (s.0, s.1));
        let neurons: usize = chain.0[..hidden].iter().map(|l| l.0).sum();
        let leaf = Leaf {
            region: (
                centre.iter().map(|c| c - epsilon).collect(),
                centre.iter().map(|c| c + epsilon).collect(),
            ),
            alpha: (0..neurons).map(|_| random.below(256) as u8).collect(),
            beta: splits.iter().flat_map(|_| (random.unit().abs() as f32).to_le_bytes()).collect(),
            row: (0..chain.0[hidden].0).map(|_| random.unit()).collect(),
            splits,
        };
        match program_bound(&chain.program(), &leaf) {
            // The chain checker takes an empty leaf for granted, or refuses where it sees the contradiction by rows.
            None => {}
            Some(bound) => {
                let slack = 1e-8 * (1.0 + bound.abs());
                let verdicts =
                    [bound - slack, bound + slack].map(|rhs| chain_accepts(&chain, &leaf, rhs).is_ok());
                assert_eq!(verdicts, [true, false], "seed {seed}: bound {bound}");
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "{compared}");
}
