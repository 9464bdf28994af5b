//! One case of a property about a program, in the forms that search, attack and checker read.

use super::tree::Cut;
use crate::bounds::program::{Prepared, Spec};
use crate::device::ProgramKernel;
use crate::program::{Program, Slot, Tables};
use crate::property::{Case, Evaluate, Property, Row};
use certus_core::proof::program as proof;

/// What all cases share.
pub struct Parts<'p> {
    /// The program itself.
    pub program: &'p Program,
    /// What it computes, for witnesses.
    pub network: &'p dyn Evaluate,
    /// Its form for the search.
    pub net: Prepared,
    /// Its form for the checker.
    pub tables: Tables<'p>,
    /// Its weights for the checker.
    pub kernel: ProgramKernel,
}

impl<'p> Parts<'p> {
    /// Packs `program`; witnesses are evaluated by `network`.
    pub fn new(program: &'p Program, network: &'p dyn Evaluate) -> Self {
        Self::with_net(program, network, Prepared::new(program))
    }

    /// As [`Self::new`], with the form for the search.
    pub fn with_net(program: &'p Program, network: &'p dyn Evaluate, net: Prepared) -> Self {
        let tables = program.tables();
        let kernel = ProgramKernel::new(&tables.program());
        Self { program, network, net, tables, kernel }
    }
}

/// One case: a box and the disjuncts to refute on it.
pub struct CaseProblem<'a> {
    /// Network and weights.
    pub parts: &'a Parts<'a>,
    /// The whole property, against which witnesses are checked.
    pub property: &'a Property,
    /// The case.
    pub case: &'a Case,
    /// All rows of all disjuncts, one after the other: `c·y − rhs`, to be shown positive.
    pub spec: Spec,
    /// For each disjunct, where its rows begin in `spec`; one more entry at the end.
    first_row: Vec<usize>,
    /// The disjuncts for the checker.
    pub rows: Vec<Vec<proof::Row<'a>>>,
}

impl<'a> CaseProblem<'a> {
    /// Collects the case's rows.
    pub fn new(parts: &'a Parts<'a>, property: &'a Property, case: &'a Case) -> Self {
        let mut first_row = vec![0];
        let mut spec = Spec { weights: Vec::new(), bias: Vec::new() };
        for row in case.disjuncts.iter().flat_map(|d| &d.rows) {
            spec.weights.extend(row.coefficients.iter().map(|c| *c as f32));
            spec.bias.push(-row.rhs_upper as f32);
        }
        for disjunct in &case.disjuncts {
            first_row.push(first_row[first_row.len() - 1] + disjunct.rows.len());
        }
        let row = |r: &'a Row| proof::Row { output: &r.coefficients, input: &[], rhs: r.rhs_upper };
        let rows = case.disjuncts.iter().map(|d| d.rows.iter().map(row).collect()).collect();
        Self { parts, property, case, spec, first_row, rows }
    }

    /// Rows of a disjunct in `spec`.
    pub fn rows_of(&self, disjunct: usize) -> std::ops::Range<usize> {
        self.first_row[disjunct]..self.first_row[disjunct + 1]
    }

    /// Whether there is what `cut` cuts.
    pub fn has(&self, cut: &Cut) -> bool {
        let program = self.parts.program;
        match *cut {
            Cut::Input { coordinate, value } => (coordinate as usize) < program.inputs() && value.is_finite(),
            Cut::Value { slot, element, point } => {
                let exists = |slot: usize| (1..program.slots()).contains(&slot);
                exists(slot as usize)
                    && (element as usize) < program.size(Slot(slot as usize))
                    && point.is_finite()
            }
            Cut::Disjuncts { at } => (1..self.disjuncts()).contains(&usize::from(at)),
        }
    }

    /// How many disjuncts.
    pub fn disjuncts(&self) -> usize {
        self.case.disjuncts.len()
    }

    /// The disjunct's row that is easiest to refute, and its bound among `bounds` of all rows.
    pub fn best_row(&self, disjunct: usize, bounds: &[f32]) -> (u16, f32) {
        let bounds = &bounds[self.rows_of(disjunct)];
        let best =
            (0..bounds.len()).max_by(|a, b| bounds[*a].total_cmp(&bounds[*b])).expect("a disjunct has a row");
        (best as u16, bounds[best])
    }
}
