//! Bounds by cases: exact where the cases are linear, never tighter than what exact points reach, whatever the bytes; and trees with a
//! hole are refused.

mod support;

use certus_core::program::{Function, Slot};
use certus_core::proof::program::{Adaptive, Bounds, Checker, Layout, Lemma, Plain, Problem, Row, Slopes};
use certus_core::proof::{Meaning, Rejection};
use support::{Owned, OwnedConstants, OwnedMap, OwnedStep, Random, Room, exact};

/// A split on a path: slot, element, point, side.
type Side = (u32, u32, f32, u8);

/// Lower and upper bounds of a slot.
type Ends = (Vec<f64>, Vec<f64>);

/// A case: its path, multipliers and slopes.
type Leaf = (Vec<Side>, Vec<f32>, Vec<u8>);

fn leaves(leaves: &[Leaf]) -> Vec<u8> {
    let mut bytes = Vec::from((leaves.len() as u16).to_le_bytes());
    for (path, beta, slopes) in leaves {
        bytes.push(path.len() as u8);
        for (slot, element, point, side) in path {
            bytes.extend(slot.to_le_bytes());
            bytes.extend(element.to_le_bytes());
            bytes.extend(point.to_le_bytes());
            bytes.push(*side);
        }
        beta.iter().for_each(|b| bytes.extend(b.to_le_bytes()));
        bytes.extend(slopes);
    }
    bytes
}

/// A lemma's entry: per element the leaves of its lower and of its upper bound.
fn entry(slot: usize, elements: &[(u32, [Vec<u8>; 2])]) -> Vec<u8> {
    let mut bytes = Vec::from((slot as u32).to_le_bytes());
    bytes.push(5);
    bytes.extend((elements.len() as u32).to_le_bytes());
    let all = || elements.iter().flat_map(|(_, sides)| sides);
    bytes.extend((all().map(Vec::len).sum::<usize>() as u32).to_le_bytes());
    let mut at = 0u32;
    for (element, sides) in elements {
        bytes.extend(element.to_le_bytes());
        for side in sides {
            bytes.extend(at.to_le_bytes());
            at += side.len() as u32;
        }
    }
    all().for_each(|side| bytes.extend(side));
    bytes
}

fn lemma(entries: &[Vec<u8>]) -> Vec<u8> {
    [&[1u8][..], &(entries.len() as u16).to_le_bytes(), &entries.concat()].concat()
}

/// The bounds of all slots that `lemma` gives, or with adaptive slopes if there is none.
fn derive(
    owned: &Owned,
    region: (&[f64], &[f64]),
    lanes: usize,
    lemma: Option<&[u8]>,
) -> Result<Vec<Ends>, Rejection> {
    let tables = owned.tables();
    let program = support::program(owned, &tables);
    let weights = vec![1.0; program.outputs()];
    let rows = [Row { output: &weights, input: &[], rhs: 0.0 }];
    let problem = Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words)?;
    let mut room = Room::new(&layout, lanes);
    let mut checker = Checker::new(&problem, &layout, Plain, room.memory())?;
    let mut memory = vec![f64::NAN; layout.bounds_len()];
    let mut bounds = Bounds::new(&layout, &mut memory);
    fn of<S: Slopes>(
        checker: &mut Checker<'_, Plain>,
        region: (&[f64], &[f64]),
        slopes: &S,
        bounds: &mut Bounds<'_>,
    ) -> Result<bool, Rejection> {
        checker.derive(None, region, &[], slopes, bounds)
    }
    match lemma {
        Some(bytes) => {
            let lemma = Lemma::new(bytes, &layout, program.slots())?;
            of(&mut checker, region, &lemma, &mut bounds)?
        }
        None => of(&mut checker, region, &Adaptive, &mut bounds)?,
    };
    let slot = |s: usize| {
        let (lower, upper) = bounds.slot(&layout, Slot(s)).expect("derived");
        (lower.to_vec(), upper.to_vec())
    };
    Ok((0..program.slots()).map(slot).collect())
}

fn dense(from: usize, rows: usize, cols: usize, weights: Vec<f32>, bias: Option<Vec<f32>>) -> OwnedStep {
    let exactly = |values: Vec<f32>| OwnedConstants {
        place: vec![support::whole(0); values.len()],
        values,
        error: None,
    };
    let map = OwnedMap::Dense { count: 1, rows, cols, weights };
    OwnedStep::Affine { terms: vec![(from, map)], bias: bias.map(exactly) }
}

/// `relu(relu(x) − 2·relu(x − 1))`: the operand is a tent over [0, 2], at least 0 there and on the left.
fn tent() -> Owned {
    Owned {
        sizes: vec![1, 2, 2, 1, 1],
        steps: vec![
            dense(0, 2, 1, vec![1.0, 1.0], Some(vec![0.0, -1.0])),
            OwnedStep::Elementwise(1, Function::Relu),
            dense(2, 1, 2, vec![1.0, -2.0], None),
            OwnedStep::Elementwise(3, Function::Relu),
        ],
    }
}

const TENT: (&[f64], &[f64]) = (&[-1.0], &[2.0]);

/// The two cases of the tent's lower bound: right of its top with slope 1 of the left ReLU, left of it with slope 0.
fn halves() -> [Leaf; 2] {
    [(vec![(1, 1, 0.0, 1)], vec![0.0], vec![255, 0]), (vec![(1, 1, 0.0, 0)], vec![0.0], vec![0, 0])]
}

fn whole() -> Leaf {
    (Vec::new(), Vec::new(), vec![0, 0])
}

fn with_lower(cases: &[Leaf]) -> Vec<u8> {
    lemma(&[entry(3, &[(0, [leaves(cases), leaves(&[whole()])])])])
}

#[test]
fn two_cases_find_the_foot_of_a_tent_that_one_row_misses() {
    let lower = |lemma: Option<&[u8]>, lanes: usize| derive(&tent(), TENT, lanes, lemma).unwrap()[3].0[0];
    assert!(lower(None, 4) < -0.6);
    // The best single row has −2/3.
    for share in 0..=255 {
        let one = with_lower(&[(Vec::new(), Vec::new(), vec![share, 0])]);
        assert!(lower(Some(&one), 4) < -0.66);
    }
    // Also if they just fit into a block.
    for lanes in [2, 3, 4, 8] {
        let found = lower(Some(&with_lower(&halves())), lanes);
        assert!((-1e-9..=0.0).contains(&found), "{found}");
    }
    // A case without inputs counts for nothing: left of −5 there are none.
    let [right, left] = halves();
    let mut far = left.clone();
    far.0.push((1, 0, -5.0, 0));
    let mut near = left;
    near.0.push((1, 0, -5.0, 1));
    (near.1, far.1) = (vec![0.0; 2], vec![0.0; 2]);
    far.2 = vec![255, 255];
    let found = lower(Some(&with_lower(&[right, near, far])), 4);
    assert!((-1e-9..=0.0).contains(&found), "{found}");
}

#[test]
fn a_multiplier_counts_on_the_side_of_its_split() {
    // With slope 1 everywhere the left case is x ≥ −1; with multiplier β it is x + β(x − 1), at least −1 − 2β.
    let lower = |beta: f32, share: u8| {
        let [right, left] = halves();
        let cases = [right, (left.0, vec![beta], vec![share, 0])];
        derive(&tent(), TENT, 4, Some(&with_lower(&cases))).unwrap()[3].0[0]
    };
    assert!((lower(0.0, 255) + 1.0).abs() < 1e-9);
    assert!((lower(0.5, 255) + 2.0).abs() < 1e-9);
    // On the right, −x + 2 − β(x − 1) with β = −… is no claim; with β = 1 the foot at 2 is missed by 1.
    let [right, left] = halves();
    let cases = [(right.0, vec![1.0], right.2), left];
    let found = derive(&tent(), TENT, 4, Some(&with_lower(&cases))).unwrap()[3].0[0];
    assert!((found + 1.0).abs() < 1e-9, "{found}");
}

#[test]
fn trees_with_a_hole_or_a_bad_number_are_refused() {
    let [right, left] = halves();
    let with = |change: &dyn Fn(&mut [Leaf; 2])| {
        let mut both = halves();
        change(&mut both);
        with_lower(&both)
    };
    let refused = |bytes: &[u8]| derive(&tent(), TENT, 4, Some(bytes)).unwrap_err();
    let mut all = vec![
        with_lower(&[]),
        with_lower(std::slice::from_ref(&right)),
        with_lower(std::slice::from_ref(&left)),
        with_lower(&[left.clone(), right.clone()]),
        with_lower(&[right.clone(), right.clone()]),
        with_lower(&[right.clone(), left.clone(), left.clone()]),
        with_lower(&[right.clone(), left, whole()]),
        with_lower(&[right, whole()]),
        // The halves meet at different points, or are of different elements or slots.
        with(&|both| both[1].0[0].2 = -0.25),
        with(&|both| both[1].0[0].1 = 0),
        with(&|both| both[1].0[0].0 = 2),
        // Slots that are not computed before, and that other steps read.
        with(&|both| both.iter_mut().for_each(|l| l.0[0].0 = 0)),
        with(&|both| both.iter_mut().for_each(|l| (l.0[0].0, l.0[0].1) = (3, 0))),
        with(&|both| both.iter_mut().for_each(|l| (l.0[0].0, l.0[0].1) = (4, 0))),
        with(&|both| both.iter_mut().for_each(|l| l.0[0].1 = 2)),
        with(&|both| both.iter_mut().for_each(|l| l.0[0].2 = f32::NAN)),
        with(&|both| both.iter_mut().for_each(|l| l.0[0].2 = f32::INFINITY)),
        with(&|both| both[0].0[0].3 = 2),
    ];
    for beta in [-1.0, f32::NAN, f32::INFINITY] {
        all.push(with(&|both| both[0].1[0] = beta));
    }
    for (k, bytes) in all.iter().enumerate() {
        assert_eq!(refused(bytes), Rejection::Claim, "{k}");
    }
    // More cases than lanes.
    let three = [(vec![(1, 0, 0.5, 1)], vec![0.0], vec![0, 0])];
    let [right, left] = halves();
    let deeper = |l: Leaf| ([vec![(1, 0, 0.5, 0)], l.0].concat(), vec![0.0; 2], l.2);
    let three = with_lower(&[three[0].clone(), deeper(right), deeper(left)]);
    assert!(derive(&tent(), TENT, 3, Some(&three)).is_ok());
    assert_eq!(derive(&tent(), TENT, 2, Some(&three)), Err(Rejection::Claim));
    // An offset that points outside, and bytes that end early.
    let mut outside = with_lower(&halves());
    let offset = 3 + 5 + 8 + 4;
    outside[offset..offset + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(refused(&outside), Rejection::Claim);
    let good = with_lower(&halves());
    for end in 0..good.len() {
        assert_eq!(refused(&good[..end]), Rejection::Length, "{end}");
    }
}

/// A tree of random splits of elements of the slots `earlier`.
fn random_leaves(
    random: &mut Random,
    owned: &Owned,
    earlier: &[usize],
    slopes: usize,
    path: &mut Vec<Side>,
    found: &mut Vec<Leaf>,
) {
    if path.len() < 3 && random.below(3) > 0 {
        let slot = earlier[random.below(earlier.len())];
        let element = random.below(owned.sizes[slot]) as u32;
        let point = if random.below(4) > 0 { 0.0 } else { random.unit() as f32 };
        for side in [1, 0] {
            path.push((slot as u32, element, point, side));
            random_leaves(random, owned, earlier, slopes, path, found);
            path.pop();
        }
        return;
    }
    let beta = |random: &mut Random| if random.below(2) == 0 { 0.0 } else { random.unit().abs() as f32 };
    let betas = path.iter().map(|_| beta(random)).collect();
    found.push((path.clone(), betas, (0..slopes).map(|_| random.below(256) as u8).collect()));
}

/// A network of three layers of functions with a kink.
fn network(random: &mut Random) -> Owned {
    let function =
        random.one_of(&[Function::Relu, Function::Relu, Function::LeakyRelu { slope: 0.1 }, Function::Abs]);
    let mut owned = Owned { sizes: vec![1 + random.below(3)], steps: Vec::new() };
    for layer in 0..4 {
        let (from, cols) = (owned.steps.len(), *owned.sizes.last().unwrap());
        let rows = 2 + random.below(3);
        let (weights, bias) = (random.weights(rows * cols), random.weights(rows));
        owned.steps.push(dense(from, rows, cols, weights, Some(bias)));
        owned.sizes.push(rows);
        if layer < 3 {
            owned.steps.push(OwnedStep::Elementwise(from + 1, function));
            owned.sizes.push(rows);
        }
    }
    owned
}

#[test]
fn bounds_by_cases_hold_at_exact_points_whatever_the_bytes() {
    let (mut tighter, mut damaged_read, mut points) = (0, 0, 0);
    for seed in 0..250 {
        let mut random = Random::new(seed ^ 0xca5e);
        let owned = network(&mut random);
        let lower: Vec<f64> = (0..owned.sizes[0]).map(|_| random.unit()).collect();
        let upper: Vec<f64> = lower.iter().map(|l| l + 1.5).collect();
        let region: (&[f64], &[f64]) = (&lower, &upper);
        let slopes: Vec<usize> = (0..owned.sizes.len())
            .map(|s| (1..=s).filter(|k| k % 2 == 0).map(|k| owned.sizes[k]).sum())
            .collect();
        let entries: Vec<Vec<u8>> = [3, 5]
            .iter()
            .map(|slot| {
                let earlier: Vec<usize> = (1..*slot).step_by(2).collect();
                let tree = |random: &mut Random| {
                    let mut found = Vec::new();
                    random_leaves(random, &owned, &earlier, slopes[*slot], &mut Vec::new(), &mut found);
                    leaves(&found)
                };
                let elements: Vec<_> = (0..owned.sizes[*slot] as u32)
                    .map(|e| (e, [tree(&mut random), tree(&mut random)]))
                    .collect();
                entry(*slot, &elements)
            })
            .collect();
        let bytes = lemma(&entries);
        let lanes = 8 + random.below(9);
        let found = derive(&owned, region, lanes, Some(&bytes)).unwrap();
        let adaptive = derive(&owned, region, lanes, None).unwrap();
        let better = |s: usize| (0..owned.sizes[s]).any(|j| found[s].0[j] > adaptive[s].0[j] + 1e-9);
        tighter += usize::from(better(3) || better(5));
        // Corners and inner points.
        let values: Vec<_> = (0..10)
            .map(|_| {
                let at = |j: usize| {
                    let t = [0.0, 1.0, 0.5 + 0.5 * random.unit()][random.below(3)];
                    exact((lower[j] + t * (upper[j] - lower[j])).clamp(lower[j], upper[j]))
                };
                owned.exact(&(0..lower.len()).map(at).collect::<Vec<_>>())
            })
            .collect();
        let mut holds = |bounds: &[Ends], what: &str| {
            for value in &values {
                for (slot, of_slot) in value.iter().enumerate() {
                    for (j, x) in of_slot.iter().enumerate() {
                        let (l, u) = (bounds[slot].0[j], bounds[slot].1[j]);
                        assert!(exact(l) <= *x && *x <= exact(u), "seed {seed}, {what}: slot {slot}, {j}");
                        points += 1;
                    }
                }
            }
        };
        holds(&found, "as drawn");
        for _ in 0..12 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random.below(2) {
                let at = random.below(damaged.len());
                damaged[at] ^= 1 << random.below(8);
            }
            if let Ok(found) = derive(&owned, region, lanes, Some(&damaged)) {
                holds(&found, "damaged");
                damaged_read += 1;
            }
        }
    }
    assert!(tighter > 25 && damaged_read > 500 && points > 50_000, "{tighter}, {damaged_read}, {points}");
}
