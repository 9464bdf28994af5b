//! Checking a finished artifact against the network it was made from: nothing that the exporter
//! computed is trusted.

use certus_core::artifact::{Claim, Region, Spec};
use certus_core::bounds::{self, Method};
use certus_core::proof::Rejection;
use certus_core::{ArtifactError, ArtifactView, Layer, Network, infer};

use super::artifact::{Artifact, EmitError};
use super::naive;
use super::region::RegionCertificate;
use super::region_proof::check_proof;
use crate::chain::Chain;

/// Which computation gave other bits than the program on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Computation {
    /// The stated order, written a second time.
    Naive,
    /// The artifact's own layers, read in place.
    Artifact,
}

/// What a check found.
#[derive(Clone, Debug)]
pub struct CheckReport {
    /// Whether parsing and writing again gives the same bytes.
    pub canonical: bool,
    /// Whether the artifact's network is the given one, constant by constant.
    pub same_network: bool,
    /// Samples compared.
    pub samples: usize,
    /// The first sample whose outputs differ in a bit, and where.
    pub mismatch: Option<(usize, Computation)>,
    /// What became of each certificate.
    pub certificates: Vec<CertificateCheck>,
}

/// What became of one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateCheck {
    /// The stored proof was run again and accepted.
    Proved,
    /// The stored proof was rejected.
    Rejected(Rejection),
    /// No proof is stored, but the device's own bounds show the claim on the whole box.
    Bounded,
    /// No proof is stored, and the device's own bounds do not show the claim.
    Open,
}

impl CheckReport {
    /// Whether nothing that was checked failed.
    pub fn passed(&self) -> bool {
        let shown =
            |check: &CertificateCheck| matches!(check, CertificateCheck::Proved | CertificateCheck::Bounded);
        self.canonical && self.same_network && self.mismatch.is_none() && self.certificates.iter().all(shown)
    }
}

/// Why a check could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The bytes are no artifact.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The artifact cannot be written again.
    #[error(transparent)]
    Emit(#[from] EmitError),
    /// The network has other inputs or outputs than the artifact.
    #[error("the artifact's network has {found:?} inputs and outputs, the given one {expected:?}")]
    Shape {
        /// Of the given network.
        expected: (usize, usize),
        /// Of the artifact.
        found: (usize, usize),
    },
}

/// Bits that may be compared: every NaN counts as one, since its payload is not fixed.
pub(super) fn same_bits(a: &[f32], b: &[f32]) -> bool {
    let canonical = |x: &f32| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() };
    a.iter().map(canonical).eq(b.iter().map(canonical))
}

fn compare(chain: &Chain, layers: &[Layer<'_>], samples: &[Vec<f32>]) -> Option<(usize, Computation)> {
    let network = Network::new(layers).expect("layers of a checked artifact");
    let mut scratch = vec![0.0; infer::forward_scratch_len(&network)];
    let mut output = vec![0.0; network.outputs()];
    samples.iter().enumerate().find_map(|(index, sample)| {
        let expected = chain.eval_f32(sample);
        if !same_bits(&expected, &naive::forward(chain, sample)) {
            return Some((index, Computation::Naive));
        }
        infer::forward(&network, sample, &mut scratch, &mut output).expect("shapes were compared");
        (!same_bits(&expected, &output)).then_some((index, Computation::Artifact))
    })
}

/// Smallest row that the claim needs, bounded on the region's box by `CrownFull`; `None` if there is no bound.
fn bound_again(
    network: &Network<'_>,
    region: &Region<'_>,
    spec: Spec<'_>,
    memory: &mut [f32],
) -> Option<f32> {
    let method = Method::CrownFull;
    bounds::prepare(network, region.lower, region.upper, method, memory).ok()?;
    let mut smallest = f32::INFINITY;
    let mut take = |row: &[f32], constant: f32| {
        let bound = bounds::row_lower(network, method, row, memory).ok()?;
        smallest = smallest.min((bound + constant).next_down());
        Some(())
    };
    match (spec, region.claim) {
        (Spec::Rows { coefficients, constants }, Claim::Rows) => {
            for (row, constant) in coefficients.chunks_exact(network.outputs()).zip(constants) {
                take(row, *constant)?;
            }
        }
        (Spec::ArgMax | Spec::ArgMin, Claim::Class(class)) => {
            let sign = if spec == Spec::ArgMin { -1.0 } else { 1.0 };
            for other in (0..network.outputs()).filter(|other| *other != usize::from(class)) {
                let mut row = vec![0.0; network.outputs()];
                row[usize::from(class)] = sign;
                row[other] = -sign;
                take(&row, 0.0)?;
            }
        }
        _ => return None,
    }
    Some(smallest)
}

/// Compares the artifact with `program` on `samples` and judges its certificates again, the stored proofs against `program`.
///
/// # Errors
/// [`CheckError`] if the comparison itself is impossible; what it finds is in the report.
pub fn check(
    view: &ArtifactView<'_>,
    chain: &Chain,
    samples: &[Vec<f32>],
) -> Result<CheckReport, CheckError> {
    let (expected, found) = ((chain.inputs(), chain.outputs()), (view.inputs(), view.outputs()));
    if expected != found {
        return Err(CheckError::Shape { expected, found });
    }
    let artifact = Artifact::from_view(view)?;
    let layers: Vec<_> = view.layers().collect();
    let network = Network::new(&layers).map_err(ArtifactError::Network)?;
    let mut memory = vec![0.0; bounds::memory_len(&network, Method::CrownFull)];
    let mut judge = |(region, certificate): (Region<'_>, &RegionCertificate)| match &certificate.proof {
        Some(proof) => match check_proof(chain, &artifact.settings.spec, certificate, proof) {
            Ok(_) => CertificateCheck::Proved,
            Err(rejection) => CertificateCheck::Rejected(rejection),
        },
        None => match bound_again(&network, &region, view.spec(), &mut memory) {
            Some(bound) if bound > 0.0 => CertificateCheck::Bounded,
            _ => CertificateCheck::Open,
        },
    };
    let certificates = view.regions().zip(&artifact.certificates).map(&mut judge).collect();
    Ok(CheckReport {
        canonical: artifact.emit()? == view.bytes(),
        same_network: same_constants(&artifact.chain, chain),
        samples: samples.len(),
        mismatch: compare(chain, &layers, samples),
        certificates,
    })
}

/// Equal layer by layer, −0 and 0 told apart.
fn same_constants(a: &Chain, b: &Chain) -> bool {
    let digest = super::artifact::network_digest;
    matches!((digest(a), digest(b)), (Ok(a), Ok(b)) if a == b)
}
