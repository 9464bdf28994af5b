//! A small artifact of a program with every kind of step and map, and a judge of what its view lets through.

use certus_core::artifact::{ArtifactError, LiveBounds, ProgramView};
use certus_core::monitor::ProgramMonitorRef;
use certus_core::program::Place;
use certus_engine::certify::{InputRange, MonitorSettings, OwnedSpec, ProgramArtifact, program_artifact};
use certus_engine::program::{
    Affine, Builder, Constants, Conv, Function, Groups, Map, Operation, Slot, Sparse, Term, ZERO,
};

/// An artifact of a network with every kind of step and map.
///
/// # Panics
/// Never: the steps fit.
pub fn every_kind() -> ProgramArtifact {
    let folded = |len: u8| Constants {
        values: (0..len).map(|i| 0.5 + f32::from(i)).collect(),
        error: Some(vec![1e-6; usize::from(len)]),
    };
    let conv = Conv {
        channels_in: 2,
        channels_out: 2,
        groups: 2,
        size_in: [1, 3],
        size_out: [1, 3],
        kernel: [1, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 1],
        weights: vec![1.0, -2.0, 3.0, -0.5, 0.25, 0.125].into(),
    };
    let mut b = Builder::new(6);
    let z = b.affine("conv", Slot::INPUT, Map::Conv(conv.clone()), Some(folded(6))).expect("fits");
    let mut x = z;
    for function in [
        Function::Relu,
        Function::LeakyRelu { slope: 0.1 },
        Function::Clip { lower: -1.0, upper: 2.0 },
        Function::Abs,
        Function::Sigmoid,
        Function::Tanh,
    ] {
        x = b.elementwise(function.name(), x, function).expect("fits");
    }
    let terms = vec![
        Term { input: x, map: Map::ConvTranspose(conv) },
        Term { input: z, map: Map::Identity },
        Term { input: Slot::INPUT, map: Map::Scale(folded(6)) },
    ];
    let bias = Some(Constants::exact(vec![0.25; 6]));
    let sum = b.push("sum", Operation::Affine(Affine { terms, bias })).expect("fits");
    let groups = Groups { starts: vec![0, 2, 3, 6], members: vec![0, 1, 2, 3, 4, 5] };
    let max = b.push("max", Operation::Max { input: sum, groups }).expect("fits");
    let indices = vec![8, ZERO, 0, 3];
    let index = b.push("index", Operation::Index { inputs: vec![sum, max], indices }).expect("fits");
    let sparse = Sparse { cols: 4, starts: vec![0, 1, 3], columns: vec![1, 0, 3], values: folded(3) };
    let mixed = b.affine("sparse", index, Map::Sparse(sparse), None).expect("fits");
    let dense = Map::Dense { count: 1, rows: 2, cols: 2, weights: vec![1.0, -1.0, 0.5, 2.0].into() };
    let out = b.affine("dense", mixed, dense, None).expect("fits");
    ProgramArtifact {
        minor: 0,
        program: b.finish(out).expect("an output"),
        range: InputRange { lower: vec![-1.0; 6], upper: vec![1.0; 6] },
        settings: MonitorSettings {
            epsilon: vec![0.01, 0.01, 0.01, 0.0, 0.0, 0.0],
            spec: OwnedSpec::ArgMax,
            live_bounds: LiveBounds::CrownFull,
        },
        certificates: Vec::new(),
        provenance: [("tool".to_owned(), "test".to_owned())].into(),
        unknown: Vec::new(),
    }
}

/// Checks `bytes` as a device does, up to a running monitor. What is accepted is written again to the same bytes, unless it
/// holds a step that the output does not need.
///
/// # Errors
/// The check that refuses them.
///
/// # Panics
/// If what is accepted makes no sense.
pub fn judge(bytes: &[u8]) -> Result<(), ArtifactError> {
    let aligned = certus_engine::certify::AlignedBytes::from(bytes);
    let view = ProgramView::new_checked(aligned.as_slice())?;
    let (steps, terms): (Vec<_>, Vec<_>) = (view.steps().collect(), view.terms().collect());
    assert_eq!((steps.len(), terms.len()), (view.step_count(), view.term_count()));
    let len = program_artifact::memory_len(&view).map_err(ArtifactError::Program)?;
    let artifact = ProgramArtifact::from_view(&view)?;
    if artifact.program.steps().len() == steps.len() {
        assert_eq!(artifact.emit().expect("what was read can be written"), view.bytes());
    }
    let mut places = vec![Place::default(); steps.len() + 1];
    let mut memory = vec![0.0; len];
    let mut monitor = ProgramMonitorRef::new(view, &steps, &terms, &mut places, &mut memory)
        .expect("the capacities are those it asks for");
    for sample in [view.range_lower(), view.range_upper()] {
        let _ = monitor.step(sample);
    }
    Ok(())
}
