//! Programs of every kind, and bounds against what the program itself computes.

mod containment;
mod curves;
mod gradient;
mod limits;

use std::sync::Arc;

use crate::program::{
    Affine, Builder, Constants, Conv, Function, Groups, Map, Operation, Program, Slot, Sparse, Term, ZERO,
};

/// Numbers in `[−1, 1)` from a seed (a linear congruential generator).
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }
    pub(super) fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
    pub(super) fn many(&mut self, n: usize, scale: f32) -> Vec<f32> {
        (0..n).map(|_| scale * self.next()).collect()
    }
    /// An integer below `n`.
    pub(super) fn below(&mut self, n: usize) -> usize {
        ((self.next() + 1.0) / 2.0 * n as f32) as usize % n
    }
}

/// What a test program is made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Dense,
    Conv,
    ConvTranspose,
    Depthwise,
    Residual,
    Sparse,
    Index,
    Max,
    Product,
    MatrixProduct,
    Function(Function),
}

pub(super) const FUNCTIONS: [Function; 20] = [
    Function::Relu,
    Function::LeakyRelu { slope: 0.1 },
    Function::Clip { lower: -0.3, upper: 0.4 },
    Function::Abs,
    Function::Sign,
    Function::Sigmoid,
    Function::Tanh,
    Function::Exp,
    Function::Sin,
    Function::Cos,
    Function::Power { exponent: 2 },
    Function::Power { exponent: 3 },
    Function::Erf,
    Function::Softplus,
    Function::Elu { alpha: 1.0 },
    Function::Softsign,
    Function::HardSigmoid { alpha: 0.2, beta: 0.5 },
    Function::Floor,
    Function::Sqrt,
    Function::Log,
];

pub(super) fn kinds() -> Vec<Kind> {
    let mut kinds = vec![
        Kind::Dense,
        Kind::Conv,
        Kind::ConvTranspose,
        Kind::Depthwise,
        Kind::Residual,
        Kind::Sparse,
        Kind::Index,
        Kind::Max,
        Kind::Product,
        Kind::MatrixProduct,
    ];
    kinds.extend(FUNCTIONS.map(Kind::Function));
    kinds.push(Kind::Function(Function::Reciprocal));
    kinds
}

pub(super) struct Maker {
    builder: Builder,
    pub(super) random: Random,
}

impl Maker {
    fn dense(&mut self, input: Slot, rows: usize) -> Slot {
        let cols = self.builder.size(input);
        let weights = Arc::new(self.random.many(rows * cols, 1.5 / (cols as f32).sqrt()));
        let bias = Some(Constants::exact(self.random.many(rows, 0.3)));
        self.builder.affine("dense", input, Map::Dense { count: 1, rows, cols, weights }, bias).unwrap()
    }

    fn function(&mut self, input: Slot, function: Function) -> Slot {
        self.builder.elementwise("function", input, function).unwrap()
    }

    fn relu(&mut self, input: Slot) -> Slot {
        self.function(input, Function::Relu)
    }

    fn conv(
        &mut self,
        groups: usize,
        channels: [usize; 2],
        size: [usize; 2],
        stride: usize,
        pad: usize,
    ) -> Conv {
        let kernel = [3, 2];
        let size_out = [0, 1].map(|axis| (size[axis] + 2 * pad - kernel[axis]) / stride + 1);
        let weights = channels[1] * channels[0] / groups * kernel[0] * kernel[1];
        Conv {
            channels_in: channels[0],
            channels_out: channels[1],
            groups,
            size_in: size,
            size_out,
            kernel,
            stride: [stride; 2],
            dilation: [1, 1],
            pad: [pad; 2],
            weights: Arc::new(self.random.many(weights, 0.7)),
        }
    }

    fn bias(&mut self, n: usize) -> Option<Constants> {
        Some(Constants::exact(self.random.many(n, 0.2)))
    }

    fn middle(&mut self, kind: Kind) -> Slot {
        let input = Slot::INPUT;
        match kind {
            Kind::Dense => {
                let z = self.dense(input, 7);
                let x = self.relu(z);
                self.dense(x, 6)
            }
            Kind::Conv | Kind::Depthwise => {
                let groups = if matches!(kind, Kind::Conv) { 1 } else { 2 };
                let conv = self.conv(groups, [2, 4], [4, 4], 2, 1);
                let bias = self.bias(conv.outputs());
                let z = self.builder.affine("conv", input, Map::Conv(conv.clone()), bias).unwrap();
                let x = self.relu(z);
                let next = self.conv(groups, [4, 2], conv.size_out, 1, 1);
                self.builder.affine("conv", x, Map::Conv(next), None).unwrap()
            }
            Kind::ConvTranspose => {
                let down = self.conv(1, [3, 2], [4, 4], 1, 0);
                let z = self.dense(input, down.outputs());
                let x = self.relu(z);
                self.builder.affine("up", x, Map::ConvTranspose(down), None).unwrap()
            }
            Kind::Residual => {
                let z = self.dense(input, 6);
                let x = self.relu(z);
                let y = self.dense(x, 6);
                let y = self.relu(y);
                let inner = self.dense(y, 6);
                let scale = Map::Scale(Constants::exact(self.random.many(6, 1.0)));
                let terms = [(inner, Map::Identity), (x, Map::Identity), (x, scale)];
                let terms = terms.into_iter().map(|(input, map)| Term { input, map }).collect();
                let bias = self.bias(6);
                self.builder.push("add", Operation::Affine(Affine { terms, bias })).unwrap()
            }
            Kind::Sparse => {
                let z = self.dense(input, 6);
                let x = self.relu(z);
                let columns: Vec<u32> = (0..12).map(|_| self.random.below(6) as u32).collect();
                let values = Constants::exact(self.random.many(12, 1.0));
                let starts = vec![0, 3, 3, 7, 12];
                let sparse = Sparse { cols: 6, starts, columns, values };
                self.builder.affine("sparse", x, Map::Sparse(sparse), None).unwrap()
            }
            Kind::Index => {
                let z = self.dense(input, 5);
                let x = self.relu(z);
                let indices = vec![4, 0, ZERO, 7, 7, 2, 5];
                self.builder.push("index", Operation::Index { inputs: vec![x, z], indices }).unwrap()
            }
            Kind::Max => {
                let z = self.dense(input, 7);
                let starts = vec![0, 2, 3, 7, 10];
                let members = vec![0, 3, 5, 1, 2, 4, 6, 0, 1, 6];
                let groups = Groups { starts, members };
                self.builder.push("max", Operation::Max { input: z, groups }).unwrap()
            }
            Kind::Product => {
                let z = self.dense(input, 5);
                let left = self.function(z, Function::Tanh);
                let right = self.dense(input, 5);
                let product = Operation::Product { left, right, count: 5, m: 1, k: 1, n: 1 };
                self.builder.push("product", product).unwrap()
            }
            Kind::MatrixProduct => {
                let left = self.dense(input, 2 * 2 * 3);
                let right = self.dense(input, 2 * 3 * 2);
                let product = Operation::Product { left, right, count: 2, m: 2, k: 3, n: 2 };
                self.builder.push("product", product).unwrap()
            }
            Kind::Function(function) => {
                let mut z = self.dense(input, 6);
                if matches!(function, Function::Sqrt | Function::Log | Function::Reciprocal) {
                    // Into the domain: [0.1, 1.1].
                    let x = self.function(z, Function::Sigmoid);
                    let bias = Some(Constants::exact(vec![0.1; 6]));
                    z = self.builder.affine("shift", x, Map::Identity, bias).unwrap();
                }
                let x = self.function(z, function);
                let z = self.dense(x, 5);
                self.function(z, Function::Tanh)
            }
        }
    }
}

/// Inputs of the test programs: two channels of 4 × 4.
pub(super) const INPUTS: usize = 32;

/// A program with a part of this kind, then ReLU and two outputs.
pub(super) fn program(kind: Kind, seed: u64) -> Program {
    let mut maker = Maker { builder: Builder::new(INPUTS), random: Random::new(seed) };
    let middle = maker.middle(kind);
    let z = maker.dense(middle, 4);
    let x = maker.relu(z);
    let output = maker.dense(x, 2);
    maker.builder.finish(output).unwrap()
}

/// A box of which only some inputs have a width, so that corners can be tried.
pub(super) fn region(random: &mut Random, width: f32) -> (Vec<f32>, Vec<f32>) {
    let centre = random.many(INPUTS, 0.5);
    let radius: Vec<f32> =
        (0..INPUTS).map(|i| if i % 4 == 0 { width * (1.5 + random.next()) } else { 0.0 }).collect();
    let ends = |sign: f32| centre.iter().zip(&radius).map(|(c, r)| c + sign * r).collect();
    (ends(-1.0), ends(1.0))
}
