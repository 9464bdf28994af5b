//! Damaging artifacts on purpose, and judging what a view lets through, with nothing of the reader.

use certus_core::artifact::{Claim, Spec};
use certus_core::monitor::{MonitorRef, memory_len};
use certus_core::{Affine, ArtifactView};
use certus_engine::certify::Artifact;
use sha2::{Digest, Sha256};

/// A small artifact with every kind of section, written by `tests/golden/make_artifact_v1.py`.
pub const GOLDEN: &[u8] = include_bytes!("../golden/artifact_v1.crts");

/// CRC-32 of IEEE 802.3, bit by bit.
pub fn crc32(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?).into())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?)).ok()
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// Makes every checksum right again, as far as the bytes still say where they are.
pub fn repair(bytes: &mut [u8]) {
    let (sections, len) = (u16_at(bytes, 16).unwrap_or(0), bytes.len());
    for entry in (0..sections).map(|index| 32 + 16 * index).take_while(|entry| entry + 16 <= len) {
        let place = u32_at(bytes, entry + 4).zip(u32_at(bytes, entry + 8));
        let payload = place.and_then(|(offset, len)| bytes.get(offset..offset.checked_add(len)?));
        if let Some(crc) = payload.map(|payload| crc32(payload.iter().copied())) {
            put_u32(bytes, entry + 12, crc);
        }
    }
    let header_len = 32 + 16 * sections;
    if bytes.len() < 80 || header_len > bytes.len() {
        return;
    }
    let covered = bytes[..12].iter().chain(&bytes[16..header_len]);
    let crc = crc32(covered.copied());
    put_u32(bytes, 12, crc);
    repair_trailer(bytes);
}

/// Makes the trailer right again and leaves the other checksums as they are: what a reader without
/// SHA-256 has to go by.
///
/// # Panics
/// If `bytes` are shorter than a trailer.
pub fn repair_trailer(bytes: &mut [u8]) {
    let trailer = bytes.len() - 48;
    let digest = Sha256::digest(&bytes[..trailer]);
    bytes[trailer..trailer + 32].copy_from_slice(&digest);
    put_u32(bytes, trailer + 32, crc32(digest));
}

fn all_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// Whether `[lower, upper]` is a box inside `[from, to]`.
fn is_box_inside(lower: &[f32], upper: &[f32], from: &[f32], to: &[f32]) -> bool {
    (0..from.len()).all(|i| from[i] <= lower[i] && lower[i] <= upper[i] && upper[i] <= to[i])
}

/// Asks `view` for everything it can show and checks that it makes sense together, that writing it
/// again gives the same bytes, and that a monitor runs on it.
///
/// # Panics
/// If it does not.
pub fn assert_well_formed(view: &ArtifactView<'_>) {
    let (inputs, outputs) = (view.inputs(), view.outputs());
    let mut width = inputs;
    let layers: Vec<_> = view.layers().collect();
    assert_eq!(layers.len(), view.layers().len());
    assert!(!layers.is_empty() && inputs > 0 && outputs > 0);
    for layer in &layers {
        assert_eq!(layer.inputs(), width);
        width = layer.outputs();
        let (a, b) = match layer.affine() {
            Affine::Dense(dense) => {
                assert_eq!(dense.weights().len(), dense.rows() * dense.cols());
                assert_eq!(dense.bias().len(), dense.rows());
                (dense.weights(), dense.bias())
            }
            Affine::Sparse(_) => panic!("an artifact has no sparse layer"),
            Affine::Scale(scale) => {
                assert_eq!(scale.scale().len(), scale.shift().len());
                (scale.scale(), scale.shift())
            }
        };
        assert!(all_finite(a) && all_finite(b));
    }
    assert_eq!(width, outputs);
    let (from, to) = (view.range_lower(), view.range_upper());
    assert!(from.len() == inputs && to.len() == inputs && all_finite(from) && all_finite(to));
    assert!(is_box_inside(from, to, from, to));
    assert_eq!(view.epsilon().len(), inputs);
    assert!(view.epsilon().iter().all(|e| (0.0..=f32::MAX).contains(e)));
    if let Spec::Rows { coefficients, constants } = view.spec() {
        assert!(!constants.is_empty() && coefficients.len() == constants.len() * outputs);
        assert!(all_finite(coefficients) && all_finite(constants));
    } else {
        assert!(outputs >= 2);
    }
    let proofs = view.proofs().count();
    assert_eq!(view.regions().filter(|region| region.proof.is_some()).count(), proofs);
    assert_eq!(view.regions().count(), view.region_count());
    for region in view.regions() {
        assert!(is_box_inside(region.lower, region.upper, from, to));
        assert!(region.bound > 0.0 && region.bound.is_finite());
        assert!(region.meanings.real() || region.meanings.f32());
        match region.claim {
            Claim::Class(class) => assert!(usize::from(class) < outputs),
            Claim::Rows => assert!(matches!(view.spec(), Spec::Rows { .. })),
        }
    }
    assert!(view.provenance().all(|(key, value)| !key.is_empty() && !value.contains('\n')));
    let artifact = Artifact::from_view(view).expect("a checked view");
    assert_eq!(artifact.emit().expect("what was read can be written"), view.bytes());
    let mut memory = vec![0.0; memory_len(view)];
    let mut monitor = MonitorRef::new(*view, &layers, &mut memory).expect("capacities are exact");
    for sample in [from, to] {
        let _ = monitor.step(sample);
    }
}
