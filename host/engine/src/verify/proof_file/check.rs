//! Checks a proof file: network, property and file in, acceptance or a reason out.
//!
//! Every thread walks every tree, which derives boxes and splits of all leaves, and checks the leaves that it is the first to
//! reach, a few at a time; a tree is accepted when some walk has come to its end and every leaf met was accepted. Lemmas are
//! derived by the threads that have leaves below them.

use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::ProofError;
use super::format::{Identity, Reader};
use super::judge::{ChainJudge, Judge, ProgramJudge, Seen};
use crate::device::{ProgramKernel, ProofKernel};
use crate::model::Model;
use crate::property::{Case, Property};
use crate::verify::CaseProof;
use crate::verify::crew::Crew;
use certus_core::Network;
use certus_core::proof::program::{self as general, Layout};
use certus_core::proof::{self, Meaning, Rejection};

/// Leaves that a thread takes at once, if they are cheap.
pub(super) const CHUNK: usize = 8;
/// Groups are checked together until their trees have so many bytes, or are so many.
const BATCH_BYTES: usize = 4 << 20;
const BATCH_GROUPS: usize = 4096;

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions<'a> {
    /// Threads; 0 takes one per core.
    pub threads: usize,
    /// The plain loops of `certus_core` instead of this processor's vectors.
    pub plain: bool,
    /// Ends the check early.
    pub stop: &'a AtomicBool,
}

/// What was accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Cases of the property, all of which are proved.
    pub cases: usize,
    /// Trees.
    pub groups: usize,
    /// Leaves of all trees.
    pub leaves: usize,
    /// Lemmas of all trees.
    pub lemmas: usize,
    /// Deepest path.
    pub depth: usize,
    /// Bytes of all trees, unpacked.
    pub bytes: usize,
}

/// A tree under way.
pub(super) struct Group<'g> {
    /// What it is to prove.
    pub case: Case,
    pub meaning: Meaning,
    pub bytes: &'g [u8],
    /// Chunks of leaves that some thread has taken.
    taken: AtomicUsize,
    /// What a walk to the end has seen.
    seen: Mutex<Option<Seen>>,
    /// Those who derive the lemma at its root together: all threads, if each of them walks this tree.
    pub crew: Option<Crew>,
    over: &'g (dyn Fn() -> bool + Sync),
}

impl Group<'_> {
    /// Whether the caller, who counts the leaves it meets, is to check this one. An error if the check is over.
    ///
    /// Every walk meets all leaves in order, in chunks of the same length, so chunk `c` is free exactly if `c` were taken.
    pub fn take(&self, leaf: usize, length: usize, mine: &mut bool) -> Result<(), Rejection> {
        if leaf.is_multiple_of(length) {
            if (self.over)() {
                return Err(Rejection::Length);
            }
            let chunk = leaf / length;
            let free = self.taken.compare_exchange(chunk, chunk + 1, Ordering::AcqRel, Ordering::Acquire);
            *mine = free.is_ok();
        }
        Ok(())
    }

    fn is_walked(&self) -> bool {
        self.seen.lock().expect("no thread panics while it holds the lock").is_some()
    }
}

/// Checks the file that `reader` reads: it is about `expected`, and proves every case of `property` for `model`.
///
/// # Errors
/// [`ProofError`].
pub fn check<R: Read>(
    reader: &mut Reader<R>,
    expected: &Identity,
    model: &Model,
    property: &Property,
    options: CheckOptions<'_>,
) -> Result<Checked, ProofError> {
    compare(reader.identity(), expected)?;
    let all = Check { property, options, meaning: expected.meaning, failed: AtomicBool::new(false) };
    match model {
        Model::Chain(chain) => {
            let layers = chain.core_layers();
            let network = Network::new(&layers).expect("checked by Chain::new");
            if options.plain {
                return all.run(reader, || ChainJudge::new(network, proof::Plain));
            }
            let kernel = ProofKernel::new(&layers);
            all.run(reader, || ChainJudge::new(network, kernel.clone()))
        }
        Model::Program(program) => {
            let tables = program.tables();
            let program = tables.program();
            let mut words = vec![0; Layout::words(&program)];
            let too_large = |reason| ProofError::Rejected { group: 0, case: 0, reason };
            let layout = Layout::new(&program, &mut words).map_err(too_large)?;
            if options.plain {
                return all.run(reader, || ProgramJudge::new(program, &layout, general::Plain));
            }
            let kernel = ProgramKernel::new(&program);
            all.run(reader, || ProgramJudge::new(program, &layout, kernel.clone()))
        }
    }
}

/// Whether a file is about what was asked.
pub(super) fn compare(found: &Identity, expected: &Identity) -> Result<(), ProofError> {
    let hex = |digest: &[u8; 32]| digest[..8].iter().map(|b| format!("{b:02x}")).collect::<String>() + "…";
    if (found.kind, found.meaning) != (expected.kind, expected.meaning) {
        let text = |i: &Identity| format!("a {:?} in the meaning {:?}", i.kind, i.meaning);
        return Err(ProofError::Differs { found: text(found), expected: text(expected) });
    }
    let digests = [
        ("network", found.network, expected.network),
        ("weights file", found.weights, expected.weights),
        ("property", found.property, expected.property),
        ("lowering of network and property (by another version of certus)", found.lowered, expected.lowered),
    ];
    for (what, found, expected) in digests {
        if found != expected {
            return Err(ProofError::Other { what, found: hex(&found), expected: hex(&expected) });
        }
    }
    if found.cases != expected.cases {
        let text = |n: u32| format!("a property of {n} cases");
        return Err(ProofError::Differs { found: text(found.cases), expected: text(expected.cases) });
    }
    Ok(())
}

struct Check<'c> {
    property: &'c Property,
    options: CheckOptions<'c>,
    meaning: Meaning,
    failed: AtomicBool,
}

impl Check<'_> {
    fn run<R: Read, J: Judge>(
        &self,
        reader: &mut Reader<R>,
        judge: impl Fn() -> J + Sync,
    ) -> Result<Checked, ProofError> {
        let cases = self.property.cases.len();
        let mut proved = vec![false; cases];
        let mut checked = Checked { cases, ..Checked::default() };
        loop {
            let batch = self.batch(reader, checked.groups, &mut proved)?;
            if batch.is_empty() {
                break;
            }
            self.judge_batch(&batch, &judge, &mut checked)?;
        }
        let missing = proved.iter().filter(|p| !**p).count();
        match proved.iter().position(|p| !p) {
            Some(case) => Err(ProofError::Missing { case, cases, missing }),
            None => Ok(checked),
        }
    }

    /// Some groups, and which cases they are of.
    fn batch<R: Read>(
        &self,
        reader: &mut Reader<R>,
        first: usize,
        proved: &mut [bool],
    ) -> Result<Vec<CaseProof>, ProofError> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while bytes < BATCH_BYTES && batch.len() < BATCH_GROUPS {
            let Some(group) = reader.next_group()? else { break };
            let cases = proved.len();
            if let Some(case) = group.cases.iter().copied().find(|c| *c >= cases) {
                return Err(ProofError::Case { group: first + batch.len(), case, cases });
            }
            group.cases.iter().for_each(|c| proved[*c] = true);
            bytes += group.bytes.len();
            batch.push(group);
        }
        Ok(batch)
    }

    fn judge_batch<J: Judge>(
        &self,
        batch: &[CaseProof],
        judge: &(impl Fn() -> J + Sync),
        checked: &mut Checked,
    ) -> Result<(), ProofError> {
        let over = || self.failed.load(Ordering::Relaxed) || self.options.stop.load(Ordering::Relaxed);
        let group = |proof: &'_ CaseProof| -> Case { self.property.merged(&proof.cases) };
        let threads = match self.options.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            n => n,
        };
        // With more trees, threads that find nothing left in one go on to the next.
        let crew = || (batch.len() == 1 && threads > 1).then(|| Crew::new(threads));
        let groups: Vec<Group<'_>> = batch
            .iter()
            .map(|proof| Group {
                case: group(proof),
                meaning: self.meaning,
                bytes: &proof.bytes,
                taken: AtomicUsize::new(0),
                seen: Mutex::new(None),
                crew: crew(),
                over: &over,
            })
            .collect();
        let refused: Mutex<Option<(usize, Rejection)>> = Mutex::new(None);
        // A thread that ends early may have left leaves that it took unchecked, in a tree that another has walked to its end.
        let abandoned = AtomicBool::new(false);
        let work = || {
            let mut judge = judge();
            let open = |group: &Group<'_>| group.crew.is_some() || !group.is_walked();
            for (index, group) in groups.iter().enumerate().filter(|(_, g)| open(g)) {
                match judge.walk(group) {
                    Ok(seen) => {
                        *group.seen.lock().expect("no thread panics while it holds the lock") = Some(seen);
                    }
                    Err(_) if over() => return abandoned.store(true, Ordering::Relaxed),
                    Err(reason) => {
                        self.failed.store(true, Ordering::Relaxed);
                        let mut refused = refused.lock().expect("no thread panics while it holds the lock");
                        // Who derives with others that fail is told no more than that.
                        if refused.as_ref().is_none_or(|(_, first)| *first == Rejection::Shape) {
                            *refused = Some((index, reason));
                        }
                        return;
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| {
                scope.spawn(work);
            });
            work();
        });
        if let Some((index, reason)) = refused.into_inner().expect("all threads have ended") {
            let case = batch[index].cases[0];
            return Err(ProofError::Rejected { group: checked.groups + index, case, reason });
        }
        if abandoned.into_inner() {
            return Err(ProofError::Stopped);
        }
        for (proof, group) in batch.iter().zip(groups) {
            let seen = group.seen.into_inner().expect("all threads have ended");
            let seen = seen.ok_or(ProofError::Stopped)?;
            checked.groups += 1;
            checked.leaves += seen.leaves;
            checked.lemmas += seen.lemmas;
            checked.depth = checked.depth.max(seen.depth);
            checked.bytes += proof.bytes.len();
        }
        Ok(())
    }
}
