//! The monitor refuses arithmetic that is not the one its proofs are about.
#![cfg(target_arch = "x86_64")]

use std::arch::asm;

use certus_core::monitor::MonitorRef;
use certus_core::{ArtifactView, Fault, MonitorError, Status};
use certus_engine::certify::AlignedBytes;
use certus_tests::artifacts::GOLDEN;

/// MXCSR as a program starts with it: round to nearest even, subnormals kept, exceptions masked.
const DEFAULT: u32 = 0x1F80;
/// The same in memory, where the instruction reads it.
static RESTORED: u32 = DEFAULT;
const FLUSH_RESULTS: u32 = 1 << 15;
const FLUSH_OPERANDS: u32 = 1 << 6;
const ROUND_DOWN: u32 = 1 << 13;
const ROUND_UP: u32 = 2 << 13;
const ROUND_TO_ZERO: u32 = 3 << 13;

/// What runs with another control word.
type Probe<'p> = &'p mut dyn FnMut();

extern "C" fn call(probe: &mut Probe<'_>) {
    probe();
}

/// Runs `probe` with MXCSR set to `control`, as code would that follows a careless library call.
fn with_control_word(control: u32, mut probe: impl FnMut()) {
    let mut probe: Probe<'_> = &mut probe;
    // SAFETY: one block sets the word, calls a function that does not unwind (the closures below only
    // store results), and restores the word, so no code outside it computes with another word.
    // `clobber_abi` names what the call may change; the stack is aligned at a `call` inside `asm!`.
    unsafe {
        asm!(
            "ldmxcsr [{control}]",
            "call {call}",
            "ldmxcsr [rip + {restored}]",
            control = in(reg) &control,
            restored = sym RESTORED,
            call = sym call,
            inout("rdi") &raw mut probe => _,
            clobber_abi("C"),
        );
    }
}

#[test]
fn other_rounding_and_flushed_subnormals_are_refused_at_construction_and_at_each_step() {
    let bytes = AlignedBytes::from(GOLDEN);
    let view = ArtifactView::new_checked(bytes.as_slice()).expect("golden");
    let layers: Vec<_> = view.layers().collect();
    let mut memory = vec![0.0; certus_core::monitor::memory_len(&view)];
    let controls = [ROUND_DOWN, ROUND_UP, ROUND_TO_ZERO, FLUSH_RESULTS, FLUSH_OPERANDS];
    for control in controls {
        let mut built = None;
        with_control_word(DEFAULT | control, || {
            built = MonitorRef::new(view, &layers, &mut memory).err();
        });
        assert_eq!(built, Some(MonitorError::FpEnv), "{control:#x}");
    }
    let mut monitor = MonitorRef::new(view, &layers, &mut memory).expect("the default environment");
    for control in controls {
        let mut status = None;
        with_control_word(DEFAULT | control, || status = Some(monitor.step(&[0.75, -0.75]).status));
        assert_eq!(status, Some(Status::Invalid(Fault::FpEnv)), "{control:#x}");
    }
    let mut status = None;
    with_control_word(DEFAULT, || status = Some(monitor.step(&[0.75, -0.75]).status));
    assert!(matches!(status, Some(Status::Certified { .. })), "{status:?}");
}
