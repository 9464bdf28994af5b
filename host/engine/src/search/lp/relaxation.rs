//! A network on a domain as columns and rows: inputs and unstable neurons are columns, everything else is linear in them.
//!
//! A neuron `y = f(z)` with a kink at 0, slopes `n < p` left and right of it, becomes
//! * linear, if bounds or a split fix its side; a split adds its row `z ≥ 0` or `z ≤ 0`;
//! * else a column with the rows `y ≥ pz`, `y ≥ nz` (for ReLU the bound `y ≥ 0`) and `y ≤ chord(z)`: the triangle.
//!
//! The multipliers of these rows are what proofs state: `β` is that of a split's row, and `α` is the share of `y ≥ pz` in what both
//! lower rows carry. Later splits of such a neuron are changes of bounds alone, so that the basis stays dual feasible:
//! active makes `y ≥ pz` an equation, `y ≥ nz` then says `(p − n)z ≥ 0`; inactive the other way round; and the chord goes
//! out of reach.
//!
//! Source: Ehlers 2017 (arXiv:1705.01320); duals as slopes: Salman et al. 2019 (arXiv:1902.08722).

use super::{Lp, LpError, dual};

/// A linear function of the columns.
#[derive(Clone, Debug, PartialEq)]
pub enum Linear {
    /// A column itself.
    Column(usize),
    /// `coefficients·x + constant`; columns after the last coefficient do not count.
    Sum {
        /// Of the first columns.
        coefficients: Vec<f64>,
        /// Summand.
        constant: f64,
    },
}

impl Linear {
    /// 0.
    pub const ZERO: Self = Self::Sum { coefficients: Vec::new(), constant: 0.0 };

    /// A constant.
    pub fn constant(constant: f64) -> Self {
        Self::Sum { coefficients: Vec::new(), constant }
    }

    /// Adds `factor·other`.
    pub fn add(&mut self, factor: f64, other: &Self) {
        if factor == 0.0 {
            return;
        }
        if let Self::Column(j) = *self {
            *self = Self::ZERO;
            self.add(1.0, &Self::Column(j));
        }
        let Self::Sum { coefficients, constant } = self else { unreachable!("made a sum above") };
        match other {
            Self::Column(j) => {
                if coefficients.len() <= *j {
                    coefficients.resize(j + 1, 0.0);
                }
                coefficients[*j] += factor;
            }
            Self::Sum { coefficients: more, constant: summand } => {
                if coefficients.len() < more.len() {
                    coefficients.resize(more.len(), 0.0);
                }
                coefficients.iter_mut().zip(more).for_each(|(a, b)| *a += factor * b);
                *constant += factor * summand;
            }
        }
    }

    /// `factor·self`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        if factor == 1.0 {
            return self.clone();
        }
        let mut out = Self::ZERO;
        out.add(factor, self);
        out
    }

    /// Its summand.
    pub fn offset(&self) -> f64 {
        match self {
            Self::Column(_) => 0.0,
            Self::Sum { constant, .. } => *constant,
        }
    }

    /// Its value at `x`.
    pub fn at(&self, x: &[f64]) -> f64 {
        self.entries().map(|(j, a)| a * x[j]).sum::<f64>() + self.offset()
    }

    /// Coefficients that are not 0.
    pub fn entries(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        let (single, sum) = match self {
            Self::Column(j) => (Some((*j, 1.0)), &[][..]),
            Self::Sum { coefficients, .. } => (None, coefficients.as_slice()),
        };
        single.into_iter().chain(sum.iter().copied().enumerate().filter(|(_, a)| *a != 0.0))
    }

    /// Elements it takes in memory.
    pub fn size(&self) -> usize {
        match self {
            Self::Column(_) => 1,
            Self::Sum { coefficients, .. } => coefficients.len() + 1,
        }
    }
}

/// A neuron of the network with a kink at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kink {
    /// What the caller calls it.
    pub id: usize,
    /// Bounds of `z`.
    pub interval: (f64, f64),
    /// Slope left of 0.
    pub negative: f64,
    /// Slope right of 0, above `negative`.
    pub positive: f64,
    /// Index among the domain's splits, and whether `z ≥ 0`.
    pub split: Option<(usize, bool)>,
}

/// An unstable neuron that is not split.
#[derive(Clone, Debug)]
pub struct Unstable {
    /// What the caller calls it.
    pub id: usize,
    /// `z`.
    pub pre: Linear,
    /// Bounds of `z`.
    pub interval: (f64, f64),
    /// The column of `y`.
    pub column: usize,
    negative: f64,
    positive: f64,
    /// `y ≥ pz`, `y ≥ nz` (none for ReLU), `y ≤ chord(z)`.
    right: usize,
    left: Option<usize>,
    chord: usize,
    /// The chord's bound, and one that no point of the box reaches.
    ends: (f64, f64),
    /// Upper end of the column.
    top: f64,
}

impl Unstable {
    /// The row `y ≤ chord(z)`.
    pub fn chord(&self) -> usize {
        self.chord
    }

    /// By how much `y` at `x` is off the neuron's function.
    pub fn gap(&self, x: &[f64]) -> f64 {
        let z = self.pre.at(x);
        (x[self.column] - (self.positive * z).max(self.negative * z)).abs()
    }
}

/// Columns and rows of a domain.
#[derive(Clone, Debug)]
pub struct Relaxation {
    inputs: usize,
    lp: Lp,
    /// The row of each split, and its sign.
    splits: Vec<Option<(usize, f64)>>,
    unstable: Vec<Unstable>,
    relaxed_maxima: usize,
}

/// What the duals of a domain's LP state in a proof.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// The bound that they prove.
    pub bound: f64,
    /// `α` as a share, 0 for the left slope and 1 for the right one, of the neurons left unstable: (id, share).
    pub shares: Vec<(usize, f64)>,
    /// `β`, one per split of the domain.
    pub beta: Vec<f64>,
}

impl Relaxation {
    /// The inputs' box; `splits` is how many the domain has.
    ///
    /// # Errors
    /// [`LpError::Column`].
    pub fn new(lower: &[f64], upper: &[f64], splits: usize) -> Result<Self, LpError> {
        let lp = Lp::new(lower.to_vec(), upper.to_vec(), vec![0.0; lower.len()])?;
        Ok(Self {
            inputs: lower.len(),
            lp,
            splits: vec![None; splits],
            unstable: Vec::new(),
            relaxed_maxima: 0,
        })
    }

    /// The LP, its cost 0.
    pub fn lp(&self) -> &Lp {
        &self.lp
    }

    /// How many columns are inputs: the first ones.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The neurons that are columns.
    pub fn unstable(&self) -> &[Unstable] {
        &self.unstable
    }

    /// Whether the LP is the network: nothing is relaxed.
    pub fn is_exact(&self) -> bool {
        self.unstable.is_empty() && self.relaxed_maxima == 0
    }

    /// The least and greatest value of `linear` on the columns' box.
    pub fn range(&self, linear: &Linear) -> (f64, f64) {
        let mut range = (linear.offset(), linear.offset());
        for (j, a) in linear.entries() {
            let (l, u) = self.lp.bounds(j);
            range = (range.0 + (a * l).min(a * u), range.1 + (a * l).max(a * u));
        }
        range
    }

    /// Adds the row of a split `z ≥ point` or `z ≤ point`; several splits of one value are several rows.
    ///
    /// # Errors
    /// [`LpError::Row`].
    pub fn split(&mut self, index: usize, z: &Linear, point: f64, above: bool) -> Result<(), LpError> {
        let row = self.lp.rows();
        let rhs = point - z.offset();
        let ends = if above { (rhs, f64::INFINITY) } else { (f64::NEG_INFINITY, rhs) };
        self.lp.push_row(z.entries(), ends.0, ends.1)?;
        self.splits[index] = Some((row, if above { 1.0 } else { -1.0 }));
        Ok(())
    }

    /// What a neuron gives.
    ///
    /// # Errors
    /// [`LpError`].
    pub fn kink(&mut self, z: Linear, kink: Kink) -> Result<Linear, LpError> {
        if let Some((index, active)) = kink.split {
            self.split(index, &z, 0.0, active)?;
            return Ok(z.scaled(if active { kink.positive } else { kink.negative }));
        }
        let (l, u) = kink.interval;
        if l >= 0.0 || u <= 0.0 {
            return Ok(z.scaled(if l >= 0.0 { kink.positive } else { kink.negative }));
        }
        let (n, p) = (kink.negative, kink.positive);
        let slope = (p * u - n * l) / (u - l);
        let intercept = n * l - slope * l;
        let (z_low, z_high) = self.range(&z);
        let ends = [(slope * z_low).max(slope * z_high), slope * l, slope * u];
        let highest = ends.into_iter().fold(0.0, f64::max) + intercept;
        let top = highest + 1.0 + highest.abs();
        let lowest = [n * z_low, n * z_high, p * z_low, p * z_high].into_iter().fold(0.0, f64::min);
        let bottom = if n == 0.0 { 0.0 } else { lowest - 1.0 - lowest.abs() };
        let column = self.lp.push_column(bottom, top)?;
        let row = |s: f64| z.entries().map(move |(j, a)| (j, -s * a)).chain([(column, 1.0)]);
        let right = self.lp.rows();
        self.lp.push_row(row(p).collect::<Vec<_>>(), p * z.offset(), f64::INFINITY)?;
        let left = (n != 0.0).then(|| self.lp.rows());
        if left.is_some() {
            self.lp.push_row(row(n).collect::<Vec<_>>(), n * z.offset(), f64::INFINITY)?;
        }
        let chord = self.lp.rows();
        let end = slope * z.offset() + intercept;
        self.lp.push_row(row(slope).collect::<Vec<_>>(), f64::NEG_INFINITY, end)?;
        let steepest = (slope * z_low).min(slope * z_high);
        let beyond = end.max(top - steepest + slope * z.offset()) + 1.0;
        self.unstable.push(Unstable {
            id: kink.id,
            pre: z,
            interval: kink.interval,
            column,
            negative: n,
            positive: p,
            right,
            left,
            chord,
            ends: (end, beyond),
            top,
        });
        Ok(Linear::Column(column))
    }

    /// A maximum of several values: above each, and below the greatest upper bound; exact if one is above all others.
    ///
    /// # Errors
    /// [`LpError`].
    ///
    /// # Panics
    /// If there is none, or not one interval each.
    pub fn maximum(&mut self, values: &[&Linear], intervals: &[(f64, f64)]) -> Result<Linear, LpError> {
        assert!(!values.is_empty() && values.len() == intervals.len(), "one interval each");
        let floor = intervals.iter().map(|i| i.0).fold(f64::NEG_INFINITY, f64::max);
        let ceiling = intervals.iter().map(|i| i.1).fold(f64::NEG_INFINITY, f64::max);
        let first =
            (0..values.len()).find(|k| intervals[*k].0 == floor).expect("one has the greatest lower bound");
        let rivals: Vec<usize> =
            (0..values.len()).filter(|k| *k != first && intervals[*k].1 > floor).collect();
        if rivals.is_empty() {
            return Ok(values[first].clone());
        }
        self.relaxed_maxima += 1;
        let column = self.lp.push_column(floor, ceiling.max(floor))?;
        for k in rivals.into_iter().chain([first]) {
            let row: Vec<(usize, f64)> =
                values[k].entries().map(|(j, a)| (j, -a)).chain([(column, 1.0)]).collect();
            self.lp.push_row(row, values[k].offset(), f64::INFINITY)?;
        }
        Ok(Linear::Column(column))
    }

    /// The LP that minimises `row`, without its constant.
    pub fn minimising(&self, row: &Linear) -> Lp {
        let mut lp = self.lp.clone();
        lp.set_cost(&self.cost(row));
        lp
    }

    /// The coefficients of a row on all columns.
    pub fn cost(&self, row: &Linear) -> Vec<f64> {
        let mut cost = vec![0.0; self.lp.columns()];
        row.entries().for_each(|(j, a)| cost[j] += a);
        cost
    }

    /// Fixes unstable neuron `index` in an LP of this relaxation.
    pub fn fix(&self, lp: &mut Lp, index: usize, active: bool) {
        let neuron = &self.unstable[index];
        let equal = |row: usize| (lp.row_bounds(row).0, lp.row_bounds(row).0);
        match (active, neuron.left) {
            (true, _) => lp.set_row_bounds(neuron.right, equal(neuron.right)),
            (false, Some(left)) => lp.set_row_bounds(left, equal(left)),
            (false, None) => lp.set_bounds(neuron.column, (0.0, 0.0)),
        }
        lp.set_row_bounds(neuron.chord, (f64::NEG_INFINITY, neuron.ends.1));
    }

    /// Undoes [`Self::fix`].
    pub fn release(&self, lp: &mut Lp, index: usize) {
        let neuron = &self.unstable[index];
        for row in [Some(neuron.right), neuron.left].into_iter().flatten() {
            lp.set_row_bounds(row, (lp.row_bounds(row).0, f64::INFINITY));
        }
        if neuron.left.is_none() {
            lp.set_bounds(neuron.column, (0.0, neuron.top));
        }
        lp.set_row_bounds(neuron.chord, (f64::NEG_INFINITY, neuron.ends.0));
    }

    /// Reads slopes and multipliers off the duals `y` of `lp`, whose cost is a row's; `path` lists the neurons fixed, in order.
    pub fn evidence(&self, lp: &Lp, constant: f64, y: &[f64], path: &[(usize, bool)]) -> Evidence {
        let mut reduced = lp.cost().to_vec();
        for (i, y) in y.iter().enumerate().filter(|(_, y)| **y != 0.0) {
            lp.row(i).for_each(|(j, a)| reduced[j] -= y * a);
        }
        let multiplier =
            |split: &Option<(usize, f64)>| split.map_or(0.0, |(row, sign)| (sign * y[row]).max(0.0));
        let mut beta: Vec<f64> = self.splits.iter().map(multiplier).collect();
        let left = |neuron: &Unstable| neuron.left.map_or(reduced[neuron.column], |row| y[row]).max(0.0);
        for (index, active) in path {
            let neuron = &self.unstable[*index];
            let other = if *active { left(neuron) } else { y[neuron.right].max(0.0) };
            beta.push(other * (neuron.positive - neuron.negative));
        }
        let mut shares = Vec::new();
        for (index, neuron) in self.unstable.iter().enumerate() {
            if path.iter().any(|(i, _)| *i == index) {
                continue;
            }
            let (right, left) = (y[neuron.right].max(0.0), left(neuron));
            let adaptive = f64::from(u8::from(neuron.interval.1 > -neuron.interval.0));
            let share = if right + left > 0.0 { right / (right + left) } else { adaptive };
            shares.push((neuron.id, share));
        }
        Evidence { bound: dual::bound(lp, y) + constant, shares, beta }
    }
}
