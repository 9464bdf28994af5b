//! Any bytes as an ONNX model: import and lowering are total, and where a network comes out, the graph
//! and the lowered program agree and the exported program loads back the same.
#![no_main]

use certus_engine::graph::{Network, parse_onnx_bytes, to_onnx};
use certus_engine::{Chain, OwnedAffine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(network) = parse_onnx_bytes(bytes, "fuzz") else { return };
    let Ok(chain) = network.to_chain() else { return };
    if chain.layers().len() <= 16 && width(&chain) <= 256 {
        compare(&network, &chain);
        let back = parse_onnx_bytes(&to_onnx(&chain).to_bytes(), "back").and_then(|n| n.to_chain());
        assert_eq!(format!("{:?}", back.expect("what export writes, import reads")), format!("{chain:?}"));
    }
});

fn width(chain: &Chain) -> usize {
    chain.layers().iter().fold(chain.inputs(), |w, l| w.max(l.affine.outputs()))
}

/// Both evaluations at one point, up to rounding relative to the largest magnitude that can arise.
fn compare(network: &Network, chain: &Chain) {
    let x = vec![0.5f64; chain.inputs()];
    let sum = |values: &[f32]| values.iter().map(|v| f64::from(v.abs())).sum::<f64>();
    let magnitude = chain.layers().iter().fold(x.len() as f64, |m, l| match &l.affine {
        OwnedAffine::Dense { weights, bias, .. } => m * (1.0 + sum(weights)) + sum(bias),
        OwnedAffine::Sparse { matrix, bias } => m * (1.0 + sum(&matrix.values.values)) + sum(bias),
        OwnedAffine::Scale { scale, shift } => m * (1.0 + sum(scale)) + sum(shift),
    });
    if !magnitude.is_finite() {
        return;
    }
    let (graph, lowered) = (network.eval(&x), chain.eval_f64(&x));
    assert_eq!(graph.len(), lowered.len());
    for (a, b) in graph.iter().zip(&lowered) {
        assert!((a - b).abs() <= 1e-10 * magnitude, "{a} {b} {magnitude}");
    }
}
