//! Notes of a tree, from which another run can go on.
//!
//! An event is a node `u32`, a byte, and what that says; little-endian:
//!
//! | byte | then | meaning |
//! | --- | --- | --- |
//! | 17, 18, 21 | as in a proof | the node is split; its halves are the next two nodes |
//! | 19 | count `u32`; for each claim: row `u16`, slopes `u32`, count `u32`, that many `f32` | the node is a leaf; slopes are the number of a list, from 1, or 0 for none |
//! | 20 | length `u32`, bytes | a lemma in front of the node |
//! | 32 | length `u32`, bytes | the next list of slopes; the node says nothing |
//! | 33 | | all that came before is void; the node says nothing |
//! | 34 | | the node is open, and has no lemma unless it is the root |
//!
//! Slopes are a list of their own because many leaves share them.

use std::collections::HashMap;
use std::sync::Arc;

use super::tree::{
    Cut, DISJUNCTS, INPUT, LEAF, LEMMA, LeafClaim, Node, Step, VALUE, reopen, split, write_cut,
};
use crate::search::{Bytes, Recorder};

const SLOPES: u8 = 32;
const ANEW: u8 = 33;
const REOPEN: u8 = 34;

/// Who takes notes of a tree, and its name there.
pub struct Notes {
    recorder: Arc<dyn Recorder>,
    key: [u8; 32],
    lists: Lists,
}

/// The lists of slopes that were noted. They live as long as the notes, so that an address names one list.
#[derive(Default)]
struct Lists {
    all: Vec<Arc<[u8]>>,
    numbers: HashMap<usize, u32>,
}

impl Lists {
    fn push(&mut self, list: Arc<[u8]>) -> u32 {
        let address = list.as_ptr().addr();
        self.all.push(list);
        let number = self.all.len() as u32;
        self.numbers.insert(address, number);
        number
    }
}

impl Notes {
    /// Notes under the name `key`, with the nodes that an earlier run left, up to a note that cannot be read or a cut that is not
    /// `valid`.
    pub fn open(
        recorder: Arc<dyn Recorder>,
        key: [u8; 32],
        valid: impl Fn(&Cut) -> bool,
    ) -> (Self, Vec<Node>) {
        let (mut lists, mut nodes) = (Lists::default(), vec![Node::default()]);
        let mut events = recorder.recorded(&key).unwrap_or_default();
        let mut reader = Events(Bytes::new(&events));
        while reader.apply(&mut nodes, &mut lists, &valid).is_some() {}
        events.clear();
        (Self { recorder, key, lists }, nodes)
    }

    /// All notes are void.
    pub fn begin_anew(&mut self) {
        self.lists = Lists::default();
        self.event(0, ANEW, |_| {});
    }

    pub fn split(&self, node: u32, cut: Cut) {
        let mut bytes = node.to_le_bytes().to_vec();
        write_cut(cut, &mut bytes);
        self.recorder.record(&self.key, &bytes);
    }

    pub fn reopen(&self, node: u32) {
        self.event(node, REOPEN, |_| {});
    }

    pub fn state(&self, node: u32, lemma: &[u8]) {
        self.event(node, LEMMA, |bytes| list(lemma, bytes));
    }

    pub fn prove(&mut self, node: u32, claims: &[LeafClaim]) {
        let numbers: Vec<u32> = claims.iter().map(|c| self.number(&c.alpha)).collect();
        self.event(node, LEAF, |bytes| {
            bytes.extend((claims.len() as u32).to_le_bytes());
            for (claim, number) in claims.iter().zip(numbers) {
                bytes.extend(claim.row.to_le_bytes());
                bytes.extend(number.to_le_bytes());
                bytes.extend((claim.beta.len() as u32).to_le_bytes());
                claim.beta.iter().for_each(|b| bytes.extend(b.to_le_bytes()));
            }
        });
    }

    /// The number of a list, which is noted when it is met first.
    fn number(&mut self, slopes: &Arc<[u8]>) -> u32 {
        if slopes.is_empty() {
            return 0;
        }
        if let Some(number) = self.lists.numbers.get(&slopes.as_ptr().addr()) {
            return *number;
        }
        self.event(0, SLOPES, |bytes| list(slopes, bytes));
        self.lists.push(slopes.clone())
    }

    fn event(&self, node: u32, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = node.to_le_bytes().to_vec();
        bytes.push(kind);
        body(&mut bytes);
        self.recorder.record(&self.key, &bytes);
    }
}

fn list(content: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend(content);
}

/// Notes that are read.
struct Events<'e>(Bytes<'e>);

impl Events<'_> {
    /// Applies the next event; `None` at the end or where it has no meaning.
    fn apply(
        &mut self,
        nodes: &mut Vec<Node>,
        lists: &mut Lists,
        valid: &impl Fn(&Cut) -> bool,
    ) -> Option<()> {
        let (node, [kind]) = (self.0.u32()?, self.0.array()?);
        match kind {
            SLOPES => {
                lists.push(self.0.list()?.into());
                return Some(());
            }
            ANEW => {
                (*nodes, *lists) = (vec![Node::default()], Lists::default());
                return Some(());
            }
            _ => {}
        }
        if matches!(nodes.get(node as usize)?.step, Step::Split { .. }) {
            return None;
        }
        let cut = match kind {
            INPUT => Cut::Input { coordinate: self.0.u32()?, value: f64::from_le_bytes(self.0.array()?) },
            VALUE => {
                let (slot, element) = (self.0.u32()?, self.0.u32()?);
                Cut::Value { slot, element, point: f32::from_le_bytes(self.0.array()?) }
            }
            DISJUNCTS => Cut::Disjuncts { at: self.0.u16()? },
            LEAF => {
                nodes[node as usize].step = Step::Leaf(self.claims(lists)?);
                return Some(());
            }
            LEMMA => {
                nodes[node as usize].lemma = Some(self.0.list()?.into());
                return Some(());
            }
            REOPEN => {
                reopen(nodes, node);
                return Some(());
            }
            _ => return None,
        };
        valid(&cut).then(|| split(nodes, node, cut)).map(|_| ())
    }

    fn claims(&mut self, lists: &Lists) -> Option<Vec<LeafClaim>> {
        let mut claims = Vec::new();
        for _ in 0..self.0.u32()? {
            let row = self.0.u16()?;
            let alpha = match self.0.u32()? {
                0 => Arc::default(),
                number => lists.all.get(number as usize - 1)?.clone(),
            };
            let betas = self.0.u32()? as usize;
            let beta = self.0.floats(betas)?;
            claims.push(LeafClaim { row, alpha, beta });
        }
        Some(claims)
    }
}
