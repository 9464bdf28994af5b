//! What the monitor says is true: no attack breaks what it certifies, no awkward float confuses it.

mod answers;
mod attack;
mod intervals;
mod regions;

use std::path::{Path, PathBuf};

use certus_core::artifact::{Claim, LiveBounds, Meanings};
use certus_core::bounds::{self, Method};
use certus_core::monitor::{MonitorRef, memory_len};
use certus_core::{ArtifactView, Decision, Evidence, Fault, Monitor, MonitorError, Network, Status};
use certus_engine::certify::{
    AlignedBytes, Artifact, InputRange, MonitorSettings, OwnedSpec, RegionCertificate, naive,
};
use certus_engine::{Chain, OwnedAffine, OwnedLayer, graph};
use certus_tests::certus_data;
use certus_tests::random::Random;
use num_rational::BigRational;
use num_traits::{Signed, Zero};

fn exact(x: f32) -> BigRational {
    BigRational::from_float(x).expect("finite")
}

/// A ReLU network of random shape; the first layer sometimes normalises.
fn random_chain(random: &mut Random, inputs: usize, outputs: usize) -> Chain {
    let mut layers = Vec::new();
    if random.below(2) == 0 {
        let scale = (0..inputs).map(|_| random.between(0.5, 2.0)).collect();
        let shift = (0..inputs).map(|_| random.between(-0.5, 0.5)).collect();
        layers.push(OwnedLayer { affine: OwnedAffine::Scale { scale, shift }, relu: false });
    }
    let mut cols = inputs;
    let depth = 1 + random.below(3);
    for layer in 0..=depth {
        let rows = if layer == depth { outputs } else { 2 + random.below(40) };
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let size = 2.0 / (cols as f32).sqrt();
        let weights = (0..rows * cols).map(|_| random.between(-size, size)).collect();
        let bias = (0..rows).map(|_| random.between(-0.3, 0.3)).collect();
        layers.push(OwnedLayer {
            affine: OwnedAffine::Dense { rows, cols, weights, bias },
            relu: layer != depth,
        });
        cols = rows;
    }
    Chain::new(layers).expect("shapes chain")
}

fn artifact(chain: Chain, epsilon: Vec<f32>, spec: OwnedSpec, live_bounds: LiveBounds) -> Artifact {
    let inputs = chain.inputs();
    Artifact {
        minor: 0,
        chain,
        range: InputRange { lower: vec![-1.0; inputs], upper: vec![1.0; inputs] },
        settings: MonitorSettings { epsilon, spec, live_bounds },
        certificates: Vec::new(),
        provenance: [].into(),
        unknown: Vec::new(),
    }
}

/// Runs `visit` with a monitor of `artifact`.
fn with_monitor<T>(artifact: &Artifact, visit: impl FnOnce(&mut MonitorRef<'_, '_>) -> T) -> T {
    let bytes = AlignedBytes::from(&artifact.emit().expect("fits")[..]);
    let view = ArtifactView::new_checked(bytes.as_slice()).expect("checked by emit");
    let layers: Vec<_> = view.layers().collect();
    let mut memory = vec![0.0; memory_len(&view)];
    visit(&mut MonitorRef::new(view, &layers, &mut memory).expect("capacities are exact"))
}

fn step(artifact: &Artifact, sample: &[f32]) -> Decision {
    with_monitor(artifact, |monitor| monitor.step(sample))
}

/// Index of the largest (`sign` 1) or smallest (`sign` −1) value, if no other equals it.
fn strict_class(values: &[f64], sign: f64) -> Option<usize> {
    let (class, top) = values.iter().enumerate().max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))?;
    let ties = values.iter().filter(|value| *value == top).count();
    (ties == 1).then_some(class)
}

/// Largest `f32` step from `x` by `t·reach`, `t` in [−1, 1], that stays inside `|x' − x| ≤ reach` exactly.
#[expect(clippy::cast_possible_truncation, reason = "moved inwards afterwards")]
fn inside_ball(x: f32, reach: f64, t: f64) -> f32 {
    let mut near = (f64::from(x) + t * reach) as f32;
    let limit = BigRational::from_float(reach).expect("finite");
    while (exact(near) - exact(x)).abs() > limit {
        near = if near > x { near.next_down() } else { near.next_up() };
    }
    near
}

/// One input, class 0 for `x > 0` with margin `2x`, class 1 below.
fn sign_network(relu: bool) -> Chain {
    Chain::new(vec![OwnedLayer {
        affine: OwnedAffine::Dense { rows: 2, cols: 1, weights: vec![1.0, -1.0], bias: vec![0.0, 0.0] },
        relu,
    }])
    .expect("a network")
}
