//! Checking a finished artifact of a program against the network it was made from.

use certus_core::artifact::{ArtifactError, Claim, ProgramView, Region, Spec};
use certus_core::bounds::{Method, program as bounds};
use certus_core::program::{Planned, forward};

use super::check::{CertificateCheck, CheckError, CheckReport, Computation, same_bits};
use super::naive;
use super::program_artifact::{ProgramArtifact, program_digest, with_planned};
use crate::program::Program;

/// Compares the artifact with `program` on `samples`. Its certificates are judged by the device's own bounds on their
/// boxes; a certificate that those do not show is open.
///
/// # Errors
/// [`CheckError`] if the comparison itself is impossible; what it finds is in the report.
pub fn check_program(
    view: &ProgramView<'_>,
    program: &Program,
    samples: &[Vec<f32>],
) -> Result<CheckReport, CheckError> {
    let (expected, found) = ((program.inputs(), program.outputs()), (view.inputs(), view.outputs()));
    if expected != found {
        return Err(CheckError::Shape { expected, found });
    }
    let artifact = ProgramArtifact::from_view(view)?;
    let digests = (program_digest(&artifact.program), program_digest(program));
    let (mismatch, certificates) = with_planned(view, |planned| {
        let mut memory = vec![0.0; bounds::memory_len(planned, Method::CrownFull)];
        let mut judge = |region| match bound_again(planned, &region, view.spec(), &mut memory) {
            Some(bound) if bound > 0.0 => CertificateCheck::Bounded,
            _ => CertificateCheck::Open,
        };
        let certificates = view.regions().map(&mut judge).collect();
        (compare(program, planned, samples), certificates)
    })
    .map_err(ArtifactError::Program)?;
    Ok(CheckReport {
        canonical: artifact.emit()? == view.bytes(),
        same_network: matches!(digests, (Ok(a), Ok(b)) if a == b),
        samples: samples.len(),
        mismatch,
        certificates,
    })
}

/// The first sample on which the contract written a second time, or the artifact's own steps, give other bits than
/// the program on the host.
fn compare(program: &Program, planned: &Planned<'_>, samples: &[Vec<f32>]) -> Option<(usize, Computation)> {
    let mut memory = vec![0.0; forward::forward_memory_len(planned)];
    let mut output = vec![0.0; program.outputs()];
    samples.iter().enumerate().find_map(|(index, sample)| {
        let expected = program.eval_device(sample).ok()?;
        let plain = naive::forward_program(program, sample).and_then(|mut values| values.pop());
        if !plain.is_some_and(|plain| same_bits(&expected, &plain)) {
            return Some((index, Computation::Naive));
        }
        forward::forward(planned, sample, &mut memory, &mut output).expect("shapes were compared");
        (!same_bits(&expected, &output)).then_some((index, Computation::Artifact))
    })
}

/// Smallest row that the claim needs, bounded on the region's box by `CrownFull`; `None` if there is no bound.
fn bound_again(
    planned: &Planned<'_>,
    region: &Region<'_>,
    spec: Spec<'_>,
    memory: &mut [f32],
) -> Option<f32> {
    let method = Method::CrownFull;
    bounds::prepare(planned, region.lower, region.upper, method, memory).ok()?;
    let outputs = planned.program().outputs();
    let rows: Vec<(Vec<f32>, f32)> = match (spec, region.claim) {
        (Spec::Rows { coefficients, constants }, Claim::Rows) => {
            coefficients.chunks_exact(outputs).map(<[f32]>::to_vec).zip(constants.iter().copied()).collect()
        }
        (Spec::ArgMax | Spec::ArgMin, Claim::Class(class)) => {
            let sign = if spec == Spec::ArgMin { -1.0 } else { 1.0 };
            let row = |other: usize| {
                let mut row = vec![0.0; outputs];
                (row[usize::from(class)], row[other]) = (sign, -sign);
                (row, 0.0)
            };
            (0..outputs).filter(|other| *other != usize::from(class)).map(row).collect()
        }
        _ => return None,
    };
    let mut smallest = f32::INFINITY;
    for (row, constant) in rows {
        let bound = bounds::row_lower(planned, method, &row, memory).ok()?;
        smallest = smallest.min((bound + constant).next_down());
    }
    Some(smallest)
}
