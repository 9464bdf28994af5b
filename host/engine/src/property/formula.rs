//! Formulas in disjunctive normal form over numbered atoms.
//!
//! Atoms are kept once, in the order of the file; a formula only lists their numbers, so expanding `and`
//! over `or` copies integers. Work and size are capped: an explosion is an error, not a stall.

use super::decimal::Decimal;
use super::error::{Problem, PropertyError};
use super::linear::{Linear, Variable};

/// Cap on the conjunctions of one formula, and on those of the whole property.
pub const CONJUNCTIONS_MAX: usize = 1 << 20;
/// Cap on the atom numbers and terms moved while expanding.
const WORK_MAX: usize = 1 << 27;

/// What a comparison says, exactly.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `X_input ≤ value` if `is_upper`, else `X_input ≥ value`.
    Bound {
        /// The input.
        input: usize,
        /// Which side.
        is_upper: bool,
        /// The bound.
        value: Decimal,
    },
    /// `Σ c·Y ≤ rhs`, at least one term.
    Row {
        /// Outputs, ascending, with their coefficients.
        terms: Vec<(usize, Decimal)>,
        /// Right-hand side.
        rhs: Decimal,
    },
    /// No variable: true or false.
    Truth(bool),
}

/// A comparison with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Atom {
    /// What it says.
    pub statement: Statement,
    /// `<` instead of `≤`.
    pub strict: bool,
    /// Line, from 1.
    pub line: usize,
}

/// A conjunction: numbers of atoms.
pub type Conjunction = Vec<u32>;
/// A disjunction of conjunctions.
pub type Formula = Vec<Conjunction>;

/// All atoms of a property, and the work spent on expanding.
#[derive(Default)]
pub struct Atoms {
    atoms: Vec<Atom>,
    work: usize,
}

impl Atoms {
    /// The atom with this number.
    pub fn get(&self, number: u32) -> &Atom {
        &self.atoms[number as usize]
    }

    /// Line of the last bound of `input`.
    pub fn last_line_of(&self, input: usize) -> Option<usize> {
        let bounds = |a: &&Atom| matches!(a.statement, Statement::Bound { input: i, .. } if i == input);
        self.atoms.iter().rfind(bounds).map(|a| a.line)
    }

    /// Adds `count` to the work.
    ///
    /// # Errors
    /// [`Problem::Explosion`] beyond the cap.
    pub fn spend(&mut self, count: usize, line: usize) -> Result<(), PropertyError> {
        self.work = self.work.saturating_add(count);
        if self.work > WORK_MAX { Err(PropertyError::at(line, Problem::Explosion)) } else { Ok(()) }
    }

    /// The atom `linear ≤ 0`, or `< 0`.
    ///
    /// # Errors
    /// [`Problem::Mixed`], [`Problem::InputRelation`], [`Problem::InputCoefficient`].
    pub fn add(&mut self, linear: &Linear, strict: bool, line: usize) -> Result<Formula, PropertyError> {
        let statement = classify(linear, strict).map_err(|p| PropertyError::at(line, p))?;
        let number =
            u32::try_from(self.atoms.len()).map_err(|_| PropertyError::at(line, Problem::Explosion))?;
        self.atoms.push(Atom { statement, strict, line });
        Ok(vec![vec![number]])
    }

    /// `left ∧ right`, expanded.
    ///
    /// # Errors
    /// [`Problem::Explosion`].
    pub fn and(&mut self, mut left: Formula, right: Formula, line: usize) -> Result<Formula, PropertyError> {
        if let [only] = right.as_slice() {
            self.spend(left.len() * (1 + only.len()), line)?;
            left.iter_mut().for_each(|conjunction| conjunction.extend_from_slice(only));
            return Ok(left);
        }
        let count = left.len().saturating_mul(right.len());
        let atoms = |f: &Formula| f.iter().map(Vec::len).sum::<usize>();
        let moved = (atoms(&left).saturating_mul(right.len()))
            .saturating_add(atoms(&right).saturating_mul(left.len()));
        self.spend(moved.saturating_add(count), line)?;
        if count > CONJUNCTIONS_MAX {
            return Err(PropertyError::at(line, Problem::Explosion));
        }
        let both = |l: &Conjunction| right.iter().map(|r| [l.as_slice(), r].concat()).collect::<Vec<_>>();
        Ok(left.iter().flat_map(both).collect())
    }

    /// `left ∨ right`.
    ///
    /// # Errors
    /// [`Problem::Explosion`].
    pub fn or(&mut self, mut left: Formula, right: Formula, line: usize) -> Result<Formula, PropertyError> {
        self.spend(1 + right.len(), line)?;
        left.extend(right);
        if left.len() > CONJUNCTIONS_MAX {
            Err(PropertyError::at(line, Problem::Explosion))
        } else {
            Ok(left)
        }
    }
}

/// What `linear ≤ 0` (or `< 0`) says.
fn classify(linear: &Linear, strict: bool) -> Result<Statement, Problem> {
    let rhs = -&linear.constant;
    match linear.terms.as_slice() {
        [] => {
            let holds = if strict { linear.constant.is_negative() } else { !rhs.is_negative() };
            Ok(Statement::Truth(holds))
        }
        [(Variable::Input(input), coefficient)] => {
            let value = rhs.divided_exactly(coefficient).ok_or(Problem::InputCoefficient)?;
            Ok(Statement::Bound { input: *input as usize, is_upper: !coefficient.is_negative(), value })
        }
        terms => {
            let output = |(v, c): &(Variable, Decimal)| match v {
                Variable::Output(i) => Some((*i as usize, c.clone())),
                Variable::Input(_) => None,
            };
            let outputs: Vec<_> = terms.iter().filter_map(output).collect();
            match outputs.len() {
                0 => Err(Problem::InputRelation),
                n if n < terms.len() => Err(Problem::Mixed),
                _ => Ok(Statement::Row { terms: outputs, rhs }),
            }
        }
    }
}
