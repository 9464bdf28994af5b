//! Tiny networks, their exact minima, and proofs as trees, for tests of the proof checker.

#![allow(dead_code, reason = "each test takes what it needs")]

pub mod exact;
pub mod tiny;
pub mod tree;

use std::sync::atomic::AtomicBool;

use certus_core::proof::Meaning;
use certus_engine::Model;
use certus_engine::verify::CaseProof;
use certus_engine::verify::proof_file::{CheckOptions, Checked, ProofError, Reader, check, identify, write};
use exact::{Net, Question};
use tree::{Node, Style};

/// The network as the checker of a style reads it.
pub fn model(net: &Net, style: Style) -> Model {
    let chain = tiny::network(net);
    match style {
        Style::Chain => chain,
        Style::Program => Model::Program(chain.to_program().expect("a chain is a program")),
    }
}

/// What the checker says of a whole proof file of `bytes`, written for this very question.
pub fn accepts(question: &Question, style: Style, bytes: &[u8]) -> Result<Checked, ProofError> {
    let (model, property) = (model(&question.net, style), tiny::property(question));
    let identity = identify(&model, &property, Meaning::Real, [[1; 32], [0; 32], [2; 32]]);
    let proof = CaseProof { cases: vec![0], bytes: bytes.to_vec() };
    let file = write(&identity, &[proof], 1 << 30)?;
    let mut reader = Reader::new(file.as_slice(), file.len() as u64, 1 << 30)?;
    let options = CheckOptions { threads: 1, plain: false, stop: &AtomicBool::new(false) };
    check(&mut reader, &identity, &model, &property, options)
}

/// A chain's proof as one of the same network as a program: a lemma at the root if asked and if that is enough, with the first
/// disjunct in a tree of its own if there are several, else a lemma for each leaf; `None` if the checker of programs needs more.
pub fn program_proof(question: &Question, bytes: &[u8], one_lemma: bool) -> Option<Vec<u8>> {
    let len = question.net.claims_len(Style::Program);
    let with = |one_lemma: bool| {
        let mut root = Node::parse(bytes, Style::Chain, question);
        convert(&mut root, len, one_lemma);
        if one_lemma {
            let disjuncts = question.disjuncts.len();
            if disjuncts > 1 {
                let halves = Box::new([root.part(0..1), root.part(1..disjuncts)]);
                root = Node::Disjuncts { at: 1, halves };
            }
            root = Node::Lemma { below: Box::new(root) };
        }
        root.to_bytes(Style::Program)
    };
    let tries = [one_lemma.then(|| with(true)), Some(with(false))];
    tries.into_iter().flatten().find(|bytes| accepts(question, Style::Program, bytes).is_ok())
}

fn convert(node: &mut Node, len: usize, one_lemma: bool) {
    if let Node::Leaf { claims } = node {
        // The chain counts every output; the program only what a ReLU reads.
        claims.iter_mut().for_each(|c| c.alpha.truncate(len));
        if !one_lemma {
            *node = Node::Lemma { below: Box::new(node.clone()) };
        }
        return;
    }
    node.children_mut().into_iter().for_each(|child| convert(child, len, one_lemma));
}
