//! VNN-LIB 1.0: commands, and formulas evaluated to disjunctive normal form.
//!
//! Read are `declare-const` (and `declare-fun` without arguments) of `X_i` and `Y_i`, and `assert` over
//! `and`, `or`, `<=`, `>=`, `<`, `>`, `=`, `+`, `-`, `*` with decimal numbers. `set-logic`, `set-info`,
//! `set-option`, `check-sat`, `get-model` and `exit` say nothing about the property and are passed over.

use std::collections::HashMap;

use super::Property;
use super::assemble::assemble;
use super::decimal::{Decimal, DecimalError};
use super::error::{Problem, PropertyError, Word};
use super::formula::{Atoms, Formula};
use super::linear::{Linear, Variable};
use super::sexpr::{Item, Reader};

/// Reads a property from VNN-LIB text.
///
/// # Errors
/// [`PropertyError::Content`], naming the line.
pub fn parse_vnnlib_str(text: &str) -> Result<Property, PropertyError> {
    let mut query = Query::default();
    let mut reader = Reader::new(text);
    while let Some(form) = reader.next_form()? {
        query.command(form)?;
    }
    assemble(&query.declared, &query.atoms, query.asserted)
}

/// What the commands so far have said.
#[derive(Default)]
struct Query {
    /// Variables with the line of their declaration.
    declared: HashMap<Variable, usize>,
    atoms: Atoms,
    asserted: Vec<Formula>,
}

impl Query {
    fn command(&mut self, form: &[Item<'_>]) -> Result<(), PropertyError> {
        let line = form[0].line();
        let wrong = |problem| Err(PropertyError::at(line, problem));
        let (Item::List { children, .. }, Some(head)) = (form[0], form.get(1).and_then(Item::atom)) else {
            return wrong(Problem::Command(Word::of(form[0].atom().unwrap_or("()"))));
        };
        match (head, children) {
            ("set-logic" | "set-info" | "set-option" | "check-sat" | "get-model" | "exit", _) => Ok(()),
            ("declare-const", 3) => self.declare(&form[2], &form[3..]),
            ("declare-fun", 4) if matches!(form.get(3), Some(Item::List { children: 0, .. })) => {
                self.declare(&form[2], &form[4..])
            }
            ("assert", 2) => {
                let formula = self.evaluate(&form[2..])?;
                self.asserted.push(formula);
                Ok(())
            }
            ("declare-const" | "declare-fun" | "assert", _) => wrong(Problem::Shape(Word::of(head))),
            ("vnnlib-version" | "declare-network", _) => wrong(Problem::Version),
            (other, _) => wrong(Problem::Command(Word::of(other))),
        }
    }

    fn declare(&mut self, name: &Item<'_>, sort: &[Item<'_>]) -> Result<(), PropertyError> {
        let line = name.line();
        let text = name.atom().unwrap_or("()");
        let variable = Variable::parse(text)
            .ok_or_else(|| PropertyError::at(line, Problem::VariableName(Word::of(text))))?;
        if !matches!(sort, [Item::Atom { text: "Real", .. }]) {
            return Err(PropertyError::at(line, Problem::Sort(Word::of(text))));
        }
        match self.declared.insert(variable, line) {
            None => Ok(()),
            Some(_) => Err(PropertyError::at(line, Problem::DeclaredTwice(Word::of(text)))),
        }
    }

    /// The one formula that `items` hold. Backwards, every operand is on the stack before its operator.
    fn evaluate(&mut self, items: &[Item<'_>]) -> Result<Formula, PropertyError> {
        let mut stack: Vec<(Value<'_>, usize)> = Vec::new();
        for item in items.iter().rev() {
            let value = match *item {
                Item::Atom { text, line } => self.leaf(text).map_err(|p| PropertyError::at(line, p))?,
                Item::List { children, line } => {
                    // The operands come off the stack last first.
                    let mut operands = stack.split_off(stack.len() - children);
                    operands.reverse();
                    self.apply(operands, line)?
                }
            };
            stack.push((value, item.line()));
        }
        match stack.pop() {
            Some((Value::Formula(formula), _)) => Ok(formula),
            Some((_, line)) => Err(PropertyError::at(line, Problem::NotAFormula)),
            None => Err(PropertyError::at(1, Problem::NotAFormula)),
        }
    }

    /// A number, a variable, or a word that may be an operator.
    fn leaf<'a>(&self, text: &'a str) -> Result<Value<'a>, Problem> {
        if let Some(variable) = Variable::parse(text) {
            return match self.declared.contains_key(&variable) {
                true => Ok(Value::Linear(Linear::variable(variable))),
                false => Err(Problem::Undeclared(Word::of(text))),
            };
        }
        match Decimal::parse(text) {
            Ok(number) => Ok(Value::Linear(Linear::number(number))),
            Err(DecimalError::NotFinite) => Err(Problem::NotFinite(Word::of(text))),
            Err(DecimalError::Range) => Err(Problem::Range),
            Err(DecimalError::Syntax) => Ok(Value::Word(text)),
        }
    }

    fn apply<'a>(
        &mut self,
        values: Vec<(Value<'a>, usize)>,
        line: usize,
    ) -> Result<Value<'a>, PropertyError> {
        let mut values = values.into_iter();
        let Some((Value::Word(operator), _)) = values.next() else {
            return Err(PropertyError::at(line, Problem::NotAFormula));
        };
        match operator {
            "and" | "or" => {
                let operands = values.map(|(v, at)| v.formula(at)).collect::<Result<Vec<_>, _>>()?;
                let is_and = operator == "and";
                self.join(operands, is_and, line).map(Value::Formula)
            }
            "<=" | ">=" | "<" | ">" | "=" => {
                let operands = values.map(|(v, at)| v.linear(at)).collect::<Result<Vec<_>, _>>()?;
                self.compare(operator, &operands, line).map(Value::Formula)
            }
            "+" | "-" | "*" => {
                let operands = values.map(|(v, at)| v.linear(at)).collect::<Result<Vec<_>, _>>()?;
                self.arithmetic(operator, operands, line).map(Value::Linear)
            }
            other => Err(PropertyError::at(line, Problem::Operator(Word::of(other)))),
        }
    }

    fn join(&mut self, operands: Vec<Formula>, is_and: bool, line: usize) -> Result<Formula, PropertyError> {
        let mut operands = operands.into_iter();
        let first = operands.next().ok_or_else(|| PropertyError::at(line, Problem::NoOperand))?;
        operands.try_fold(first, |joined, next| {
            if is_and { self.atoms.and(joined, next, line) } else { self.atoms.or(joined, next, line) }
        })
    }

    /// `a ⋈ b ⋈ c` as `a ⋈ b ∧ b ⋈ c`, each as `… ≤ 0`.
    fn compare(
        &mut self,
        operator: &str,
        operands: &[Linear],
        line: usize,
    ) -> Result<Formula, PropertyError> {
        if operands.len() < 2 {
            return Err(PropertyError::at(line, Problem::NoOperand));
        }
        let mut all = vec![vec![]];
        for pair in operands.windows(2) {
            self.atoms.spend(pair[0].terms.len() + pair[1].terms.len(), line)?;
            let difference =
                |a: &Linear, b: &Linear| a.plus(&b.negated()).map_err(|p| PropertyError::at(line, p));
            let strict = matches!(operator, "<" | ">");
            if matches!(operator, "<=" | "<" | "=") {
                let below = self.atoms.add(&difference(&pair[0], &pair[1])?, strict, line)?;
                all = self.atoms.and(all, below, line)?;
            }
            if matches!(operator, ">=" | ">" | "=") {
                let above = self.atoms.add(&difference(&pair[1], &pair[0])?, strict, line)?;
                all = self.atoms.and(all, above, line)?;
            }
        }
        Ok(all)
    }

    fn arithmetic(
        &mut self,
        operator: &str,
        operands: Vec<Linear>,
        line: usize,
    ) -> Result<Linear, PropertyError> {
        let mut operands = operands.into_iter();
        let first = operands.next().ok_or_else(|| PropertyError::at(line, Problem::NoOperand))?;
        if operator == "-" && operands.len() == 0 {
            return Ok(first.negated());
        }
        operands.try_fold(first, |left, right| {
            self.atoms.spend(1 + left.terms.len() + right.terms.len(), line)?;
            let result = match operator {
                "+" => left.plus(&right),
                "-" => left.plus(&right.negated()),
                _ => left.times(&right),
            };
            result.map_err(|p| PropertyError::at(line, p))
        })
    }
}

/// What part of an assertion evaluates to.
enum Value<'a> {
    /// An operator, or a word that means nothing.
    Word(&'a str),
    Linear(Linear),
    Formula(Formula),
}

impl Value<'_> {
    fn formula(self, line: usize) -> Result<Formula, PropertyError> {
        match self {
            Self::Formula(formula) => Ok(formula),
            Self::Word(word) => Err(PropertyError::at(line, Problem::Undeclared(Word::of(word)))),
            Self::Linear(_) => Err(PropertyError::at(line, Problem::NotAFormula)),
        }
    }

    fn linear(self, line: usize) -> Result<Linear, PropertyError> {
        match self {
            Self::Linear(linear) => Ok(linear),
            Self::Word(word) => Err(PropertyError::at(line, Problem::Undeclared(Word::of(word)))),
            Self::Formula(_) => Err(PropertyError::at(line, Problem::NotANumber)),
        }
    }
}
