//! Random tiny questions that hold, with the proof of a search.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_engine::property::{Case, Disjunct, InputBox, Property, Row};
use certus_engine::search::Silent;
use certus_engine::verify::{Branching, Settings, Verdict, verify};
use certus_engine::{Chain, Model, OwnedAffine, OwnedLayer};
use num_traits::ToPrimitive;

use super::exact::{Net, Question, minimum};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// In `[0, 1)`, a multiple of 2⁻²⁰.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 44) as f64 / f64::from(1 << 20)
    }
    /// A multiple of 1/8 between `−n/8` and `n/8`.
    pub fn eighths(&mut self, n: i32) -> f32 {
        (self.below(2 * n as usize + 1) as i32 - n) as f32 / 8.0
    }
}

pub fn network(net: &Net) -> Model {
    let mut cols = 2;
    let mut layers = Vec::new();
    for layer in &net.layers {
        let rows = layer.bias.len();
        let (weights, bias) = (layer.weights.clone(), layer.bias.clone());
        layers
            .push(OwnedLayer { affine: OwnedAffine::Dense { rows, cols, weights, bias }, relu: layer.relu });
        cols = rows;
    }
    Model::Chain(Chain::new(layers).expect("shapes fit"))
}

pub fn property(question: &Question) -> Property {
    let row = |(c, rhs): &(Vec<f64>, f64)| Row {
        coefficients: c.clone(),
        rhs_lower: *rhs,
        rhs_upper: *rhs,
        strict: false,
    };
    let disjunct = |rows: &Vec<(Vec<f64>, f64)>| Disjunct { rows: rows.iter().map(row).collect() };
    let region = InputBox {
        lower: question.lower.clone(),
        upper: question.upper.clone(),
        witness_lower: question.lower.iter().map(|x| *x as f32).collect(),
        witness_upper: question.upper.iter().map(|x| *x as f32).collect(),
    };
    let case = Case { region, disjuncts: question.disjuncts.iter().map(disjunct).collect() };
    let outputs = question.net.layers.last().expect("a layer").bias.len();
    Property { inputs: 2, outputs, cases: vec![case] }
}

/// A question that holds by a small margin, with a proof that has splits; `None` if one leaf proves it.
pub fn base(random: &mut Random) -> Option<(Question, Vec<u8>)> {
    let widths = [2, 3 + random.below(2), 2 + random.below(2), 2];
    let layers: Vec<_> = (0..3)
        .map(|k| {
            let (cols, rows) = (widths[k], widths[k + 1]);
            let weights = (0..rows * cols).map(|_| random.eighths(12)).collect();
            (weights, (0..rows).map(|_| random.eighths(8)).collect(), k < 2)
        })
        .collect();
    let net = Net::of(&layers);
    let (lower, upper) = (vec![-1.0, -1.5], vec![1.0, 0.5]);
    let mut disjuncts = Vec::new();
    for _ in 0..1 + random.below(2) {
        let row: Vec<f64> = (0..2).map(|_| f64::from(random.eighths(8))).collect();
        let least = minimum(&net, &lower, &upper, &row).to_f64()?;
        // One row that fails everywhere, by little, and sometimes one that holds somewhere.
        let mut rows = vec![(row.clone(), least - 0.01 - 0.1 * random.unit())];
        if random.below(2) == 0 {
            rows.push((row.iter().map(|c| -c).collect(), -least));
        }
        disjuncts.push(rows);
    }
    let question = Question { net, lower, upper, disjuncts };
    let Model::Chain(chain) = network(&question.net) else { unreachable!("a chain was made") };
    let branching = if random.below(2) == 0 { Branching::Inputs } else { Branching::Neurons };
    let settings = Settings {
        branching,
        threads: 1,
        attack: false,
        timeout: Duration::from_secs(20),
        ..Settings::default()
    };
    let stop = AtomicBool::new(false);
    let report = verify(&chain, &property(&question), &settings, &stop, &Silent);
    let Verdict::Holds(proofs) = report.verdict else { return None };
    let bytes = proofs.into_iter().next().expect("a proof of the only case").bytes;
    (bytes[0] != 3).then_some((question, bytes))
}
