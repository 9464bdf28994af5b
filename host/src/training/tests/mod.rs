//! What is written reads back, and settings, data and runs are what they should be.

mod config;
mod run;

use certus_engine::graph::load_model;
use certus_engine::property::Evaluate;
use certus_learn::graph::Graph;
use certus_learn::loss::{self, Normalised};
use certus_learn::model::{Init, Layer, Model, Random};
use certus_learn::run::{Plan, Run};

use super::import;
use super::network::{Normalise, program};
use super::onnx::to_onnx;

fn trained(input: &[usize], layers: &[Layer], random: &mut Random) -> Model {
    let mut model = Model::new(input, layers).expect("the layers fit");
    Init::Uniform.fill(&mut model, random);
    for parameter in &mut model.parameters {
        parameter.values.iter_mut().for_each(|x| *x += 0.1 * random.normal() as f32);
    }
    for of in &mut model.statistics {
        of.mean.iter_mut().for_each(|x| *x = random.normal() as f32);
        of.variance.iter_mut().for_each(|x| *x = 0.5 + random.unit() as f32);
    }
    model
}

/// The outputs at `x` as training computes them, normalisations apart.
fn outputs(model: &Model, x: &[f32], lanes: usize) -> Vec<f32> {
    let mut g = Graph::new();
    let parameters = model.leaves(&mut g);
    let fixed: Vec<Normalised> = model
        .statistics
        .iter()
        .map(|s| Normalised { mean: g.leaf(&[s.mean.len()]), variance: g.leaf(&[s.variance.len()]) })
        .collect();
    let shape: Vec<usize> = model.input.iter().copied().chain([lanes]).collect();
    let at = g.leaf(&shape);
    let pass = loss::forward(&mut g, model, &parameters, at, Some(&fixed));
    let mut run = Run::new(Plan::new(&g, &[pass.logits]), 1);
    let mut leaves: Vec<&[f32]> = model.parameters.iter().map(|p| p.values.as_slice()).collect();
    leaves.extend(model.statistics.iter().flat_map(|s| [s.mean.as_slice(), &s.variance]));
    leaves.push(x);
    run.evaluate(&leaves);
    run.output(0).to_vec()
}

#[test]
fn what_is_written_reads_back_as_the_same_program_and_computes_what_training_does() {
    let mut random = Random(3);
    let conv = |channels, kernel, stride, pad| Layer::Conv { channels, kernel, stride, pad };
    let dense = |outputs| Layer::Dense { outputs };
    let cases: [(&[usize], &[Layer]); 3] = [
        (&[5], &[dense(7), Layer::BatchNorm, Layer::Relu, dense(3)]),
        (
            &[2, 7, 6],
            &[conv(3, 4, 2, 1), Layer::BatchNorm, Layer::Relu, conv(2, 3, 1, 0), Layer::Relu, dense(4)],
        ),
        // A window that does not reach the last row: zeros before, none behind.
        (&[1, 6, 6], &[conv(2, 3, 2, 1), Layer::Relu, dense(2)]),
    ];
    for (input, layers) in cases {
        let model = trained(input, layers, &mut random);
        let n = model.inputs();
        let normalise = Normalise {
            scale: (0..n).map(|_| 0.5 + random.unit() as f32).collect(),
            shift: (0..n).map(|_| random.normal() as f32).collect(),
        };
        for normalise in [None, Some(&normalise)] {
            let folded = model.folded();
            let direct = program(&folded, normalise).expect("finite weights");
            let (back, before) = import::model(&direct, input).expect("a chain of layers");
            assert_eq!(before.as_ref(), normalise);
            assert_eq!(back.layers, folded.layers);
            let values = |m: &Model| m.parameters.iter().map(|p| p.values.clone()).collect::<Vec<_>>();
            assert_eq!(values(&back), values(&folded));
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("net.onnx");
            std::fs::write(&path, to_onnx(&folded, normalise, Some("about")).to_bytes()).expect("written");
            let read = load_model(&path, None).expect("what was written reads");
            let lanes = 16;
            let points: Vec<Vec<f32>> =
                (0..lanes).map(|_| (0..n).map(|_| random.normal() as f32).collect()).collect();
            let mut seen = vec![0.0; n * lanes];
            for (lane, point) in points.iter().enumerate() {
                let mut point = point.clone();
                if let Some(of) = normalise {
                    of.apply(&mut point);
                }
                point.iter().enumerate().for_each(|(k, x)| seen[k * lanes + lane] = *x);
            }
            let trained = outputs(&model, &seen, lanes);
            for (lane, point) in points.iter().enumerate() {
                let found = read.eval_f32(point);
                assert_eq!(found, direct.eval_f32(point), "{input:?}");
                for (k, y) in found.iter().enumerate() {
                    let right = trained[k * lanes + lane];
                    assert!((y - right).abs() <= 2e-5 * (1.0 + right.abs()), "{input:?}: {y} for {right}");
                }
            }
        }
    }
}
