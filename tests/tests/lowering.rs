//! Programs compute what their networks compute: onnxruntime's outputs, the graph's own evaluation, and a second
//! lowering written apart from the first.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use certus_engine::graph;
use certus_tests::certus_data;
use flate2::read::GzDecoder;

#[derive(serde::Deserialize)]
struct Golden {
    onnx: String,
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

fn goldens(root: &Path) -> impl Iterator<Item = Golden> {
    let categories = files(&root.join("golden/onnx")).into_iter().flat_map(|year| files(&year));
    categories.flat_map(|category| files(&category)).map(|file| {
        let mut text = String::new();
        GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
        serde_json::from_str(&text).unwrap()
    })
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().copied().map(f64::from).collect()
}

/// Fails if an element differs by more than `tolerance` of the largest.
fn assert_close(expected: &[f64], found: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0.0f64, |m, y| m.max(y.abs()));
    for (i, (e, f)) in expected.iter().zip(found).enumerate() {
        assert!((e - f).abs() <= tolerance * largest, "{what}: output {i} is {f}, expected {e}");
    }
}

#[test]
fn the_programs_of_all_119_networks_compute_what_onnxruntime_does() {
    let Some(root) = certus_data("programs of the 119 networks") else { return };
    let mut count = 0;
    for golden in goldens(&root) {
        let name = &golden.onnx;
        let program = graph::load_program(&root.join("benchmarks").join(name)).unwrap();
        for Point { x, y } in &golden.points {
            let (expected, exact) = (wide(y), program.eval(&wide(x)));
            assert_close(&expected, &exact, 1e-4, &format!("{name} in f64"));
            assert_close(&expected, &wide(&program.eval(x)), 1e-4, &format!("{name} in f32"));
        }
        println!("{name}: {} steps", program.steps().len());
        count += 1;
    }
    assert_eq!(count, 119);
}
