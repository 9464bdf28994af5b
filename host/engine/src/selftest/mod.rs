//! The verifier held against exact answers: random small networks whose minimum over a box is known as a rational number,
//! thresholds at, just below and just above it, and violations that hide.
//!
//! [`examine`] draws case number `index` of a `seed` and judges the verdicts. The oracle ([`exact`]) reads the network as it
//! was drawn, by a lowering of its own; the verifier reads ONNX bytes and VNN-LIB text.

mod draw;
pub mod exact;
mod judge;
mod network;
mod onnx;
mod random;
mod shrink;
mod statement;

use std::sync::atomic::AtomicBool;
use std::time::Duration;

pub use draw::{Family, network, statement};
pub use exact::Q;
pub use judge::{Finding, NEAR, Question, Truth, Word, judge, oracle_agrees, truth};
pub use network::{Network, Node, Op, Window};
pub use onnx::onnx_bytes;
pub use random::Random;
pub use shrink::shrink;
pub use statement::{Case, Row, Statement};

use num_traits::{Signed, ToPrimitive};

/// Polytopes that a network may have; those that have more are passed over.
const CELLS_MAX: usize = 3000;

/// A question that was put, and how its answer compares.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What was asked.
    pub question: Question,
    /// The exact answer.
    pub truth: Truth,
    /// How the verifier's compares.
    pub finding: Finding,
}

/// Case number `index` of `seed`.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The kind of network.
    pub family: Family,
    /// A few thresholds each; empty if the network has too many pieces to be enumerated.
    pub questions: Vec<(Question, Truth)>,
}

/// Draws case number `index` of `seed`: a network, a statement, a threshold on either side of the exact value.
pub fn draw(seed: u64, index: u64, timeout: Duration) -> Drawn {
    let mut random = Random::new(seed ^ index.wrapping_mul(0x2545_F491_4F6C_DD1D));
    let random = &mut random;
    let family = *random.pick(&Family::ALL);
    let network = draw::network(family, random);
    let statement = draw::statement(&network, family, random);
    let Ok(truth) = truth(&network, &statement, CELLS_MAX) else {
        return Drawn { family, questions: Vec::new() };
    };
    let as_program = random.once_in(2);
    let questions = [true, false].map(|above| {
        let shift = shift(&truth, above, random);
        let question = Question {
            network: network.clone(),
            statement: statement.shifted(&shift),
            settings: judge::settings(timeout, random),
            as_program,
        };
        (question, truth.shifted(&shift))
    });
    Drawn { family, questions: questions.to_vec() }
}

/// What every right-hand side grows by so that the least margin is negative (`satisfiable`) or positive, or 0.
fn shift(truth: &Truth, satisfiable: bool, random: &mut Random) -> Q {
    let margin = truth.margin().to_f64().filter(|m| m.is_finite()).unwrap_or(0.0);
    let scale = truth.mass.to_f64().filter(|m| m.is_finite()).unwrap_or(1.0).max(f64::MIN_POSITIVE);
    let distance = match random.below(10) {
        0 => 0.0,
        1 => {
            return exact::exact(
                (0..3).fold(margin, |m, _| if satisfiable { m.next_up() } else { m.next_down() }),
            );
        }
        2 => 1e-1,
        3 => 1e-1 * scale,
        4 => 1e-2 * scale,
        5 => 1e-3 * scale,
        6 => 1e-4 * scale,
        7 => 1e-7 * scale,
        8 => 0.5,
        _ => 0.03 * scale,
    };
    exact::exact(margin) + exact::exact(if satisfiable { distance } else { -distance })
}

/// Draws case number `index` of `seed` and judges the verifier's answers.
pub fn examine(seed: u64, index: u64, timeout: Duration, stop: &AtomicBool) -> (Family, Vec<Examined>) {
    let drawn = draw(seed, index, timeout);
    let family = drawn.family;
    let judged = drawn.questions.into_iter().map(|(mut question, truth)| {
        let hard = is_hard(family, &truth, &question);
        // Where no verdict is an answer, waiting for it is a waste.
        if hard || truth.is_near() {
            question.settings.timeout = timeout / 10;
        }
        let finding = judge(&question, &truth, hard, stop);
        Examined { question, truth, finding }
    });
    (family, judged.collect())
}

/// Whether `unknown` is an answer: a violation may be too narrow to be hit or not be looked for, numbers may leave the range of
/// `f32`.
pub fn is_hard(family: Family, truth: &Truth, question: &Question) -> bool {
    let violated = truth.margin().is_negative();
    match family {
        Family::Cruel | Family::Detector => true,
        Family::Needle => violated,
        _ => violated && !question.settings.attack,
    }
}
