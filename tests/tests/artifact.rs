//! What an artifact's checked view refuses, what it lets through, and that version 1 stays readable.

use std::collections::{BTreeMap, BTreeSet};

use certus_core::artifact::format::SectionId;
use certus_core::artifact::{Claim, LiveBounds, Meanings};
use certus_core::{ArtifactError, ArtifactView, ShapeError};
use certus_engine::certify::artifact::UnknownSection;
use certus_engine::certify::{
    AlignedBytes, Artifact, InputRange, MonitorSettings, OwnedSpec, RegionCertificate,
};
use certus_engine::{Chain, OwnedAffine, OwnedLayer};
use certus_tests::artifacts::{GOLDEN, assert_well_formed, crc32, repair, repair_trailer};
use proptest::prelude::*;

/// Name of an error's variant.
fn variant(error: ArtifactError) -> String {
    let text = format!("{error:?}");
    text.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// Checks `bytes` at an aligned address; judges what is let through.
fn outcome(bytes: &[u8]) -> Result<(), ArtifactError> {
    let aligned = AlignedBytes::from(bytes);
    ArtifactView::new_checked(aligned.as_slice()).map(|view| assert_well_formed(&view))
}

/// What `make_artifact_v1.py` says it writes.
fn golden() -> Artifact {
    let dense = |rows, cols, weights: &[f32], bias: &[f32]| OwnedAffine::Dense {
        rows,
        cols,
        weights: weights.to_vec(),
        bias: bias.to_vec(),
    };
    let scale = OwnedAffine::Scale { scale: vec![0.5, 2.0], shift: vec![0.25, -0.0] };
    let layers = vec![
        OwnedLayer { affine: scale, relu: false },
        OwnedLayer {
            affine: dense(3, 2, &[1.0, -1.0, -0.5, 0.25, 0.0, 1.5], &[0.125, -0.25, 0.5]),
            relu: true,
        },
        OwnedLayer {
            affine: dense(2, 3, &[1.0, 0.5, -1.0, -1.0, 2.0, f32::from_bits(1)], &[0.75, -0.5]),
            relu: false,
        },
    ];
    let region =
        |class, meanings, bound, proof: Option<&[u8]>, lower: &[f32], upper: &[f32]| RegionCertificate {
            lower: lower.to_vec(),
            upper: upper.to_vec(),
            claim: Claim::Class(class),
            bound,
            meanings: Meanings::from_bits(meanings).expect("known bits"),
            proof: proof.map(<[u8]>::to_vec),
        };
    let notes = [("recipe", "golden"), ("time", "2026-01-01T00:00:00Z"), ("tool", "make_artifact_v1.py")];
    Artifact {
        minor: 0,
        chain: Chain::new(layers).expect("a network"),
        range: InputRange { lower: vec![-1.0, -2.0], upper: vec![1.0, 2.0] },
        settings: MonitorSettings {
            epsilon: vec![0.0625, 0.0],
            spec: OwnedSpec::ArgMax,
            live_bounds: LiveBounds::Crown,
        },
        certificates: vec![
            region(0, 3, 0.5, Some(b"opaque"), &[0.5, -1.0], &[1.0, -0.5]),
            region(1, 2, 0.125, None, &[-1.0, 1.0], &[-0.5, 2.0]),
        ],
        provenance: notes.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        unknown: vec![UnknownSection {
            id: SectionId(700),
            version: 9,
            payload: b"a later section".to_vec(),
        }],
    }
}

#[test]
fn a_version_1_file_written_by_another_program_is_read_and_written_alike() {
    let artifact = Artifact::parse(GOLDEN).expect("version 1 stays readable");
    assert_eq!(artifact, golden());
    // −0 equals 0 above; the bytes tell them apart.
    assert_eq!(golden().emit().expect("fits"), GOLDEN);
    assert_eq!(outcome(GOLDEN), Ok(()));
}

#[test]
fn the_checksum_is_the_published_one() {
    // Check value of CRC-32/ISO-HDLC in Cook's catalogue.
    assert_eq!(crc32(*b"123456789"), 0xCBF4_3926);
    assert_eq!(certus_core::artifact::format::crc32(b"123456789"), 0xCBF4_3926);
}

#[test]
fn every_truncation_and_every_extension_is_refused() {
    for len in 0..GOLDEN.len() {
        assert!(outcome(&GOLDEN[..len]).is_err(), "accepted the first {len} bytes");
    }
    for extra in 1..64 {
        assert!(outcome(&[GOLDEN, &vec![0; extra]].concat()).is_err(), "accepted {extra} more bytes");
    }
}

#[test]
fn every_single_bit_flip_is_refused() {
    for bit in 0..GOLDEN.len() * 8 {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(outcome(&bytes).is_err(), "accepted a flip of bit {bit}");
    }
}

#[test]
fn a_flip_is_refused_without_the_digest_too() {
    let trailer = (GOLDEN.len() - 48) * 8;
    for bit in 0..trailer {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        repair_trailer(&mut bytes);
        assert!(outcome(&bytes).is_err(), "accepted a flip of bit {bit}");
    }
    // In the trailer its own CRC answers, before the digest is looked at.
    for bit in trailer..trailer + 36 * 8 {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(outcome(&bytes), Err(ArtifactError::TrailerCrc), "bit {bit}");
    }
}

#[test]
fn every_base_that_is_not_a_multiple_of_16_is_refused() {
    let mut shifted = vec![0u8; GOLDEN.len() + 32];
    let base = shifted.as_ptr().align_offset(16);
    for shift in 0..16 {
        let place = base + shift..base + shift + GOLDEN.len();
        shifted[place.clone()].copy_from_slice(GOLDEN);
        let result = ArtifactView::new_checked(&shifted[place]).map(|_| ());
        let expected = if shift == 0 { Ok(()) } else { Err(ArtifactError::Misaligned) };
        assert_eq!(result, expected, "shifted by {shift}");
    }
}

#[test]
fn a_flip_with_repaired_checksums_is_refused_or_leaves_a_sound_artifact() {
    let mut errors: BTreeMap<String, usize> = BTreeMap::new();
    let mut accepted = 0;
    for bit in 0..GOLDEN.len() * 8 {
        let mut bytes = GOLDEN.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        repair(&mut bytes);
        if bytes == GOLDEN {
            continue; // the flip was in a checksum
        }
        match outcome(&bytes) {
            Ok(()) => accepted += 1,
            Err(error) => *errors.entry(variant(error)).or_default() += 1,
        }
    }
    println!("accepted {accepted}, refused {errors:?}");
    let seen: BTreeSet<&str> = errors.keys().map(String::as_str).collect();
    let needed = [
        "BadMagic",
        "Version",
        "Length",
        "ReservedNonZero",
        "SectionOrder",
        "UnknownSection",
        "SectionVersion",
        "SectionFlags",
        "SectionPlace",
        "SectionLength",
        "SummationOrder",
        "LayerKind",
        "LayerPlace",
        "Network",
        "Range",
        "Epsilon",
        "Spec",
        "LiveBounds",
        "RegionBox",
        "RegionClass",
        "RegionBound",
        "RegionMeanings",
        "RegionProof",
        "ProofPlace",
        "Provenance",
    ];
    let missing: Vec<_> = needed.iter().filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "no flip was refused as {missing:?}");
    assert!(accepted > 0, "a flipped weight is another sound artifact");
}

/// Changes one word or moves things around, then repairs all checksums.
fn mutate(bytes: &mut Vec<u8>, kind: u8, at: usize, value: u32) {
    let word = at % (bytes.len() / 4) * 4;
    match kind {
        0..=3 => bytes[word..word + 4].copy_from_slice(&value.to_le_bytes()),
        4 => bytes[word..word + 2].copy_from_slice(&value.to_le_bytes()[..2]),
        5 => {
            // Swap two words.
            let other = value as usize % (bytes.len() / 4) * 4;
            for offset in 0..4 {
                bytes.swap(word + offset, other + offset);
            }
        }
        6 => {
            // Swap two entries of the section table.
            let entries = [at % 7, value as usize % 7].map(|index| 32 + 16 * index);
            for offset in 0..16 {
                bytes.swap(entries[0] + offset, entries[1] + offset);
            }
        }
        7 => {
            // Drop or double sixteen bytes and say so in the length.
            let place = at % (bytes.len() / 16 - 3) * 16;
            if value & 1 == 0 {
                bytes.drain(place..place + 16);
            } else {
                let copy = bytes[place..place + 16].to_vec();
                bytes.splice(place..place, copy);
            }
            let len = u32::try_from(bytes.len()).expect("small").to_le_bytes();
            bytes[8..12].copy_from_slice(&len);
        }
        _ => {
            // Another number of sections.
            bytes[16..18].copy_from_slice(&value.to_le_bytes()[..2]);
        }
    }
    repair(bytes);
}

fn interesting() -> impl Strategy<Value = u32> {
    prop_oneof![
        prop::sample::select(vec![
            0,
            1,
            2,
            3,
            4,
            7,
            8,
            15,
            16,
            17,
            0x7FFF,
            0xFFFF,
            0x10000,
            0x3FFF_FFFF,
            0x4000_0000,
            0x7FFF_FFFF,
            0x8000_0000,
            u32::MAX - 15,
            u32::MAX,
            0x7F80_0000,
            0xFF80_0000,
            0x7FC0_0000,
            0x7F7F_FFFF,
            0x0080_0000,
            0x3F80_0000,
            0xBF80_0000,
        ]),
        0u32..1024,
        any::<u32>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutations_with_repaired_checksums_are_refused_or_leave_a_sound_artifact(
        mutations in prop::collection::vec((0u8..9, any::<usize>(), interesting()), 1..4),
    ) {
        let mut bytes = GOLDEN.to_vec();
        for (kind, at, value) in mutations {
            mutate(&mut bytes, kind, at, value);
        }
        let _ = outcome(&bytes);
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(outcome(&bytes).is_err());
        let mut repaired = bytes;
        repair(&mut repaired);
        prop_assert!(outcome(&repaired).is_err());
    }
}

/// Damages an artifact before it is written.
type Change<'a> = &'a dyn Fn(&mut Artifact);

/// Why the writer refuses `artifact`.
fn refusal(artifact: &Artifact) -> String {
    artifact.emit().expect_err("must be refused").to_string()
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let changed = |change: Change<'_>| {
        let mut artifact = golden();
        change(&mut artifact);
        refusal(&artifact)
    };
    let cases: [(&str, Change<'_>); 17] = [
        // Five and three numbers are as many as four and four.
        ("lower end of certificate 0: 3 numbers where 2", &|a| {
            a.certificates[0].lower.push(0.75);
            a.certificates[1].upper.pop();
        }),
        ("coefficients of the specification: 3 numbers where 2", &|a| {
            a.settings.spec = OwnedSpec::Rows { coefficients: vec![1.0; 3], constants: vec![0.0] };
        }),
        ("has the id of a known one", &|a| {
            a.provenance.clear();
            a.unknown[0] =
                UnknownSection { id: SectionId::PROVENANCE, version: 1, payload: b"a=b\n".to_vec() };
        }),
        ("section 700 (unknown) is out of order or comes twice", &|a| a.unknown.push(a.unknown[0].clone())),
        ("section 2 (range) is out of order or comes twice", &|a| a.unknown[0].id = SectionId::RANGE),
        ("range of feature 1", &|a| a.range.lower[1] = 3.0),
        ("range of feature 0", &|a| a.range.upper[0] = f32::INFINITY),
        ("lower end of the input range: 0 numbers where 2", &|a| a.range.lower.clear()),
        ("epsilon of feature 1", &|a| a.settings.epsilon[1] = -1.0),
        ("epsilon of feature 0", &|a| a.settings.epsilon[0] = f32::NAN),
        ("box of certificate 0", &|a| a.certificates[0].upper[0] = 1.5),
        ("box of certificate 1", &|a| a.certificates[1].lower[0] = f32::NAN),
        ("class of certificate 1", &|a| a.certificates[1].claim = Claim::Class(2)),
        ("class of certificate 0", &|a| a.certificates[0].claim = Claim::Rows),
        ("bound of certificate 0", &|a| a.certificates[0].bound = 0.0),
        ("proof 0 does not lie", &|a| a.certificates[0].proof = Some(Vec::new())),
        ("provenance", &|a| {
            a.provenance.insert("two\nlines".to_owned(), String::new());
        }),
    ];
    for (expected, change) in cases {
        let found = changed(change);
        assert!(found.contains(expected), "expected `{expected}`, found `{found}`");
    }
}

#[test]
fn rows_and_argmin_and_no_certificates_are_read_back() {
    for spec in [
        OwnedSpec::ArgMin,
        OwnedSpec::Rows { coefficients: vec![1.0, -1.0, 0.0, 2.5], constants: vec![0.0, -0.125] },
    ] {
        for live_bounds in [LiveBounds::Off, LiveBounds::Ibp, LiveBounds::CrownFull] {
            let mut artifact = golden();
            artifact.settings.spec = spec.clone();
            artifact.settings.live_bounds = live_bounds;
            artifact.certificates.clear();
            artifact.provenance.clear();
            artifact.unknown.clear();
            let bytes = artifact.emit().expect("fits");
            assert_eq!(Artifact::parse(&bytes), Ok(artifact));
            assert_eq!(outcome(&bytes), Ok(()));
        }
    }
}

#[test]
fn a_section_that_must_be_understood_is_refused_and_a_later_minor_version_is_not() {
    let mut bytes = GOLDEN.to_vec();
    let entry = 32 + 16 * 6;
    bytes[entry + 3] = 0; // the unknown section 700 loses its flag
    repair(&mut bytes);
    assert_eq!(outcome(&bytes), Err(ArtifactError::UnknownSection { id: SectionId(700) }));
    let mut bytes = GOLDEN.to_vec();
    bytes[6] = 3;
    repair(&mut bytes);
    assert_eq!(outcome(&bytes), Ok(()));
}

#[test]
fn a_network_of_other_shape_than_stated_is_refused() {
    let mut bytes = GOLDEN.to_vec();
    bytes[144 + 8] = 3; // three outputs stated
    repair(&mut bytes);
    let expected = ArtifactError::Network(ShapeError::Length { expected: 3, found: 2 });
    assert_eq!(outcome(&bytes), Err(expected));
}
