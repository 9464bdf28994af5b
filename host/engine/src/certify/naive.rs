//! The device's forward pass written a second time, from the text of its contract and with plain loops.
//!
//! Shares no code with [`certus_core::infer`]; `certus export --check` and the tests compare the two
//! bit for bit.
#![expect(clippy::assign_op_pattern, reason = "spelled out as the contract states it")]

use crate::chain::{Chain, OwnedAffine};
use crate::program::{Affine, Conv, Function, Map, Operation, Program, ZERO};

fn dense(weights: &[f32], bias: &[f32], x: &[f32]) -> Vec<f32> {
    let n = x.len();
    let mut out = Vec::with_capacity(bias.len());
    for i in 0..bias.len() {
        let mut total = bias[i];
        let mut block = 0;
        while block < n {
            let end = if block + 32 < n { block + 32 } else { n };
            let mut s = 0.0f32;
            for j in block..end {
                let product = weights[i * n + j] * x[j];
                s = s + product;
            }
            total = total + s;
            block = end;
        }
        out.push(total);
    }
    out
}

/// Outputs of `program` at `input` in the meaning `F32`.
///
/// # Panics
/// If `input` is not `[inputs]`.
pub fn forward(chain: &Chain, input: &[f32]) -> Vec<f32> {
    assert_eq!(input.len(), chain.inputs(), "input has the shape [inputs]");
    let mut x = input.to_vec();
    for layer in chain.layers() {
        let mut z = match layer.affine.written_out().as_ref() {
            OwnedAffine::Dense { weights, bias, .. } => dense(weights, bias, &x),
            OwnedAffine::Sparse { .. } => unreachable!("its weights are written out"),
            OwnedAffine::Scale { scale, shift } => {
                let mut out = Vec::new();
                for j in 0..x.len() {
                    let product = scale[j] * x[j];
                    out.push(product + shift[j]);
                }
                out
            }
        };
        if layer.relu {
            for value in &mut z {
                if *value < 0.0 {
                    *value = 0.0;
                }
            }
        }
        x = z;
    }
    x
}

/// The products of each block of each row of a map, in order: weight and index of the operand.
fn blocks(map: &Map, len: usize) -> Vec<Vec<Vec<(f32, usize)>>> {
    let in_blocks_of_32 = |row: Vec<(f32, usize)>| row.chunks(32).map(<[_]>::to_vec).collect::<Vec<_>>();
    match map {
        Map::Identity => (0..len).map(|j| vec![vec![(1.0, j)]]).collect(),
        Map::Scale(scale) => scale.values.iter().enumerate().map(|(j, s)| vec![vec![(*s, j)]]).collect(),
        Map::Dense { count, rows, cols, weights } => (0..count * rows)
            .map(|i| {
                let (copy, row) = (i / rows, i % rows);
                in_blocks_of_32((0..*cols).map(|j| (weights[row * cols + j], copy * cols + j)).collect())
            })
            .collect(),
        Map::Conv(conv) => conv_blocks(conv, false),
        Map::ConvTranspose(conv) => conv_blocks(conv, true),
        Map::Sparse(sparse) => sparse
            .starts
            .windows(2)
            .map(|w| {
                let row = w[0] as usize..w[1] as usize;
                in_blocks_of_32(row.map(|k| (sparse.values.values[k], sparse.columns[k] as usize)).collect())
            })
            .collect(),
    }
}

/// The blocks of a convolution, one for each channel that a row reads, or of its transpose.
fn conv_blocks(conv: &Conv, transposed: bool) -> Vec<Vec<Vec<(f32, usize)>>> {
    let (per_group_in, per_group_out) = (conv.channels_in / conv.groups, conv.channels_out / conv.groups);
    let (size_in, size_out) = (conv.size_in[0] * conv.size_in[1], conv.size_out[0] * conv.size_out[1]);
    let (rows, channels, plane) = if transposed {
        (conv.inputs(), per_group_out, size_in)
    } else {
        (conv.outputs(), per_group_in, size_out)
    };
    let mut blocks = vec![vec![Vec::new(); channels]; rows];
    for oc in 0..conv.channels_out {
        for c in 0..per_group_in {
            let ic = oc / per_group_out * per_group_in + c;
            for position in 0..conv.kernel[0] * conv.kernel[1] {
                let (ky, kx) = (position / conv.kernel[1], position % conv.kernel[1]);
                let weight =
                    conv.weights[(oc * per_group_in + c) * conv.kernel[0] * conv.kernel[1] + position];
                for o in 0..size_out {
                    let (oy, ox) = ((o / conv.size_out[1]) as isize, (o % conv.size_out[1]) as isize);
                    let at = |o: isize, k: usize, axis: usize| {
                        o * conv.stride[axis] as isize + (k * conv.dilation[axis]) as isize
                            - conv.pad[axis] as isize
                    };
                    let (iy, ix) = (at(oy, ky, 0), at(ox, kx, 1));
                    let inside =
                        iy >= 0 && ix >= 0 && iy < conv.size_in[0] as isize && ix < conv.size_in[1] as isize;
                    if inside {
                        let i = iy as usize * conv.size_in[1] + ix as usize;
                        if transposed {
                            blocks[ic * plane + i][oc % per_group_out].push((weight, oc * size_out + o));
                        } else {
                            blocks[oc * plane + o][c].push((weight, ic * size_in + i));
                        }
                    }
                }
            }
        }
    }
    blocks
}

fn affine(affine: &Affine, values: &[Vec<f32>], len: usize) -> Vec<f32> {
    let mut total = match &affine.bias {
        Some(bias) => bias.values.clone(),
        None => vec![0.0; len],
    };
    for term in &affine.terms {
        let x = &values[term.input.0];
        for (total, row) in total.iter_mut().zip(blocks(&term.map, x.len())) {
            for block in row {
                *total = match (&term.map, &block[..]) {
                    (Map::Identity, [(_, j)]) => *total + x[*j],
                    (Map::Scale(_), [(w, j)]) => {
                        let product = w * x[*j];
                        *total + product
                    }
                    _ => {
                        let mut s = 0.0f32;
                        for (w, j) in block {
                            let product = w * x[j];
                            s = s + product;
                        }
                        *total + s
                    }
                };
            }
        }
    }
    total
}

fn function(f: Function, x: f32) -> f32 {
    match f {
        Function::Relu if x < 0.0 => 0.0,
        Function::Relu => x,
        Function::LeakyRelu { slope } if x < 0.0 => slope * x,
        Function::LeakyRelu { .. } => x,
        Function::Clip { lower, .. } if x < lower => lower,
        Function::Clip { upper, .. } if x > upper => upper,
        Function::Clip { .. } => x,
        Function::Abs => x.abs(),
        // One stated sequence of roundings, which has no second writing.
        Function::Sigmoid => certus_core::elementary::sigmoid_f32(x),
        Function::Tanh => certus_core::elementary::tanh_f32(x),
        _ => f32::NAN,
    }
}

/// The value of every slot of a program at `input` in the meaning `F32`; `None` for a step that has none.
///
/// # Panics
/// If `input` is not `[inputs]`.
pub fn forward_program(program: &Program, input: &[f32]) -> Option<Vec<Vec<f32>>> {
    assert_eq!(input.len(), program.inputs(), "input has the shape [inputs]");
    let mut values = vec![input.to_vec()];
    for (index, step) in program.steps().iter().enumerate() {
        let len = program.size(crate::program::Slot(index + 1));
        let value = match &step.operation {
            Operation::Affine(sum) => affine(sum, &values, len),
            Operation::Elementwise { input, function: f } => {
                values[input.0].iter().map(|x| function(*f, *x)).collect()
            }
            Operation::Max { input, groups } => {
                let x = &values[input.0];
                let mut out = Vec::new();
                for group in groups.iter() {
                    let mut top = x[group[0] as usize];
                    for j in group {
                        if x[*j as usize] > top {
                            top = x[*j as usize];
                        }
                    }
                    out.push(top);
                }
                out
            }
            Operation::Index { inputs, indices } => {
                let all: Vec<f32> = inputs.iter().flat_map(|s| values[s.0].clone()).collect();
                indices.iter().map(|i| if *i == ZERO { 0.0 } else { all[*i as usize] }).collect()
            }
            Operation::Product { .. } => return None,
        };
        values.push(value);
    }
    Some(values)
}
