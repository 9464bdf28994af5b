//! Assertions evaluated to disjunctive normal form, without recursion, for both versions of VNN-LIB.

use super::decimal::{Decimal, DecimalError};
use super::element::ElementType;
use super::error::{Position, Problem, PropertyError, Word};
use super::formula::{Atoms, Formula};
use super::linear::{Linear, Variable};
use super::sexpr::Item;

/// What differs between the versions.
pub trait Dialect {
    /// The variable that a word names and its element type; `None` if it names none.
    ///
    /// # Errors
    /// A word that looks like a variable and is none.
    fn variable(&self, word: &str) -> Result<Option<(Variable, ElementType)>, Problem>;

    /// The comparison that a word is.
    fn comparison(&self, word: &str) -> Option<Comparison>;

    /// Whether comparisons take exactly two operands.
    fn is_binary(&self) -> bool;
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `≤`
    LessEqual,
    /// `>`
    Greater,
    /// `≥`
    GreaterEqual,
    /// `=`
    Equal,
    /// `≠`
    NotEqual,
}

impl Comparison {
    /// The spellings that the versions share.
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "<" => Self::Less,
            "<=" => Self::LessEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterEqual,
            "=" => Self::Equal,
            _ => return None,
        })
    }
}

/// An arithmetic expression.
struct Number {
    linear: Linear,
    /// That of its variables; `None` if it has none.
    element: Option<ElementType>,
    /// Whether computing it in floating point may round.
    rounds: bool,
}

/// What part of an assertion evaluates to.
enum Value<'a> {
    /// An operator, or a word that means nothing.
    Word(&'a str),
    Number(Number),
    Formula(Formula),
}

impl Value<'_> {
    fn formula(self, at: Position) -> Result<Formula, PropertyError> {
        match self {
            Self::Formula(formula) => Ok(formula),
            Self::Word(word) => Err(PropertyError::at(at, Problem::Undeclared(Word::of(word)))),
            Self::Number(_) => Err(PropertyError::at(at, Problem::NotAFormula)),
        }
    }

    fn number(self, at: Position) -> Result<Number, PropertyError> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Word(word) => Err(PropertyError::at(at, Problem::Undeclared(Word::of(word)))),
            Self::Formula(_) => Err(PropertyError::at(at, Problem::NotANumber)),
        }
    }
}

/// The one formula that `items` hold. Read backwards, every operand is on the stack before its operator.
///
/// # Errors
/// [`PropertyError::Content`], naming line and column.
pub fn evaluate(
    items: &[Item<'_>],
    dialect: &impl Dialect,
    atoms: &mut Atoms,
) -> Result<Formula, PropertyError> {
    let mut evaluator = Evaluator { dialect, atoms };
    let mut stack: Vec<(Value<'_>, Position)> = Vec::new();
    for item in items.iter().rev() {
        let at = item.position();
        let value = match *item {
            Item::Atom { text, .. } => evaluator.leaf(text).map_err(|p| PropertyError::at(at, p))?,
            Item::List { children, .. } => {
                // The operands come off the stack last first.
                let mut operands = stack.split_off(stack.len() - children);
                operands.reverse();
                evaluator.apply(operands, at)?
            }
        };
        stack.push((value, at));
    }
    match stack.pop() {
        Some((Value::Formula(formula), _)) => Ok(formula),
        Some((_, at)) => Err(PropertyError::at(at, Problem::NotAFormula)),
        None => Err(PropertyError::whole(Problem::NotAFormula)),
    }
}

struct Evaluator<'d, D> {
    dialect: &'d D,
    atoms: &'d mut Atoms,
}

impl<D: Dialect> Evaluator<'_, D> {
    /// A number, a variable, or a word that may be an operator.
    fn leaf<'a>(&self, text: &'a str) -> Result<Value<'a>, Problem> {
        if let Some((variable, element)) = self.dialect.variable(text)? {
            let linear = Linear::variable(variable);
            return Ok(Value::Number(Number { linear, element: Some(element), rounds: false }));
        }
        match Decimal::parse(text) {
            Ok(number) => {
                let linear = Linear::number(number);
                Ok(Value::Number(Number { linear, element: None, rounds: false }))
            }
            Err(DecimalError::NotFinite) => Err(Problem::NotFinite(Word::of(text))),
            Err(DecimalError::Range) => Err(Problem::Range),
            Err(DecimalError::Syntax) => Ok(Value::Word(text)),
        }
    }

    fn apply<'a>(
        &mut self,
        values: Vec<(Value<'a>, Position)>,
        at: Position,
    ) -> Result<Value<'a>, PropertyError> {
        let mut values = values.into_iter();
        let Some((Value::Word(operator), _)) = values.next() else {
            return Err(PropertyError::at(at, Problem::NotAFormula));
        };
        if let "and" | "or" = operator {
            let operands = values.map(|(v, at)| v.formula(at)).collect::<Result<Vec<_>, _>>()?;
            return self.join(operands, operator == "and", at).map(Value::Formula);
        }
        if let "+" | "-" | "*" = operator {
            let operands = values.map(|(v, at)| v.number(at)).collect::<Result<Vec<_>, _>>()?;
            return self.arithmetic(operator, operands, at).map(Value::Number);
        }
        match self.dialect.comparison(operator) {
            Some(comparison) => {
                let operands = values.map(|(v, at)| v.number(at)).collect::<Result<Vec<_>, _>>()?;
                self.compare(comparison, operands, at).map(Value::Formula)
            }
            None => Err(PropertyError::at(at, Problem::Operator(Word::of(operator)))),
        }
    }

    fn join(&mut self, operands: Vec<Formula>, is_and: bool, at: Position) -> Result<Formula, PropertyError> {
        let mut operands = operands.into_iter();
        let first = operands.next().ok_or_else(|| PropertyError::at(at, Problem::NoOperand))?;
        operands.try_fold(first, |joined, next| {
            if is_and { self.atoms.and(joined, next, at) } else { self.atoms.or(joined, next, at) }
        })
    }

    /// `a ⋈ b ⋈ c` as `a ⋈ b ∧ b ⋈ c`, each as `… ≤ 0`.
    fn compare(
        &mut self,
        comparison: Comparison,
        mut operands: Vec<Number>,
        at: Position,
    ) -> Result<Formula, PropertyError> {
        if operands.len() < 2 {
            return Err(PropertyError::at(at, Problem::NoOperand));
        }
        if operands.len() > 2 && (self.dialect.is_binary() || comparison == Comparison::NotEqual) {
            return Err(PropertyError::at(at, Problem::TwoOperands));
        }
        self.settle_types(&mut operands).map_err(|p| PropertyError::at(at, p))?;
        let mut all = vec![vec![]];
        for pair in operands.windows(2) {
            let (left, right) = (&pair[0].linear, &pair[1].linear);
            self.atoms.spend(left.terms.len() + right.terms.len(), at)?;
            let difference =
                |a: &Linear, b: &Linear| a.plus(&b.negated()).map_err(|p| PropertyError::at(at, p));
            let mut below = |strict| self.atoms.add(&difference(left, right)?, strict, at);
            let formula = match comparison {
                Comparison::Less | Comparison::LessEqual => below(comparison == Comparison::Less)?,
                Comparison::Greater | Comparison::GreaterEqual => {
                    self.atoms.add(&difference(right, left)?, comparison == Comparison::Greater, at)?
                }
                Comparison::Equal => {
                    let below = below(false)?;
                    let above = self.atoms.add(&difference(right, left)?, false, at)?;
                    self.atoms.and(below, above, at)?
                }
                Comparison::NotEqual => {
                    let below = below(true)?;
                    let above = self.atoms.add(&difference(right, left)?, true, at)?;
                    self.atoms.or(below, above, at)?
                }
            };
            all = self.atoms.and(all, formula, at)?;
        }
        Ok(all)
    }

    /// One element type for both sides. Among `float32`, constants mean the nearest `float32`.
    fn settle_types(&self, operands: &mut [Number]) -> Result<(), Problem> {
        let mut element = None;
        for operand in operands.iter() {
            element = unite(element, operand.element)?;
        }
        if element != Some(ElementType::Float32) {
            return Ok(());
        }
        for operand in operands {
            if operand.rounds {
                return Err(Problem::RoundedArithmetic);
            }
            if operand.element.is_none() {
                operand.linear.constant = operand.linear.constant.rounded_to_f32().ok_or(Problem::Range)?;
            }
        }
        Ok(())
    }

    fn arithmetic(
        &mut self,
        operator: &str,
        operands: Vec<Number>,
        at: Position,
    ) -> Result<Number, PropertyError> {
        let mut operands = operands.into_iter();
        let first = operands.next().ok_or_else(|| PropertyError::at(at, Problem::NoOperand))?;
        if operator == "-" && operands.len() == 0 {
            return Ok(Number { linear: first.linear.negated(), ..first });
        }
        operands.try_fold(first, |left, right| {
            self.atoms.spend(1 + left.linear.terms.len() + right.linear.terms.len(), at)?;
            let combine = || {
                let element = unite(left.element, right.element)?;
                let (linear, exact) = match operator {
                    "+" => (left.linear.plus(&right.linear)?, false),
                    "-" => (left.linear.plus(&right.linear.negated())?, false),
                    _ => (left.linear.times(&right.linear)?, left.linear.is_unit() || right.linear.is_unit()),
                };
                Ok(Number { linear, element, rounds: left.rounds || right.rounds || !exact })
            };
            combine().map_err(|p| PropertyError::at(at, p))
        })
    }
}

/// The type of an expression over two others.
fn unite(left: Option<ElementType>, right: Option<ElementType>) -> Result<Option<ElementType>, Problem> {
    match (left, right) {
        (Some(left), Some(right)) if left != right => Err(Problem::MixedTypes { left, right }),
        (left, right) => Ok(left.or(right)),
    }
}
