//! Imported networks evaluate as onnxruntime evaluates them, and every property of their sets parses.
//!
//! Needs `CERTUS_DATA`. Golden values: onnxruntime 1.31.1, f32, one thread, optimisations off, two inputs
//! per network.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use certus_engine::graph::{self, LoadError};
use certus_engine::property;
use certus_tests::certus_data;
use flate2::read::GzDecoder;

/// Largest difference, relative to the largest output: what f32 sums in another order differ by, with room.
const TOLERANCE: f64 = 1e-4;

#[derive(serde::Deserialize)]
struct Golden {
    onnx: String,
    input_shape: Vec<usize>,
    output_shape: Vec<usize>,
    points: Vec<Point>,
}

#[derive(serde::Deserialize)]
struct Point {
    x: Vec<f32>,
    y: Vec<f32>,
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn assert_close(golden: &[f32], found: impl IntoIterator<Item = f64>, what: &str) {
    let found: Vec<f64> = found.into_iter().collect();
    assert_eq!(found.len(), golden.len(), "{what}");
    let largest = golden.iter().fold(0.0f64, |m, y| m.max(f64::from(y.abs())));
    for (i, (g, f)) in golden.iter().zip(&found).enumerate() {
        assert!((f64::from(*g) - f).abs() <= TOLERANCE * largest, "{what}: output {i} is {f}, golden {g}");
    }
}

fn read_golden(file: &Path) -> Golden {
    let mut text = String::new();
    GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Compares the graph in both precisions with the golden outputs, and what it lowers to.
fn check_network(root: &Path, golden: &Golden) -> Result<(), LoadError> {
    let name = &golden.onnx;
    let network = graph::load_network(&root.join("benchmarks").join(name))?;
    let chain = network.to_chain().ok();
    assert_eq!(network.input().len(), golden.input_shape.iter().product::<usize>(), "{name}");
    assert_eq!(network.output().len(), golden.output_shape.iter().product::<usize>(), "{name}");
    for Point { x, y } in &golden.points {
        let x64: Vec<f64> = x.iter().copied().map(f64::from).collect();
        assert_close(y, network.eval(x).into_iter().map(f64::from), &format!("{name}, graph in f32"));
        assert_close(y, network.eval(&x64), &format!("{name}, graph in f64"));
        let Some(chain) = &chain else { continue };
        assert_close(y, chain.eval_f32(x).into_iter().map(f64::from), &format!("{name}, chain in f32"));
        assert_close(y, chain.eval_f64(&x64), &format!("{name}, chain in f64"));
    }
    Ok(())
}

#[test]
fn all_119_networks_evaluate_as_onnxruntime_does() {
    let Some(root) = certus_data("the 119 networks") else { return };
    let years = files(&root.join("golden/onnx"));
    let goldens = years.iter().flat_map(|y| files(y)).flat_map(|category| files(&category));
    let (mut count, mut refused) = (0, Vec::new());
    for golden in goldens.map(|file| read_golden(&file)) {
        count += 1;
        if let Err(error) = check_network(&root, &golden) {
            refused.push(error.to_string());
        }
    }
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
    assert_eq!(count, 119);
}

/// Properties of the set parse and have the shape that `inputs` and `outputs` say.
fn check_properties(category: &str, expected: usize, inputs: usize, outputs: usize) {
    let Some(root) = certus_data(category) else { return };
    let files = files(&root.join("benchmarks").join(category).join("vnnlib"));
    assert_eq!(files.len(), expected);
    for file in files {
        let property = property::load_property(&file).unwrap();
        assert_eq!((property.inputs, property.outputs), (inputs, outputs), "{}", file.display());
        assert_eq!(property.cases.len(), 1, "{}", file.display());
    }
}

#[test]
fn every_acas_xu_property_parses() {
    check_properties("vnncomp2021/acasxu", 7, 5, 5);
}

#[test]
fn every_mnist_property_parses() {
    check_properties("vnncomp2021/mnistfc", 15, 784, 10);
}
