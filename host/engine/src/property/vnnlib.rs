//! VNN-LIB 1.0: commands, and formulas evaluated to disjunctive normal form.
//!
//! Read are `declare-const` (and `declare-fun` without arguments) of `X_i` and `Y_i`, and `assert` over
//! `and`, `or`, `<=`, `>=`, `<`, `>`, `=`, `+`, `-`, `*` with decimal numbers. `set-logic`, `set-info`,
//! `set-option`, `check-sat`, `get-model` and `exit` say nothing about the property and are passed over.

use std::collections::HashMap;

use super::assemble::{Declarations, assemble};
use super::element::ElementType;
use super::error::{Position, Problem, PropertyError, Word};
use super::expression::{Comparison, Dialect, evaluate};
use super::formula::{Atoms, Formula};
use super::linear::Variable;
use super::sexpr::{Item, Reader};
use super::{Lowered, Property};

/// Reads a property of a network's inputs and outputs from VNN-LIB 1.0 text.
///
/// # Errors
/// [`PropertyError::Content`], naming the line; [`Problem::Mixed`] for constraints over several inputs or
/// over inputs and outputs, which [`parse_vnnlib1`] reads.
pub fn parse_vnnlib_str(text: &str) -> Result<Property, PropertyError> {
    let lowered = parse_vnnlib1(text)?;
    match lowered.composition.is_plain() {
        true => Ok(lowered.property),
        false => Err(PropertyError::whole(Problem::Mixed)),
    }
}

/// Reads a property from VNN-LIB 1.0 text.
///
/// # Errors
/// [`PropertyError::Content`], naming the line.
pub fn parse_vnnlib1(text: &str) -> Result<Lowered, PropertyError> {
    let mut file = File::default();
    let mut reader = Reader::new(text);
    while let Some(form) = reader.next_form()? {
        file.command(form)?;
    }
    let declared = Declared {
        inputs: count(&file.declared, Variable::Input, "X")?,
        outputs: count(&file.declared, Variable::Output, "Y")?,
        positions: &file.declared,
    };
    assemble(&declared, file.atoms, file.asserted)
        .map(|a| a.single_network(declared.inputs, declared.outputs))
}

/// What the commands so far have said.
#[derive(Default)]
struct File {
    /// Variables with their declaration's place.
    declared: HashMap<Variable, Position>,
    atoms: Atoms,
    asserted: Vec<Formula>,
}

impl File {
    fn command(&mut self, form: &[Item<'_>]) -> Result<(), PropertyError> {
        let at = form[0].position();
        let wrong = |problem| Err(PropertyError::at(at, problem));
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
                let formula = evaluate(&form[2..], &Names(&self.declared), &mut self.atoms)?;
                self.asserted.push(formula);
                Ok(())
            }
            ("declare-const" | "declare-fun" | "assert", _) => wrong(Problem::Shape(Word::of(head))),
            ("vnnlib-version" | "declare-network", _) => wrong(Problem::Version),
            (other, _) => wrong(Problem::Command(Word::of(other))),
        }
    }

    fn declare(&mut self, name: &Item<'_>, sort: &[Item<'_>]) -> Result<(), PropertyError> {
        let at = name.position();
        let text = name.atom().unwrap_or("()");
        let variable = Variable::parse(text)
            .ok_or_else(|| PropertyError::at(at, Problem::VariableName(Word::of(text))))?;
        if !matches!(sort, [Item::Atom { text: "Real", .. }]) {
            return Err(PropertyError::at(at, Problem::Sort(Word::of(text))));
        }
        match self.declared.insert(variable, at) {
            None => Ok(()),
            Some(_) => Err(PropertyError::at(at, Problem::DeclaredTwice(Word::of(text)))),
        }
    }
}

/// How many variables of one kind there are; their indices must be 0, 1, ….
fn count(
    declared: &HashMap<Variable, Position>,
    kind: fn(u32) -> Variable,
    letter: &'static str,
) -> Result<usize, PropertyError> {
    let missing = (0u32..).find(|i| !declared.contains_key(&kind(*i))).unwrap_or(u32::MAX);
    let beyond = |v: &Variable| match (kind(0), *v) {
        (Variable::Input(_), Variable::Input(i)) | (Variable::Output(_), Variable::Output(i)) => i > missing,
        _ => false,
    };
    // The smallest one, so that the message does not depend on the order of the map.
    if let Some((_, at)) = declared.iter().filter(|(v, _)| beyond(v)).min() {
        return Err(PropertyError::at(*at, Problem::Gap { letter, index: missing }));
    }
    if missing == 0 {
        return Err(PropertyError::whole(Problem::NoVariables { letter }));
    }
    Ok(missing as usize)
}

/// The words of an assertion.
struct Names<'a>(&'a HashMap<Variable, Position>);

impl Dialect for Names<'_> {
    fn variable(&self, word: &str) -> Result<Option<(Variable, ElementType)>, Problem> {
        match Variable::parse(word) {
            Some(v) if self.0.contains_key(&v) => Ok(Some((v, ElementType::Real))),
            Some(_) => Err(Problem::Undeclared(Word::of(word))),
            None => Ok(None),
        }
    }

    fn comparison(&self, word: &str) -> Option<Comparison> {
        Comparison::of(word)
    }

    fn is_binary(&self) -> bool {
        false
    }
}

struct Declared<'a> {
    inputs: usize,
    outputs: usize,
    positions: &'a HashMap<Variable, Position>,
}

impl Declarations for Declared<'_> {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn name(&self, variable: Variable) -> String {
        match variable {
            Variable::Input(i) => format!("X_{i}"),
            Variable::Output(i) => format!("Y_{i}"),
        }
    }

    fn position(&self, variable: Variable) -> Position {
        self.positions.get(&variable).copied().unwrap_or(Position { line: 1, column: 1 })
    }

    fn is_strict(&self) -> bool {
        true
    }
}
