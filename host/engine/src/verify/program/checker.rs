//! The engine's hand on the checker of programs: memory, lemmas and leaves under a deadline, and which of them were accepted.

mod whole;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

pub use whole::{Accepted, Fingerprint};

use super::tree::{LeafClaim, LemmaBytes, has_forms};
use super::worker::Answer;
use crate::bounds::program::{Interval, Stop};
use crate::device::ProgramKernel;
use crate::verify::crew::{Crew, Member};
use certus_core::program::Slot;
use certus_core::proof::program::{
    Alone, Bounds, Checker, Claim, Held, IntervalsOnly, Layout, Leaf, Lemma, Memory, Problem, Row, Slopes,
    Split, Start, Team,
};
use certus_core::proof::{Meaning, Rejection};
use certus_kernels::LANE_MULTIPLE;

/// Rows of a lemma bounded together by the checker.
const LANES: usize = 64;

/// Length of bounds from which on a lemma's rows are shared by threads.
const WORTH_A_CREW: usize = 8192;

/// Rows of leaves bounded together, at least.
const LEAF_LANES: usize = 32;

/// A box, `[inputs]` each.
pub type Box64<'a> = (&'a [f64], &'a [f64]);

/// Box and splits of a domain.
pub type Place<'a> = (Box64<'a>, &'a [Split]);

/// The checker's problem of a case, and the tables that one checker per thread reads.
pub struct Desk<'a> {
    problem: Problem<'a>,
    layout: Layout<'a>,
    kernel: ProgramKernel,
    /// Nanoseconds that all threads have spent in its referees.
    spent: AtomicU64,
}

/// Adds the time until it is dropped.
struct Watch<'w> {
    spent: &'w AtomicU64,
    start: Instant,
}

impl<'w> Watch<'w> {
    fn start(spent: &'w AtomicU64) -> Self {
        Self { spent, start: Instant::now() }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.spent.fetch_add(self.start.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}

impl<'a> Desk<'a> {
    /// The problem over `program`; `words` is lent for the tables.
    ///
    /// # Errors
    /// [`Rejection`] if the program is too large to lay out.
    pub fn new(
        program: certus_core::program::Program<'a>,
        disjuncts: &'a [&'a [Row<'a>]],
        meaning: Meaning,
        kernel: &ProgramKernel,
        words: &'a mut Vec<usize>,
    ) -> Result<Self, Rejection> {
        words.resize(Layout::words(&program), 0);
        let layout = Layout::new(&program, words)?;
        Ok(Self {
            problem: Problem { program, disjuncts, meaning },
            layout,
            kernel: kernel.clone(),
            spent: AtomicU64::new(0),
        })
    }

    /// Bounds of every slot in `f32`, rounded outward; `None` before they are derived or where no input is left.
    pub fn intervals(&self, bounds: &Bounds<'_>) -> Option<Vec<Interval>> {
        let interval = |slot: usize| {
            let (lower, upper) = bounds.slot(&self.layout, Slot(slot))?;
            let (lower, upper) = crate::verify::rounded_box(lower, upper);
            Some(Interval { lower, upper })
        };
        (0..self.problem.program.slots()).map(interval).collect()
    }

    /// Slopes that a row of the outputs has.
    pub fn slopes(&self) -> usize {
        self.layout.claims_len(self.problem.program.output())
    }

    /// Seconds that all threads have spent in its referees.
    pub fn seconds(&self) -> f64 {
        self.spent.load(Ordering::Relaxed) as f64 * 1e-9
    }

    /// Slopes that a row of a slot has.
    pub fn slopes_of(&self, slot: usize) -> usize {
        self.layout.claims_len(Slot(slot))
    }

    /// A checker in memory of its own, which takes lemmas of affine forms with up to `columns` symbols.
    fn checker<'c>(
        &'c self,
        floats: &'c mut Vec<f64>,
        index: &'c mut Vec<u32>,
        lanes: usize,
        columns: usize,
    ) -> Result<Checker<'c, ProgramKernel>, Rejection> {
        let forms = if columns > 0 { self.layout.forms_len(columns, LANE_MULTIPLE) } else { 0 };
        floats.resize(self.layout.memory_len(lanes) + forms, 0.0);
        index.resize(self.layout.index_len(lanes), 0);
        Checker::new(&self.problem, &self.layout, self.kernel.clone(), Memory { floats, index, lanes })
    }

    /// Bounds to be derived, in `memory`.
    pub fn bounds<'m>(&self, memory: &'m mut Vec<f64>) -> Bounds<'m> {
        memory.resize(self.layout.bounds_len(), 0.0);
        Bounds::new(&self.layout, memory)
    }
}

/// Memory of one thread's checker.
#[derive(Default)]
pub struct Desktop {
    floats: [Vec<f64>; 2],
    index: [Vec<u32>; 2],
    bounds: Vec<f64>,
}

/// One thread's checker.
pub struct Referee<'a> {
    /// With many lanes, for the rows of lemmas.
    lemmas: Checker<'a, ProgramKernel>,
    /// For leaves of many domains, or of many disjuncts.
    leaves: Checker<'a, ProgramKernel>,
    desk: &'a Desk<'a>,
    layout: &'a Layout<'a>,
    bounds: &'a mut [f64],
    margins: Vec<f64>,
    /// Bounds that others inherit from.
    above: Vec<f64>,
    spent: &'a AtomicU64,
}

/// Bounds derived at a node, for those below it.
pub struct Kept {
    memory: Vec<f64>,
    held: Held,
    /// Lemmas above and at the node.
    pub levels: usize,
    /// Those lemmas, as leaves below are remembered.
    pub lemma: Fingerprint,
}

impl Kept {
    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(self.memory.as_slice())
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").field("levels", &self.levels).finish_non_exhaustive()
    }
}

impl<'a> Referee<'a> {
    /// A checker of the desk's problem in `memory`, which takes lemmas of affine forms with up to `columns` symbols.
    ///
    /// # Errors
    /// [`Rejection::Unsupported`] if the checker does not take the problem.
    pub fn new(desk: &'a Desk<'a>, memory: &'a mut Desktop, columns: usize) -> Result<Self, Rejection> {
        let disjuncts = desk.problem.disjuncts.len();
        let few = disjuncts.next_multiple_of(LANE_MULTIPLE).clamp(LEAF_LANES, LANES);
        let [wide, narrow] = &mut memory.floats;
        let [wide_index, narrow_index] = &mut memory.index;
        memory.bounds.resize(desk.layout.bounds_len(), 0.0);
        Ok(Self {
            lemmas: desk.checker(wide, wide_index, LANES, columns)?,
            leaves: desk.checker(narrow, narrow_index, few, 0)?,
            desk,
            layout: &desk.layout,
            bounds: &mut memory.bounds,
            margins: vec![0.0; disjuncts],
            above: Vec::new(),
            spent: &desk.spent,
        })
    }

    /// Bounds of every value on a box by intervals.
    ///
    /// # Errors
    /// [`Rejection`].
    pub fn bound(&mut self, region: Box64<'_>) -> Result<bool, Rejection> {
        let mut bounds = Bounds::new(self.layout, self.bounds);
        self.lemmas.derive(None, region, &[], &IntervalsOnly, &mut bounds)
    }

    /// Derives the `lemma` of a root into `bounds`, its rows shared by so many threads; false if that fails or time is up.
    pub fn derive(
        &mut self,
        threads: usize,
        place: Place<'_>,
        lemma: &LemmaBytes,
        bounds: &mut Bounds<'_>,
        stop: Stop<'_>,
    ) -> bool {
        let _watch = Watch::start(self.spent);
        let desk = self.desk;
        // Forms have no rows to share.
        if threads < 2 || desk.layout.bounds_len() < WORTH_A_CREW || has_forms(lemma) {
            return derive(&mut self.lemmas, &mut Alone, None, place, (desk, lemma), bounds, stop);
        }
        let crew = Crew::new(threads);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| {
                    let member = crew.join();
                    let (mut floats, mut index, mut bounds) = Default::default();
                    let mut bounds = desk.bounds(&mut bounds);
                    if let Ok(mut checker) = desk.checker(&mut floats, &mut index, LANES, 0) {
                        derive_in(member, &mut checker, place, (desk, lemma), &mut bounds, stop);
                    }
                });
            }
            derive_in(crew.join(), &mut self.lemmas, place, (desk, lemma), bounds, stop)
        })
    }

    /// Whether the checker accepts that the claims refute every disjunct on the box cut by the splits: from bounds derived above
    /// and, if there is one, the lemma of the leaf itself.
    ///
    /// # Errors
    /// [`Rejection`]; [`Rejection::Length`] if time is up.
    pub fn accept(
        &mut self,
        above: Option<&Bounds<'_>>,
        (region, splits): (Box64<'_>, &[Split]),
        lemma: Option<&LemmaBytes>,
        claims: &[LeafClaim],
        stop: Stop<'_>,
    ) -> Result<(), Rejection> {
        let _watch = Watch::start(self.spent);
        let betas = beta_bytes(claims);
        let claims = with_bytes(claims, &betas);
        let Some(lemma) = lemma else {
            let bounds = above.ok_or(Rejection::Shape)?;
            return self.leaves.check_leaf(bounds, region, splits, &claims, &mut self.margins).map(|_| ());
        };
        let mut bounds = Bounds::new(self.layout, self.bounds);
        let what = (self.desk, lemma);
        if !derive(&mut self.lemmas, &mut Alone, above, (region, splits), what, &mut bounds, stop) {
            return Err(Rejection::Length);
        }
        self.leaves.check_leaf(&bounds, region, splits, &claims, &mut self.margins).map(|_| ())
    }

    /// Derives the lemma of a leaf, has `claims_of` claim from the intervals of the outputs, and asks about the leaf; `None` if nothing
    /// can be derived.
    pub fn judge(
        &mut self,
        above: Option<&Bounds<'_>>,
        region: Box64<'_>,
        lemma: &LemmaBytes,
        claims_of: impl FnOnce(Box64<'_>) -> Vec<LeafClaim>,
        stop: Stop<'_>,
    ) -> Option<(Vec<LeafClaim>, Answer)> {
        let _watch = Watch::start(self.spent);
        let mut bounds = Bounds::new(self.layout, self.bounds);
        let what = (self.desk, lemma);
        if !derive(&mut self.lemmas, &mut Alone, above, (region, &[]), what, &mut bounds, stop) {
            return None;
        }
        let claims = claims_of(bounds.slot(self.layout, self.desk.problem.program.output())?);
        let answer = answer(&mut self.leaves, &bounds, region, &claims, &mut self.margins);
        Some((claims, answer))
    }

    /// As [`Self::judge`] for the whole box of a lemma that is derived into `bounds`, on which domains below may stand.
    pub fn judge_root(
        &mut self,
        region: Box64<'_>,
        lemma: &LemmaBytes,
        bounds: &mut Bounds<'_>,
        claims_of: impl FnOnce(Box64<'_>) -> Vec<LeafClaim>,
        stop: Stop<'_>,
    ) -> Option<(Vec<LeafClaim>, Answer)> {
        let _watch = Watch::start(self.spent);
        let what = (self.desk, lemma);
        if !derive(&mut self.lemmas, &mut Alone, None, (region, &[]), what, bounds, stop) {
            return None;
        }
        let claims = claims_of(bounds.slot(self.layout, self.desk.problem.program.output())?);
        let answer = answer(&mut self.leaves, bounds, region, &claims, &mut self.margins);
        Some((claims, answer))
    }

    /// Derives a lemma below what was derived at a node above, its rows shared by so many threads if there is none; `own` is what the
    /// lemma is remembered as. `None` if that fails or time is up.
    pub fn derive_below(
        &mut self,
        (threads, above): (usize, Option<&Kept>),
        place: Place<'_>,
        (lemma, own): (&LemmaBytes, Fingerprint),
        stop: Stop<'_>,
    ) -> Option<Kept> {
        let mut memory = vec![0.0; self.layout.bounds_len()];
        let mut bounds = Bounds::new(self.layout, &mut memory);
        let derived = match above {
            None => self.derive(threads, place, lemma, &mut bounds, stop),
            Some(kept) => {
                let _watch = Watch::start(self.spent);
                self.above.clone_from(&kept.memory);
                let above = Bounds::kept(self.layout, &mut self.above, kept.held);
                let what = (self.desk, lemma);
                derive(&mut self.lemmas, &mut Alone, Some(&above), place, what, &mut bounds, stop)
            }
        };
        let held = bounds.held();
        derived.then_some(Kept { memory, held, levels: above.map_or(0, |a| a.levels) + 1, lemma: own })
    }

    /// Bounds of all slots that were kept, in `f32`, rounded outward.
    pub fn intervals(&mut self, kept: &Kept) -> Option<Vec<Interval>> {
        self.above.clone_from(&kept.memory);
        self.desk.intervals(&Bounds::kept(self.layout, &mut self.above, kept.held))
    }

    /// Asks about a leaf on the box of bounds that were kept.
    pub fn ask(&mut self, kept: &Kept, region: Box64<'_>, claims: &[LeafClaim]) -> Answer {
        let _watch = Watch::start(self.spent);
        self.above.clone_from(&kept.memory);
        let bounds = Bounds::kept(self.layout, &mut self.above, kept.held);
        let betas = beta_bytes(claims);
        self.margins.fill(f64::NAN);
        let checked =
            self.leaves.check_leaf(&bounds, region, &[], &with_bytes(claims, &betas), &mut self.margins);
        Answer { accepted: checked.is_ok(), margins: self.margins.clone() }
    }

    /// Asks about several leaves (place, first disjunct, claims) that inherit from the same bounds.
    pub fn accept_many(
        &mut self,
        above: &Bounds<'_>,
        leaves: &[(Place<'_>, usize, &[LeafClaim])],
    ) -> Vec<Answer> {
        let _watch = Watch::start(self.spent);
        let betas: Vec<Vec<Vec<u8>>> = leaves.iter().map(|(.., claims)| beta_bytes(claims)).collect();
        let claims: Vec<Vec<Claim<'_>>> =
            leaves.iter().zip(&betas).map(|((.., claims), betas)| with_bytes(claims, betas)).collect();
        let inside =
            |leaf: usize| above.slot(self.layout, Slot::INPUT).is_some_and(|b| b == leaves[leaf].0.0);
        let (together, alone): (Vec<usize>, Vec<usize>) = (0..leaves.len()).partition(|leaf| inside(*leaf));
        let mut answers: Vec<Answer> =
            claims.iter().map(|c| Answer { accepted: false, margins: vec![f64::NAN; c.len()] }).collect();
        let shared: Vec<Leaf<'_>> = together
            .iter()
            .map(|i| Leaf { splits: leaves[*i].0.1, first: leaves[*i].1, claims: &claims[*i] })
            .collect();
        let mut margins = vec![f64::NAN; shared.iter().map(|l| l.claims.len()).sum()];
        let mut outcomes = vec![Err(Rejection::Shape); shared.len()];
        if self.leaves.check_leaves(above, &shared, &mut margins, &mut outcomes).is_ok() {
            let mut rest = margins.as_slice();
            for (i, outcome) in together.iter().zip(&outcomes) {
                let (own, others) = rest.split_at(claims[*i].len());
                answers[*i] = Answer { accepted: outcome.is_ok(), margins: own.to_vec() };
                rest = others;
            }
        }
        for i in alone {
            let ((region, splits), first, _) = leaves[i];
            let part = first..first + claims[i].len();
            let Answer { accepted, margins } = &mut answers[i];
            *accepted = self.leaves.check_part(above, (region, splits), part, &claims[i], margins).is_ok();
        }
        answers
    }
}

/// The multipliers of claims as a proof has them.
fn beta_bytes(claims: &[LeafClaim]) -> Vec<Vec<u8>> {
    claims.iter().map(|c| c.beta.iter().flat_map(|b| b.to_le_bytes()).collect()).collect()
}

fn with_bytes<'c>(claims: &'c [LeafClaim], betas: &'c [Vec<u8>]) -> Vec<Claim<'c>> {
    claims.iter().zip(betas).map(|(c, beta)| Claim { row: c.row, alpha: &c.alpha, beta }).collect()
}

/// Asks about a leaf without splits.
fn answer(
    checker: &mut Checker<'_, ProgramKernel>,
    bounds: &Bounds<'_>,
    region: Box64<'_>,
    claims: &[LeafClaim],
    margins: &mut [f64],
) -> Answer {
    let betas = beta_bytes(claims);
    let checked = checker.check_leaf(bounds, region, &[], &with_bytes(claims, &betas), margins);
    Answer { accepted: checked.is_ok(), margins: margins.to_vec() }
}

fn derive(
    checker: &mut Checker<'_, ProgramKernel>,
    team: &mut impl Team,
    above: Option<&Bounds<'_>>,
    place: Place<'_>,
    (desk, lemma): (&Desk<'_>, &LemmaBytes),
    bounds: &mut Bounds<'_>,
    stop: Stop<'_>,
) -> bool {
    let Ok(lemma) = Lemma::new(lemma, &desk.layout, desk.problem.program.slots()) else { return false };
    let slopes = Until { lemma, stop };
    // Rows that were skipped at the end of time are not what the proof will say.
    checker.derive_shared(team, above, place, &slopes, bounds).is_ok() && !stop.now()
}

/// One thread's part in the lemma of a root.
fn derive_in(
    mut member: Member<'_>,
    checker: &mut Checker<'_, ProgramKernel>,
    place: Place<'_>,
    what: (&Desk<'_>, &LemmaBytes),
    bounds: &mut Bounds<'_>,
    stop: Stop<'_>,
) -> bool {
    let derived = derive(checker, &mut member, None, place, what, bounds, stop);
    if derived {
        member.finish();
    }
    derived
}

/// A lemma without rows once it is time to stop.
struct Until<'l> {
    lemma: Lemma<'l>,
    stop: Stop<'l>,
}

impl Slopes for Until<'_> {
    fn bytes(&self) -> &[u8] {
        self.lemma.bytes()
    }

    fn has_claims(&self) -> bool {
        self.lemma.has_claims()
    }

    fn columns(&self) -> usize {
        self.lemma.columns()
    }

    fn start(&self, slot: Slot, element: usize, upper: bool) -> Start {
        if self.stop.now() { Start::Skip } else { self.lemma.start(slot, element, upper) }
    }
}
