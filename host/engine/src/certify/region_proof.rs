//! What a region certificate states as a problem of the proof checker, and the check of its stored proof.
//!
//! A certificate says that every row of its specification is above `bound` on its box. Row by row, a
//! violation is `c·y ≤ bound − d`; one disjunct each, in the order of [`violations`]. The stored proof is
//! the bytes of a [`certus_core::proof`] tree for exactly that problem.

use certus_core::Network;
use certus_core::artifact::{Claim, Meanings};
use certus_core::proof::{
    self, Frame, Meaning, Memory, Plain, Problem, Rejection, Row, Split, Stats, TreeMemory, check_tree,
};

use super::artifact::OwnedSpec;
use super::region::RegionCertificate;
use crate::chain::Chain;

/// One way to violate a certificate: `coefficients · y ≤ rhs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Violation {
    /// `[outputs]`.
    pub coefficients: Vec<f64>,
    /// Right-hand side.
    pub rhs: f64,
}

/// The violations that a certificate with this claim and bound rules out, all of them: for a class the
/// other classes in ascending order, for rows the rows in order. Empty if the claim does not fit `spec`.
///
/// # Rounding
/// Right-hand sides are rounded up, which only asks for more.
pub fn violations(spec: &OwnedSpec, claim: Claim, bound: f32, outputs: usize) -> Vec<Violation> {
    let bound = f64::from(bound);
    match (spec, claim) {
        (OwnedSpec::ArgMax | OwnedSpec::ArgMin, Claim::Class(class)) if usize::from(class) < outputs => {
            let class = usize::from(class);
            let sign = if *spec == OwnedSpec::ArgMin { -1.0 } else { 1.0 };
            let against = |other: usize| {
                let mut coefficients = vec![0.0; outputs];
                (coefficients[class], coefficients[other]) = (sign, -sign);
                Violation { coefficients, rhs: bound }
            };
            (0..outputs).filter(|other| *other != class).map(against).collect()
        }
        (OwnedSpec::Rows { coefficients, constants }, Claim::Rows) => coefficients
            .chunks_exact(outputs.max(1))
            .zip(constants)
            .map(|(row, constant)| Violation {
                coefficients: row.iter().copied().map(f64::from).collect(),
                rhs: difference_up(bound, f64::from(*constant)),
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// `a − b`, or the next `f64` above if it rounds.
fn difference_up(a: f64, b: f64) -> f64 {
    let difference = a - b;
    // Knuth's error term of a sum: zero exactly if the difference is exact.
    let part = difference - a;
    let error = (a - (difference - part)) - (b + part);
    if error == 0.0 { difference } else { difference.next_up() }
}

/// Checks `proof` against what `certificate` states about `program`.
///
/// # Errors
/// [`Rejection`] of the first step that does not hold; [`Rejection::Shape`] if the certificate does not
/// fit the network or the specification.
pub fn check_proof(
    chain: &Chain,
    spec: &OwnedSpec,
    certificate: &RegionCertificate,
    proof: &[u8],
) -> Result<Stats, Rejection> {
    let layers = chain.core_layers();
    let network = Network::new(&layers).map_err(|_| Rejection::Shape)?;
    let violations = violations(spec, certificate.claim, certificate.bound, chain.outputs());
    if violations.is_empty() {
        return Err(Rejection::Shape);
    }
    let rows: Vec<[Row<'_>; 1]> =
        violations.iter().map(|v| [Row { coefficients: &v.coefficients, rhs: v.rhs }]).collect();
    let disjuncts: Vec<&[Row<'_>]> = rows.iter().map(|row| &row[..]).collect();
    let problem = Problem { network, disjuncts: &disjuncts, meaning: meaning(certificate.meanings) };
    let widen = |ends: &[f32]| ends.iter().copied().map(f64::from).collect::<Vec<_>>();
    let (mut lower, mut upper) = (widen(&certificate.lower), widen(&certificate.upper));
    // A step of the tree takes at least seven bytes, so the proof's own length caps its depth.
    let depth = proof.len() / 7 + 1;
    let mut frames = vec![Frame::EMPTY; depth];
    let mut splits = vec![Split { layer: 0, neuron: 0, active: true }; depth];
    let mut claims = vec![proof::Claim::default(); disjuncts.len()];
    let lanes = disjuncts.len().max(2);
    let mut floats = vec![0.0; proof::memory_len(&network, lanes)];
    let mut index = vec![0; network.width()];
    check_tree(
        &problem,
        &mut Plain,
        proof,
        (&mut lower, &mut upper),
        TreeMemory { frames: &mut frames, splits: &mut splits, claims: &mut claims },
        &mut Memory { floats: &mut floats, index: &mut index, lanes },
    )
}

fn meaning(meanings: Meanings) -> Meaning {
    if meanings.f32() { Meaning::RealAndF32 } else { Meaning::Real }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{OwnedAffine, OwnedLayer};

    /// `y = (x, −x)` through a ReLU layer that loses nothing on `[1, 2]`.
    fn chain() -> Chain {
        let dense = |rows, cols, weights: &[f32]| OwnedAffine::Dense {
            rows,
            cols,
            weights: weights.to_vec(),
            bias: vec![0.0; rows],
        };
        Chain::new(vec![
            OwnedLayer { affine: dense(1, 1, &[1.0]), relu: true },
            OwnedLayer { affine: dense(2, 1, &[1.0, -1.0]), relu: false },
        ])
        .expect("a network")
    }

    fn certificate(claim: Claim, bound: f32) -> RegionCertificate {
        let (lower, upper) = (vec![1.0], vec![2.0]);
        RegionCertificate { lower, upper, claim, bound, meanings: Meanings::BOTH, proof: None }
    }

    /// A proof of one leaf whose claims name the first row and the default slopes.
    fn leaf(disjuncts: usize) -> Vec<u8> {
        let mut bytes = vec![3];
        bytes.resize(1 + 3 * disjuncts, 0);
        bytes
    }

    #[test]
    fn a_bound_below_the_smallest_margin_is_proved_and_one_above_it_is_not() {
        // The margin is 2x, at least 2 on [1, 2].
        let check = |spec: &OwnedSpec, claim, bound| {
            check_proof(&chain(), spec, &certificate(claim, bound), &leaf(1))
        };
        assert!(check(&OwnedSpec::ArgMax, Claim::Class(0), 1.999).is_ok());
        assert_eq!(
            check(&OwnedSpec::ArgMax, Claim::Class(0), 2.0),
            Err(Rejection::NotProved { disjunct: 0 })
        );
        assert_eq!(
            check(&OwnedSpec::ArgMax, Claim::Class(1), 0.1),
            Err(Rejection::NotProved { disjunct: 0 })
        );
        assert!(check(&OwnedSpec::ArgMin, Claim::Class(1), 1.999).is_ok());
        // 3y₀ − 1 is at least 2 there.
        let rows = OwnedSpec::Rows { coefficients: vec![3.0, 0.0], constants: vec![-1.0] };
        assert!(check(&rows, Claim::Rows, 1.999).is_ok());
        assert_eq!(check(&rows, Claim::Rows, 2.0), Err(Rejection::NotProved { disjunct: 0 }));
        assert_eq!(check(&rows, Claim::Class(0), 0.1), Err(Rejection::Shape));
    }

    #[test]
    fn bytes_that_are_no_proof_are_rejected() {
        let check = |bytes: &[u8]| {
            check_proof(&chain(), &OwnedSpec::ArgMax, &certificate(Claim::Class(0), 1.0), bytes)
        };
        assert!(check(&leaf(1)).is_ok());
        for bytes in [&[][..], &[3], &[9; 40], &[1; 40], &[2; 40], &[3, 0, 0, 0, 0]] {
            assert!(check(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_difference_is_exact_or_rounded_up() {
        assert_eq!(difference_up(2.0, 0.5), 1.5);
        let (a, b) = (1.0, -1e-30);
        assert_eq!(difference_up(a, b), 1.0f64.next_up());
        assert_eq!(difference_up(1e-30, 1.0), (-1.0f64).next_up());
    }
}
