//! One thread's checker: walks a tree and checks the leaves that fall to it.

use super::check::{CHUNK, Group};
use crate::verify::crew::{Crew, Member};
use certus_core::Network;
use certus_core::program::{Program, Slot};
use certus_core::proof::program::{
    self as general, Bounds, Checker, Layout, Leaf, LeafBytes, Lemma, Slopes, Visitor,
};
use certus_core::proof::{self, Frame, Rejection};

/// Rows bounded together.
const LANES: usize = 64;
/// Deepest path of a tree, lemmas included.
pub const DEPTH: usize = 4096;
/// Most lemmas on one path.
pub const LEVELS: usize = 64;
/// Most numbers of affine forms: 1 GiB. Searches write lemmas that need far less.
const MOST_FORMS: usize = 1 << 27;

type Box64<'a> = (&'a [f64], &'a [f64]);

/// What a walk to the end of a tree saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub leaves: usize,
    pub lemmas: usize,
    pub depth: usize,
}

/// Checks trees.
pub trait Judge {
    /// Walks a tree to its end and checks the leaves that it takes.
    ///
    /// # Errors
    /// Why the tree or one of the leaves is not accepted; anything if the check is over.
    fn walk(&mut self, group: &Group<'_>) -> Result<Seen, Rejection>;
}

/// For chains.
pub struct ChainJudge<'n, K> {
    network: Network<'n>,
    kernel: K,
    floats: Vec<f64>,
    index: Vec<u32>,
    frames: Vec<Frame>,
    splits: Vec<proof::Split>,
}

impl<'n, K: proof::Kernel> ChainJudge<'n, K> {
    /// Memory for a network.
    pub fn new(network: Network<'n>, kernel: K) -> Self {
        Self {
            kernel,
            floats: vec![0.0; proof::memory_len(&network, LANES)],
            index: vec![0; network.width()],
            frames: vec![Frame::EMPTY; DEPTH],
            splits: vec![proof::Split { layer: 0, neuron: 0, active: false }; DEPTH],
            network,
        }
    }
}

impl<K: proof::Kernel> Judge for ChainJudge<'_, K> {
    fn walk(&mut self, group: &Group<'_>) -> Result<Seen, Rejection> {
        let rows: Vec<Vec<proof::Row<'_>>> =
            group.case.disjuncts.iter().map(|d| d.rows.iter().map(chain_row).collect()).collect();
        let disjuncts: Vec<&[proof::Row<'_>]> = rows.iter().map(Vec::as_slice).collect();
        let problem = proof::Problem { network: self.network, disjuncts: &disjuncts, meaning: group.meaning };
        let region = &group.case.region;
        let (mut lower, mut upper) = (region.lower.clone(), region.upper.clone());
        let mut claims = vec![proof::Claim::default(); disjuncts.len()];
        let (mut met, mut mine) = (0, false);
        let mut memory = proof::Memory { floats: &mut self.floats, index: &mut self.index, lanes: LANES };
        let kernel = &mut self.kernel;
        let stats = proof::walk(
            &problem,
            group.bytes,
            (&mut lower, &mut upper),
            &mut self.frames,
            &mut self.splits,
            |region, splits, leaf| {
                group.take(met, CHUNK, &mut mine)?;
                met += 1;
                if !mine {
                    return Ok(());
                }
                leaf.parse(&mut claims)?;
                proof::check_leaf(&problem, kernel, region, splits, &claims, &mut memory)
            },
        )?;
        Ok(Seen { leaves: stats.leaves, lemmas: 0, depth: stats.depth })
    }
}

/// A row as the checker of chains reads it.
pub fn chain_row(row: &crate::property::Row) -> proof::Row<'_> {
    proof::Row { coefficients: &row.coefficients, rhs: row.rhs_upper }
}

/// For programs.
pub struct ProgramJudge<'n, K> {
    program: Program<'n>,
    layout: &'n Layout<'n>,
    kernel: K,
    floats: Vec<f64>,
    index: Vec<u32>,
    bounds: Vec<Vec<f64>>,
    frames: Vec<general::Frame>,
    splits: Vec<general::Split>,
}

impl<'n, K: general::Kernel + Clone> ProgramJudge<'n, K> {
    /// Memory for a program.
    pub fn new(program: Program<'n>, layout: &'n Layout<'n>, kernel: K) -> Self {
        let none = general::Split { slot: Slot(1), element: 0, point: 0.0, above: false };
        Self {
            program,
            layout,
            kernel,
            floats: vec![0.0; layout.memory_len(LANES)],
            index: vec![0; layout.index_len(LANES)],
            bounds: Vec::new(),
            frames: vec![general::Frame::EMPTY; DEPTH],
            splits: vec![none; DEPTH],
        }
    }
}

impl<K: general::Kernel + Clone> Judge for ProgramJudge<'_, K> {
    fn walk(&mut self, group: &Group<'_>) -> Result<Seen, Rejection> {
        let rows: Vec<Vec<general::Row<'_>>> =
            group.case.disjuncts.iter().map(|d| d.rows.iter().map(program_row).collect()).collect();
        let disjuncts: Vec<&[general::Row<'_>]> = rows.iter().map(Vec::as_slice).collect();
        let problem =
            general::Problem { program: self.program, disjuncts: &disjuncts, meaning: group.meaning };
        let region = &group.case.region;
        let (mut lower, mut upper) = (region.lower.clone(), region.upper.clone());
        let mut shape = Shape::default();
        let path = (self.frames.as_mut_slice(), self.splits.as_mut_slice());
        let stats =
            general::walk(&problem, self.layout, group.bytes, (&mut lower, &mut upper), path, &mut shape)?;
        if shape.columns > 0 {
            let forms = self.layout.forms_len(shape.columns, self.kernel.lane_multiple());
            let needed = self.layout.memory_len(LANES).saturating_add(forms);
            if forms > MOST_FORMS {
                return Err(Rejection::Shape);
            }
            if self.floats.len() < needed {
                self.floats.resize(needed, 0.0);
            }
        }
        let len = self.layout.bounds_len();
        while self.bounds.len() < shape.levels {
            self.bounds.push(vec![0.0; len]);
        }
        let memory = general::Memory { floats: &mut self.floats, index: &mut self.index, lanes: LANES };
        let checker = Checker::new(&problem, self.layout, self.kernel.clone(), memory)?;
        let mut visit = Visit {
            group,
            checker,
            levels: self.bounds.iter_mut().map(|m| Bounds::new(self.layout, m)).collect(),
            layout: self.layout,
            pending: Vec::new(),
            derived: 0,
            held: Vec::new(),
            rows: 0,
            claims: vec![general::Claim::default(); disjuncts.len()],
            margins: vec![0.0; disjuncts.len()],
            met: 0,
            mine: false,
            // Leaves with lemmas of their own are dear.
            chunk: if shape.lemmas > stats.leaves / 2 { 1 } else { CHUNK },
            member: group.crew.as_ref().map(Crew::join),
        };
        let path = (self.frames.as_mut_slice(), self.splits.as_mut_slice());
        let (mut lower, mut upper) = (region.lower.clone(), region.upper.clone());
        general::walk(&problem, self.layout, group.bytes, (&mut lower, &mut upper), path, &mut visit)?;
        visit.flush()?;
        Ok(Seen { leaves: stats.leaves, lemmas: shape.lemmas, depth: stats.depth })
    }
}

fn program_row(row: &crate::property::Row) -> general::Row<'_> {
    general::Row { output: &row.coefficients, input: &[], rhs: row.rhs_upper }
}

/// Counts lemmas, their nesting and the symbols of their affine forms.
#[derive(Default)]
struct Shape {
    lemmas: usize,
    levels: usize,
    columns: usize,
}

impl<'p> Visitor<'p> for Shape {
    fn lemma(
        &mut self,
        level: usize,
        _: Box64<'_>,
        _: &[general::Split],
        lemma: &Lemma<'p>,
    ) -> Result<(), Rejection> {
        if level >= LEVELS {
            return Err(Rejection::Depth);
        }
        self.columns = self.columns.max(lemma.columns());
        self.lemmas += 1;
        self.levels = self.levels.max(level + 1);
        Ok(())
    }

    fn leaf(
        &mut self,
        _: usize,
        _: Box64<'_>,
        _: &[general::Split],
        _: LeafBytes<'p>,
    ) -> Result<(), Rejection> {
        Ok(())
    }
}

/// A lemma on the path, to be derived when a leaf below it is checked.
struct Pending<'p> {
    lower: Vec<f64>,
    upper: Vec<f64>,
    splits: Vec<general::Split>,
    lemma: Lemma<'p>,
}

/// A leaf on the box of the bounds that it inherits from, to be checked with others.
struct Held<'p> {
    splits: Vec<general::Split>,
    first: usize,
    claims: Vec<general::Claim<'p>>,
}

/// A walk that checks the leaves it takes.
struct Visit<'v, 'a, 'b, 'p, K> {
    group: &'v Group<'v>,
    checker: Checker<'a, K>,
    layout: &'v Layout<'v>,
    levels: Vec<Bounds<'b>>,
    /// Lemmas of the path; the first `derived` of them are in `levels`.
    pending: Vec<Pending<'p>>,
    derived: usize,
    /// Leaves that inherit from the last level derived, and their claims in all.
    held: Vec<Held<'p>>,
    rows: usize,
    claims: Vec<general::Claim<'p>>,
    margins: Vec<f64>,
    met: usize,
    mine: bool,
    /// Leaves taken at once.
    chunk: usize,
    /// The part in the lemma at the root.
    member: Option<Member<'v>>,
}

impl<'p, K: general::Kernel> Visit<'_, '_, '_, 'p, K> {
    /// Derives the lemmas of the path as far as `level`.
    fn derive(&mut self, level: usize) -> Result<(), Rejection> {
        while self.derived <= level {
            let (above, here) = self.levels.split_at_mut_checked(self.derived).ok_or(Rejection::Depth)?;
            let bounds = here.first_mut().ok_or(Rejection::Depth)?;
            let p = self.pending.get(self.derived).ok_or(Rejection::Shape)?;
            let place: (Box64<'_>, &[general::Split]) = ((&p.lower, &p.upper), &p.splits);
            match self.member.take() {
                Some(mut member) => {
                    self.checker.derive_shared(&mut member, above.last(), place, &p.lemma, bounds)?;
                    member.finish();
                }
                None => {
                    self.checker.derive(above.last(), place.0, place.1, &p.lemma, bounds)?;
                }
            }
            self.derived += 1;
        }
        Ok(())
    }

    /// Checks the leaves that are held.
    fn flush(&mut self) -> Result<(), Rejection> {
        let held = std::mem::take(&mut self.held);
        let rows = std::mem::take(&mut self.rows);
        if held.is_empty() {
            return Ok(());
        }
        let bounds = self.derived.checked_sub(1).and_then(|last| self.levels.get(last));
        let bounds = bounds.ok_or(Rejection::Shape)?;
        let leaves: Vec<Leaf<'_>> =
            held.iter().map(|l| Leaf { splits: &l.splits, first: l.first, claims: &l.claims }).collect();
        let mut margins = vec![f64::NAN; rows];
        let mut outcomes = vec![Err(Rejection::Shape); leaves.len()];
        self.checker.check_leaves(bounds, &leaves, &mut margins, &mut outcomes)?;
        match outcomes.iter().find_map(|o| o.err()) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }
}

impl<'p, K: general::Kernel> Visitor<'p> for Visit<'_, '_, '_, 'p, K> {
    fn lemma(
        &mut self,
        level: usize,
        (lower, upper): Box64<'_>,
        splits: &[general::Split],
        lemma: &Lemma<'p>,
    ) -> Result<(), Rejection> {
        self.flush()?;
        self.pending.truncate(level);
        self.derived = self.derived.min(level);
        let (lower, upper) = (lower.to_vec(), upper.to_vec());
        self.pending.push(Pending { lower, upper, splits: splits.to_vec(), lemma: *lemma });
        // All threads come by the lemma of the root, whichever of them will find leaves to take below it; a tree whose first lemma is
        // deeper has its lemmas derived by those who need them.
        let region = &self.group.case.region;
        let at_root = splits.is_empty()
            && self.pending.last().is_some_and(|p| p.lower == region.lower && p.upper == region.upper);
        if self.member.is_some() && at_root {
            return self.derive(level);
        }
        if let Some(member) = self.member.take() {
            member.finish();
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        level: usize,
        region: Box64<'_>,
        splits: &[general::Split],
        leaf: LeafBytes<'p>,
    ) -> Result<(), Rejection> {
        self.group.take(self.met, self.chunk, &mut self.mine)?;
        self.met += 1;
        if !self.mine {
            return Ok(());
        }
        if level + 1 != self.derived {
            self.flush()?;
            self.derived = self.derived.min(level + 1);
            self.derive(level)?;
        }
        let bounds = self.levels.get(level).ok_or(Rejection::Depth)?;
        let (disjuncts, claims) = (leaf.disjuncts(), leaf.parse(&mut self.claims)?);
        if bounds.slot(self.layout, Slot::INPUT).is_some_and(|b| b == region) {
            self.rows += claims.len();
            self.held.push(Held { splits: splits.to_vec(), first: disjuncts.start, claims: claims.to_vec() });
            return if self.rows < LANES { Ok(()) } else { self.flush() };
        }
        let margins = self.margins.get_mut(..claims.len()).ok_or(Rejection::Shape)?;
        self.checker.check_part(bounds, (region, splits), disjuncts, claims, margins).map(|_| ())
    }
}
