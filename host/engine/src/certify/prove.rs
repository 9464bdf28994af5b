//! Proving a region certificate: the box, its claim, and the bytes that the checker accepts for both meanings.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use certus_core::artifact::{Claim, Meanings};
use certus_core::proof::Meaning;

use super::artifact::OwnedSpec;
use super::region::RegionCertificate;
use super::region_proof::{check_proof, violations};
use crate::chain::Chain;
use crate::property::{Case, Disjunct, InputBox, Property, Row, Witness};
use crate::search::Silent;
use crate::verify::{Reason, Settings, Verdict, verify};

/// Share of the margin at the box's centre that a certificate promises on the whole box at first; a lower promise is tried
/// where that one does not hold.
const PROMISES: [f32; 2] = [0.25, 1e-3];

/// What came of trying to prove a region.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Proved, for both meanings; the certificate carries its proof.
    Proved(Box<RegionCertificate>),
    /// An input of the box breaks the claim.
    Refuted(Witness),
    /// Not decided.
    Unknown(Reason),
}

/// Tries to prove `claim` on the box `[lower, upper]` (raw units) within `timeout` for each promise, on `threads` workers (0: one
/// per core).
///
/// # Panics
/// If a slice is not `[inputs]`, or the claim does not fit `spec` and the outputs.
pub fn prove_region(
    chain: &Chain,
    spec: &OwnedSpec,
    claim: Claim,
    (lower, upper): (&[f32], &[f32]),
    (timeout, threads): (Duration, usize),
    stop: &AtomicBool,
) -> Outcome {
    let centre: Vec<f32> = lower.iter().zip(upper).map(|(l, u)| 0.5 * l + 0.5 * u).collect();
    let margin = margin_at(chain, spec, claim, &centre);
    if margin.is_nan() || margin <= 0.0 {
        return Outcome::Refuted(Witness { output: chain.eval_f32(&centre), input: centre });
    }
    let mut last = Outcome::Unknown(Reason::Rounding);
    for promise in PROMISES {
        let bound = (promise * margin).max(f32::MIN_POSITIVE);
        let settings = Settings { timeout, threads, meaning: Meaning::RealAndF32, ..Settings::default() };
        let property = property(chain, spec, claim, bound, (lower, upper));
        match verify(chain, &property, &settings, stop, &Silent).verdict {
            Verdict::Holds(mut proofs) => {
                let mut certificate = RegionCertificate {
                    lower: lower.to_vec(),
                    upper: upper.to_vec(),
                    claim,
                    bound,
                    meanings: Meanings::BOTH,
                    proof: None,
                };
                let proof = proofs.swap_remove(0).bytes;
                if check_proof(chain, spec, &certificate, &proof).is_ok() {
                    certificate.proof = Some(proof);
                    return Outcome::Proved(Box::new(certificate));
                }
            }
            // It breaks the promise, not always the claim: then a lower promise may hold.
            Verdict::Violated(witness) => {
                if margin_at(chain, spec, claim, &witness.input) <= 0.0 {
                    return Outcome::Refuted(witness);
                }
            }
            Verdict::Unknown { reason, .. } => last = Outcome::Unknown(reason),
        }
    }
    last
}

/// The certificate's violations on its box as a property.
fn property(chain: &Chain, spec: &OwnedSpec, claim: Claim, bound: f32, region: (&[f32], &[f32])) -> Property {
    let widen = |x: &[f32]| x.iter().copied().map(f64::from).collect();
    let region = InputBox {
        lower: widen(region.0),
        upper: widen(region.1),
        witness_lower: region.0.to_vec(),
        witness_upper: region.1.to_vec(),
    };
    let disjuncts: Vec<Disjunct> = violations(spec, claim, bound, chain.outputs())
        .into_iter()
        .map(|v| {
            let row = Row { coefficients: v.coefficients, rhs_lower: v.rhs, rhs_upper: v.rhs, strict: false };
            Disjunct { rows: vec![row] }
        })
        .collect();
    assert!(!disjuncts.is_empty(), "the claim fits the specification");
    Property { inputs: chain.inputs(), outputs: chain.outputs(), cases: vec![Case { region, disjuncts }] }
}

/// Smallest row of the claim at a point, as the device computes the outputs.
fn margin_at(chain: &Chain, spec: &OwnedSpec, claim: Claim, point: &[f32]) -> f32 {
    let y = chain.eval_f32(point);
    let rows = violations(spec, claim, 0.0, chain.outputs());
    let value = |v: &super::region_proof::Violation| {
        v.coefficients.iter().zip(&y).map(|(c, y)| c * f64::from(*y)).sum::<f64>() - v.rhs
    };
    rows.iter().map(value).fold(f64::INFINITY, f64::min) as f32
}
