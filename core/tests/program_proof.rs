//! The checker of programs against exact rationals: on random programs of every kind of step with random claims, no bound
//! lies above any exact value, down to boxes of one point where every missing rounding term shows.

mod support;

use certus_core::program::Slot;
use certus_core::proof::program::{
    Adaptive, Bounds, Checker, Claim, Layout, Outcome, Plain, Problem, Row, Slopes, Split, Start,
};
use certus_core::proof::{Meaning, Rejection};
use num_rational::BigRational;
use num_traits::Zero;
use support::{Owned, Random, Room, exact};

/// Random slopes for every row that starts, some rows skipped.
struct RandomSlopes(Vec<u8>);

impl RandomSlopes {
    fn new(random: &mut Random) -> Self {
        Self((0..4096).map(|_| random.below(256) as u8).collect())
    }
}

impl Slopes for RandomSlopes {
    fn bytes(&self) -> &[u8] {
        &self.0
    }
    fn start(&self, slot: Slot, element: usize, upper: bool) -> Start {
        let at = (element * 7 + usize::from(upper)) % 97;
        match (element + slot.0) % 5 {
            0 => Start::Skip,
            1 => Start::Adaptive,
            _ => Start::Alpha { at },
        }
    }
}

/// A program, a box, points in it with the exact values of all slots, and splits that the first point satisfies.
struct Case {
    owned: Owned,
    lower: Vec<f64>,
    upper: Vec<f64>,
    points: Vec<Vec<Vec<BigRational>>>,
    splits: Vec<Split>,
}

fn case(seed: u64, epsilon: f64) -> Case {
    let mut random = Random::new(seed);
    let steps = 1 + random.below(8);
    let owned = Owned::random(&mut random, steps);
    let n = owned.sizes[0];
    let centre: Vec<f64> = (0..n).map(|_| (2.0 * random.unit()) as f32 as f64).collect();
    let lower: Vec<f64> = centre.iter().map(|c| c - epsilon).collect();
    let upper: Vec<f64> = centre.iter().map(|c| c + epsilon).collect();
    let points = (0..if epsilon == 0.0 { 1 } else { 8 })
        .map(|k| {
            let x: Vec<BigRational> = (0..n)
                .map(|j| {
                    let t = 0.5 + 0.5 * random.unit();
                    let t = if k < 4 { t.round() } else { t };
                    exact((lower[j] + t * (upper[j] - lower[j])).clamp(lower[j], upper[j]))
                })
                .collect();
            owned.exact(&x)
        })
        .collect::<Vec<_>>();
    let mut splits = Vec::new();
    for _ in 0..random.below(4) {
        let slot = 1 + random.below(owned.steps.len());
        let element = random.below(owned.sizes[slot]);
        let value = &points[0][slot][element];
        let point = if random.below(2) == 0 { 0.0 } else { support::at_least(value) as f32 };
        let above = *value >= exact(point.into());
        splits.push(Split { slot: Slot(slot), element: element as u32, point, above });
    }
    Case { owned, lower, upper, points, splits }
}

fn satisfies(point: &[Vec<BigRational>], splits: &[Split]) -> bool {
    splits.iter().all(|s| {
        let (value, v) = (&point[s.slot.0][s.element as usize], exact(s.point.into()));
        if s.above { *value >= v } else { *value <= v }
    })
}

/// What came of a case.
#[derive(Default)]
struct Seen {
    /// Bounds compared with values.
    compared: usize,
    /// Largest distance of a row's bound from a value, over `1 + |value|`.
    gap: f64,
    rows: usize,
    empty: usize,
}

/// Derives and checks a case; panics if any bound is beyond an exact value.
fn check(seed: u64, epsilon: f64, seen: &mut Seen) -> Result<(), Rejection> {
    let case = case(seed, epsilon);
    let mut random = Random::new(seed ^ 0xabcd);
    let tables = case.owned.tables();
    let program = support::program(&case.owned, &tables);
    let coefficients: Vec<f64> = (0..program.outputs()).map(|_| 2.0 * random.unit()).collect();
    let on_input: Vec<f64> = if random.below(3) == 0 {
        (0..program.inputs()).map(|_| random.unit()).collect()
    } else {
        Vec::new()
    };
    let rows = [Row { output: &coefficients, input: &on_input, rhs: 0.0 }];
    let problem = Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words)?;
    let lanes = 2 + random.below(5);
    let mut room = Room::new(&layout, lanes);
    let mut checker = Checker::new(&problem, &layout, Plain, room.memory())?;
    let region: (&[f64], &[f64]) = (&case.lower, &case.upper);
    let (mut root, mut inner) = (vec![f64::NAN; layout.bounds_len()], vec![f64::NAN; layout.bounds_len()]);
    let (mut root, mut inner) = (Bounds::new(&layout, &mut root), Bounds::new(&layout, &mut inner));
    let slopes = RandomSlopes::new(&mut random);
    let split_first = random.below(case.splits.len() + 1);
    assert!(checker.derive(None, region, &[], &slopes, &mut root)?);
    let inner_splits = &case.splits[..split_first];
    if random.below(2) == 0 {
        assert!(
            checker.derive(Some(&root), region, inner_splits, &Adaptive, &mut inner)?,
            "seed {seed}: a point is left"
        );
    } else {
        assert!(
            checker.derive(None, region, inner_splits, &slopes, &mut inner)?,
            "seed {seed}: a point is left"
        );
    }
    for (bounds, splits) in [(&root, &[][..]), (&inner, inner_splits)] {
        for point in case.points.iter().filter(|p| satisfies(p, splits)) {
            for (slot, values) in point.iter().enumerate() {
                let (lower, upper) = bounds.slot(&layout, Slot(slot)).unwrap();
                for ((l, u), value) in lower.iter().zip(upper).zip(values) {
                    seen.compared += 2;
                    assert!(
                        exact(*l) <= *value && *value <= exact(*u),
                        "seed {seed}, slot {slot}: [{l:e}, {u:e}] {:e}",
                        support::at_least(value)
                    );
                }
            }
        }
    }
    let alpha: Vec<u8> = (0..layout.claims_len(program.output())).map(|_| random.below(256) as u8).collect();
    for (bounds, with_alpha) in [(&root, true), (&inner, true), (&inner, false)] {
        let beta: Vec<u8> =
            case.splits.iter().flat_map(|_| (random.unit().abs() as f32).to_le_bytes()).collect();
        let claim = Claim {
            row: 0,
            alpha: if with_alpha { &alpha } else { &[] },
            beta: if random.below(2) == 0 { &beta } else { &[] },
        };
        let mut margins = [0.0];
        let outcome = checker.check_leaf(bounds, region, &case.splits, &[claim], &mut margins);
        match outcome {
            Ok(Outcome::Empty) => {
                assert!(!case.points.iter().any(|p| satisfies(p, &case.splits)), "seed {seed}: not empty");
                seen.empty += 1;
            }
            Ok(Outcome::Refuted) | Err(Rejection::NotProved { .. }) => {
                assert_eq!(outcome.is_ok(), margins[0] > 0.0);
                for point in case.points.iter().filter(|p| satisfies(p, &case.splits)) {
                    let row = |c: &[f64], v: &[BigRational]| {
                        c.iter().zip(v).fold(BigRational::zero(), |s, (c, v)| s + exact(*c) * v)
                    };
                    let value = row(&coefficients, point.last().unwrap()) + row(&on_input, &point[0]);
                    seen.compared += 1;
                    assert!(
                        exact(margins[0]) <= value,
                        "seed {seed}: bound {:e}, value {:e}",
                        margins[0],
                        support::at_least(&value)
                    );
                    if case.owned.is_smooth() && !with_alpha && claim.beta.is_empty() {
                        seen.rows += 1;
                        let near = support::at_least(&value);
                        let gap = (near - margins[0]) / (1.0 + near.abs());
                        seen.gap = seen.gap.max(gap);
                    }
                }
            }
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

#[test]
fn no_bound_lies_beyond_an_exact_value() {
    for epsilon in [0.0, 1e-9, 1e-2, 0.6] {
        let mut seen = Seen::default();
        for seed in 0..if epsilon == 0.0 { 1500 } else { 250 } {
            check(seed, epsilon, &mut seen).unwrap_or_else(|e| panic!("seed {seed}, epsilon {epsilon}: {e}"));
        }
        let Seen { compared, gap, rows, empty } = seen;
        println!(
            "epsilon {epsilon}: {compared} comparisons, {rows} rows, largest gap {gap:e}, {empty} empty leaves"
        );
        assert!(compared > 20_000 && rows > 200);
        // At a point, only rounding keeps the bound of a continuous program from its value.
        assert!(epsilon > 0.0 || gap < 1e-9, "the bounds are uselessly loose: {gap}");
    }
}

#[test]
fn curved_functions_stay_inside_their_bounds() {
    let (mut compared, mut refused) = (0, 0);
    for seed in 0..500 {
        let mut random = Random::new(seed ^ 0x5555);
        let steps = 1 + random.below(5);
        let owned = Owned::random_with(&mut random, steps, support::curved_function);
        let tables = owned.tables();
        let program = support::program(&owned, &tables);
        let coefficients: Vec<f64> = (0..program.outputs()).map(|_| random.unit()).collect();
        let rows = [Row { output: &coefficients, input: &[], rhs: 0.0 }];
        let problem = Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
        let mut words = vec![0; Layout::words(&program)];
        let layout = Layout::new(&program, &mut words).unwrap();
        let lanes = 5;
        let mut room = Room::new(&layout, lanes);
        let mut checker = Checker::new(&problem, &layout, Plain, room.memory()).unwrap();
        let epsilon = [1e-6, 0.05, 0.5][random.below(3)];
        // Away from 0, so that logarithms and reciprocals are often defined.
        let centre: Vec<f64> = (0..program.inputs()).map(|_| 1.5 + random.unit()).collect();
        let lower: Vec<f64> = centre.iter().map(|c| c - epsilon).collect();
        let upper: Vec<f64> = centre.iter().map(|c| c + epsilon).collect();
        let mut memory = vec![f64::NAN; layout.bounds_len()];
        let mut bounds = Bounds::new(&layout, &mut memory);
        match checker.derive(None, (&lower, &upper), &[], &RandomSlopes::new(&mut random), &mut bounds) {
            Ok(true) => {}
            Err(Rejection::Domain { .. } | Rejection::NonFinite) => {
                refused += 1;
                continue;
            }
            other => panic!("seed {seed}: {other:?}"),
        }
        let alpha: Vec<u8> =
            (0..layout.claims_len(program.output())).map(|_| random.below(256) as u8).collect();
        let mut found = Vec::new();
        // The box, then a half of it, which inherits.
        let mut half = upper.clone();
        half[0] = centre[0];
        for (upper, alpha) in [(&upper, &[][..]), (&upper, &alpha), (&half, &[]), (&half, &alpha)] {
            let claim = Claim { row: 0, alpha, beta: &[] };
            let mut margins = [0.0];
            let outcome = checker.check_leaf(&bounds, (&lower, upper), &[], &[claim], &mut margins);
            assert!(
                matches!(outcome, Ok(Outcome::Refuted) | Err(Rejection::NotProved { .. })),
                "seed {seed}: {outcome:?}"
            );
            found.push((upper, margins[0]));
        }
        for k in 0..12 {
            let x: Vec<f64> = (0..lower.len())
                .map(|j| {
                    let t = 0.5 + 0.5 * random.unit();
                    let t = if k < 6 { t.round() } else { t };
                    (lower[j] + t * (upper[j] - lower[j])).clamp(lower[j], upper[j])
                })
                .collect();
            let values = owned.values(&x);
            let near = |v: f64| 1e-9 * (1.0 + v.abs());
            for (slot, values) in values.iter().enumerate() {
                let (lower, upper) = bounds.slot(&layout, Slot(slot)).unwrap();
                for ((l, u), v) in lower.iter().zip(upper).zip(values) {
                    compared += 1;
                    assert!(
                        *l <= v + near(*v) && v - near(*v) <= *u,
                        "seed {seed}, slot {slot}: [{l:e}, {u:e}] {v:e}"
                    );
                }
            }
            let row: f64 = coefficients.iter().zip(values.last().unwrap()).map(|(c, v)| c * v).sum();
            for (upper, bound) in &found {
                if x.iter().zip(upper.iter()).all(|(x, u)| x <= u) {
                    assert!(*bound <= row + 10.0 * near(row), "seed {seed}: bound {bound:e}, value {row:e}");
                }
            }
        }
    }
    println!("{compared} comparisons, {refused} programs refused");
    assert!(compared > 20_000 && refused < 250, "{compared}, {refused}");
}
