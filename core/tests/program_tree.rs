//! Whole proofs of programs as bytes: their leaves cover the box, splits prove what one leaf cannot, and no damaged or
//! invented sequence of bytes proves a false statement.

mod support;

use certus_core::program::Slot;
use certus_core::proof::program::{
    Bounds, Checker, Claim, Frame, Layout, LeafBytes, Lemma, Plain, Problem, Row, Split, TreeMemory, Visitor,
    walk,
};
use certus_core::proof::{Meaning, Rejection, Stats};
use num_rational::BigRational;
use num_traits::Zero;
use support::{Owned, Random, Room, exact, sum_of_absolutes};

/// A lemma with rows for everything.
const LEMMA: [u8; 4] = [20, 1, 0, 0];
/// A leaf for one disjunct, without claims.
const LEAF: [u8; 4] = [19, 0, 0, 0];

const NO_SPLIT: Split = Split { slot: Slot(0), element: 0, point: 0.0, above: false };

fn split_value(slot: usize, element: usize, point: f32) -> Vec<u8> {
    let mut bytes = vec![18];
    bytes.extend((slot as u32).to_le_bytes());
    bytes.extend((element as u32).to_le_bytes());
    bytes.extend(point.to_le_bytes());
    bytes
}

fn split_input(coordinate: usize, value: f64) -> Vec<u8> {
    let mut bytes = vec![17];
    bytes.extend((coordinate as u32).to_le_bytes());
    bytes.extend(value.to_le_bytes());
    bytes
}

/// What the checker says of `bytes` for the statement that `row·y ≤ rhs` is impossible on the box.
fn check(
    owned: &Owned,
    row: &[f64],
    rhs: f64,
    region: (&[f64], &[f64]),
    bytes: &[u8],
) -> Result<Stats, Rejection> {
    let tables = owned.tables();
    let program = support::program(owned, &tables);
    let rows = [Row { output: row, input: &[], rhs }];
    let problem = Problem { program, disjuncts: &[&rows], meaning: Meaning::Real };
    let mut words = vec![0; Layout::words(&program)];
    let layout = Layout::new(&program, &mut words)?;
    let lanes = 4;
    let mut room = Room::new(&layout, lanes);
    let mut checker = Checker::new(&problem, &layout, Plain, room.memory())?;
    let mut memories: Vec<Vec<f64>> = (0..3).map(|_| vec![f64::NAN; layout.bounds_len()]).collect();
    let mut levels: Vec<Bounds<'_>> = memories.iter_mut().map(|m| Bounds::new(&layout, m)).collect();
    let (mut lower, mut upper) = (region.0.to_vec(), region.1.to_vec());
    let tree = TreeMemory {
        frames: &mut [Frame::EMPTY; 24],
        splits: &mut [NO_SPLIT; 24],
        levels: &mut levels,
        claims: &mut [Claim::default()],
        margins: &mut [0.0],
    };
    let stats = checker.check_tree(bytes, (&mut lower, &mut upper), tree)?;
    assert_eq!((&lower[..], &upper[..]), region, "the box is restored");
    Ok(stats)
}

/// All sign patterns of the elements of slot 1; each leaf with multiplier 1 for what is kept above 0.
fn all_splits(elements: &[usize], above: &mut Vec<bool>, bytes: &mut Vec<u8>) {
    let [first, rest @ ..] = elements else {
        bytes.extend([19, 0, 0, 2]);
        above.iter().for_each(|above| bytes.extend(f32::from(u8::from(*above)).to_le_bytes()));
        return;
    };
    bytes.extend(split_value(1, *first, 0.0));
    for side in [true, false] {
        above.push(side);
        all_splits(rest, above, bytes);
        above.pop();
    }
}

#[test]
fn splits_prove_what_one_leaf_cannot() {
    let owned = sum_of_absolutes();
    let region: (&[f64], &[f64]) = (&[-1.0, -3.0], &[2.0, 1.0]);
    let mut bytes = LEMMA.to_vec();
    bytes.extend(LEAF);
    assert_eq!(check(&owned, &[1.0], -1e-9, region, &bytes), Err(Rejection::NotProved { disjunct: 0 }));
    let mut bytes = LEMMA.to_vec();
    all_splits(&[0, 1, 2, 3], &mut Vec::new(), &mut bytes);
    assert_eq!(check(&owned, &[1.0], -1e-9, region, &bytes), Ok(Stats { leaves: 16, depth: 5 }));
    // The least value is 0, so that `y ≤ 0` is impossible is false.
    assert_eq!(check(&owned, &[1.0], 0.0, region, &bytes), Err(Rejection::NotProved { disjunct: 0 }));
    // Splitting the inputs at 0 does it too, with a lemma for each quarter, or only one above.
    for inner in [&LEMMA[..], &[]] {
        let mut bytes = LEMMA.to_vec();
        bytes.extend(split_input(0, 0.0));
        for _ in 0..2 {
            bytes.extend(split_input(1, 0.0));
            for _ in 0..2 {
                bytes.extend(inner);
                bytes.extend(LEAF);
            }
        }
        assert!(check(&owned, &[1.0], -1e-9, region, &bytes).is_ok());
        assert!(check(&owned, &[1.0], 0.0, region, &bytes).is_err());
    }
}

#[test]
fn multipliers_prove_a_leaf_empty() {
    // z₁ = x ≥ 0.5 and z₂ = −x ≥ 0.5 have no common input, which intervals of each do not see at once.
    let owned = sum_of_absolutes();
    let region: (&[f64], &[f64]) = (&[-1.0, -3.0], &[2.0, 1.0]);
    let mut bytes = LEMMA.to_vec();
    bytes.extend(split_value(1, 0, 0.5));
    bytes.extend(split_value(1, 1, 0.5));
    // The row 0 > 0 with multipliers 1, 1: 0 − (z₁ − 0.5) − (z₂ − 0.5) = 1.
    let empty: Vec<u8> = [&[19u8, 255, 255, 2][..], &1f32.to_le_bytes(), &1f32.to_le_bytes()].concat();
    bytes.extend(&empty);
    bytes.extend(LEAF);
    bytes.extend(LEAF);
    assert!(check(&owned, &[1.0], -2.5, region, &bytes).is_ok());
    // With the multipliers of another leaf it proves nothing.
    let at = bytes.len() - 8 - empty.len();
    bytes[at + 4..at + 8].copy_from_slice(&0.5f32.to_le_bytes());
    bytes[at + 8..at + 12].copy_from_slice(&0f32.to_le_bytes());
    assert_eq!(check(&owned, &[1.0], -2.5, region, &bytes), Err(Rejection::NotProved { disjunct: 0 }));
}

/// A random proof: lemmas, splits of inputs and values, leaves with claims.
fn random_proof(
    random: &mut Random,
    owned: &Owned,
    layout: &Layout<'_>,
    region: (&[f64], &[f64]),
) -> Vec<u8> {
    struct Writer<'w> {
        random: &'w mut Random,
        owned: &'w Owned,
        layout: &'w Layout<'w>,
        bytes: Vec<u8>,
    }
    impl Writer<'_> {
        fn slopes(&mut self, n: usize) {
            (0..n).for_each(|_| self.bytes.push(self.random.below(256) as u8));
        }
        fn lemma(&mut self) {
            self.bytes.extend([20, self.random.below(2) as u8]);
            let slots: Vec<usize> =
                (1..self.owned.sizes.len()).filter(|_| self.random.below(3) == 0).collect();
            self.bytes.extend((slots.len() as u16).to_le_bytes());
            for slot in slots {
                let row = self.layout.claims_len(Slot(slot));
                let mode = self.random.below(5) as u8;
                self.bytes.extend((slot as u32).to_le_bytes());
                self.bytes.push(mode);
                if mode == 2 {
                    self.slopes(2 * row);
                } else if mode > 2 {
                    let elements: Vec<usize> =
                        (0..self.owned.sizes[slot]).filter(|_| self.random.below(2) == 0).collect();
                    self.bytes.extend((elements.len() as u32).to_le_bytes());
                    for element in elements {
                        self.bytes.extend((element as u32).to_le_bytes());
                        self.slopes(2 * row);
                    }
                }
            }
        }
        fn node(&mut self, lower: &[f64], upper: &[f64], fixed: usize, depth: usize, levels: usize) {
            let kind = if depth == 0 { 9 } else { self.random.below(8) };
            match kind {
                0 | 1 if levels < 3 => {
                    self.lemma();
                    self.node(lower, upper, fixed, depth - 1, levels + 1);
                }
                2 | 3 => {
                    let j = self.random.below(lower.len());
                    let t = 0.5 + 0.5 * self.random.unit();
                    let value = (lower[j] + t * (upper[j] - lower[j])).clamp(lower[j], upper[j]);
                    self.bytes.extend(split_input(j, value));
                    let (mut below, mut above) = (upper.to_vec(), lower.to_vec());
                    (below[j], above[j]) = (value, value);
                    self.node(lower, &below, fixed, depth - 1, levels);
                    self.node(&above, upper, fixed, depth - 1, levels);
                }
                4..=6 => {
                    let slot = 1 + self.random.below(self.owned.steps.len());
                    let element = self.random.below(self.owned.sizes[slot]);
                    let point = if self.random.below(2) == 0 { 0.0 } else { self.random.unit() as f32 };
                    self.bytes.extend(split_value(slot, element, point));
                    self.node(lower, upper, fixed + 1, depth - 1, levels);
                    self.node(lower, upper, fixed + 1, depth - 1, levels);
                }
                _ => {
                    let flags = self.random.below(4) as u8;
                    self.bytes.extend([19, 0, 0, flags]);
                    if flags & 1 != 0 {
                        self.slopes(self.layout.claims_len(Slot(self.owned.steps.len())));
                    }
                    if flags & 2 != 0 {
                        (0..fixed)
                            .for_each(|_| self.bytes.extend((self.random.unit().abs() as f32).to_le_bytes()));
                    }
                }
            }
        }
    }
    let mut writer = Writer { random, owned, layout, bytes: Vec::new() };
    writer.lemma();
    writer.node(region.0, region.1, 0, 5, 1);
    writer.bytes
}

/// A random program with a box, a point in it, the value there, and a random proof.
struct Case {
    owned: Owned,
    lower: Vec<f64>,
    upper: Vec<f64>,
    row: Vec<f64>,
    /// The least value at eight points.
    least: BigRational,
    proof: Vec<u8>,
}

fn case(seed: u64) -> Case {
    let mut random = Random::new(seed);
    let steps = 1 + random.below(5);
    let owned = Owned::random(&mut random, steps);
    let n = owned.sizes[0];
    let epsilon = [0.0, 1e-9, 0.1, 0.5][random.below(4)];
    let centre: Vec<f64> = (0..n).map(|_| random.unit()).collect();
    let lower: Vec<f64> = centre.iter().map(|c| c - epsilon).collect();
    let upper: Vec<f64> = centre.iter().map(|c| c + epsilon).collect();
    let row: Vec<f64> = (0..*owned.sizes.last().unwrap()).map(|_| random.unit()).collect();
    let least = (0..8)
        .map(|_| {
            let x: Vec<BigRational> =
                (0..n).map(|j| exact(if random.below(2) == 0 { lower[j] } else { upper[j] })).collect();
            let y = owned.exact(&x).pop().unwrap();
            y.iter().zip(&row).fold(BigRational::zero(), |s, (y, c)| s + y * exact(*c))
        })
        .min()
        .unwrap();
    let proof = {
        let tables = owned.tables();
        let program = support::program(&owned, &tables);
        let mut words = vec![0; Layout::words(&program)];
        let layout = Layout::new(&program, &mut words).unwrap();
        random_proof(&mut random, &owned, &layout, (&lower, &upper))
    };
    Case { owned, lower, upper, row, least, proof }
}

#[test]
fn random_proofs_prove_what_is_far_from_false_and_nothing_false() {
    let mut accepted = 0;
    for seed in 0..600 {
        let case = case(seed);
        let region: (&[f64], &[f64]) = (&case.lower, &case.upper);
        let verdict = check(&case.owned, &case.row, support::at_least(&case.least), region, &case.proof);
        assert!(verdict.is_err(), "seed {seed}: proves a false statement");
        let verdict = check(&case.owned, &case.row, -1e6, region, &case.proof);
        assert!(matches!(verdict, Ok(_) | Err(Rejection::NotProved { .. })), "seed {seed}: {verdict:?}");
        accepted += usize::from(verdict.is_ok());
    }
    assert!(accepted > 550, "{accepted}");
}

#[test]
fn damaged_proofs_never_prove_a_false_statement() {
    let mut still_read = 0;
    for seed in 0..150 {
        let case = case(seed);
        let region: (&[f64], &[f64]) = (&case.lower, &case.upper);
        let rhs = support::at_least(&case.least);
        let mut random = Random::new(seed ^ 0x77);
        for end in [0, 1, case.proof.len() / 2, case.proof.len() - 1] {
            assert!(
                check(&case.owned, &case.row, -1e6, region, &case.proof[..end]).is_err(),
                "seed {seed}, cut to {end}"
            );
        }
        let longer: Vec<u8> = case.proof.iter().copied().chain([LEAF[0]]).collect();
        assert!(check(&case.owned, &case.row, -1e6, region, &longer).is_err(), "seed {seed}: longer");
        for _ in 0..30 {
            let mut damaged = case.proof.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(damaged.len());
                damaged[at] = if random.below(2) == 0 {
                    damaged[at] ^ (1 << random.below(8))
                } else {
                    random.below(256) as u8
                };
            }
            let verdict = check(&case.owned, &case.row, rhs, region, &damaged);
            assert!(verdict.is_err(), "seed {seed}: a damaged proof proves a false statement");
            still_read += usize::from(matches!(verdict, Err(Rejection::NotProved { .. })));
        }
    }
    assert!(still_read > 500, "{still_read}");
}

/// Notes the leaves of a walk.
#[derive(Default)]
struct Leaves(Vec<(Vec<f64>, Vec<f64>, Vec<Split>)>, usize);

impl<'p> Visitor<'p> for Leaves {
    fn lemma(&mut self, _: usize, _: (&[f64], &[f64]), _: &[Split], _: &Lemma<'p>) -> Result<(), Rejection> {
        self.1 += 1;
        Ok(())
    }
    fn leaf(
        &mut self,
        _: usize,
        region: (&[f64], &[f64]),
        splits: &[Split],
        leaf: LeafBytes<'p>,
    ) -> Result<(), Rejection> {
        leaf.parse(&mut [Claim::default()])?;
        self.0.push((region.0.to_vec(), region.1.to_vec(), splits.to_vec()));
        Ok(())
    }
}

#[test]
fn every_point_lies_in_a_leaf() {
    let (mut lemmas, mut leaves_seen) = (0, 0);
    for seed in 0..300 {
        let case = case(seed);
        let tables = case.owned.tables();
        let program = support::program(&case.owned, &tables);
        let problem = Problem {
            program,
            disjuncts: &[&[Row { output: &case.row, input: &[], rhs: 0.0 }]],
            meaning: Meaning::Real,
        };
        let mut words = vec![0; Layout::words(&program)];
        let layout = Layout::new(&program, &mut words).unwrap();
        let mut leaves = Leaves::default();
        let (mut lower, mut upper) = (case.lower.clone(), case.upper.clone());
        let (mut frames, mut splits) = ([Frame::EMPTY; 24], [NO_SPLIT; 24]);
        let stats = walk(
            &problem,
            &layout,
            &case.proof,
            (&mut lower, &mut upper),
            (&mut frames, &mut splits),
            &mut leaves,
        )
        .unwrap();
        assert_eq!(stats.leaves, leaves.0.len());
        lemmas += leaves.1;
        leaves_seen += stats.leaves;
        let mut random = Random::new(seed ^ 0x99);
        for _ in 0..6 {
            let x: Vec<f64> = (0..lower.len())
                .map(|j| {
                    (lower[j] + (0.5 + 0.5 * random.unit()) * (upper[j] - lower[j])).clamp(lower[j], upper[j])
                })
                .collect();
            let values = case.owned.exact(&x.iter().map(|x| exact(*x)).collect::<Vec<_>>());
            let inside = |(l, u, splits): &(Vec<f64>, Vec<f64>, Vec<Split>)| {
                x.iter().zip(l).zip(u).all(|((x, l), u)| l <= x && x <= u)
                    && splits.iter().all(|s| {
                        let (z, v) = (&values[s.slot.0][s.element as usize], exact(s.point.into()));
                        if s.above { *z >= v } else { *z <= v }
                    })
            };
            assert!(leaves.0.iter().any(inside), "seed {seed}: {x:?} lies in no leaf");
        }
    }
    assert!(lemmas > 350 && leaves_seen > 700, "{lemmas}, {leaves_seen}");
}

#[test]
fn steps_out_of_range_are_refused() {
    let owned = sum_of_absolutes();
    let region: (&[f64], &[f64]) = (&[-1.0, -3.0], &[2.0, 1.0]);
    let refused = |steps: &[&[u8]]| check(&owned, &[1.0], -100.0, region, &steps.concat()).unwrap_err();
    assert_eq!(refused(&[&LEAF]), Rejection::Step { at: 0 });
    assert_eq!(refused(&[&[1, 0, 0]]), Rejection::Step { at: 0 });
    for value in [-1.5, 2.5, f64::NAN, f64::INFINITY] {
        assert_eq!(refused(&[&LEMMA, &split_input(0, value), &LEAF, &LEAF]), Rejection::Split { at: 4 });
    }
    assert_eq!(refused(&[&LEMMA, &split_input(2, 0.0), &LEAF, &LEAF]), Rejection::Split { at: 4 });
    for (slot, element, point) in
        [(0, 0, 0.0), (4, 0, 0.0), (1, 4, 0.0), (1, 0, f32::NAN), (1, 0, f32::INFINITY)]
    {
        assert_eq!(
            refused(&[&LEMMA, &split_value(slot, element, point), &LEAF, &LEAF]),
            Rejection::Split { at: 4 }
        );
    }
    assert_eq!(refused(&[&LEMMA, &[19, 1, 0, 0]]), Rejection::Claim);
    assert_eq!(refused(&[&LEMMA, &[19, 0, 0, 4]]), Rejection::Claim);
    assert_eq!(refused(&[&LEMMA, &LEMMA, &LEMMA, &LEMMA, &LEAF]), Rejection::Depth);
    assert_eq!(refused(&[&LEMMA, &split_value(1, 0, 0.0).repeat(30)]), Rejection::Depth);
    let beta = |b: f32| [&[19u8, 0, 0, 2][..], &b.to_le_bytes()].concat();
    for b in [-1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(refused(&[&LEMMA, &split_value(1, 0, 0.0), &beta(b), &LEAF]), Rejection::Claim);
    }
    // Entries of a lemma in order, on slots that are computed, of a known mode.
    let entry = |slot: u32, mode: u8| [&slot.to_le_bytes()[..], &[mode]].concat();
    for entries in [
        [entry(2, 0), entry(1, 0)],
        [entry(1, 0), entry(4, 0)],
        [entry(0, 0), entry(1, 0)],
        [entry(1, 0), entry(2, 6)],
    ] {
        assert_eq!(refused(&[&[20, 0, 2, 0], &entries.concat(), &LEAF]), Rejection::Claim);
    }
    assert_eq!(refused(&[&[20, 2, 0, 0], &LEAF]), Rejection::Claim);
    let huge = [&entry(3, 3)[..], &u32::MAX.to_le_bytes()].concat();
    assert_eq!(refused(&[&[20, 0, 1, 0], &huge, &LEAF]), Rejection::Length);
}
