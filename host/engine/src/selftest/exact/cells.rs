//! The exact minimum of a piecewise affine function over a box, by walking the polytopes on which it is affine.
//!
//! Each bend (and each comparison of a maximum) whose sign changes inside a polytope cuts it in two; a side is entered only
//! if it has a point strictly inside. What is left at the end is affine, and a linear program minimises it.

use std::rc::Rc;

use super::dictionary::Dictionary;
use super::number::{Int, Overflow, Q, add, common_denominator, int, mul, neg, reduce, scaled};
use super::steps::{Step, Sum};
use num_bigint::BigInt;
use num_traits::Zero;

/// A box of rationals.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// `[inputs]`.
    pub lower: Vec<Q>,
    /// `[inputs]`, nowhere below `lower`.
    pub upper: Vec<Q>,
}

/// The least value of a function on a box.
#[derive(Clone, Debug, PartialEq)]
pub struct Minimum {
    /// The value.
    pub value: Q,
    /// An input that attains it.
    pub at: Vec<Q>,
}

/// Why there is no minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// More polytopes than allowed.
    Cells,
    /// See `Overflow`.
    Overflow,
}

impl From<Overflow> for Stopped {
    fn from(_: Overflow) -> Self {
        Self::Overflow
    }
}

/// For each of `objectives`, the minimum over `region` of the largest of its sums, which read the values of `steps`.
/// At most `cells_max` polytopes are walked.
///
/// # Errors
/// [`Stopped::Cells`].
pub fn minima(
    steps: &[Step],
    objectives: &[Vec<Sum>],
    region: &Region,
    cells_max: usize,
) -> Result<Vec<Minimum>, Stopped> {
    match walk::<i128>(steps, objectives, region, cells_max) {
        Err(Stopped::Overflow) => walk::<BigInt>(steps, objectives, region, cells_max),
        done => done,
    }
}

fn walk<T: Int>(
    steps: &[Step],
    objectives: &[Vec<Sum>],
    region: &Region,
    cells_max: usize,
) -> Result<Vec<Minimum>, Stopped> {
    let wide: Vec<usize> = (0..region.lower.len()).filter(|j| region.lower[*j] < region.upper[*j]).collect();
    let convert = |steps: &[Step]| steps.iter().map(Prepared::<T>::new).collect::<Result<Vec<_>, _>>();
    let last = steps.len();
    let objectives = objectives.iter().map(|sums| {
        let group = vec![(0..sums.len()).collect()];
        convert(&[Step::Sums(sums.clone()), Step::Max { value: last + 1, groups: group }])
    });
    let objectives = objectives.collect::<Result<Vec<_>, _>>()?;
    let mut walk = Walk {
        steps: convert(steps)?,
        last,
        region,
        wide,
        left: cells_max,
        best: vec![None; objectives.len()],
        objectives,
    };
    let input = walk.input()?;
    walk.network(&Piece {
        polytope: Rc::new(Dictionary::cube(walk.wide.len())),
        values: vec![Rc::new(input)],
    })?;
    Ok(walk.best.into_iter().map(|m| m.expect("the box is not empty")).collect())
}

/// Affine forms of the coordinates `s`, over one denominator: `(row[0] + Σ row[1 + j]·sⱼ) / denominator`.
struct Forms<T> {
    rows: Vec<Vec<T>>,
    denominator: T,
}

/// A sum: its constant, and value, element and coefficient of its terms.
type Numerators<T> = (T, Vec<(usize, usize, T)>);

/// Whether a form is `≥ 0` on a part of a polytope (else it is `≤ 0`), and the part.
type Side<T> = (bool, Rc<Dictionary<T>>);

/// A [`Step`] in integers.
enum Prepared<T> {
    /// Numerators over one denominator: per element the constant and the terms.
    Sums {
        sums: Vec<Numerators<T>>,
        denominator: T,
    },
    Bend {
        value: usize,
        slope: [T; 2],
    },
    Max {
        value: usize,
        groups: Vec<Vec<usize>>,
    },
}

impl<T: Int> Prepared<T> {
    fn new(step: &Step) -> Result<Self, Overflow> {
        Ok(match step {
            Step::Sums(sums) => {
                let numbers = || sums.iter().flat_map(|s| s.terms.iter().map(|t| &t.2).chain([&s.constant]));
                let denominator = common_denominator(numbers());
                let one = |sum: &Sum| {
                    let terms = sum.terms.iter().filter(|t| !t.2.is_zero());
                    let terms = terms.map(|(v, e, c)| Ok((*v, *e, scaled(c, &denominator)?)));
                    Ok((scaled(&sum.constant, &denominator)?, terms.collect::<Result<_, Overflow>>()?))
                };
                let sums = sums.iter().map(one).collect::<Result<_, Overflow>>()?;
                Self::Sums { sums, denominator: int(&denominator)? }
            }
            Step::Bend { value, slope } => {
                Self::Bend { value: *value, slope: [int(slope.numer())?, int(slope.denom())?] }
            }
            Step::Max { value, groups } => Self::Max { value: *value, groups: groups.clone() },
        })
    }
}

/// A polytope and the values so far on it.
struct Piece<T> {
    polytope: Rc<Dictionary<T>>,
    values: Vec<Rc<Forms<T>>>,
}

impl<T> Piece<T> {
    fn with(&self, polytope: Rc<Dictionary<T>>, forms: Forms<T>) -> Self {
        let mut values = self.values.clone();
        values.push(Rc::new(forms));
        Self { polytope, values }
    }
}

struct Walk<'a, T> {
    steps: Vec<Prepared<T>>,
    /// The value that the network gives.
    last: usize,
    objectives: Vec<Vec<Prepared<T>>>,
    region: &'a Region,
    /// The inputs that are not fixed; the others have no coordinate.
    wide: Vec<usize>,
    left: usize,
    best: Vec<Option<Minimum>>,
}

/// Where a walk is: in the network, or in the objective of that number.
type Place = Option<usize>;

impl<T: Int> Walk<'_, T> {
    fn input(&self) -> Result<Forms<T>, Overflow> {
        let denominator = common_denominator(self.region.lower.iter().chain(&self.region.upper));
        let mut rows = Vec::new();
        for (j, (lower, upper)) in self.region.lower.iter().zip(&self.region.upper).enumerate() {
            let mut row = vec![T::zero(); 1 + self.wide.len()];
            row[0] = scaled(lower, &denominator)?;
            if let Some(k) = self.wide.iter().position(|w| *w == j) {
                row[1 + k] = scaled(&(upper - lower), &denominator)?;
            }
            rows.push(row);
        }
        Ok(Forms { rows, denominator: int(&denominator)? })
    }

    fn network(&mut self, piece: &Piece<T>) -> Result<(), Stopped> {
        self.step(None, 0, piece)
    }

    fn step(&mut self, place: Place, index: usize, piece: &Piece<T>) -> Result<(), Stopped> {
        let steps = match place {
            None => &self.steps,
            Some(o) => &self.objectives[o],
        };
        let Some(step) = steps.get(index) else { return self.end(place, piece) };
        match step {
            Prepared::Sums { sums, denominator } => {
                let forms = add_up(sums, denominator, &piece.values)?;
                let next = piece.with(piece.polytope.clone(), forms);
                self.step(place, index + 1, &next)
            }
            Prepared::Bend { value, slope } => {
                let (x, slope) = (piece.values[*value].clone(), slope.clone());
                self.bend(place, index, piece, &x, &slope, piece.polytope.clone(), Vec::new())
            }
            Prepared::Max { value, groups } => {
                let (x, groups) = (piece.values[*value].clone(), groups.clone());
                self.max(place, index, piece, (&x, &groups), piece.polytope.clone(), Vec::new(), (0, 0))
            }
        }
    }

    /// Bends the elements of `x` from `done.len()` on.
    #[expect(clippy::too_many_arguments, reason = "the state of the recursion")]
    fn bend(
        &mut self,
        place: Place,
        index: usize,
        piece: &Piece<T>,
        x: &Forms<T>,
        slope: &[T; 2],
        polytope: Rc<Dictionary<T>>,
        done: Vec<Vec<T>>,
    ) -> Result<(), Stopped> {
        let Some(row) = x.rows.get(done.len()) else {
            let denominator = mul(&x.denominator, &slope[1])?;
            return self.step(place, index + 1, &piece.with(polytope, Forms { rows: done, denominator }));
        };
        for (active, polytope) in self.sides(&polytope, row)? {
            let factor = if active { &slope[1] } else { &slope[0] };
            let bent = row.iter().map(|x| mul(x, factor)).collect::<Result<_, _>>()?;
            let mut done = done.clone();
            done.push(bent);
            self.bend(place, index, piece, x, slope, polytope, done)?;
        }
        Ok(())
    }

    /// Compares the best of group `done.len()` so far with the group's member `at.1`.
    #[expect(clippy::too_many_arguments, reason = "the state of the recursion")]
    fn max(
        &mut self,
        place: Place,
        index: usize,
        piece: &Piece<T>,
        of: (&Forms<T>, &[Vec<usize>]),
        polytope: Rc<Dictionary<T>>,
        done: Vec<Vec<T>>,
        at: (usize, usize),
    ) -> Result<(), Stopped> {
        let (x, groups) = of;
        let Some(group) = groups.get(done.len()) else {
            let denominator = x.denominator.clone();
            return self.step(place, index + 1, &piece.with(polytope, Forms { rows: done, denominator }));
        };
        let (best, next) = at;
        let winner = &x.rows[group[best]];
        let Some(rival) = group.get(next + 1) else {
            let mut done = done;
            done.push(winner.clone());
            return self.max(place, index, piece, of, polytope, done, (0, 0));
        };
        let difference = winner.iter().zip(&x.rows[*rival]).map(|(a, b)| add(a, &neg(b)?));
        let difference = difference.collect::<Result<Vec<_>, _>>()?;
        for (stays, polytope) in self.sides(&polytope, &difference)? {
            let best = if stays { best } else { next + 1 };
            self.max(place, index, piece, of, polytope, done.clone(), (best, next + 1))?;
        }
        Ok(())
    }

    /// The parts of the polytope where `form ≥ 0` and where `form ≤ 0`, but one of them only where the other has no inside.
    fn sides(&mut self, polytope: &Rc<Dictionary<T>>, form: &[T]) -> Result<Vec<Side<T>>, Stopped> {
        let mut form = form.to_vec();
        reduce(&mut form);
        let opposite = form.iter().map(neg).collect::<Result<Vec<_>, _>>()?;
        // Over the whole cube first: the sign of most forms shows there.
        if lowest(&form)? >= T::zero() {
            return Ok(vec![(true, polytope.clone())]);
        }
        if lowest(&opposite)? >= T::zero() {
            return Ok(vec![(false, polytope.clone())]);
        }
        let Some(positive) = polytope.where_positive(&form)? else {
            return Ok(vec![(false, polytope.clone())]);
        };
        let Some(negative) = polytope.where_positive(&opposite)? else {
            return Ok(vec![(true, polytope.clone())]);
        };
        self.left = self.left.checked_sub(1).ok_or(Stopped::Cells)?;
        Ok(vec![(true, Rc::new(positive.cut(&form)?)), (false, Rc::new(negative.cut(&opposite)?))])
    }

    fn end(&mut self, place: Place, piece: &Piece<T>) -> Result<(), Stopped> {
        let Some(objective) = place else {
            debug_assert_eq!(piece.values.len(), self.last + 1);
            return (0..self.objectives.len()).try_for_each(|o| self.step(Some(o), 0, piece));
        };
        let forms = piece.values.last().expect("the objective's value");
        let opposite = forms.rows[0].iter().map(neg).collect::<Result<Vec<_>, _>>()?;
        let (value, s) = (*piece.polytope).clone().maximum(&opposite)?;
        let value = -value / Q::from(forms.denominator.clone().into());
        if self.best[objective].as_ref().is_none_or(|m| value < m.value) {
            let mut at = self.region.lower.clone();
            for (k, j) in self.wide.iter().enumerate() {
                at[*j] += &s[k] * (&self.region.upper[*j] - &self.region.lower[*j]);
            }
            self.best[objective] = Some(Minimum { value, at });
        }
        Ok(())
    }
}

/// The least value of a form over the cube.
fn lowest<T: Int>(form: &[T]) -> Result<T, Overflow> {
    form[1..].iter().filter(|a| a.is_negative()).try_fold(form[0].clone(), |s, a| add(&s, a))
}

fn add_up<T: Int>(
    sums: &[Numerators<T>],
    denominator: &T,
    values: &[Rc<Forms<T>>],
) -> Result<Forms<T>, Overflow> {
    let used: std::collections::BTreeSet<usize> = sums.iter().flat_map(|s| s.1.iter().map(|t| t.0)).collect();
    // All values over one denominator.
    let mut common = T::one();
    for v in &used {
        let d = &values[*v].denominator;
        common = mul(&common, &(d.clone() / common.gcd(d)))?;
    }
    let width = values[0].rows[0].len();
    let mut rows = Vec::with_capacity(sums.len());
    for (constant, terms) in sums {
        let mut row = vec![T::zero(); width];
        row[0] = mul(constant, &common)?;
        for (v, e, coefficient) in terms {
            let factor = mul(coefficient, &(common.clone() / values[*v].denominator.clone()))?;
            for (r, x) in row.iter_mut().zip(&values[*v].rows[*e]) {
                *r = add(r, &mul(&factor, x)?)?;
            }
        }
        rows.push(row);
    }
    let mut forms = Forms { rows, denominator: mul(&common, denominator)? };
    forms.shorten();
    Ok(forms)
}

impl<T: Int> Forms<T> {
    /// Cancels what all numerators share with the denominator.
    fn shorten(&mut self) {
        let mut divisor = self.denominator.clone();
        for x in self.rows.iter().flatten() {
            if divisor.is_one() {
                return;
            }
            divisor = divisor.gcd(x);
        }
        self.rows.iter_mut().flatten().for_each(|x| *x = x.clone() / divisor.clone());
        self.denominator = self.denominator.clone() / divisor;
    }
}
