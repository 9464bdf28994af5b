//! Plain evaluation of a program: the reference that faster code is compared with.

use super::{Affine, Constants, Function, Map, Operation, Program, Slot, ZERO};

/// A floating-point number that programs are evaluated in.
pub trait Float:
    Copy + PartialOrd + std::ops::AddAssign + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self>
{
    /// A constant of the program.
    fn of(constant: f32) -> Self;
    /// `function(self)`, by the standard library.
    fn apply(self, function: Function) -> Self;
}

macro_rules! float {
    ($t:ty, $erf:path) => {
        impl Float for $t {
            fn of(constant: f32) -> Self {
                constant.into()
            }

            fn apply(self, function: Function) -> Self {
                let x = self;
                match function {
                    Function::Relu => {
                        if x > 0.0 {
                            x
                        } else {
                            0.0
                        }
                    }
                    Function::LeakyRelu { slope } => {
                        if x >= 0.0 {
                            x
                        } else {
                            Self::of(slope) * x
                        }
                    }
                    Function::Clip { lower, upper } => x.max(Self::of(lower)).min(Self::of(upper)),
                    Function::Abs => x.abs(),
                    Function::Sign => {
                        if x > 0.0 {
                            1.0
                        } else if x < 0.0 {
                            -1.0
                        } else {
                            0.0
                        }
                    }
                    Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
                    Function::Tanh => x.tanh(),
                    Function::Exp => x.exp(),
                    Function::Log => x.ln(),
                    Function::Sin => x.sin(),
                    Function::Cos => x.cos(),
                    Function::Sqrt => x.sqrt(),
                    Function::Reciprocal => 1.0 / x,
                    Function::Power { exponent } => x.powi(exponent.cast_signed()),
                    Function::Erf => $erf(x),
                    Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
                    Function::Elu { alpha } => {
                        if x >= 0.0 {
                            x
                        } else {
                            Self::of(alpha) * x.exp_m1()
                        }
                    }
                    Function::Softsign => x / (1.0 + x.abs()),
                    Function::HardSigmoid { alpha, beta } => {
                        (Self::of(alpha) * x + Self::of(beta)).max(0.0).min(1.0)
                    }
                    Function::Floor => x.floor(),
                }
            }
        }
    };
}
float!(f32, libm::erff);
float!(f64, libm::erf);

impl Program {
    /// The output at `input`, in plain loops.
    ///
    /// # Panics
    /// If `input` is not `[inputs]`.
    pub fn eval<T: Float>(&self, input: &[T]) -> Vec<T> {
        self.eval_all(input).swap_remove(self.output().0)
    }

    /// The value of every slot at `input`.
    ///
    /// # Panics
    /// If `input` is not `[inputs]`.
    pub fn eval_all<T: Float>(&self, input: &[T]) -> Vec<Vec<T>> {
        assert_eq!(input.len(), self.inputs(), "input has the shape [inputs]");
        let mut values = vec![input.to_vec()];
        for (i, step) in self.steps().iter().enumerate() {
            let size = self.size(Slot(i + 1));
            values.push(step.operation.eval(&values, size));
        }
        values
    }
}

impl Operation {
    fn eval<T: Float>(&self, values: &[Vec<T>], size: usize) -> Vec<T> {
        match self {
            Self::Affine(affine) => affine.eval(values, size),
            Self::Elementwise { input, function } => {
                values[input.0].iter().map(|x| x.apply(*function)).collect()
            }
            Self::Max { input, groups } => {
                let x = &values[input.0];
                let larger = |a: T, b: T| if b > a { b } else { a };
                groups
                    .iter()
                    .map(|g| g[1..].iter().fold(x[g[0] as usize], |m, j| larger(m, x[*j as usize])))
                    .collect()
            }
            Self::Product { left, right, m, k, n, .. } => {
                let (left, right) = (&values[left.0], &values[right.0]);
                let entry = |index: usize| {
                    let (batch, row, col) = (index / (m * n), index / n % m, index % n);
                    let (l, r) = (&left[(batch * m + row) * k..][..*k], &right[batch * k * n + col..]);
                    l.iter().enumerate().fold(T::of(0.0), |s, (i, l)| s + *l * r[i * n])
                };
                (0..size).map(entry).collect()
            }
            Self::Index { inputs, indices } => {
                let all: Vec<T> = inputs.iter().flat_map(|s| values[s.0].iter().copied()).collect();
                indices.iter().map(|i| if *i == ZERO { T::of(0.0) } else { all[*i as usize] }).collect()
            }
        }
    }
}

impl Affine {
    fn eval<T: Float>(&self, values: &[Vec<T>], size: usize) -> Vec<T> {
        let mut sum = match &self.bias {
            Some(Constants { values, .. }) => values.iter().map(|b| T::of(*b)).collect(),
            None => vec![T::of(0.0); size],
        };
        for term in &self.terms {
            term.map.add_to(&values[term.input.0], &mut sum);
        }
        sum
    }
}

impl Map {
    /// Adds the map of `x` to `sum`.
    ///
    /// # Panics
    /// If the lengths are not those of the map's shape.
    pub fn add_to<T: Float>(&self, x: &[T], sum: &mut [T]) {
        match self {
            Self::Identity => sum.iter_mut().zip(x).for_each(|(s, x)| *s += *x),
            Self::Scale(scale) => {
                sum.iter_mut().zip(x).zip(&scale.values).for_each(|((s, x), c)| *s += T::of(*c) * *x);
            }
            Self::Dense { rows, cols, weights, .. } => {
                for (x, sum) in x.chunks_exact(*cols).zip(sum.chunks_exact_mut(*rows)) {
                    for (row, s) in weights.chunks_exact(*cols).zip(sum) {
                        *s += row.iter().zip(x).fold(T::of(0.0), |t, (w, x)| t + T::of(*w) * *x);
                    }
                }
            }
            Self::Conv(conv) => conv.for_each(|o, i, w| sum[o] += T::of(conv.weights[w]) * x[i]),
            Self::ConvTranspose(conv) => conv.for_each(|o, i, w| sum[i] += T::of(conv.weights[w]) * x[o]),
            Self::Sparse(sparse) => {
                sparse.for_each(|o, i, v| sum[o] += T::of(sparse.values.values[v]) * x[i])
            }
        }
    }

    /// Adds the transposed map of `y` to `sum`: what a backward pass does with a row of coefficients.
    ///
    /// # Panics
    /// If the lengths are not those of the map's shape.
    pub fn add_transposed_to<T: Float>(&self, y: &[T], sum: &mut [T]) {
        match self {
            Self::Identity | Self::Scale(_) => self.add_to(y, sum),
            Self::Dense { rows, cols, weights, .. } => {
                for (y, sum) in y.chunks_exact(*rows).zip(sum.chunks_exact_mut(*cols)) {
                    for (row, y) in weights.chunks_exact(*cols).zip(y) {
                        sum.iter_mut().zip(row).for_each(|(s, w)| *s += T::of(*w) * *y);
                    }
                }
            }
            Self::Conv(conv) => conv.for_each(|o, i, w| sum[i] += T::of(conv.weights[w]) * y[o]),
            Self::ConvTranspose(conv) => conv.for_each(|o, i, w| sum[o] += T::of(conv.weights[w]) * y[i]),
            Self::Sparse(sparse) => {
                sparse.for_each(|o, i, v| sum[i] += T::of(sparse.values.values[v]) * y[o])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Builder, Conv, Groups};
    use super::*;

    #[test]
    fn a_residual_program_computes_what_its_steps_say() {
        let mut b = Builder::new(4);
        let conv = Conv {
            channels_in: 1,
            channels_out: 1,
            groups: 1,
            size_in: [1, 4],
            size_out: [1, 4],
            kernel: [1, 3],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 1],
            weights: Arc::new(vec![1.0, 0.0, -1.0]),
        };
        let z = b.affine("conv", Slot::INPUT, Map::Conv(conv), None).unwrap();
        let r = b.elementwise("relu", z, Function::Relu).unwrap();
        let terms = [r, Slot::INPUT].map(|input| super::super::Term { input, map: Map::Identity }).to_vec();
        let sum = b.push("add", Operation::Affine(Affine { terms, bias: None })).unwrap();
        let groups = Groups { starts: vec![0, 2, 4], members: vec![0, 1, 2, 3] };
        let max = b.push("pool", Operation::Max { input: sum, groups }).unwrap();
        let product = Operation::Product { left: max, right: max, count: 1, m: 1, k: 2, n: 1 };
        let out = b.push("dot", product).unwrap();
        let program = b.finish(out).unwrap();
        // conv [0·? x = (1, 2, 3, 5)]: (−2, 1−3, 2−5, 3) → relu (0, 0, 0, 3) → + x (1, 2, 3, 8) → max (2, 8)
        assert_eq!(program.eval(&[1.0f32, 2.0, 3.0, 5.0]), [68.0]);
    }
}
