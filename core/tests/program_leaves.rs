//! Leaves in the lanes of one pass: none proves what is false at an exact point, and each comes to what it comes to alone.

mod support;

use certus_core::program::{Function, Slot};
use certus_core::proof::program::{
    Adaptive, Bounds, Checker, Claim, Frame, Layout, Leaf, Outcome, Plain, Problem, Row, Split, TreeMemory,
};
use certus_core::proof::{Meaning, Rejection, Stats};
use num_rational::BigRational;
use num_traits::Zero;
use support::{Owned, Random, Room, exact, sum_of_absolutes};

/// A leaf with what it borrows.
struct Drawn {
    splits: Vec<Split>,
    first: usize,
    /// Row, slopes and multipliers of each claim.
    claims: Vec<(u16, Vec<u8>, Vec<u8>)>,
}

fn satisfies(point: &[Vec<BigRational>], splits: &[Split]) -> bool {
    splits.iter().all(|s| {
        let (value, v) = (&point[s.slot.0][s.element as usize], exact(s.point.into()));
        if s.above { *value >= v } else { *value <= v }
    })
}

fn kinked(random: &mut Random) -> Function {
    random.one_of(&[Function::Relu, Function::Relu, Function::LeakyRelu { slope: 0.1 }, Function::Abs])
}

fn draw(random: &mut Random, owned: &Owned, layout: &Layout<'_>, disjuncts: usize) -> Drawn {
    let splits: Vec<Split> = (0..random.below(5))
        .map(|_| {
            let slot = 1 + random.below(owned.steps.len());
            Split {
                slot: Slot(slot),
                element: random.below(owned.sizes[slot]) as u32,
                point: if random.below(3) > 0 { 0.0 } else { 0.3 * random.unit() as f32 },
                above: random.below(2) == 0,
            }
        })
        .collect();
    let first = random.below(disjuncts);
    let slopes = layout.claims_len(Slot(owned.steps.len()));
    let claims = (first..disjuncts)
        .map(|_| {
            let alpha = if random.below(2) == 0 { slopes } else { 0 };
            let beta = if random.below(2) == 0 { splits.len() } else { 0 };
            (
                0,
                (0..alpha).map(|_| random.below(256) as u8).collect(),
                (0..beta).flat_map(|_| (random.unit().abs() as f32).to_le_bytes()).collect(),
            )
        })
        .collect();
    Drawn { splits, first, claims }
}

#[test]
fn leaves_in_lanes_prove_nothing_false_and_what_each_proves_alone() {
    let (mut compared, mut equal, mut empty, mut refuted) = (0, 0, 0, 0);
    for seed in 0..400 {
        let mut random = Random::new(seed ^ 0x1ea7);
        let steps = 1 + random.below(5);
        // Programs with other functions too: their leaves are checked alone.
        let function = if random.below(4) == 0 { support::straight_function } else { kinked };
        let owned = Owned::random_with(&mut random, steps, function);
        let tables = owned.tables();
        let program = support::program(&owned, &tables);
        let inputs = program.inputs();
        let draw_row = |random: &mut Random, n: usize| (0..n).map(|_| random.unit()).collect::<Vec<f64>>();
        let (outputs, on_input): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (0..3)
            .map(|_| {
                let on_input = if random.below(3) == 0 { inputs } else { 0 };
                (draw_row(&mut random, program.outputs()), draw_row(&mut random, on_input))
            })
            .unzip();
        let rows: Vec<[Row<'_>; 1]> =
            outputs.iter().zip(&on_input).map(|(output, input)| [Row { output, input, rhs: -0.5 }]).collect();
        let disjuncts: Vec<&[Row<'_>]> = rows.iter().map(|r| r.as_slice()).collect();
        let problem = Problem { program, disjuncts: &disjuncts, meaning: Meaning::Real };
        let mut words = vec![0; Layout::words(&program)];
        let layout = Layout::new(&program, &mut words).unwrap();
        let lanes = 2 + random.below(6);
        let mut room = Room::new(&layout, lanes);
        let mut checker = Checker::new(&problem, &layout, Plain, room.memory()).unwrap();
        let centre = draw_row(&mut random, inputs);
        let lower: Vec<f64> = centre.iter().map(|c| c - 0.4).collect();
        let upper: Vec<f64> = centre.iter().map(|c| c + 0.4).collect();
        let region: (&[f64], &[f64]) = (&lower, &upper);
        let mut memory = vec![f64::NAN; layout.bounds_len()];
        let mut bounds = Bounds::new(&layout, &mut memory);
        assert_eq!(checker.derive(None, region, &[], &Adaptive, &mut bounds), Ok(true), "seed {seed}");
        let drawn: Vec<Drawn> = (0..7).map(|_| draw(&mut random, &owned, &layout, 3)).collect();
        let claims: Vec<Vec<Claim<'_>>> = drawn
            .iter()
            .map(|d| d.claims.iter().map(|(row, alpha, beta)| Claim { row: *row, alpha, beta }).collect())
            .collect();
        let leaves: Vec<Leaf<'_>> = drawn
            .iter()
            .zip(&claims)
            .map(|(d, claims)| Leaf { splits: &d.splits, first: d.first, claims })
            .collect();
        let mut margins = vec![0.0; claims.iter().map(Vec::len).sum()];
        let mut outcomes = vec![Ok(Outcome::Refuted); leaves.len()];
        checker.check_leaves(&bounds, &leaves, &mut margins, &mut outcomes).unwrap();
        let points: Vec<Vec<Vec<BigRational>>> = (0..12)
            .map(|_| {
                let x: Vec<BigRational> =
                    lower.iter().zip(&upper).map(|(l, u)| exact(l + random.unit().abs() * (u - l))).collect();
                owned.exact(&x)
            })
            .collect();
        let mut rest = margins.as_slice();
        for (leaf, outcome) in leaves.iter().zip(&outcomes) {
            let (own, others) = rest.split_at(leaf.claims.len());
            rest = others;
            let inside: Vec<_> = points.iter().filter(|p| satisfies(p, leaf.splits)).collect();
            if *outcome == Ok(Outcome::Empty) {
                assert!(inside.is_empty(), "seed {seed}: not empty");
                empty += 1;
            }
            refuted += usize::from(*outcome == Ok(Outcome::Refuted));
            assert_eq!(*outcome == Ok(Outcome::Refuted), own.iter().all(|m| *m > 0.0), "seed {seed}");
            for (margin, d) in own.iter().zip(leaf.first..).filter(|(m, _)| !m.is_nan()) {
                for point in &inside {
                    let row = |c: &[f64], v: &[BigRational]| {
                        c.iter().zip(v).fold(BigRational::zero(), |s, (c, v)| s + exact(*c) * v)
                    };
                    let value = row(&outputs[d], point.last().unwrap()) + row(&on_input[d], &point[0]);
                    compared += 1;
                    assert!(exact(*margin) - exact(0.5) <= value, "seed {seed}, disjunct {d}");
                }
            }
            let mut alone = vec![0.0; leaf.claims.len()];
            let part = leaf.first..leaf.first + leaf.claims.len();
            let once = checker.check_part(&bounds, (region, leaf.splits), part, leaf.claims, &mut alone);
            // A refusal names a disjunct, or says that the leaf was checked alone.
            assert_eq!(outcome.is_ok(), once.is_ok(), "seed {seed}: {outcome:?}, alone {once:?}");
            for (a, b) in own.iter().zip(&alone).filter(|(a, b)| !a.is_nan() && !b.is_nan()) {
                assert!((a - b).abs() <= 1e-9 * (1.0 + a.abs()), "seed {seed}: {a} and {b}");
                equal += 1;
            }
        }
    }
    println!("{compared} comparisons, {equal} margins, {empty} empty, {refuted} refuted");
    assert!(compared > 20_000 && equal > 3_000 && empty > 300 && refuted > 100);
}

/// What the checker says of `bytes`: none of the rows `c·y ≤ rhs` is possible on `[−1, 2] × [−3, 1]`.
fn check(rows: &[(f64, f64)], bytes: &[u8]) -> Result<Stats, Rejection> {
    let owned = sum_of_absolutes();
    let tables = owned.tables();
    let program = support::program(&owned, &tables);
    let coefficients: Vec<[f64; 1]> = rows.iter().map(|(c, _)| [*c]).collect();
    let rows: Vec<[Row<'_>; 1]> = coefficients
        .iter()
        .zip(rows)
        .map(|(output, (_, rhs))| [Row { output, input: &[], rhs: *rhs }])
        .collect();
    let disjuncts: Vec<&[Row<'_>]> = rows.iter().map(|r| r.as_slice()).collect();
    let problem = Problem { program, disjuncts: &disjuncts, meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words)?;
    let mut room = Room::new(&layout, 4);
    let mut checker = Checker::new(&problem, &layout, Plain, room.memory())?;
    let mut memory = vec![f64::NAN; layout.bounds_len()];
    let tree = TreeMemory {
        frames: &mut [Frame::EMPTY; 16],
        splits: &mut [Split { slot: Slot(0), element: 0, point: 0.0, above: false }; 16],
        levels: &mut [Bounds::new(&layout, &mut memory)],
        claims: &mut vec![Claim::default(); disjuncts.len()],
        margins: &mut vec![0.0; disjuncts.len()],
    };
    let (mut lower, mut upper) = ([-1.0, -3.0], [2.0, 1.0]);
    checker.check_tree(bytes, (&mut lower, &mut upper), tree)
}

const LEMMA: [u8; 4] = [20, 1, 0, 0];
const LEAF: [u8; 4] = [19, 0, 0, 0];

fn divide(at: u16) -> Vec<u8> {
    [&[21][..], &at.to_le_bytes()].concat()
}

/// All sign patterns of the elements of slot 1, with multiplier 1 for what is kept above 0.
fn quarters(element: u32, above: &mut Vec<bool>) -> Vec<u8> {
    if element == 4 {
        let beta = above.iter().flat_map(|above| f32::from(u8::from(*above)).to_le_bytes());
        return [19, 0, 0, 2].into_iter().chain(beta).collect();
    }
    let mut bytes = [&[18, 1, 0, 0, 0][..], &element.to_le_bytes(), &0f32.to_le_bytes()].concat();
    for side in [true, false] {
        above.push(side);
        bytes.extend(quarters(element + 1, above));
        above.pop();
    }
    bytes
}

#[test]
fn each_disjunct_needs_leaves_that_cover_the_box() {
    // 0 ≤ y ≤ 5. One leaf refutes y ≥ 5.1; y ≤ −0.1 takes splits.
    let (high, low) = ((-1.0, -5.1), (1.0, -0.1));
    let low_tree = quarters(0, &mut Vec::new());
    let tree = |parts: &[&[u8]]| [&LEMMA[..], &parts.concat()].concat();
    let (one, two) = (divide(1), divide(2));
    assert_eq!(check(&[low, high], &tree(&[&one, &low_tree, &LEAF])), Ok(Stats { leaves: 17, depth: 6 }));
    assert!(check(&[high, low], &tree(&[&one, &LEAF, &low_tree])).is_ok());
    assert!(check(&[high, low, high], &tree(&[&two, &one, &LEAF, &low_tree, &LEAF])).is_ok());
    assert!(check(&[high, low, high], &tree(&[&one, &LEAF, &two, &low_tree, &LEAF])).is_ok());
    // Together in one leaf they are not refuted, nor with their parts exchanged.
    let both = [19, 0, 0, 0, 0, 0, 0];
    assert_eq!(check(&[low, high], &tree(&[&both])), Err(Rejection::NotProved { disjunct: 0 }));
    assert!(check(&[low, high], &tree(&[&one, &LEAF, &low_tree])).is_err());
    // A part is missing, is there twice, or is none.
    assert_eq!(check(&[low, high], &tree(&[&one, &low_tree])), Err(Rejection::Length));
    assert_eq!(check(&[low, high], &tree(&[&one, &low_tree, &LEAF, &LEAF])), Err(Rejection::Length));
    for at in [0, 2, 3, u16::MAX] {
        let bytes = tree(&[&divide(at), &low_tree, &LEAF]);
        assert_eq!(check(&[low, high], &bytes), Err(Rejection::Split { at: 4 }), "{at}");
    }
    // The part before the index is open in the second half no more.
    let bytes = tree(&[&one, &LEAF, &one, &low_tree, &LEAF]);
    assert!(matches!(check(&[high, low, high], &bytes), Err(Rejection::Split { .. })));
    // Below a split of a value the parts are restored for its other half.
    let halves = |inner: &[u8]| {
        let split = [&[18, 1, 0, 0, 0, 0, 0, 0, 0][..], &0f32.to_le_bytes()].concat();
        tree(&[&split, inner, inner])
    };
    let inner = [&one[..], &LEAF, &LEAF].concat();
    assert!(check(&[high, high], &halves(&inner)).is_ok());
    // False statements, in either part: y = 5 and y = 0 are reached.
    assert!(check(&[low, (-1.0, -5.0)], &tree(&[&one, &low_tree, &LEAF])).is_err());
    assert!(check(&[(1.0, 0.0), high], &tree(&[&one, &low_tree, &LEAF])).is_err());
}
