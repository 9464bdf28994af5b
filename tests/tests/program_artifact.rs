//! What the checked view of an artifact of a program refuses and lets through.

use std::collections::BTreeSet;

use certus_core::artifact::ProgramView;
use certus_core::artifact::format::SectionId;
use certus_core::monitor::{MonitorError, ProgramMonitor};
use certus_core::program::{Fault, ProgramError};
use certus_core::{ArtifactError, ArtifactView};
use certus_engine::certify::naive::forward_program;
use certus_engine::certify::{AlignedBytes, ProgramArtifact};
use certus_engine::program::{Builder, Function, Operation, Slot};
use certus_tests::artifacts::repair;
use certus_tests::program_artifact::{every_kind, judge};
use certus_tests::random::Random;

fn bytes() -> Vec<u8> {
    every_kind().emit().expect("fits")
}

#[test]
fn a_program_is_read_back_as_it_was_written() {
    let (artifact, bytes) = (every_kind(), bytes());
    assert_eq!(judge(&bytes), Ok(()));
    let read = ProgramArtifact::parse(&bytes).expect("accepted");
    assert_eq!(
        (&read.range, &read.settings, &read.provenance),
        (&artifact.range, &artifact.settings, &artifact.provenance)
    );
    let operations =
        |a: &ProgramArtifact| a.program.steps().iter().map(|s| s.operation.clone()).collect::<Vec<_>>();
    assert_eq!(operations(&read), operations(&artifact));
}

#[test]
fn the_owner_of_its_memory_computes_what_the_contract_says() {
    let (artifact, bytes) = (every_kind(), bytes());
    let aligned = AlignedBytes::from(&bytes[..]);
    let view = ProgramView::new_checked(aligned.as_slice()).expect("accepted");
    let mut monitor = ProgramMonitor::<'_, 16, 16, 17, 512>::new(view).expect("enough room");
    let random = &mut Random::new(1);
    for _ in 0..100 {
        let sample: Vec<f32> = (0..6).map(|_| random.between(-1.0, 1.0)).collect();
        let decision = monitor.step(&sample);
        let plain = forward_program(&artifact.program, &sample).and_then(|mut v| v.pop()).expect("an output");
        let bits = |y: &[f32]| y.iter().map(|y| y.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(monitor.outputs()), bits(&plain));
        assert_eq!(decision.class, Some(u16::from(plain[1] > plain[0])));
    }
    let short = ProgramMonitor::<'_, 11, 16, 17, 512>::new(view).err();
    assert_eq!(short, Some(MonitorError::Tables { steps: view.step_count(), terms: view.term_count() }));
    let slots = ProgramMonitor::<'_, 16, 16, 12, 512>::new(view).err();
    assert!(matches!(slots, Some(MonitorError::Tables { .. })), "{slots:?}");
    let small = ProgramMonitor::<'_, 16, 16, 17, 32>::new(view).err();
    assert!(matches!(small, Some(MonitorError::Memory { .. })), "{small:?}");
}

#[test]
fn every_truncation_and_every_bit_flip_is_refused() {
    let bytes = bytes();
    for len in 0..bytes.len() {
        assert!(judge(&bytes[..len]).is_err(), "accepted the first {len} bytes");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(judge(&flipped).is_err(), "accepted a flip of bit {bit}");
    }
}

#[test]
fn a_flip_with_repaired_checksums_is_refused_or_leaves_a_sound_artifact() {
    let bytes = bytes();
    let (mut accepted, mut refused) = (0, BTreeSet::new());
    for bit in 0..(bytes.len() - 48) * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        repair(&mut flipped);
        match judge(&flipped) {
            Ok(()) => accepted += 1,
            Err(error) => {
                let text = format!("{error:?}");
                refused.insert(text.split([' ', '(', '{']).next().unwrap_or_default().to_owned());
            }
        }
    }
    // Most bits are mantissas of constants.
    assert!(accepted > 1_000, "{accepted}");
    for kind in ["StepKind", "StepPlace", "Program", "SummationOrder", "SectionLength", "ReservedNonZero"] {
        assert!(refused.contains(kind), "no flip led to {kind}: {refused:?}");
    }
}

#[test]
fn mutations_of_several_bytes_are_refused_or_leave_a_sound_artifact() {
    let bytes = bytes();
    let random = &mut Random::new(3);
    for _ in 0..4_000 {
        let mut mutant = bytes.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(mutant.len());
            let len = (1 + random.below(4)).min(mutant.len() - at);
            let value = [0, 1, 0x7F, 0x80, 0xFF, random.below(256) as u8][random.below(6)];
            mutant[at..at + len].fill(value);
        }
        repair(&mut mutant);
        let _ = judge(&mutant);
    }
}

#[test]
fn readers_of_chains_and_of_programs_refuse_each_other() {
    let bytes = bytes();
    let aligned = AlignedBytes::from(&bytes[..]);
    let missing = |id| Some(ArtifactError::Missing { id });
    assert_eq!(ArtifactView::new_checked(aligned.as_slice()).err(), missing(SectionId::NETWORK));
    let chain = AlignedBytes::from(certus_tests::artifacts::GOLDEN);
    assert_eq!(ProgramView::new_checked(chain.as_slice()).err(), missing(SectionId::PROGRAM));
}

#[test]
fn what_devices_do_not_compute_is_not_written() {
    let mut b = Builder::new(2);
    let y = b.elementwise("exp", Slot::INPUT, Function::Exp).expect("fits");
    let mut artifact = every_kind();
    artifact.program = b.finish(y).expect("an output");
    artifact.range.lower.truncate(2);
    artifact.range.upper.truncate(2);
    artifact.settings.epsilon.truncate(2);
    let refused = artifact.emit().expect_err("no device function").to_string();
    assert!(refused.contains("step 0"), "{refused}");
    let mut b = Builder::new(2);
    let product = Operation::Product { left: Slot::INPUT, right: Slot::INPUT, count: 2, m: 1, k: 1, n: 1 };
    let y = b.push("product", product).expect("fits");
    let program = b.finish(y).expect("an output");
    let fault = certus_engine::certify::program_artifact::check_device(&program);
    assert_eq!(fault, Err(ProgramError::Step { step: 0, fault: Fault::Unsupported }));
}
