//! Inputs that a property asserts to be equal.
//!
//! Queries about one network at several inputs (monotonicity, equivalence) tie inputs together by equalities. Two
//! inputs with `x ≤ x'` and `x' ≤ x` asserted become one: no search finds a point of a plane by chance, and bounds
//! on a box do not see that differences vanish.

use std::collections::HashSet;

use super::decimal::Decimal;
use super::error::{Problem, PropertyError};
use super::formula::{Atoms, Conjunction, Statement, classify};
use super::linear::{Linear, Variable};

/// Classes of equal inputs.
pub struct Aliases {
    /// For each declared input, the number of its class.
    numbers: Vec<usize>,
    /// For each class, its first input.
    first: Vec<u32>,
}

impl Aliases {
    /// The classes that the `common` atoms assert among `inputs` inputs.
    pub fn find(atoms: &Atoms, common: &Conjunction, inputs: usize) -> Self {
        let below: HashSet<(u32, u32)> = common.iter().filter_map(|n| ordered_pair(atoms, *n)).collect();
        // Parents point at smaller numbers, so one pass in order resolves them.
        let mut parent: Vec<usize> = (0..inputs).collect();
        for &(a, b) in below.iter().filter(|(a, b)| below.contains(&(*b, *a))) {
            let (a, b) = (root(&parent, a as usize), root(&parent, b as usize));
            parent[a.max(b)] = a.min(b);
        }
        let (mut numbers, mut first) = (Vec::with_capacity(inputs), Vec::new());
        for input in 0..inputs {
            if parent[input] == input {
                numbers.push(first.len());
                first.push(input as u32);
            } else {
                numbers.push(numbers[parent[input]]);
            }
        }
        Self { numbers, first }
    }

    /// Number of classes.
    pub fn count(&self) -> usize {
        self.first.len()
    }

    /// The first input of a class.
    pub fn first_of(&self, class: usize) -> Variable {
        Variable::Input(self.first[class])
    }

    /// For each declared input, the number of its class.
    pub fn into_numbers(self) -> Vec<usize> {
        self.numbers
    }

    /// Writes the classes' numbers in the place of inputs.
    ///
    /// # Errors
    /// [`Problem::Range`].
    pub fn rewrite(&self, atoms: &mut Atoms) -> Result<(), PropertyError> {
        if self.first.len() == self.numbers.len() {
            return Ok(());
        }
        for atom in atoms.iter_mut() {
            let renamed = match &atom.statement {
                Statement::Truth(_) => continue,
                Statement::Bound { input, is_upper, value } => {
                    let (input, is_upper) = (self.numbers[*input], *is_upper);
                    Statement::Bound { input, is_upper, value: value.clone() }
                }
                Statement::Row { terms, rhs } => {
                    self.row(terms, rhs, atom.strict).map_err(|p| PropertyError::at(atom.at, p))?
                }
            };
            atom.statement = renamed;
        }
        Ok(())
    }

    fn row(&self, terms: &[(Variable, Decimal)], rhs: &Decimal, strict: bool) -> Result<Statement, Problem> {
        let mut linear = Linear::number(-rhs);
        for (variable, coefficient) in terms {
            let variable = match variable {
                Variable::Input(i) => Variable::Input(self.numbers[*i as usize] as u32),
                output @ Variable::Output(_) => *output,
            };
            let term = Linear { terms: vec![(variable, coefficient.clone())], constant: Decimal::ZERO };
            linear = linear.plus(&term)?;
        }
        let row = Statement::Row { terms: linear.terms.clone(), rhs: -&linear.constant };
        // One atom stays one: a bound that is no decimal remains a row alone.
        let mut statements = classify(&linear, strict)?;
        Ok(if statements.len() == 1 { statements.remove(0) } else { row })
    }
}

fn root(parent: &[usize], mut input: usize) -> usize {
    while parent[input] != input {
        input = parent[input];
    }
    input
}

/// `(a, b)` if the atom says `a ≤ b`.
fn ordered_pair(atoms: &Atoms, number: u32) -> Option<(u32, u32)> {
    let atom = atoms.get(number);
    let Statement::Row { terms, rhs } = &atom.statement else { return None };
    let [(Variable::Input(a), c), (Variable::Input(b), d)] = terms.as_slice() else { return None };
    if atom.strict || !rhs.is_zero() || *c != -d {
        return None;
    }
    Some(if c.is_negative() { (*b, *a) } else { (*a, *b) })
}
