//! Networks as PyTorch (both exporters) and Keras write them evaluate as those frameworks say.
//!
//! Written by `tools/onnx-cases/make_networks.py`; the file names the versions of the tools.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use certus_engine::graph;
use flate2::read::GzDecoder;

/// Largest difference, relative to the largest output.
const TOLERANCE: f64 = 1e-4;

#[derive(serde::Deserialize)]
struct Golden {
    networks: Vec<Exported>,
}

#[derive(serde::Deserialize)]
struct Exported {
    name: String,
    model: String,
    x: Vec<f32>,
    y: Vec<f32>,
}

#[test]
fn exported_networks_evaluate_as_the_framework_that_wrote_them() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/networks.json.gz");
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let golden: Golden = serde_json::from_str(&text).unwrap();
    let mut problems = Vec::new();
    for exported in &golden.networks {
        let bytes = BASE64_STANDARD.decode(&exported.model).unwrap();
        let network = match graph::parse_onnx_bytes(&bytes, &exported.name) {
            Ok(network) => network,
            Err(e) => {
                problems.push(e.to_string());
                continue;
            }
        };
        let wide: Vec<f64> = exported.x.iter().copied().map(f64::from).collect();
        let narrow: Vec<f64> = network.eval(&exported.x).into_iter().map(f64::from).collect();
        let largest = exported.y.iter().fold(0.0f64, |m, y| m.max(f64::from(y.abs())));
        for found in [network.eval(&wide), narrow] {
            assert_eq!(found.len(), exported.y.len(), "{}", exported.name);
            let near = |(y, f): (&f32, &f64)| (f64::from(*y) - f).abs() <= TOLERANCE * largest;
            if !exported.y.iter().zip(&found).all(near) {
                problems.push(format!("{}: {found:?}, golden {:?}", exported.name, exported.y));
            }
        }
        if let Err(e) = network.lower() {
            problems.push(e.to_string());
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    for exporter in ["torch script", "torch dynamo", "keras"] {
        assert!(golden.networks.iter().any(|n| n.name.starts_with(exporter)), "{exporter}");
    }
}
