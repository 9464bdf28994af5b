//! Reading a query, form by form.

use std::collections::HashMap;

use super::{Equivalence, NetworkDeclaration, Query, Tensor, Version};
use crate::graph::ELEMENTS_MAX;
use crate::property::element::ElementType;
use crate::property::error::{Position, Problem, PropertyError, Word};
use crate::property::expression::{Comparison, Dialect, evaluate};
use crate::property::formula::Atoms;
use crate::property::linear::Variable;
use crate::property::sexpr::{Item, Reader};

/// Whether the text is a query of VNN-LIB 2: it begins with a version.
pub fn is_version2(text: &str) -> bool {
    matches!(
        Reader::new(text).next_form(),
        Ok(Some([Item::List { .. }, Item::Atom { text: "vnnlib-version", .. }, ..]))
    )
}

/// Reads a query and checks its types.
///
/// # Errors
/// [`PropertyError::Content`], naming line and column.
pub fn parse_query(text: &str) -> Result<Query, PropertyError> {
    let mut reader = Reader::new(text);
    let version = match reader.next_form()? {
        Some(form) => read_version(form)?,
        None => return Err(PropertyError::whole(Problem::NoVersion)),
    };
    let (element, atoms, asserted) = (ElementType::Real, Atoms::default(), Vec::new());
    let mut query = Query { version, networks: Vec::new(), element, atoms, asserted };
    let mut names = Names::default();
    while let Some(form) = reader.next_form()? {
        let at = form[0].position();
        let head = form.get(1).and_then(Item::atom);
        match (form[0], head) {
            (Item::List { .. }, Some("declare-network")) if query.asserted.is_empty() => {
                let network = Declaration { names: &mut names, networks: &query.networks }.read(form)?;
                query.networks.push(network);
            }
            (Item::List { .. }, Some("declare-network")) => {
                return Err(PropertyError::at(at, Problem::Interleaved));
            }
            (Item::List { children: 2, .. }, Some("assert")) => {
                if query.networks.is_empty() {
                    return Err(PropertyError::at(at, Problem::NoNetwork));
                }
                let formula = evaluate(&form[2..], &names, &mut query.atoms)?;
                query.asserted.push(formula);
            }
            (Item::List { .. }, Some("assert")) => {
                return Err(PropertyError::at(at, Problem::Shape2("(assert FORMULA)")));
            }
            (item, head) => {
                let word = head.or(item.atom()).unwrap_or("()");
                return Err(PropertyError::at(at, Problem::Command2(Word::of(word))));
            }
        }
    }
    if query.networks.is_empty() {
        return Err(PropertyError::whole(Problem::NoNetwork));
    }
    query.element = names.element.unwrap_or(ElementType::Real);
    Ok(query)
}

fn read_version(form: &[Item<'_>]) -> Result<Version, PropertyError> {
    let [Item::List { children: 2, .. }, Item::Atom { text: "vnnlib-version", .. }, number] = form else {
        return Err(PropertyError::at(form[0].position(), Problem::NoVersion));
    };
    let number_of = || {
        let (major, minor) = number.atom()?.strip_prefix('<')?.strip_suffix('>')?.split_once('.')?;
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse::<u32>().ok()).flatten();
        Some(Version { major: digits(major)?, minor: digits(minor)? })
    };
    match number_of() {
        Some(version) if version.major == 2 => Ok(version),
        Some(_) => {
            let word = Word::of(number.atom().unwrap_or("()"));
            Err(PropertyError::at(number.position(), Problem::OtherVersion(word)))
        }
        None => Err(PropertyError::at(number.position(), Problem::NoVersion)),
    }
}

/// A tensor that assertions may name.
struct Named {
    /// The variable of its first element.
    first: Variable,
    shape: Vec<usize>,
    element: ElementType,
}

/// All names so far.
#[derive(Default)]
struct Names {
    tensors: HashMap<String, Named>,
    networks: HashMap<String, usize>,
    /// That of the first tensor; all others have the same.
    element: Option<ElementType>,
    inputs: u32,
    outputs: u32,
}

impl Names {
    fn is_taken(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.networks.contains_key(name)
    }

    /// Numbers the elements of a tensor after those before it.
    fn number(&mut self, tensor: &Tensor, is_input: bool) -> Result<(), Problem> {
        let len = u32::try_from(tensor.len()).map_err(|_| Problem::TooManyElements)?;
        let (first, total) = if is_input {
            (Variable::Input(self.inputs), &mut self.inputs)
        } else {
            (Variable::Output(self.outputs), &mut self.outputs)
        };
        *total =
            total.checked_add(len).filter(|n| *n as usize <= ELEMENTS_MAX).ok_or(Problem::TooManyElements)?;
        let named = Named { first, shape: tensor.shape.clone(), element: tensor.element };
        self.tensors.insert(tensor.name.clone(), named);
        Ok(())
    }
}

impl Dialect for Names {
    fn variable(&self, word: &str) -> Result<Option<(Variable, ElementType)>, Problem> {
        let (name, indices) = match word.find('[') {
            Some(at) => (word[..at].trim_end(), Some(&word[at..])),
            None => (word, None),
        };
        let Some(tensor) = self.tensors.get(name) else {
            return if indices.is_some() { Err(Problem::Undeclared(Word::of(name))) } else { Ok(None) };
        };
        let wrong = || Problem::Index { element: Word::of(word), shape: tensor.shape.clone() };
        let indices = match indices {
            Some(text) => numbers(text).filter(|n| !n.is_empty()).ok_or_else(wrong)?,
            None => Vec::new(),
        };
        let fits =
            indices.len() == tensor.shape.len() && indices.iter().zip(&tensor.shape).all(|(i, d)| i < d);
        if !fits {
            return Err(wrong());
        }
        let offset = indices.iter().zip(&tensor.shape).fold(0, |sum, (i, d)| sum * d + i) as u32;
        let variable = match tensor.first {
            Variable::Input(i) => Variable::Input(i + offset),
            Variable::Output(i) => Variable::Output(i + offset),
        };
        Ok(Some((variable, tensor.element)))
    }

    fn comparison(&self, word: &str) -> Option<Comparison> {
        match word {
            "==" => Some(Comparison::Equal),
            "!=" => Some(Comparison::NotEqual),
            _ => Comparison::of(word),
        }
    }

    fn is_binary(&self) -> bool {
        true
    }
}

/// The numbers of `[a, b, …]`; `None` if it is something else.
fn numbers(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let number = |s: &str| {
        let s = s.trim();
        s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse().ok()).flatten()
    };
    inside.split(',').map(number).collect()
}

/// A `declare-network` being read.
struct Declaration<'a> {
    names: &'a mut Names,
    networks: &'a [NetworkDeclaration],
}

impl Declaration<'_> {
    fn read(&mut self, form: &[Item<'_>]) -> Result<NetworkDeclaration, PropertyError> {
        let at = form[0].position();
        let wrong = Problem::Shape2("(declare-network NAME (declare-input …) … (declare-output …) …)");
        let Some(Item::Atom { text: name, .. }) = form.get(2) else {
            return Err(PropertyError::at(at, wrong));
        };
        self.check_name(name, form[2].position(), true)?;
        let mut network = NetworkDeclaration {
            name: (*name).to_owned(),
            at,
            equivalence: None,
            inputs: Vec::new(),
            hidden: Vec::new(),
            outputs: Vec::new(),
        };
        self.names.networks.insert(network.name.clone(), self.networks.len());
        let mut rest = &form[3..];
        while let [first, ..] = rest {
            let Item::List { children, .. } = *first else {
                return Err(PropertyError::at(first.position(), wrong));
            };
            // The parts of a declaration are words; a list among them is found by `part`.
            let (part, tail) = rest.split_at(rest.len().min(1 + children));
            self.part(part, &mut network)?;
            rest = tail;
        }
        if network.inputs.is_empty() || network.outputs.is_empty() {
            return Err(PropertyError::at(at, Problem::NoTensors(Word::of(name))));
        }
        self.check_equivalence(&network)?;
        for (tensor, is_input) in network
            .inputs
            .iter()
            .map(|t| (t, true))
            .chain(network.outputs.iter().chain(&network.hidden).map(|t| (t, false)))
        {
            self.names.number(tensor, is_input).map_err(|p| PropertyError::at(tensor.at, p))?;
        }
        Ok(network)
    }

    fn part(&mut self, part: &[Item<'_>], network: &mut NetworkDeclaration) -> Result<(), PropertyError> {
        let at = part[0].position();
        let words: Option<Vec<&str>> = part[1..].iter().map(Item::atom).collect();
        let words = words.unwrap_or_default();
        match words.as_slice() {
            [kind @ ("equal-to" | "isomorphic-to"), other] => {
                if network.equivalence.is_some() {
                    return Err(PropertyError::at(at, Problem::SecondEquivalence));
                }
                let other = match self.names.networks.get(*other) {
                    Some(index) if *index < self.networks.len() => *index,
                    _ => {
                        return Err(PropertyError::at(
                            part[2].position(),
                            Problem::Undeclared(Word::of(other)),
                        ));
                    }
                };
                network.equivalence = Some(match *kind {
                    "equal-to" => Equivalence::EqualTo(other),
                    _ => Equivalence::IsomorphicTo(other),
                });
                Ok(())
            }
            ["declare-input", name, kind] => self.tensor((name, kind), at, network, |n| &mut n.inputs),
            ["declare-input", name, kind, "initialized"] => {
                self.tensor((name, kind), at, network, |n| &mut n.inputs)?;
                network.inputs.last_mut().expect("just read").is_initialized = true;
                Ok(())
            }
            ["declare-output", name, kind] => self.tensor((name, kind), at, network, |n| &mut n.outputs),
            ["declare-hidden", name, kind, onnx] if onnx.starts_with('"') => {
                self.tensor((name, kind), at, network, |n| &mut n.hidden)?;
                network.hidden.last_mut().expect("just read").onnx = Some(unquoted(onnx));
                Ok(())
            }
            ["declare-input", ..] => {
                Err(PropertyError::at(at, Problem::Shape2("(declare-input X float32 [1,2])")))
            }
            ["declare-output", ..] => {
                Err(PropertyError::at(at, Problem::Shape2("(declare-output Y float32 [1,2])")))
            }
            ["declare-hidden", ..] => {
                Err(PropertyError::at(at, Problem::Shape2("(declare-hidden Z float32 [1,2] \"onnx name\")")))
            }
            ["equal-to" | "isomorphic-to", ..] => {
                Err(PropertyError::at(at, Problem::Shape2("(equal-to NAME)")))
            }
            [other, ..] => Err(PropertyError::at(at, Problem::Command2(Word::of(other)))),
            [] => Err(PropertyError::at(at, Problem::Shape2("(declare-input X float32 [1,2])"))),
        }
    }

    /// `NAME TYPE [SHAPE]`, the last two one word.
    fn tensor(
        &mut self,
        (name, kind): (&str, &str),
        at: Position,
        network: &mut NetworkDeclaration,
        list: fn(&mut NetworkDeclaration) -> &mut Vec<Tensor>,
    ) -> Result<(), PropertyError> {
        self.check_name(name, at, false)?;
        let tensors = [&network.inputs, &network.hidden, &network.outputs];
        if tensors.into_iter().flatten().any(|t| t.name == name) {
            return Err(PropertyError::at(at, Problem::DeclaredTwice(Word::of(name))));
        }
        let shape_at = kind.find('[').ok_or_else(|| {
            PropertyError::at(at, Problem::Shape2("(declare-input X float32 [1,2]), and [] for a scalar"))
        })?;
        let (type_name, shape) = (kind[..shape_at].trim_end(), &kind[shape_at..]);
        let element = ElementType::parse(type_name)
            .ok_or_else(|| PropertyError::at(at, Problem::ElementType(Word::of(type_name))))?;
        match self.names.element {
            Some(first) if first != element => {
                return Err(PropertyError::at(at, Problem::MixedTypes { left: first, right: element }));
            }
            _ => self.names.element = Some(element),
        }
        let dims = numbers(shape).filter(|d| !d.contains(&0));
        let shape = dims.ok_or_else(|| PropertyError::at(at, Problem::Dimensions(Word::of(shape))))?;
        let count = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| *n <= ELEMENTS_MAX);
        count.ok_or_else(|| PropertyError::at(at, Problem::TooManyElements))?;
        let (name, type_name) = (name.to_owned(), type_name.to_owned());
        let tensor = Tensor { name, element, type_name, shape, at, onnx: None, is_initialized: false };
        list(network).push(tensor);
        Ok(())
    }

    fn check_name(&self, name: &str, at: Position, is_network: bool) -> Result<(), PropertyError> {
        let rest = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (is_network && b == b'-');
        if !(name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(rest)) {
            return Err(PropertyError::at(at, Problem::Name(Word::of(name))));
        }
        if self.names.is_taken(name) {
            return Err(PropertyError::at(at, Problem::DeclaredTwice(Word::of(name))));
        }
        Ok(())
    }

    /// The shapes (and for `equal-to` the hidden nodes) of related networks agree.
    fn check_equivalence(&self, network: &NetworkDeclaration) -> Result<(), PropertyError> {
        let (other, equal) = match network.equivalence {
            None => return Ok(()),
            Some(Equivalence::EqualTo(other)) => (&self.networks[other], true),
            Some(Equivalence::IsomorphicTo(other)) => (&self.networks[other], false),
        };
        let refuse = |name: &str, what| {
            Err(PropertyError::at(network.at, Problem::Equivalence { name: Word::of(name), what }))
        };
        if other.equivalence.is_some() {
            return refuse(&other.name, "is itself related to another; name that one");
        }
        let shapes = |tensors: &[Tensor]| tensors.iter().map(|t| t.shape.clone()).collect::<Vec<_>>();
        if shapes(&network.inputs) != shapes(&other.inputs)
            || shapes(&network.outputs) != shapes(&other.outputs)
        {
            return refuse(&network.name, "has inputs or outputs of other shapes");
        }
        let clash = |t: &Tensor| other.hidden.iter().any(|o| o.onnx == t.onnx && o.shape != t.shape);
        if equal && network.hidden.iter().any(clash) {
            return refuse(&network.name, "declares a hidden node with another shape");
        }
        Ok(())
    }
}

/// The text between the quotes, with its escapes undone.
fn unquoted(quoted: &str) -> String {
    let inside = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or(quoted);
    let mut text = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(other) => text.push(other),
                None => {}
            },
            _ => text.push(c),
        }
    }
    text
}
