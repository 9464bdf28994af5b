//! Networks of files as training's own: what attacks differentiate.

use certus_engine::program::{Affine, Function, Map, Operation, Program, Slot};
use certus_learn::graph::Conv;
use certus_learn::model::{Model, Parameter, Shaped};

use super::network::Normalise;

/// `program` as a model behind its normalisation, if it is a chain of dense layers, convolutions and ReLUs on inputs of `shape`; computes the
/// same up to rounding.
///
/// # Errors
/// The step that it cannot be.
pub fn model(program: &Program, shape: &[usize]) -> Result<(Model, Option<Normalise>), String> {
    let mut model = Model {
        input: shape.to_vec(),
        layers: Vec::new(),
        parameters: Vec::new(),
        statistics: Vec::new(),
        classes: program.outputs(),
    };
    if shape.iter().product::<usize>() != program.inputs() {
        return Err(format!("inputs of {} elements do not have the shape {shape:?}", program.inputs()));
    }
    let mut normalise = None;
    for (k, step) in program.steps().iter().enumerate() {
        let here = |what: &str| format!("step {k} ({}): {what}", step.name);
        match &step.operation {
            Operation::Elementwise { input, function: Function::Relu } if *input == Slot(k) => {
                model.layers.push(Shaped::Relu);
            }
            Operation::Affine(affine) => {
                let outputs = program.size(Slot(k + 1));
                if !push(&mut model, &mut normalise, affine, Slot(k), outputs) {
                    return Err(here("no dense layer or convolution of what comes before"));
                }
            }
            _ => return Err(here("no dense layer, convolution or ReLU of what comes before")),
        }
    }
    let last = matches!(model.layers.last(), Some(Shaped::Dense { .. }));
    if program.output() != Slot(program.steps().len()) || !last {
        return Err("the last layer is not dense".into());
    }
    Ok((model, normalise))
}

/// Appends an affine step that reads `before`; `false` if it is none of the layers.
fn push(
    model: &mut Model,
    normalise: &mut Option<Normalise>,
    affine: &Affine,
    before: Slot,
    outputs: usize,
) -> bool {
    let [term] = &affine.terms[..] else { return false };
    if term.input != before {
        return false;
    }
    let bias = affine.bias.as_ref().map_or(vec![0.0; outputs], |b| b.values.clone());
    let (first, at) = (model.parameters.len(), model.layers.len());
    let mut parameter = |part: &str, shape: Vec<usize>, values: Vec<f32>| {
        model.parameters.push(Parameter { name: format!("{at}.{part}"), shape, values });
    };
    match &term.map {
        Map::Scale(scale) if before == Slot::INPUT && normalise.is_none() => {
            *normalise = Some(Normalise { scale: scale.values.clone(), shift: bias });
        }
        Map::Identity if before == Slot::INPUT && normalise.is_none() => {
            *normalise = Some(Normalise { scale: vec![1.0; outputs], shift: bias });
        }
        Map::Dense { count: 1, rows, cols, weights } => {
            parameter("weight", vec![*rows, *cols], weights.to_vec());
            parameter("bias", vec![*rows], bias);
            model.layers.push(Shaped::Dense { size: [*cols, *rows], first });
        }
        Map::Conv(c) if c.dilation == [1, 1] && c.groups == 1 => {
            // One number for each channel, as a convolution's own bias is.
            let area = c.size_out[0] * c.size_out[1];
            if !bias.chunks_exact(area).all(|channel| channel.iter().all(|b| *b == channel[0])) {
                return false;
            }
            let geometry = Conv {
                channels: [c.channels_in, c.channels_out],
                size_in: c.size_in,
                size_out: c.size_out,
                kernel: c.kernel,
                stride: c.stride,
                pad: c.pad,
                groups: 1,
            };
            parameter("weight", geometry.weights().to_vec(), c.weights.to_vec());
            parameter("bias", vec![c.channels_out], bias.chunks_exact(area).map(|b| b[0]).collect());
            model.layers.push(Shaped::Conv { geometry, first });
        }
        _ => return false,
    }
    true
}
