//! From atoms in disjunctive normal form to cases: one input box each, with the disjuncts to look for in it.
//!
//! Inputs that the property asserts to be equal become one input. Inputs that rows speak of are passed on:
//! they count as outputs of the composed network, so that every row is a row over outputs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::alias::Aliases;
use super::compose::{Composition, Part};
use super::decimal::Decimal;
use super::error::{Position, Problem, PropertyError};
use super::formula::{Atoms, Conjunction, Formula, Statement};
use super::linear::Variable;
use super::{Case, Disjunct, InputBox, Lowered, Property, Row};

/// Cap on the bounds of all boxes together, and on the coefficients of all rows.
const CELLS_MAX: usize = 1 << 24;

/// What is declared, numbered; names and places are for messages.
pub trait Declarations {
    /// Elements of all inputs together.
    fn inputs(&self) -> usize;
    /// Elements of all outputs together.
    fn outputs(&self) -> usize;
    /// How the file writes a variable.
    fn name(&self, variable: Variable) -> String;
    /// Where it is declared.
    fn position(&self, variable: Variable) -> Position;
    /// Whether an alternative that no input satisfies, or that says nothing of the outputs, is a mistake.
    fn is_strict(&self) -> bool;
}

/// What [`assemble`] gives.
pub struct Assembled {
    property: Property,
    /// For each declared input, its number among those of the property.
    pub aliases: Vec<usize>,
    passed: Vec<usize>,
}

impl Assembled {
    /// The same about networks that read the property's inputs as `parts` say.
    pub fn composed(self, parts: Vec<Part>) -> Lowered {
        let composition = Composition { inputs: self.property.inputs, parts, passed: self.passed };
        Lowered { property: self.property, composition }
    }

    /// The same about one network that reads all inputs.
    pub fn single_network(self, inputs: usize, outputs: usize) -> Lowered {
        debug_assert_eq!(self.aliases.len(), inputs);
        let part = Part { network: 0, inputs: self.aliases.clone(), outputs };
        self.composed(vec![part])
    }
}

/// Builds the property that says `asserted` (all of them).
///
/// # Errors
/// [`PropertyError::Content`].
pub fn assemble(
    declared: &dyn Declarations,
    mut atoms: Atoms,
    asserted: Vec<Formula>,
) -> Result<Assembled, PropertyError> {
    let (single, choices): (Vec<Formula>, Vec<Formula>) = asserted.into_iter().partition(|f| f.len() == 1);
    let common: Conjunction = single.into_iter().flatten().flatten().collect();
    let aliases = Aliases::find(&atoms, &common, declared.inputs());
    aliases.rewrite(&mut atoms)?;
    let choice_count = choices.len();
    let alternatives = expand(choices)?;
    let mut builder = Builder::new(declared, &atoms, &aliases);
    let shared = builder.gather(&common);
    if let Some(problem) = builder.empty_input(&shared.bounds, &shared.bounds) {
        return Err(builder.locate(problem, &shared));
    }
    let mut cases: Vec<Case> = Vec::new();
    let mut by_box: HashMap<Bounds, usize> = HashMap::new();
    let may_fail = choice_count > 1 || !declared.is_strict();
    for alternative in alternatives {
        let Some(part) = builder.alternative(&shared, &alternative, may_fail)? else { continue };
        let disjunct = builder.disjunct(shared.rows.iter().chain(&part.rows))?;
        match by_box.get(&part.bounds) {
            Some(&index) => cases[index].disjuncts.push(disjunct),
            None => {
                let region = builder.region(&shared.bounds, &part.bounds)?;
                by_box.insert(part.bounds, cases.len());
                cases.push(Case { region, disjuncts: vec![disjunct] });
            }
        }
    }
    if cases.is_empty() {
        return Err(builder.impossible.unwrap_or_else(|| PropertyError::whole(Problem::Impossible)));
    }
    let (outputs, passed) = (builder.outputs, builder.passed);
    let property = Property { inputs: aliases.count(), outputs, cases };
    Ok(Assembled { property, aliases: aliases.into_numbers(), passed })
}

/// One conjunction per way to choose one from each formula.
fn expand(choices: Vec<Formula>) -> Result<Formula, PropertyError> {
    let mut work = Atoms::default();
    let nowhere = Position::default();
    choices.into_iter().try_fold(vec![vec![]], |all, next| work.and(all, next, nowhere)).map_err(
        |e| match e {
            PropertyError::Content { problem, .. } => PropertyError::whole(problem),
            file @ PropertyError::File(_) => file,
        },
    )
}

/// One side of an input's interval.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Bound {
    value: Decimal,
    strict: bool,
}

/// Bounds by input and side (`true` is upper); the tightest of each.
type Bounds = BTreeMap<(usize, bool), Bound>;

/// Why an alternative cannot hold.
enum EmptyOr {
    /// An input has no value left.
    Empty {
        input: usize,
        problem: Problem,
    },
    Other(Problem),
}

/// Bounds and rows of a conjunction.
#[derive(Default)]
struct Gathered {
    bounds: Bounds,
    /// Numbers of atoms that are rows.
    rows: Vec<u32>,
    /// Where its first atom stands.
    at: Option<Position>,
    /// Whether an atom is false.
    is_false: bool,
}

struct Builder<'a> {
    atoms: &'a Atoms,
    declared: &'a dyn Declarations,
    aliases: &'a Aliases,
    inputs: usize,
    /// Those of the networks, then one for each passed input.
    outputs: usize,
    /// Inputs that rows speak of, ascending.
    passed: Vec<usize>,
    cells: usize,
    /// Why the first alternative that cannot hold cannot.
    impossible: Option<PropertyError>,
}

impl<'a> Builder<'a> {
    fn new(declared: &'a dyn Declarations, atoms: &'a Atoms, aliases: &'a Aliases) -> Self {
        let rows = atoms.iter().filter_map(|a| match &a.statement {
            Statement::Row { terms, .. } => Some(terms),
            _ => None,
        });
        let inputs = rows.flatten().filter_map(|(v, _)| match v {
            Variable::Input(i) => Some(*i as usize),
            Variable::Output(_) => None,
        });
        let passed: Vec<usize> = inputs.collect::<BTreeSet<_>>().into_iter().collect();
        let outputs = declared.outputs() + passed.len();
        Self {
            atoms,
            declared,
            aliases,
            inputs: aliases.count(),
            outputs,
            passed,
            cells: 0,
            impossible: None,
        }
    }

    fn gather(&self, conjunction: &Conjunction) -> Gathered {
        let mut part =
            Gathered { at: conjunction.first().map(|n| self.atoms.get(*n).at), ..Gathered::default() };
        for &number in conjunction {
            let atom = self.atoms.get(number);
            match &atom.statement {
                Statement::Truth(holds) => part.is_false |= !holds,
                Statement::Row { .. } => part.rows.push(number),
                Statement::Bound { input, is_upper, value } => {
                    let bound = Bound { value: value.clone(), strict: atom.strict };
                    tighten(&mut part.bounds, (*input, *is_upper), bound);
                }
            }
        }
        part
    }

    /// The alternative's rows, and its bounds where they are tighter than the shared ones; `None` if it
    /// cannot hold, which only an alternative of several choices may (`may_fail`).
    fn alternative(
        &mut self,
        shared: &Gathered,
        conjunction: &Conjunction,
        may_fail: bool,
    ) -> Result<Option<Gathered>, PropertyError> {
        let mut part = self.gather(conjunction);
        part.bounds.retain(|key, bound| shared.bounds.get(key).is_none_or(|s| is_tighter(bound, s, key.1)));
        let failure = if part.is_false || shared.is_false {
            Some(EmptyOr::Other(Problem::Impossible))
        } else {
            self.empty_input(&shared.bounds, &part.bounds)
        };
        let Some(problem) = failure else { return Ok(Some(part)) };
        if may_fail && self.impossible.is_some() {
            return Ok(None);
        }
        let error = self.locate(problem, if part.at.is_some() { &part } else { shared });
        if !may_fail && !matches!(error.problem(), Some(Problem::Impossible)) {
            return Err(error);
        }
        self.impossible.get_or_insert(error);
        Ok(None)
    }

    fn locate(&self, problem: EmptyOr, part: &Gathered) -> PropertyError {
        let (at, problem) = match problem {
            EmptyOr::Empty { input, problem } => (self.atoms.last_bound_of(input), problem),
            EmptyOr::Other(problem) => (part.at, problem),
        };
        at.map_or_else(|| PropertyError::whole(problem.clone()), |at| PropertyError::at(at, problem.clone()))
    }

    fn name(&self, input: usize) -> String {
        self.declared.name(self.aliases.first_of(input))
    }

    /// An input that `own` bounds and whose bounds exclude every value.
    fn empty_input(&self, shared: &Bounds, own: &Bounds) -> Option<EmptyOr> {
        let find = |key| own.get(&key).or_else(|| shared.get(&key));
        own.keys().find_map(|&(input, _)| {
            let (lower, upper) = (find((input, false))?, find((input, true))?);
            let order = lower.value.cmp(&upper.value);
            let empty = order.is_gt() || (order.is_eq() && (lower.strict || upper.strict));
            let shown = |d: &Decimal| d.nearest_f64().to_string().into_boxed_str();
            let (lower, upper) = (&lower.value, &upper.value);
            empty.then(|| EmptyOr::Empty {
                input,
                problem: Problem::EmptyBox {
                    input: self.name(input).into(),
                    lower: shown(lower),
                    upper: shown(upper),
                },
            })
        })
    }

    fn spend(&mut self, cells: usize) -> Result<(), PropertyError> {
        self.cells = self.cells.saturating_add(cells);
        if self.cells > CELLS_MAX { Err(PropertyError::whole(Problem::Explosion)) } else { Ok(()) }
    }

    fn region(&mut self, shared: &Bounds, own: &Bounds) -> Result<InputBox, PropertyError> {
        self.spend(self.inputs)?;
        let mut region = InputBox {
            lower: Vec::with_capacity(self.inputs),
            upper: Vec::with_capacity(self.inputs),
            witness_lower: Vec::with_capacity(self.inputs),
            witness_upper: Vec::with_capacity(self.inputs),
        };
        for input in 0..self.inputs {
            let find = |is_upper: bool| {
                let key = (input, is_upper);
                own.get(&key).or_else(|| shared.get(&key)).ok_or_else(|| {
                    let side = if is_upper { "upper" } else { "lower" };
                    let at = self.declared.position(self.aliases.first_of(input));
                    PropertyError::at(at, Problem::Unbounded { input: self.name(input), side })
                })
            };
            let (lower, upper) = (find(false)?, find(true)?);
            region.lower.push(lower.value.floor_f64());
            region.upper.push(upper.value.ceil_f64());
            let ends = (lower.value.ceil_f32(lower.strict), upper.value.floor_f32(upper.strict));
            let nearest = match (region.lower.last(), region.upper.last()) {
                (Some(l), Some(u)) => (0.5 * l + 0.5 * u) as f32,
                _ => f32::NAN,
            };
            // No `f32` lies between the decimals: a device reads them as the nearest one.
            let between = ends.0 > ends.1 && !lower.strict && !upper.strict && nearest.is_finite();
            let (first, last) = if between { (nearest, nearest) } else { ends };
            region.witness_lower.push(first);
            region.witness_upper.push(last);
        }
        match region.lower.iter().chain(&region.upper).all(|b| b.is_finite()) {
            true => Ok(region),
            false => Err(PropertyError::whole(Problem::Range)),
        }
    }

    fn disjunct<'b>(&mut self, rows: impl Iterator<Item = &'b u32>) -> Result<Disjunct, PropertyError> {
        let rows = rows.map(|number| self.row(*number)).collect::<Result<Vec<_>, _>>()?;
        match (rows.is_empty(), self.declared.is_strict()) {
            (false, _) => Ok(Disjunct { rows }),
            (true, true) => Err(PropertyError::whole(Problem::NoOutputConstraint)),
            // Any input of the box will do: 0·y ≤ 0.
            (true, false) => {
                self.spend(self.outputs)?;
                let coefficients = vec![0.0; self.outputs];
                Ok(Disjunct {
                    rows: vec![Row { coefficients, rhs_lower: 0.0, rhs_upper: 0.0, strict: false }],
                })
            }
        }
    }

    fn row(&mut self, number: u32) -> Result<Row, PropertyError> {
        self.spend(self.outputs)?;
        let atom = self.atoms.get(number);
        let Statement::Row { terms, rhs } = &atom.statement else { unreachable!("gathered as a row") };
        let at = |problem| PropertyError::at(atom.at, problem);
        // A row that a power of ten turns into exact floats is the same row.
        let exact = |power: u32| -> Option<Vec<f64>> {
            terms.iter().map(|(_, c)| c.shifted(power).exact_f64()).collect()
        };
        let places = terms.iter().map(|(_, c)| c.places()).max().unwrap_or(0);
        let (values, power) = exact(0)
            .map(|v| (v, 0))
            .or_else(|| exact(places).map(|v| (v, places)))
            .ok_or_else(|| at(Problem::Coefficient))?;
        let mut coefficients = vec![0.0; self.outputs];
        for ((variable, _), value) in terms.iter().zip(values) {
            let place = match variable {
                Variable::Output(i) => *i as usize,
                Variable::Input(i) => {
                    let passed = self.passed.binary_search(&(*i as usize)).expect("gathered from all rows");
                    self.declared.outputs() + passed
                }
            };
            coefficients[place] = value;
        }
        let rhs = rhs.shifted(power);
        let (rhs_lower, rhs_upper) = (rhs.floor_f64(), rhs.ceil_f64());
        if !(rhs_lower.is_finite() && rhs_upper.is_finite()) {
            return Err(at(Problem::Range));
        }
        Ok(Row { coefficients, rhs_lower, rhs_upper, strict: atom.strict })
    }
}

fn is_tighter(new: &Bound, old: &Bound, is_upper: bool) -> bool {
    let order = new.value.cmp(&old.value);
    let inside = if is_upper { order.is_lt() } else { order.is_gt() };
    inside || (order.is_eq() && new.strict && !old.strict)
}

fn tighten(bounds: &mut Bounds, key: (usize, bool), bound: Bound) {
    match bounds.get_mut(&key) {
        Some(old) if !is_tighter(&bound, old, key.1) => {}
        Some(old) => *old = bound,
        None => {
            bounds.insert(key, bound);
        }
    }
}
