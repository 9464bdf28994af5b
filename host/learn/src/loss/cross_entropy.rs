//! Cross entropy, of logits and of margins.

use crate::graph::{Graph, Node, Unary};

/// `Σₖ exp` along the first axis, in the log domain: the shift by the largest keeps it finite. `[lanes]`.
fn log_sum_exp(g: &mut Graph, x: Node) -> Node {
    let shape = g.shape(x).to_vec();
    let top = g.largest_to(x, 1);
    let top = g.detach(top);
    let wide = g.expand(top, &shape, 1);
    let off = g.sub(x, wide);
    let powers = g.unary(Unary::Exp, off);
    let sum = g.sum_to(powers, 1);
    let log = g.unary(Unary::Log, sum);
    g.add(log, top)
}

/// The mean of `−log softmax(logits)` at the labels, `[1]`; `label` `[classes, lanes]` is 1 at the label, else 0.
pub fn clean(g: &mut Graph, logits: Node, label: Node) -> Node {
    let all = clean_each(g, logits, label);
    g.mean(all)
}

/// `−log softmax(logits)` at the label of each lane, `[lanes]`.
pub fn clean_each(g: &mut Graph, logits: Node, label: Node) -> Node {
    let log = log_sum_exp(g, logits);
    let at = g.mul(logits, label);
    let at = g.sum_to(at, 1);
    g.sub(log, at)
}

/// Cross entropy of the logits `−margins`, whose label's is 0: of a point of each box that is worst for all classes at once. `[1]`.
pub fn worst_case(g: &mut Graph, margins: Node) -> Node {
    let logits = g.unary(Unary::Neg, margins);
    let log = log_sum_exp(g, logits);
    g.mean(log)
}
