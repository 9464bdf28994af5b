//! Makes a program's proof shorter without making it false: every change is one that the checker accepts.
//!
//! From the leaves up, a split goes whose half's claims, without the multiplier of the split, hold for the whole; then leaves lose
//! slopes and multipliers that they do not need, many in one pass of the checker. What is left to try when time is up stays as it is.

use std::sync::Arc;
use std::time::Instant;

use super::checker::{Desk, Desktop, Referee};
use super::domain::Domain;
use super::lemma;
use super::problem::{CaseProblem, Parts};
use super::tree::{Cut, DISJUNCTS, INPUT, LEAF, LEMMA, LeafClaim, Node, Step, VALUE, bytes_of, split};
use crate::bounds::program::Stop;
use crate::program::Program;
use crate::property::{Case, Property};
use crate::search::Bytes;
use crate::verify::CaseProof;
use certus_core::proof::Meaning;
use certus_core::proof::program::Bounds;

/// Leaves asked about together.
const BATCH: usize = 32;

/// Shortens the proofs of `property` about `program`, as far as `until` allows.
pub fn shorten(
    program: &Program,
    property: &Property,
    meaning: Meaning,
    proofs: &mut [CaseProof],
    until: Instant,
) {
    let parts = Parts::new(program, program);
    for proof in proofs.iter_mut() {
        if Instant::now() >= until {
            return;
        }
        let case = property.merged(&proof.cases);
        if let Some(bytes) = shorter(&parts, property, &case, meaning, &proof.bytes, until)
            && bytes.len() < proof.bytes.len()
        {
            proof.bytes = bytes;
        }
    }
}

fn shorter(
    parts: &Parts<'_>,
    property: &Property,
    case: &Case,
    meaning: Meaning,
    bytes: &[u8],
    until: Instant,
) -> Option<Vec<u8>> {
    let problem = CaseProblem::new(parts, property, case);
    let disjuncts: Vec<&[_]> = problem.rows.iter().map(Vec::as_slice).collect();
    let (mut words, mut memory, mut floats) = (Vec::new(), Desktop::default(), Vec::new());
    let desk = Desk::new(parts.tables.program(), &disjuncts, meaning, &parts.kernel, &mut words).ok()?;
    let columns = desk.columns_of(bytes, (&case.region.lower, &case.region.upper)).ok()?;
    let mut referee = Referee::new(&desk, &mut memory, columns).ok()?;
    let nodes = parse(bytes, &desk, disjuncts.len())?;
    // Lemmas stand at the root or at leaves; other trees stay as they are.
    let of_leaf = |n: &Node| matches!(n.step, Step::Leaf(_));
    if nodes[1..].iter().any(|n| n.lemma.is_some() && !of_leaf(n)) {
        return None;
    }
    let mut bounds = desk.bounds(&mut floats);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let root = Domain::root(&case.region.lower, &case.region.upper);
    let stop = Stop { deadline: Some(until), ..Stop::default() };
    let inherited = match &nodes[0].lemma {
        Some(lemma) if !referee.derive(threads, root.place(), lemma, &mut bounds, stop) => return None,
        lemma => lemma.is_some(),
    };
    let parents = parents(&nodes);
    let base = inherited.then_some(&bounds);
    let mut shortener = Shortener { nodes, parents, root, referee, base, stop, until };
    shortener.join_all();
    shortener.strip_all();
    bytes_of(&shortener.nodes, bytes.len())
}

/// The parent of each node, and whether it is its second half.
fn parents(nodes: &[Node]) -> Vec<(usize, bool)> {
    let mut parents = vec![(usize::MAX, false); nodes.len()];
    for (at, node) in nodes.iter().enumerate() {
        if let Step::Split { first, .. } = node.step {
            let first = first as usize;
            (parents[first], parents[first + 1]) = ((at, false), (at, true));
        }
    }
    parents
}

struct Shortener<'s, 'c> {
    nodes: Vec<Node>,
    parents: Vec<(usize, bool)>,
    root: Domain,
    referee: Referee<'c>,
    /// Bounds of the lemma at the root, if there is one.
    base: Option<&'s Bounds<'s>>,
    stop: Stop<'s>,
    until: Instant,
}

impl Shortener<'_, '_> {
    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Joins halves, from the last leaves up: children come after their parents.
    fn join_all(&mut self) {
        for at in (0..self.nodes.len()).rev() {
            if self.is_over() {
                return;
            }
            let Step::Split { cut, first } = self.nodes[at].step else { continue };
            let halves = [first as usize, first as usize + 1].map(|half| &self.nodes[half]);
            let [Step::Leaf(a), Step::Leaf(b)] = halves.map(|n| &n.step) else { continue };
            if halves[0].lemma != halves[1].lemma {
                continue;
            }
            let tries = match cut {
                Cut::Disjuncts { .. } => vec![[a.as_slice(), b].concat()],
                Cut::Value { .. } => [a, b].map(|claims| without_last(claims)).to_vec(),
                Cut::Input { .. } => vec![a.clone(), b.clone()],
            };
            let lemma = halves[0].lemma.clone();
            let place = self.domain(at);
            if let Some(claims) = tries.into_iter().find(|c| self.accepts(&place, lemma.as_ref(), c)) {
                self.nodes[at].step = Step::Leaf(claims);
                if lemma.is_some() {
                    self.nodes[at].lemma = lemma;
                }
            }
        }
    }

    /// Takes slopes and multipliers from leaves that do not need them.
    fn strip_all(&mut self) {
        for keep_beta in [false, true] {
            let leaves: Vec<usize> =
                self.reached().into_iter().filter(|at| self.has_more(*at, keep_beta)).collect();
            for batch in leaves.chunks(BATCH) {
                if self.is_over() {
                    return;
                }
                self.strip(batch, keep_beta);
            }
        }
    }

    /// The nodes that are part of the tree.
    fn reached(&self) -> Vec<usize> {
        let (mut stack, mut reached) = (vec![0], Vec::new());
        while let Some(at) = stack.pop() {
            reached.push(at);
            if let Step::Split { first, .. } = self.nodes[at].step {
                stack.extend([first as usize + 1, first as usize]);
            }
        }
        reached
    }

    /// Whether a leaf has anything to lose.
    fn has_more(&self, at: usize, keep_beta: bool) -> bool {
        let Step::Leaf(claims) = &self.nodes[at].step else { return false };
        let (alpha, beta) =
            (claims.iter().any(|c| !c.alpha.is_empty()), claims.iter().any(|c| !c.beta.is_empty()));
        if keep_beta { alpha && beta } else { alpha || beta }
    }

    fn strip(&mut self, leaves: &[usize], keep_beta: bool) {
        let bare: Vec<Vec<LeafClaim>> = leaves
            .iter()
            .map(|at| {
                let Step::Leaf(claims) = &self.nodes[*at].step else { return Vec::new() };
                let beta = |c: &LeafClaim| if keep_beta { c.beta.clone() } else { Vec::new() };
                claims
                    .iter()
                    .map(|c| LeafClaim { row: c.row, alpha: Arc::default(), beta: beta(c) })
                    .collect()
            })
            .collect();
        let places: Vec<Domain> = leaves.iter().map(|at| self.domain(*at)).collect();
        let own = leaves.iter().any(|at| *at > 0 && self.nodes[*at].lemma.is_some());
        let accepted: Vec<bool> = match self.base.filter(|_| !own) {
            Some(base) => {
                let asked: Vec<_> = places
                    .iter()
                    .zip(&bare)
                    .map(|(d, claims)| (d.place(), d.first, claims.as_slice()))
                    .collect();
                self.referee.accept_many(base, &asked).into_iter().map(|a| a.accepted).collect()
            }
            None => {
                let lemma = |at: usize| self.nodes[at].lemma.clone();
                let lemmas: Vec<_> = leaves.iter().map(|at| lemma(*at)).collect();
                let all = places.iter().zip(lemmas).zip(&bare);
                let mut accepted = Vec::with_capacity(leaves.len());
                all.for_each(|((d, lemma), claims)| accepted.push(self.accepts(d, lemma.as_ref(), claims)));
                accepted
            }
        };
        for ((at, claims), accepted) in leaves.iter().zip(bare).zip(accepted) {
            if accepted {
                self.nodes[*at].step = Step::Leaf(claims);
            }
        }
    }

    /// Box, splits and disjuncts of a node.
    fn domain(&self, at: usize) -> Domain {
        let (mut path, mut here) = (Vec::new(), at);
        while let Some((above, second)) =
            self.parents.get(here).filter(|(above, _)| *above < self.nodes.len())
        {
            if let Step::Split { cut, .. } = self.nodes[*above].step {
                path.push((cut, *second));
            }
            here = *above;
        }
        let mut domain = Domain { node: at as u32, ..self.root.clone() };
        for (cut, second) in path.into_iter().rev() {
            match cut {
                Cut::Disjuncts { at } if second => domain.first = usize::from(at),
                Cut::Disjuncts { .. } => {}
                _ => domain.cut(cut, second),
            }
        }
        domain
    }

    /// Whether the checker accepts claims at a node, by a lemma of its own or by the root's.
    fn accepts(&mut self, domain: &Domain, lemma: Option<&Arc<[u8]>>, claims: &[LeafClaim]) -> bool {
        let lemma = lemma.filter(|_| self.base.is_none() || domain.node > 0);
        match (lemma, self.base) {
            (None, Some(base)) => {
                let answers = self.referee.accept_many(base, &[(domain.place(), domain.first, claims)]);
                answers.iter().all(|a| a.accepted)
            }
            (Some(_), base) => {
                domain.first == 0
                    && self.referee.accept(base, domain.place(), lemma, claims, self.stop).is_ok()
            }
            (None, None) => false,
        }
    }
}

/// Claims without the multiplier of the last split.
fn without_last(claims: &[LeafClaim]) -> Vec<LeafClaim> {
    let one = |c: &LeafClaim| {
        let beta = c.beta[..c.beta.len().saturating_sub(1)].to_vec();
        LeafClaim { beta, ..c.clone() }
    };
    claims.iter().map(one).collect()
}

fn claims(bytes: &mut Bytes<'_>, count: usize, alphas: usize, splits: usize) -> Option<Vec<LeafClaim>> {
    let mut claims = Vec::new();
    for _ in 0..count {
        let (row, [flags]) = (bytes.u16()?, bytes.array()?);
        let alpha = bytes.take(if flags & 1 != 0 { alphas } else { 0 })?.into();
        let beta = bytes.floats(if flags & 2 != 0 { splits } else { 0 })?;
        claims.push(LeafClaim { row, alpha, beta });
    }
    Some(claims)
}

/// The tree that `bytes` are; children come after their parents.
fn parse(bytes: &[u8], desk: &Desk<'_>, disjuncts: usize) -> Option<Vec<Node>> {
    let mut reader = Bytes::new(bytes);
    let mut nodes = vec![Node::default()];
    // What is to come: node, splits of values above, open disjuncts.
    let mut open = vec![(0u32, 0usize, 0..disjuncts)];
    while let Some((at, splits, here)) = open.pop() {
        let mut kind = reader.array::<1>()?;
        if kind == [LEMMA] {
            nodes[at as usize].lemma = Some(lemma::read(&mut reader, desk, |_| ())?.into());
            kind = reader.array()?;
        }
        let cut = match kind {
            [INPUT] => Cut::Input { coordinate: reader.u32()?, value: f64::from_le_bytes(reader.array()?) },
            [VALUE] => {
                let (slot, element) = (reader.u32()?, reader.u32()?);
                Cut::Value { slot, element, point: f32::from_le_bytes(reader.array()?) }
            }
            [DISJUNCTS] => Cut::Disjuncts { at: reader.u16()? },
            [LEAF] => {
                nodes[at as usize].step = Step::Leaf(claims(&mut reader, here.len(), desk.slopes(), splits)?);
                continue;
            }
            _ => return None,
        };
        let first = split(&mut nodes, at, cut);
        let [one, other] = match cut {
            Cut::Disjuncts { at } => [here.start..usize::from(at), usize::from(at)..here.end],
            _ => [here.clone(), here],
        };
        let splits = splits + usize::from(matches!(cut, Cut::Value { .. }));
        open.extend([(first + 1, splits, other), (first, splits, one)]);
    }
    reader.rest.is_empty().then_some(nodes)
}
