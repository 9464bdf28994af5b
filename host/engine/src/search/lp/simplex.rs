//! A bounded dual simplex in `f64`, revised: it keeps the inverse of the basis' kernel only.
//!
//! A basis is a set `T` of *tight* rows and as many *basic* columns `B`; every other column lies at an end of its box. Then
//! `x_B = K⁻¹(r_T − A[T,N]x_N)`, `y_T = K⁻ᵀc_B`, `d = c − A[T]ᵀy_T`, with `K = A[T,B]`. A column can always be put to the end that its
//! reduced cost `d` asks for, so the basis without rows is dual feasible: there is no first phase. A step takes the most violated
//! constraint `p` (a row, or an end of a basic column), and raises its multiplier by `τ`: `y_T −= τKᵀ⁻¹a_p[B]`,
//! `d −= τα`, `α = a_p − A[T]ᵀKᵀ⁻¹a_p[B]`. The first of `y_T`, `d` that would change sign enters, except that columns with
//! breakpoints passed before the violation is used up go to their other end (the long-step rule). Where nothing stops `τ` no
//! `x` satisfies the rows, and the multipliers' direction is a Farkas ray.
//!
//! Zero steps in a row switch to the least index (Bland), which cannot cycle. Every basis proves a bound: the search may stop early.
//!
//! Source: Koberstein 2005 (the dual simplex method, techniques for a fast and stable implementation), chapters 3 and 6; the
//! kernel in place of a factorized basis is ours and fits LPs with few tight rows.

use super::kernel::Kernel;
use super::scale::Scaling;
use super::{Limits, Lp, Optimum, Outcome, dual};
use std::time::Instant;

/// Violations below this do not count (after scaling).
const FEASIBLE: f64 = 1e-9;
/// Coefficients below this cannot be pivots.
const PIVOT: f64 = 1e-7;
/// Coefficients below this are taken for 0 in a ratio test.
const ZERO: f64 = 1e-10;
/// Steps after which everything is computed anew.
const REFRESH: usize = 64;

/// Which rows are tight and which columns basic: where to start a similar LP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    tight: Vec<(u32, bool)>,
    basic: Vec<u32>,
}

/// Solves `lp`, from `start` if that is a basis of an LP with as many rows and columns. Returns the last basis too.
pub fn solve(lp: &Lp, start: Option<&Basis>, limits: Limits) -> (Outcome, Basis) {
    let (scaled, scaling) = Scaling::of(lp);
    let mut simplex = Simplex::new(&scaled);
    if !start.is_some_and(|basis| simplex.start(basis)) {
        simplex.start(&Basis::default());
    }
    let enough = limits.enough.map(|e| scaling.objective(e));
    let end = simplex.run(enough, limits.deadline);
    let mut duals = scaling.duals(&simplex.y);
    dual::admissible(lp, &mut duals);
    let stopped = |duals: Vec<f64>| Outcome::Stopped { bound: dual::bound(lp, &duals), duals };
    let outcome = match end {
        End::Optimal => {
            let inside = |(x, (l, u)): (f64, (&f64, &f64))| x.max(*l).min(*u);
            let ends = lp.lower.iter().zip(&lp.upper);
            let primal: Vec<f64> = scaling.primal(&simplex.x).into_iter().zip(ends).map(inside).collect();
            Outcome::Optimal(Optimum { value: lp.value(&primal), primal, duals })
        }
        End::Infeasible(ray) => {
            let mut ray = scaling.ray(&ray);
            dual::admissible(lp, &mut ray);
            if dual::infeasibility(lp, &ray) > 0.0 { Outcome::Infeasible { ray } } else { stopped(duals) }
        }
        End::Stopped => stopped(duals),
    };
    (outcome, simplex.basis())
}

enum End {
    Optimal,
    Infeasible(Vec<f64>),
    Stopped,
}

/// Columns of the matrix.
struct Columns {
    starts: Vec<usize>,
    rows: Vec<u32>,
    values: Vec<f64>,
}

impl Columns {
    fn of(lp: &Lp) -> Self {
        let mut starts = vec![0usize; lp.columns() + 1];
        lp.columns.iter().for_each(|j| starts[*j as usize + 1] += 1);
        (0..lp.columns()).for_each(|j| starts[j + 1] += starts[j]);
        let mut next = starts.clone();
        let (mut rows, mut values) = (vec![0; lp.columns.len()], vec![0.0; lp.columns.len()]);
        for i in 0..lp.rows() {
            for (j, a) in lp.row(i) {
                (rows[next[j]], values[next[j]]) = (i as u32, a);
                next[j] += 1;
            }
        }
        Self { starts, rows, values }
    }

    fn column(&self, j: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = self.starts[j]..self.starts[j + 1];
        self.rows[range.clone()].iter().zip(&self.values[range]).map(|(i, a)| (*i as usize, *a))
    }
}

/// Not in a list.
const NONE: usize = usize::MAX;

struct Simplex<'a> {
    lp: &'a Lp,
    columns: Columns,
    kernel: Kernel,
    /// Tight rows, and whether at their upper bound.
    tight: Vec<(usize, bool)>,
    basic: Vec<usize>,
    /// Where a row is in `tight`, a column in `basic`.
    tight_at: Vec<usize>,
    basic_at: Vec<usize>,
    /// Columns: value, reduced cost, whether a nonbasic one is at its upper end.
    x: Vec<f64>,
    d: Vec<f64>,
    at_upper: Vec<bool>,
    /// Rows: value, multiplier.
    activity: Vec<f64>,
    y: Vec<f64>,
}

/// A violated constraint.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Violated {
    /// A row, or a place in `basic`.
    what: What,
    amount: f64,
    /// Above its upper bound.
    above: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Row(usize),
    Basic(usize),
}

/// Something that stops the multiplier of the violated constraint.
#[derive(Clone, Copy, Debug)]
struct Breakpoint {
    at: f64,
    what: Blocking,
    alpha: f64,
    /// What of the violation is used up if it goes to its other end.
    reach: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Blocking {
    Column(usize),
    /// Place in `tight`.
    Tight(usize),
}

enum Step {
    Entering {
        flips: Vec<Blocking>,
        entering: Breakpoint,
    },
    Unbounded,
    /// Only pivots that are too small.
    Unstable,
}

impl<'a> Simplex<'a> {
    fn new(lp: &'a Lp) -> Self {
        let (n, m) = (lp.columns(), lp.rows());
        Self {
            lp,
            columns: Columns::of(lp),
            kernel: Kernel::default(),
            tight: Vec::new(),
            basic: Vec::new(),
            tight_at: vec![NONE; m],
            basic_at: vec![NONE; n],
            x: vec![0.0; n],
            d: lp.cost.clone(),
            at_upper: vec![false; n],
            activity: vec![0.0; m],
            y: vec![0.0; m],
        }
    }

    fn basis(&self) -> Basis {
        Basis {
            tight: self.tight.iter().map(|(i, upper)| (*i as u32, *upper)).collect(),
            basic: self.basic.iter().map(|j| *j as u32).collect(),
        }
    }

    /// Takes a basis over; false if it is none, or not dual feasible.
    fn start(&mut self, basis: &Basis) -> bool {
        let rows = basis.tight.iter().all(|(i, _)| (*i as usize) < self.lp.rows());
        let columns = basis.basic.iter().all(|j| (*j as usize) < self.lp.columns());
        if !rows || !columns || basis.tight.len() != basis.basic.len() {
            return false;
        }
        self.tight = basis.tight.iter().map(|(i, upper)| (*i as usize, *upper)).collect();
        self.basic = basis.basic.iter().map(|j| *j as usize).collect();
        self.index();
        self.factor();
        self.duals();
        for t in 0..self.tight.len() {
            let (row, upper) = self.tight[t];
            let (l, u) = self.lp.row_bounds(row);
            let (below, above) = (self.y[row] > FEASIBLE, self.y[row] < -FEASIBLE);
            let upper = if l == u || (above && u.is_finite()) || (below && l.is_finite()) {
                if l == u { upper } else { above }
            } else if above || below {
                return false;
            } else {
                if upper { u.is_finite() } else { l.is_infinite() }
            };
            self.tight[t].1 = upper;
        }
        self.place();
        self.primal();
        true
    }

    /// Recomputes the places of rows and columns in their lists.
    fn index(&mut self) {
        self.tight_at.fill(NONE);
        self.basic_at.fill(NONE);
        self.tight.iter().enumerate().for_each(|(t, (row, _))| self.tight_at[*row] = t);
        self.basic.iter().enumerate().for_each(|(e, j)| self.basic_at[*j] = e);
    }

    /// Inverts the kernel; rows and columns that depend on others leave the basis. True if all stayed.
    fn factor(&mut self) -> bool {
        let size = self.tight.len();
        let mut matrix = vec![0.0; size * size];
        for (t, (row, _)) in self.tight.iter().enumerate() {
            for (j, a) in self.lp.row(*row) {
                if self.basic_at[j] != NONE {
                    matrix[t * size + self.basic_at[j]] += a;
                }
            }
        }
        let Err((rows, columns)) = self.kernel.factor(size, matrix) else { return true };
        for row in rows.iter().rev() {
            let (row, _) = self.tight.remove(*row);
            self.y[row] = 0.0;
        }
        columns.iter().rev().for_each(|e| {
            self.basic.remove(*e);
        });
        self.index();
        self.factor();
        false
    }

    /// Multipliers and reduced costs from the basis.
    fn duals(&mut self) {
        let cost: Vec<f64> = self.basic.iter().map(|j| self.lp.cost[*j]).collect();
        self.y.fill(0.0);
        self.d.copy_from_slice(&self.lp.cost);
        for ((row, _), y) in self.tight.iter().zip(self.kernel.transposed_times(&cost)) {
            self.y[*row] = y;
            self.lp.row(*row).for_each(|(j, a)| self.d[j] -= y * a);
        }
        self.basic.iter().for_each(|j| self.d[*j] = 0.0);
    }

    /// Puts nonbasic columns to the ends that their reduced costs ask for.
    fn place(&mut self) {
        for j in (0..self.x.len()).filter(|j| self.basic_at[*j] == NONE) {
            // About 0: stays where it is.
            if self.d[j].abs() > ZERO {
                self.at_upper[j] = self.d[j] < 0.0;
            }
            let (l, u) = self.lp.bounds(j);
            self.x[j] = if self.at_upper[j] { u } else { l };
        }
    }

    /// The bound at which a tight row lies.
    fn side(&self, (row, upper): (usize, bool)) -> f64 {
        let (l, u) = self.lp.row_bounds(row);
        if upper { u } else { l }
    }

    /// `x_B` from the nonbasic columns and the tight rows' bounds.
    fn basics(&self) -> Vec<f64> {
        let rest = |(row, upper): &(usize, bool)| {
            let at = |j: usize| if self.basic_at[j] == NONE { self.x[j] } else { 0.0 };
            self.side((*row, *upper)) - self.lp.row(*row).map(|(j, a)| a * at(j)).sum::<f64>()
        };
        self.kernel.times(&self.tight.iter().map(rest).collect::<Vec<f64>>())
    }

    /// All values anew.
    fn primal(&mut self) {
        for (e, value) in self.basics().into_iter().enumerate() {
            self.x[self.basic[e]] = value;
        }
        for i in 0..self.activity.len() {
            self.activity[i] = self.lp.activity(i, &self.x);
        }
    }

    /// Everything anew from the lists. False if the basis had to shrink and is no longer dual feasible.
    fn refresh(&mut self) -> bool {
        let whole = self.factor();
        self.duals();
        self.place();
        self.primal();
        whole
    }

    fn run(&mut self, enough: Option<f64>, deadline: Option<Instant>) -> End {
        let limit = 2000 + 40 * (self.x.len() + self.y.len());
        let (mut since, mut zeros, mut restarts) = (0, 0, 0);
        let mut banned: Vec<What> = Vec::new();
        for iteration in 0..limit {
            if since >= REFRESH {
                since = 0;
                if !self.refresh() {
                    restarts += 1;
                    if restarts > 3 {
                        return End::Stopped;
                    }
                    self.start(&Basis::default());
                }
                if deadline.is_some_and(|d| Instant::now() >= d) {
                    return End::Stopped;
                }
            }
            // A dual feasible basis proves the value at its point, which need not satisfy any row.
            if enough.is_some_and(|e| self.lp.value(&self.x) > e && dual::bound(self.lp, &self.signed()) > e)
            {
                return End::Stopped;
            }
            let bland = zeros > 100 + self.tight.len();
            let Some(violated) = self.violated(bland, &banned) else {
                if since > 0 {
                    since = REFRESH;
                    banned.clear();
                    continue;
                }
                return if banned.is_empty() { End::Optimal } else { End::Stopped };
            };
            let (w, alpha) = self.direction(violated.what);
            match self.ratio(violated, &w, &alpha, bland) {
                Step::Unbounded if since > 0 && iteration + 1 < limit => since = REFRESH,
                Step::Unbounded => return End::Infeasible(self.ray(violated, &w)),
                Step::Unstable if since > 0 => since = REFRESH,
                Step::Unstable => banned.push(violated.what),
                Step::Entering { flips, entering } => {
                    zeros = if entering.at <= ZERO { zeros + 1 } else { 0 };
                    if self.pivot(violated, &w, &alpha, &flips, entering) {
                        since += 1;
                        banned.clear();
                    } else if since > 0 {
                        since = REFRESH;
                    } else {
                        banned.push(violated.what);
                    }
                }
            }
        }
        End::Stopped
    }

    /// The multipliers without those of a wrong sign.
    fn signed(&self) -> Vec<f64> {
        let mut y = self.y.clone();
        dual::admissible(self.lp, &mut y);
        y
    }

    /// The most violated constraint, or the first one.
    fn violated(&self, first: bool, banned: &[What]) -> Option<Violated> {
        let mut worst: Option<Violated> = None;
        let mut consider = |what: What, value: f64, (l, u): (f64, f64)| {
            let (amount, above) = if l - value > value - u { (l - value, false) } else { (value - u, true) };
            let tolerance = FEASIBLE * (1.0 + if above { u.abs() } else { l.abs() });
            let best = worst.map_or(0.0, |w: Violated| if first { f64::INFINITY } else { w.amount });
            if amount > tolerance && amount > best && !banned.contains(&what) {
                worst = Some(Violated { what, amount, above });
            }
        };
        let mut order: Vec<usize> = (0..self.basic.len()).collect();
        if first {
            order.sort_by_key(|e| self.basic[*e]);
        }
        for e in order {
            consider(What::Basic(e), self.x[self.basic[e]], self.lp.bounds(self.basic[e]));
        }
        for i in (0..self.activity.len()).filter(|i| self.tight_at[*i] == NONE) {
            consider(What::Row(i), self.activity[i], self.lp.row_bounds(i));
        }
        worst
    }

    /// `w = K⁻ᵀa_p[B]` and `α` on all columns.
    fn direction(&self, what: What) -> (Vec<f64>, Vec<f64>) {
        let mut alpha = vec![0.0; self.x.len()];
        let w = match what {
            What::Basic(e) => self.kernel.row(e).to_vec(),
            What::Row(row) => {
                let mut on_basic = vec![0.0; self.basic.len()];
                for (j, a) in self.lp.row(row) {
                    alpha[j] += a;
                    if self.basic_at[j] != NONE {
                        on_basic[self.basic_at[j]] += a;
                    }
                }
                self.kernel.transposed_times(&on_basic)
            }
        };
        for ((row, _), w) in self.tight.iter().zip(&w).filter(|(_, w)| **w != 0.0) {
            self.lp.row(*row).for_each(|(j, a)| alpha[j] -= w * a);
        }
        (w, alpha)
    }

    /// What stops the multiplier, in order.
    fn breakpoints(&self, violated: Violated, w: &[f64], alpha: &[f64]) -> Vec<Breakpoint> {
        let sign = if violated.above { -1.0 } else { 1.0 };
        let mut points = Vec::new();
        for (j, a) in alpha.iter().enumerate() {
            let (l, u) = self.lp.bounds(j);
            let falling = if self.at_upper[j] { -sign * a } else { sign * a };
            if falling > ZERO && l < u && self.basic_at[j] == NONE {
                let distance = if self.at_upper[j] { -self.d[j] } else { self.d[j] };
                let at = distance.max(0.0) / falling;
                points.push(Breakpoint {
                    at,
                    what: Blocking::Column(j),
                    alpha: *a,
                    reach: falling * (u - l),
                });
            }
        }
        for (t, ((row, upper), w)) in self.tight.iter().zip(w).enumerate() {
            let (l, u) = self.lp.row_bounds(*row);
            let falling = if *upper { -sign * w } else { sign * w };
            if falling > ZERO && l < u {
                let distance = if *upper { -self.y[*row] } else { self.y[*row] };
                let at = distance.max(0.0) / falling;
                points.push(Breakpoint { at, what: Blocking::Tight(t), alpha: *w, reach: falling * (u - l) });
            }
        }
        points.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.what.cmp(&b.what)));
        points
    }

    /// The long-step ratio test; with `bland`, the plain one with the least index.
    fn ratio(&self, violated: Violated, w: &[f64], alpha: &[f64], bland: bool) -> Step {
        let points = self.breakpoints(violated, w, alpha);
        let mut left = violated.amount;
        let stop = points.iter().position(|p| {
            left -= p.reach;
            bland || left <= 0.0
        });
        let Some(stop) = stop else { return Step::Unbounded };
        // Among those that stop about here, the largest coefficient is the most stable pivot.
        let near = points[stop].at + 1e-12 * (1.0 + points[stop].at);
        let group = points[stop..].iter().take_while(|p| p.at <= near);
        let largest = |a: &&Breakpoint, b: &&Breakpoint| a.alpha.abs().total_cmp(&b.alpha.abs());
        let chosen = if bland {
            group.filter(|p| p.alpha.abs() >= PIVOT).min_by_key(|p| match p.what {
                Blocking::Column(j) => j,
                Blocking::Tight(t) => self.x.len() + self.tight[t].0,
            })
        } else {
            group.max_by(largest)
        };
        if let Some(entering) = chosen.filter(|p| p.alpha.abs() >= PIVOT) {
            let flips = points[..stop].iter().map(|p| p.what).collect();
            return Step::Entering { flips, entering: *entering };
        }
        // An earlier stop is as valid.
        match (0..stop).rev().find(|i| points[*i].alpha.abs() >= 100.0 * PIVOT) {
            Some(i) => {
                let flips = points[..i].iter().map(|p| p.what).collect();
                Step::Entering { flips, entering: points[i] }
            }
            None => Step::Unstable,
        }
    }

    /// The multipliers along which the bound grows without end.
    fn ray(&self, violated: Violated, w: &[f64]) -> Vec<f64> {
        let sign = if violated.above { -1.0 } else { 1.0 };
        let mut ray = vec![0.0; self.y.len()];
        self.tight.iter().zip(w).for_each(|((row, _), w)| ray[*row] = -sign * w);
        if let What::Row(row) = violated.what {
            ray[row] = sign;
        }
        ray
    }

    /// Changes the basis; false, and nothing changed, if the pivot is not what it seemed.
    fn pivot(
        &mut self,
        violated: Violated,
        w: &[f64],
        alpha: &[f64],
        flips: &[Blocking],
        entering: Breakpoint,
    ) -> bool {
        let column = match entering.what {
            Blocking::Column(j) => {
                let mut part = vec![0.0; self.tight.len()];
                for (row, a) in self.columns.column(j).filter(|(row, _)| self.tight_at[*row] != NONE) {
                    part[self.tight_at[row]] += a;
                }
                Some(self.kernel.times(&part))
            }
            Blocking::Tight(_) => None,
        };
        if !self.is_consistent(violated.what, entering, column.as_deref()) {
            return false;
        }
        let signed = if violated.above { -entering.at } else { entering.at };
        self.tight.iter().zip(w).for_each(|((row, _), w)| self.y[*row] -= signed * w);
        self.d.iter_mut().zip(alpha).for_each(|(d, a)| *d -= signed * a);
        self.basic.iter().for_each(|j| self.d[*j] = 0.0);
        let mut changed: Vec<(usize, f64)> = self.basic.iter().map(|j| (*j, self.x[*j])).collect();
        for flip in flips {
            match *flip {
                Blocking::Column(j) => {
                    changed.push((j, self.x[j]));
                    self.at_upper[j] = !self.at_upper[j];
                    let (l, u) = self.lp.bounds(j);
                    self.x[j] = if self.at_upper[j] { u } else { l };
                }
                Blocking::Tight(t) => self.tight[t].1 = !self.tight[t].1,
            }
        }
        self.exchange(violated, signed, w, entering, column.as_deref(), &mut changed);
        for (e, value) in self.basics().into_iter().enumerate() {
            self.x[self.basic[e]] = value;
        }
        for (j, old) in changed {
            let change = self.x[j] - old;
            if change != 0.0 {
                for (row, a) in self.columns.column(j) {
                    self.activity[row] += a * change;
                }
            }
        }
        true
    }

    /// Whether the pivot agrees with the same number computed from the entering column.
    fn is_consistent(&self, what: What, entering: Breakpoint, column: Option<&[f64]>) -> bool {
        let (Blocking::Column(j), Some(column)) = (entering.what, column) else { return true };
        let again = match what {
            What::Basic(e) => -column[e],
            What::Row(row) => {
                let (mut own, mut basic) = (0.0, 0.0);
                for (k, a) in self.lp.row(row) {
                    if k == j {
                        own += a;
                    } else if self.basic_at[k] != NONE {
                        basic += a * column[self.basic_at[k]];
                    }
                }
                own - basic
            }
        };
        (again - entering.alpha).abs() <= 1e-6 * (1.0 + again.abs()).min(100.0 * again.abs())
    }

    /// The lists and the kernel after a step; the multiplier of the violated constraint becomes `signed`.
    fn exchange(
        &mut self,
        violated: Violated,
        signed: f64,
        w: &[f64],
        entering: Breakpoint,
        column: Option<&[f64]>,
        changed: &mut Vec<(usize, f64)>,
    ) {
        if let Blocking::Column(j) = entering.what {
            changed.push((j, self.x[j]));
            self.d[j] = 0.0;
        }
        if let Blocking::Tight(t) = entering.what {
            self.y[self.tight[t].0] = 0.0;
        }
        match violated.what {
            What::Row(row) => {
                self.y[row] = signed;
                match (entering.what, column) {
                    (Blocking::Column(j), Some(column)) => {
                        self.kernel.border(column, w, entering.alpha);
                        self.tight.push((row, violated.above));
                        self.basic.push(j);
                    }
                    (Blocking::Tight(t), _) => {
                        self.kernel.replace_row(t, w);
                        self.tight[t] = (row, violated.above);
                    }
                    (Blocking::Column(_), None) => unreachable!("a column comes with its product"),
                }
            }
            What::Basic(e) => {
                let leaving = self.basic[e];
                self.d[leaving] = signed;
                self.at_upper[leaving] = violated.above;
                let (l, u) = self.lp.bounds(leaving);
                self.x[leaving] = if violated.above { u } else { l };
                match (entering.what, column) {
                    (Blocking::Column(j), Some(column)) => {
                        self.kernel.replace_column(e, column);
                        self.basic[e] = j;
                    }
                    (Blocking::Tight(t), _) => {
                        self.kernel.shrink(e, t);
                        self.basic.swap_remove(e);
                        self.tight.swap_remove(t);
                    }
                    (Blocking::Column(_), None) => unreachable!("a column comes with its product"),
                }
            }
        }
        self.index();
    }
}
