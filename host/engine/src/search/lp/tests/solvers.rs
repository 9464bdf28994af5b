//! Random and degenerate LPs.

use crate::search::lp::{Limits, Lp, Outcome, dual, highs, simplex};
use num_rational::Ratio;

type Exact = Ratio<i128>;

/// Small numbers from a seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    /// Between −1 and 1.
    fn unit(&mut self) -> f64 {
        self.next() as f64 / f64::from(1u32 << 30) - 1.0
    }
}

/// A random LP: rows of all kinds, small integers so that ties and degenerate vertices are common.
fn integer_lp(random: &mut Random, n: usize, m: usize) -> Lp {
    let mut small = |range: u64| random.below(2 * range + 1) as f64 - range as f64;
    let lower: Vec<f64> = (0..n).map(|_| small(3)).collect();
    let upper: Vec<f64> = lower.iter().map(|l| l + small(3).abs()).collect();
    let cost: Vec<f64> = (0..n).map(|_| small(3)).collect();
    let mut lp = Lp::new(lower, upper, cost).expect("boxed");
    for _ in 0..m {
        let row: Vec<(usize, f64)> = (0..n).map(|j| (j, small(3))).collect();
        let at = small(6);
        let (l, u) = match small(2) as i32 {
            -2 => (at, at),
            -1 => (at, at + small(4).abs()),
            0 => (f64::NEG_INFINITY, at),
            _ => (at, f64::INFINITY),
        };
        lp.push_row(row, l, u).expect("finite");
    }
    lp
}

fn real_lp(random: &mut Random, n: usize, m: usize, scale: f64) -> Lp {
    let lower: Vec<f64> = (0..n).map(|_| random.unit() * scale).collect();
    let upper: Vec<f64> = lower.iter().map(|l| l + random.unit().abs() * scale).collect();
    let inside: Vec<f64> =
        lower.iter().zip(&upper).map(|(l, u)| l + 0.5 * (random.unit() + 1.0) * (u - l)).collect();
    let cost: Vec<f64> = (0..n).map(|_| random.unit()).collect();
    let mut lp = Lp::new(lower, upper, cost).expect("boxed");
    for _ in 0..m {
        let row: Vec<(usize, f64)> =
            (0..n).map(|j| (j, random.unit())).filter(|(j, a)| a.to_bits() % 3 > 0 || *j == 0).collect();
        let at: f64 = row.iter().map(|(j, a)| a * inside[*j]).sum();
        let slack = if random.below(8) == 0 { 0.0 } else { random.unit() * 0.3 * scale };
        let (l, u) = match random.below(4) {
            0 => (at - slack.abs(), at + slack.abs()),
            1 => (at + slack.min(0.0), f64::INFINITY),
            2 => (f64::NEG_INFINITY, at - slack.min(0.0)),
            // Sometimes infeasible.
            _ => (at + 0.1 * slack, f64::INFINITY),
        };
        lp.push_row(row, l, u).expect("finite");
    }
    lp
}

/// Checks what an outcome says about itself; returns the optimum, `None` if infeasible.
fn certified(lp: &Lp, outcome: &Outcome) -> Option<f64> {
    match outcome {
        Outcome::Optimal(found) => {
            for (j, x) in found.primal.iter().enumerate() {
                let (l, u) = lp.bounds(j);
                assert!(*x >= l - 1e-9 && *x <= u + 1e-9, "column {j}: {x} outside [{l}, {u}]");
            }
            for i in 0..lp.rows() {
                let ((l, u), at) = (lp.row_bounds(i), lp.activity(i, &found.primal));
                let size: f64 = lp.row(i).map(|(j, a)| (a * found.primal[j]).abs()).sum::<f64>() + 1.0;
                assert!(at >= l - 1e-7 * size && at <= u + 1e-7 * size, "row {i}: {at} outside [{l}, {u}]");
            }
            let bound = dual::bound(lp, &found.duals);
            let close = 1e-9 * (1.0 + found.value.abs());
            assert!((bound - found.value).abs() <= close, "duality gap: {bound} against {}", found.value);
            Some(found.value)
        }
        Outcome::Infeasible { ray } => {
            assert!(dual::infeasibility(lp, ray) > 0.0, "the ray proves nothing");
            None
        }
        Outcome::Stopped { .. } => panic!("not solved: {outcome:?}\n{lp:?}"),
    }
}

fn solve(lp: &Lp) -> Option<f64> {
    certified(lp, &simplex::solve(lp, None, Limits::default()).0)
}

fn exact(x: f64) -> Exact {
    Exact::from_integer(x as i128)
}

/// The optimum by trying every basis of an LP of small integers; `None` if infeasible.
fn enumerate(lp: &Lp) -> Option<Exact> {
    let n = lp.columns();
    // Every bound is a hyperplane; a vertex is where n of them meet.
    let mut planes: Vec<(Vec<Exact>, Exact)> = Vec::new();
    for j in 0..n {
        let unit: Vec<Exact> = (0..n).map(|k| exact(f64::from(u8::from(k == j)))).collect();
        planes.push((unit.clone(), exact(lp.bounds(j).0)));
        planes.push((unit, exact(lp.bounds(j).1)));
    }
    for i in 0..lp.rows() {
        let mut row = vec![exact(0.0); n];
        lp.row(i).for_each(|(j, a)| row[j] += exact(a));
        let (l, u) = lp.row_bounds(i);
        [l, u].into_iter().filter(|b| b.is_finite()).for_each(|b| planes.push((row.clone(), exact(b))));
    }
    let feasible = |x: &[Exact]| {
        let boxed = (0..n).all(|j| x[j] >= exact(lp.bounds(j).0) && x[j] <= exact(lp.bounds(j).1));
        boxed
            && (0..lp.rows()).all(|i| {
                let at: Exact = lp.row(i).map(|(j, a)| exact(a) * x[j]).sum();
                let (l, u) = lp.row_bounds(i);
                (l.is_infinite() || at >= exact(l)) && (u.is_infinite() || at <= exact(u))
            })
    };
    let mut best: Option<Exact> = None;
    let mut chosen = vec![0usize; n];
    choose(planes.len(), 0, 0, &mut chosen, &mut |chosen| {
        let mut rows: Vec<Vec<Exact>> =
            chosen.iter().map(|c| planes[*c].0.iter().copied().chain([planes[*c].1]).collect()).collect();
        let Some(x) = gauss(&mut rows) else { return };
        if feasible(&x) {
            let value: Exact = x.iter().zip(lp.cost()).map(|(x, c)| x * exact(*c)).sum();
            best = Some(best.map_or(value, |b| b.min(value)));
        }
    });
    best
}

fn choose(of: usize, from: usize, depth: usize, chosen: &mut [usize], body: &mut impl FnMut(&[usize])) {
    if depth == chosen.len() {
        return body(chosen);
    }
    for i in from..of {
        chosen[depth] = i;
        choose(of, i + 1, depth + 1, chosen, body);
    }
}

fn gauss(rows: &mut [Vec<Exact>]) -> Option<Vec<Exact>> {
    let n = rows.len();
    let zero = Exact::from_integer(0);
    for k in 0..n {
        let pivot = (k..n).find(|i| rows[*i][k] != zero)?;
        rows.swap(k, pivot);
        let head = rows[k].clone();
        for i in (0..n).filter(|i| *i != k) {
            let factor = rows[i][k] / head[k];
            (k..=n).for_each(|c| rows[i][c] -= factor * head[c]);
        }
    }
    Some((0..n).map(|k| rows[k][n] / rows[k][k]).collect())
}

#[test]
fn tiny_programs_agree_with_every_vertex_in_exact_numbers() {
    let mut random = Random(1);
    let (mut feasible, mut infeasible) = (0, 0);
    for case in 0..600 {
        let (n, m) = (1 + case % 3, case % 5);
        let lp = integer_lp(&mut random, n, m);
        let expected = enumerate(&lp).map(|v| *v.numer() as f64 / *v.denom() as f64);
        let found = solve(&lp);
        match (expected, found) {
            (Some(e), Some(f)) => assert!((e - f).abs() <= 1e-9 * (1.0 + e.abs()), "{e} against {f}: {lp:?}"),
            (None, None) => infeasible += 1,
            _ => panic!("{expected:?} against {found:?}: {lp:?}"),
        }
        feasible += usize::from(expected.is_some());
    }
    assert!(feasible > 200 && infeasible > 50, "{feasible} feasible, {infeasible} not");
}

#[test]
fn random_programs_have_no_duality_gap() {
    let mut random = Random(2);
    let mut solved = 0;
    for case in 0..1500usize {
        let (n, m) = (1 + case % 40, (case * 7) % 60);
        let lp = if case % 2 == 0 { integer_lp(&mut random, n, m) } else { real_lp(&mut random, n, m, 1.0) };
        solved += usize::from(solve(&lp).is_some());
    }
    assert!(solved > 500, "{solved}");
}

#[test]
fn scales_from_tiny_to_huge_are_solved() {
    let mut random = Random(3);
    for case in 0..200usize {
        let scale = 10f64.powi((case % 25) as i32 - 12);
        let lp = real_lp(&mut random, 1 + case % 12, case % 15, scale);
        let one = simplex::solve(&lp, None, Limits::default()).0;
        match &one {
            Outcome::Optimal(found) => {
                let gap = (dual::bound(&lp, &found.duals) - found.value).abs();
                assert!(gap <= 1e-9 * scale, "gap {gap} at scale {scale}");
            }
            Outcome::Infeasible { ray } => assert!(dual::infeasibility(&lp, ray) > 0.0),
            Outcome::Stopped { .. } => panic!("not solved at scale {scale}"),
        }
    }
}

#[test]
fn the_library_and_the_own_solver_agree() {
    let Some(highs) = highs::library() else {
        eprintln!("skipped: {}", highs::missing().unwrap_or_default());
        return;
    };
    let mut random = Random(4);
    let (mut feasible, mut infeasible) = (0, 0);
    for case in 0..3000usize {
        let (n, m) = (1 + case % 30, (case * 5) % 40);
        let lp = if case % 2 == 0 { integer_lp(&mut random, n, m) } else { real_lp(&mut random, n, m, 1.0) };
        let own = solve(&lp);
        let theirs = match highs.solve_lp(&lp, Limits::default()).expect("solves") {
            Outcome::Optimal(found) => Some(found.value),
            Outcome::Infeasible { .. } => None,
            other => panic!("{other:?}"),
        };
        match (own, theirs) {
            (Some(a), Some(b)) => {
                assert!((a - b).abs() <= 1e-6 * (1.0 + b.abs()), "case {case}: {a} against {b}");
                feasible += 1;
            }
            (None, None) => infeasible += 1,
            _ => panic!("case {case}: {own:?} against {theirs:?}: {lp:?}"),
        }
    }
    assert!(feasible > 500 && infeasible > 500, "{feasible} feasible, {infeasible} not");
}

/// Beale's example of a primal simplex that cycles, and its dual, on which a dual simplex could; boxes far outside the optimum.
#[test]
fn examples_that_cycle_end() {
    let far = 1e3;
    let mut beale = Lp::new(vec![0.0; 4], vec![far; 4], vec![-0.75, 150.0, -0.02, 6.0]).expect("boxed");
    let rows =
        [([0.25, -60.0, -0.04, 9.0], 0.0), ([0.5, -90.0, -0.02, 3.0], 0.0), ([0.0, 0.0, 1.0, 0.0], 1.0)];
    for (row, rhs) in rows {
        beale.push_row(row.into_iter().enumerate(), f64::NEG_INFINITY, rhs).expect("finite");
    }
    let value = solve(&beale).expect("feasible");
    assert!((value + 0.05).abs() < 1e-9, "{value}");

    let mut dual_of = Lp::new(vec![0.0; 3], vec![far; 3], vec![0.0, 0.0, 1.0]).expect("boxed");
    for (j, c) in [-0.75, 150.0, -0.02, 6.0].into_iter().enumerate() {
        let column = rows.iter().map(|(row, _)| -row[j]).enumerate().collect::<Vec<_>>();
        dual_of.push_row(column, f64::NEG_INFINITY, c).expect("finite");
    }
    let value = solve(&dual_of).expect("feasible");
    assert!((value - 0.05).abs() < 1e-9, "{value}");
}

#[test]
fn boxes_of_no_width_and_rows_said_twice_are_solved() {
    let mut random = Random(5);
    for case in 0..300usize {
        let (n, m) = (2 + case % 8, 1 + case % 9);
        let base = integer_lp(&mut random, n, m);
        let expected = solve(&base);
        let mut lp = base.clone();
        for i in 0..m {
            let (l, u) = base.row_bounds(i);
            lp.push_row(base.row(i).collect::<Vec<_>>(), l, u).expect("finite");
            let twice: Vec<_> = base.row(i).map(|(j, a)| (j, -2.0 * a)).collect();
            lp.push_row(twice, -2.0 * u, -2.0 * l).expect("finite");
        }
        let found = solve(&lp);
        match (expected, found) {
            (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-9 * (1.0 + a.abs()), "{a} against {b}"),
            (None, None) => {}
            _ => panic!("{expected:?} against {found:?}"),
        }
        // With every column fixed at a solution, that solution is left.
        if let Outcome::Optimal(at) = simplex::solve(&base, None, Limits::default()).0 {
            let mut fixed = lp.clone();
            at.primal.iter().enumerate().for_each(|(j, x)| fixed.set_bounds(j, (*x, *x)));
            let again = solve(&fixed);
            assert!(again.is_none_or(|v| (v - at.value).abs() <= 1e-9 * (1.0 + v.abs())));
        }
    }
}

#[test]
fn a_start_from_the_parents_basis_gives_the_same_in_fewer_steps() {
    let mut random = Random(6);
    for case in 0..300usize {
        let mut lp = real_lp(&mut random, 10 + case % 20, 5 + case % 30, 1.0);
        let (Outcome::Optimal(first), basis) = simplex::solve(&lp, None, Limits::default()) else { continue };
        // As a split does: one column and one row lose half of what they had.
        let j = case % lp.columns();
        let (l, u) = lp.bounds(j);
        lp.set_bounds(
            j,
            if first.primal[j] > 0.5 * (l + u) { (l, 0.5 * (l + u)) } else { (0.5 * (l + u), u) },
        );
        let cold = certified(&lp, &simplex::solve(&lp, None, Limits::default()).0);
        let warm = certified(&lp, &simplex::solve(&lp, Some(&basis), Limits::default()).0);
        match (cold, warm) {
            (Some(a), Some(b)) => assert!((a - b).abs() <= 1e-8 * (1.0 + a.abs()), "{a} against {b}"),
            (None, None) => {}
            _ => panic!("{cold:?} against {warm:?}"),
        }
    }
}

#[test]
fn a_bound_that_is_enough_ends_the_search_with_its_proof() {
    let mut random = Random(7);
    let mut early = 0;
    for _ in 0..100 {
        let lp = real_lp(&mut random, 60, 80, 1.0);
        let Outcome::Optimal(found) = simplex::solve(&lp, None, Limits::default()).0 else { continue };
        let root = dual::bound(&lp, &vec![0.0; lp.rows()]);
        let enough = 0.5 * (root + found.value);
        let limits = Limits { enough: Some(enough), ..Limits::default() };
        if let Outcome::Stopped { bound, duals } = simplex::solve(&lp, None, limits).0 {
            assert!(
                bound >= enough && bound <= found.value + 1e-9,
                "{bound} for {enough} below {}",
                found.value
            );
            assert!(dual::bound(&lp, &duals) >= enough);
            early += 1;
        }
    }
    assert!(early > 10, "{early}");
}

#[test]
fn what_is_no_program_is_refused() {
    assert!(Lp::new(vec![0.0], vec![f64::INFINITY], vec![1.0]).is_err());
    assert!(Lp::new(vec![1.0], vec![0.0], vec![1.0]).is_err());
    assert!(Lp::new(vec![0.0], vec![1.0], vec![f64::NAN]).is_err());
    let mut lp = Lp::new(vec![0.0], vec![1.0], vec![1.0]).expect("boxed");
    assert!(lp.push_row([(0, f64::NAN)], 0.0, 1.0).is_err());
    assert!(lp.push_row([(0, 1.0)], 1.0, 0.0).is_err());
    assert_eq!(lp.rows(), 0);
}
