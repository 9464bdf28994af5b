//! The steps of the demonstration: each takes what it needs and returns what it found.

use std::collections::BTreeMap;

use certus_core::ArtifactView;
use certus_core::artifact::LiveBounds;
use certus_core::monitor::{memory_len, worst_case_ops};
use certus_engine::certify::region::to_hex;
use certus_engine::certify::{
    AlignedBytes, Artifact, EmitError, InputRange, MonitorSettings, OwnedSpec, RegionCertificate,
};
use certus_engine::{Chain, OwnedAffine};

use super::bundle::{NETWORK, NETWORK_NAME, NOISE, RANGE_LOWER, RANGE_UPPER};
use super::example::Example;
use super::results::{ArtifactFacts, MethodResult, NetworkFacts, Step};
use super::sweep::{self, LEVELS};

/// Methods of live bounds, loosest first, as the report names them.
pub const METHODS: [(LiveBounds, &str); 3] = [
    (LiveBounds::Ibp, "intervals"),
    (LiveBounds::Crown, "CROWN for the outputs"),
    (LiveBounds::CrownFull, "CROWN for every neuron"),
];
/// Index into [`METHODS`] of the one that the artifact asks for.
pub const SHIPPED: usize = 2;

/// Size of `program`.
pub fn network_facts(chain: &Chain) -> NetworkFacts {
    let mut widths = vec![chain.inputs()];
    let mut parameters = 0;
    for layer in chain.layers() {
        // Normalisation has no trained parameters.
        if let OwnedAffine::Dense { rows, weights, bias, .. } = &layer.affine {
            widths.push(*rows);
            parameters += weights.len() + bias.len();
        }
    }
    NetworkFacts { widths, parameters }
}

/// The artifact of the example with `certificates`.
pub fn artifact(example: &Example, certificates: Vec<RegionCertificate>) -> Artifact {
    let note = |key: &str, value: String| (key.to_owned(), value);
    Artifact {
        minor: Artifact::MINOR,
        chain: example.chain.clone(),
        range: InputRange { lower: RANGE_LOWER.to_vec(), upper: RANGE_UPPER.to_vec() },
        settings: MonitorSettings {
            epsilon: NOISE.to_vec(),
            spec: OwnedSpec::ArgMax,
            live_bounds: METHODS[SHIPPED].0,
        },
        certificates,
        provenance: BTreeMap::from([
            note("network", NETWORK_NAME.to_owned()),
            note("network_sha256", to_hex(&certus_engine::certify::digest(NETWORK))),
            note("tool", concat!("certus ", env!("CARGO_PKG_VERSION")).to_owned()),
        ]),
        unknown: Vec::new(),
    }
}

/// What the artifact in `bytes` holds.
///
/// # Errors
/// [`EmitError::Refused`] if the core refuses it.
pub fn artifact_facts(bytes: &[u8]) -> Result<ArtifactFacts, EmitError> {
    let aligned = AlignedBytes::from(bytes);
    let view = ArtifactView::new_checked(aligned.as_slice())?;
    let mut sections: Vec<_> =
        view.sections().map(|section| (section.id.name().to_owned(), section.payload.len())).collect();
    let inside: usize = sections.iter().map(|(_, bytes)| bytes).sum();
    sections.push(("header, padding, digest".to_owned(), bytes.len() - inside));
    Ok(ArtifactFacts {
        sections,
        bytes: bytes.len(),
        regions: view.region_count(),
        digest: to_hex(view.digest()),
    })
}

/// The encounter step by step, judged at noise level 1.
///
/// # Errors
/// As [`sweep::decisions`].
pub fn steps(example: &Example, artifact: &Artifact) -> Result<Vec<Step>, EmitError> {
    let decisions = sweep::decisions_at(artifact, 1.0, &example.trajectory)?;
    let levels = sweep::certified_levels(artifact, &example.trajectory)?;
    let at = |row: &[f32], column: usize| row.get(column).copied().map_or(f64::NAN, f64::from);
    let rows = example.track.iter().zip(&decisions).zip(levels);
    Ok(rows
        .map(|((track, decision), certified_level)| Step {
            time_s: at(track, 0),
            own: (at(track, 1), at(track, 2)),
            intruder: (at(track, 4), at(track, 5)),
            class: decision.class,
            margin: f64::from(decision.margin),
            answer: sweep::answer(decision),
            certified_level,
        })
        .collect())
}

/// The monitor with one method of live bounds over the encounter, at every noise level; `done` is called
/// after each level.
///
/// # Errors
/// As [`sweep::decisions`].
pub fn method(
    example: &Example,
    artifact: &Artifact,
    (live_bounds, name): (LiveBounds, &str),
    seed: u64,
    mut done: impl FnMut(),
) -> Result<MethodResult, EmitError> {
    let mut artifact = artifact.clone();
    artifact.settings.live_bounds = live_bounds;
    let aligned = AlignedBytes::from(&artifact.emit()?[..]);
    let view = ArtifactView::new_checked(aligned.as_slice())?;
    let mut levels = Vec::new();
    for level in LEVELS {
        levels.push(sweep::noisy_run(&artifact, level, &example.trajectory, seed)?);
        done();
    }
    Ok(MethodResult {
        name: name.to_owned(),
        levels,
        memory_bytes: 4 * memory_len(&view),
        multiply_adds: worst_case_ops(&view).total().multiply_adds,
    })
}
