//! Formulas in disjunctive normal form over numbered atoms.
//!
//! Atoms are kept once, in the order of the file; a formula only lists their numbers, so expanding `and`
//! over `or` copies integers. Work and size are capped: an explosion is an error, not a stall.

use super::decimal::Decimal;
use super::error::{Position, Problem, PropertyError};
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
    /// `Σ c·v ≤ rhs`, at least one term.
    Row {
        /// Variables, ascending, with their coefficients.
        terms: Vec<(Variable, Decimal)>,
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
    /// Where it stands.
    pub at: Position,
}

/// A conjunction: numbers of atoms.
pub type Conjunction = Vec<u32>;
/// A disjunction of conjunctions.
pub type Formula = Vec<Conjunction>;

/// All atoms of a property, and the work spent on expanding.
#[derive(Clone, Debug, Default)]
pub struct Atoms {
    atoms: Vec<Atom>,
    work: usize,
}

impl Atoms {
    /// The atom with this number.
    pub fn get(&self, number: u32) -> &Atom {
        &self.atoms[number as usize]
    }

    /// All of them, to rewrite.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Atom> {
        self.atoms.iter_mut()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Atom> {
        self.atoms.iter()
    }

    /// Where the last bound of `input` stands.
    pub fn last_bound_of(&self, input: usize) -> Option<Position> {
        let bounds = |a: &&Atom| matches!(a.statement, Statement::Bound { input: i, .. } if i == input);
        self.atoms.iter().rfind(bounds).map(|a| a.at)
    }

    /// Adds `count` to the work.
    ///
    /// # Errors
    /// [`Problem::Explosion`] beyond the cap.
    pub fn spend(&mut self, count: usize, at: Position) -> Result<(), PropertyError> {
        self.work = self.work.saturating_add(count);
        if self.work > WORK_MAX { Err(PropertyError::at(at, Problem::Explosion)) } else { Ok(()) }
    }

    /// `linear ≤ 0`, or `< 0`. A bound of one input that is no decimal becomes two atoms: the bound rounded
    /// outward, and a row that says it exactly.
    ///
    /// # Errors
    /// [`Problem::Range`], [`Problem::Explosion`].
    pub fn add(&mut self, linear: &Linear, strict: bool, at: Position) -> Result<Formula, PropertyError> {
        let mut conjunction = Conjunction::new();
        for statement in classify(linear, strict).map_err(|p| PropertyError::at(at, p))? {
            let number =
                u32::try_from(self.atoms.len()).map_err(|_| PropertyError::at(at, Problem::Explosion))?;
            self.atoms.push(Atom { statement, strict, at });
            conjunction.push(number);
        }
        Ok(vec![conjunction])
    }

    /// `left ∧ right`, expanded.
    ///
    /// # Errors
    /// [`Problem::Explosion`].
    pub fn and(&mut self, mut left: Formula, right: Formula, at: Position) -> Result<Formula, PropertyError> {
        if let [only] = right.as_slice() {
            self.spend(left.len() * (1 + only.len()), at)?;
            left.iter_mut().for_each(|conjunction| conjunction.extend_from_slice(only));
            return Ok(left);
        }
        let count = left.len().saturating_mul(right.len());
        let atoms = |f: &Formula| f.iter().map(Vec::len).sum::<usize>();
        let moved = (atoms(&left).saturating_mul(right.len()))
            .saturating_add(atoms(&right).saturating_mul(left.len()));
        self.spend(moved.saturating_add(count), at)?;
        if count > CONJUNCTIONS_MAX {
            return Err(PropertyError::at(at, Problem::Explosion));
        }
        let both = |l: &Conjunction| right.iter().map(|r| [l.as_slice(), r].concat()).collect::<Vec<_>>();
        Ok(left.iter().flat_map(both).collect())
    }

    /// `left ∨ right`.
    ///
    /// # Errors
    /// [`Problem::Explosion`].
    pub fn or(&mut self, mut left: Formula, right: Formula, at: Position) -> Result<Formula, PropertyError> {
        self.spend(1 + right.len(), at)?;
        left.extend(right);
        if left.len() > CONJUNCTIONS_MAX { Err(PropertyError::at(at, Problem::Explosion)) } else { Ok(left) }
    }
}

/// What `linear ≤ 0` (or `< 0`) says.
pub fn classify(linear: &Linear, strict: bool) -> Result<Vec<Statement>, Problem> {
    let rhs = -&linear.constant;
    let row = |rhs| Statement::Row { terms: linear.terms.clone(), rhs };
    Ok(match linear.terms.as_slice() {
        [] => {
            let holds = if strict { linear.constant.is_negative() } else { !rhs.is_negative() };
            vec![Statement::Truth(holds)]
        }
        [(Variable::Input(input), coefficient)] => {
            let (input, is_upper) = (*input as usize, !coefficient.is_negative());
            match rhs.divided_exactly(coefficient) {
                Some(value) => vec![Statement::Bound { input, is_upper, value }],
                None => {
                    let value = rhs.divided(coefficient, is_upper).ok_or(Problem::Range)?;
                    vec![Statement::Bound { input, is_upper, value }, row(rhs)]
                }
            }
        }
        _ => vec![row(rhs)],
    })
}
