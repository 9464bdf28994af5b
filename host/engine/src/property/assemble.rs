//! From atoms in disjunctive normal form to cases: one input box each, with the disjuncts to look for in it.

use std::collections::{BTreeMap, HashMap};

use super::decimal::Decimal;
use super::error::{Problem, PropertyError};
use super::formula::{Atoms, Conjunction, Formula, Statement};
use super::linear::Variable;
use super::{Case, Disjunct, InputBox, Property, Row};

/// Cap on the bounds of all boxes together, and on the coefficients of all rows.
const CELLS_MAX: usize = 1 << 24;

/// Builds the property that says `asserted` (all of them) of the variables `declared`.
///
/// # Errors
/// [`PropertyError::Content`].
pub fn assemble(
    declared: &HashMap<Variable, usize>,
    atoms: &Atoms,
    asserted: Vec<Formula>,
) -> Result<Property, PropertyError> {
    let (inputs, outputs) = (count(declared, Variable::Input, "X")?, count(declared, Variable::Output, "Y")?);
    let (single, choices): (Vec<Formula>, Vec<Formula>) = asserted.into_iter().partition(|f| f.len() == 1);
    let common: Conjunction = single.into_iter().flatten().flatten().collect();
    let choice_count = choices.len();
    let alternatives = expand(choices)?;
    let mut builder = Builder { atoms, declared, inputs, outputs, cells: 0, impossible: None };
    let shared = builder.gather(&common);
    if let Some(problem) = builder.empty_input(&shared.bounds, &shared.bounds) {
        return Err(builder.locate(problem, &shared));
    }
    let mut cases: Vec<Case> = Vec::new();
    let mut by_box: HashMap<Bounds, usize> = HashMap::new();
    for alternative in alternatives {
        let Some(part) = builder.alternative(&shared, &alternative, choice_count > 1)? else { continue };
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
    Ok(Property { inputs, outputs, cases })
}

/// How many variables of one kind there are; their indices must be 0, 1, ….
fn count(
    declared: &HashMap<Variable, usize>,
    kind: fn(u32) -> Variable,
    letter: &'static str,
) -> Result<usize, PropertyError> {
    let missing = (0u32..).find(|i| !declared.contains_key(&kind(*i))).unwrap_or(u32::MAX);
    let beyond = |v: &Variable| match (kind(0), *v) {
        (Variable::Input(_), Variable::Input(i)) | (Variable::Output(_), Variable::Output(i)) => i > missing,
        _ => false,
    };
    // The smallest one, so that the message does not depend on the order of the map.
    if let Some((_, line)) = declared.iter().filter(|(v, _)| beyond(v)).min() {
        return Err(PropertyError::at(*line, Problem::Gap { letter, index: missing }));
    }
    if missing == 0 {
        return Err(PropertyError::whole(Problem::NoVariables { letter }));
    }
    Ok(missing as usize)
}

/// One conjunction per way to choose one from each formula.
fn expand(choices: Vec<Formula>) -> Result<Formula, PropertyError> {
    let mut work = Atoms::default();
    choices.into_iter().try_fold(vec![vec![]], |all, next| work.and(all, next, 0)).map_err(|e| match e {
        PropertyError::Content { problem, .. } => PropertyError::whole(problem),
        file @ PropertyError::File(_) => file,
    })
}

/// One side of an input's interval.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Bound {
    value: Decimal,
    strict: bool,
}

/// Bounds by input and side (`true` is upper); the tightest of each.
type Bounds = BTreeMap<(usize, bool), Bound>;

/// Bounds and rows of a conjunction.
#[derive(Default)]
struct Part {
    bounds: Bounds,
    /// Numbers of atoms that are rows.
    rows: Vec<u32>,
    /// Line of the first atom, for messages.
    line: Option<usize>,
    /// Whether an atom is false.
    is_false: bool,
}

struct Builder<'a> {
    atoms: &'a Atoms,
    declared: &'a HashMap<Variable, usize>,
    inputs: usize,
    outputs: usize,
    cells: usize,
    /// Why the first alternative that cannot hold cannot.
    impossible: Option<PropertyError>,
}

impl Builder<'_> {
    fn gather(&self, conjunction: &Conjunction) -> Part {
        let mut part = Part { line: conjunction.first().map(|n| self.atoms.get(*n).line), ..Part::default() };
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
        shared: &Part,
        conjunction: &Conjunction,
        may_fail: bool,
    ) -> Result<Option<Part>, PropertyError> {
        let mut part = self.gather(conjunction);
        part.bounds.retain(|key, bound| shared.bounds.get(key).is_none_or(|s| is_tighter(bound, s, key.1)));
        let failure = if part.is_false || shared.is_false {
            Some(Problem::Impossible)
        } else {
            self.empty_input(&shared.bounds, &part.bounds)
        };
        let Some(problem) = failure else { return Ok(Some(part)) };
        if may_fail && self.impossible.is_some() {
            return Ok(None);
        }
        let error = self.locate(problem, if part.line.is_some() { &part } else { shared });
        if !may_fail && !matches!(error.problem(), Some(Problem::Impossible)) {
            return Err(error);
        }
        self.impossible.get_or_insert(error);
        Ok(None)
    }

    fn locate(&self, problem: Problem, part: &Part) -> PropertyError {
        let line = match &problem {
            Problem::EmptyBox { input, .. } => self.atoms.last_line_of(*input),
            _ => part.line,
        };
        line.map_or_else(
            || PropertyError::whole(problem.clone()),
            |line| PropertyError::at(line, problem.clone()),
        )
    }

    /// An input that `own` bounds and whose bounds exclude every value.
    fn empty_input(&self, shared: &Bounds, own: &Bounds) -> Option<Problem> {
        let find = |key| own.get(&key).or_else(|| shared.get(&key));
        own.keys().find_map(|&(input, _)| {
            let (lower, upper) = (find((input, false))?, find((input, true))?);
            let order = lower.value.cmp(&upper.value);
            let empty = order.is_gt() || (order.is_eq() && (lower.strict || upper.strict));
            let shown = |d: &Decimal| d.nearest_f64().to_string();
            empty.then(|| Problem::EmptyBox { input, lower: shown(&lower.value), upper: shown(&upper.value) })
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
                    let line = self.declared.get(&Variable::Input(input as u32)).copied().unwrap_or(1);
                    PropertyError::at(
                        line,
                        Problem::Unbounded { input, side: if is_upper { "upper" } else { "lower" } },
                    )
                })
            };
            let (lower, upper) = (find(false)?, find(true)?);
            region.lower.push(lower.value.floor_f64());
            region.upper.push(upper.value.ceil_f64());
            region.witness_lower.push(lower.value.ceil_f32(lower.strict));
            region.witness_upper.push(upper.value.floor_f32(upper.strict));
        }
        match region.lower.iter().chain(&region.upper).all(|b| b.is_finite()) {
            true => Ok(region),
            false => Err(PropertyError::whole(Problem::Range)),
        }
    }

    fn disjunct<'b>(&mut self, rows: impl Iterator<Item = &'b u32>) -> Result<Disjunct, PropertyError> {
        let rows = rows.map(|number| self.row(*number)).collect::<Result<Vec<_>, _>>()?;
        match rows.is_empty() {
            false => Ok(Disjunct { rows }),
            true => Err(PropertyError::whole(Problem::NoOutputConstraint)),
        }
    }

    fn row(&mut self, number: u32) -> Result<Row, PropertyError> {
        self.spend(self.outputs)?;
        let atom = self.atoms.get(number);
        let Statement::Row { terms, rhs } = &atom.statement else { unreachable!("gathered as a row") };
        let at = |problem| PropertyError::at(atom.line, problem);
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
        terms.iter().zip(values).for_each(|((output, _), value)| coefficients[*output] = value);
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
