//! A chain of dense layers at many points at once, from its weights as they are: nothing is packed, so that an attack can begin as
//! soon as the network is read.

use certus_core::{Affine, Layer};
use certus_kernels::relax::{bias_relu, wide};
use certus_kernels::unpacked::{Sparse, product, product_transposed};

use super::Points;

/// Matrices with this many weights are looked through for zeros …
const LARGE: usize = 1 << 16;
/// … and kept as lists if at most one weight in this many is not 0.
const SHARE: usize = 8;

/// The layers of a chain.
#[derive(Debug)]
pub struct DenseLayers<'a> {
    inputs: usize,
    layers: Vec<DenseLayer<'a>>,
}

#[derive(Debug)]
struct DenseLayer<'a> {
    map: Map<'a>,
    outputs: usize,
    bias: &'a [f32],
    relu: bool,
}

#[derive(Debug)]
enum Map<'a> {
    Full { weights: &'a [f32], shape: [usize; 2] },
    Sparse(Sparse),
    Scale(&'a [f32]),
}

impl<'a> DenseLayers<'a> {
    /// Reads `layers`, input first; there is at least one.
    ///
    /// # Panics
    /// If there is none.
    pub fn new(layers: &[Layer<'a>]) -> Self {
        let inputs = layers.first().expect("a network has a layer").inputs();
        let layers = layers.iter().map(DenseLayer::new).collect();
        Self { inputs, layers }
    }

    /// Products of one evaluation at one point.
    pub fn work(&self) -> usize {
        let of = |l: &DenseLayer<'_>| match &l.map {
            Map::Full { weights, .. } => weights.len(),
            Map::Sparse(sparse) => sparse.len(),
            Map::Scale(scale) => scale.len(),
        };
        self.layers.iter().map(of).sum()
    }
}

impl<'a> DenseLayer<'a> {
    fn new(layer: &Layer<'a>) -> Self {
        let (map, bias) = match layer.affine() {
            Affine::Dense(dense) => {
                let (weights, shape) = (dense.weights(), [dense.rows(), dense.cols()]);
                let sparse = if weights.len() < LARGE { None } else { Sparse::new(weights, shape[1], SHARE) };
                (sparse.map_or(Map::Full { weights, shape }, Map::Sparse), dense.bias())
            }
            Affine::Sparse(sparse) => {
                let rows = sparse.row_iter().map(|(row, _)| row.iter().map(|(j, w)| (j as u32, w)));
                (Map::Sparse(Sparse::of_rows(sparse.cols(), rows)), sparse.bias())
            }
            Affine::Scale(scale) => (Map::Scale(scale.scale()), scale.shift()),
        };
        Self { map, outputs: layer.outputs(), bias, relu: layer.relu() }
    }
}

/// Buffers for points of [`DenseLayers`].
#[derive(Debug)]
pub struct DensePoints<'l, 'a> {
    layers: &'l DenseLayers<'a>,
    lanes: usize,
    /// What each layer gives, `[outputs, lanes]`.
    values: Vec<Vec<f32>>,
    adjoint: Vec<f32>,
    next: Vec<f32>,
}

impl<'l, 'a> DensePoints<'l, 'a> {
    /// No points yet.
    pub fn new(layers: &'l DenseLayers<'a>) -> Self {
        let values = layers.layers.iter().map(|_| Vec::new()).collect();
        Self { layers, lanes: 0, values, adjoint: Vec::new(), next: Vec::new() }
    }
}

impl Points for DensePoints<'_, '_> {
    fn inputs(&self) -> usize {
        self.layers.inputs
    }

    fn outputs(&self) -> usize {
        self.layers.layers.last().map_or(0, |l| l.outputs)
    }

    fn work(&self) -> usize {
        self.layers.work()
    }

    fn evaluate(&mut self, x: &[f32], lanes: usize) -> &[f32] {
        assert_eq!(x.len(), self.layers.inputs * lanes, "points of the inputs");
        self.lanes = lanes;
        for (k, layer) in self.layers.layers.iter().enumerate() {
            let (before, now) = self.values.split_at_mut(k);
            let (x, out) = (before.last().map_or(x, Vec::as_slice), &mut now[0]);
            out.resize(layer.outputs * lanes, 0.0);
            match &layer.map {
                Map::Full { weights, shape } => product(weights, *shape, x, lanes, out),
                Map::Sparse(sparse) => sparse.product(x, lanes, out),
                Map::Scale(scale) => scaled(x, scale, lanes, out),
            }
            wide(|| activate(out, layer.bias, lanes, layer.relu));
        }
        self.values.last().map_or(&[], Vec::as_slice)
    }

    fn gradient(&mut self, weights: &[f32], leak: f32) -> &[f32] {
        let lanes = self.lanes;
        assert_eq!(weights.len(), self.outputs() * lanes, "weights of the outputs");
        self.adjoint.clear();
        self.adjoint.extend_from_slice(weights);
        for (k, layer) in self.layers.layers.iter().enumerate().rev() {
            if layer.relu {
                wide(|| mask(&mut self.adjoint, &self.values[k], leak));
            }
            let inputs = if k == 0 { self.layers.inputs } else { self.layers.layers[k - 1].outputs };
            self.next.resize(inputs * lanes, 0.0);
            match &layer.map {
                Map::Full { weights, shape } => {
                    product_transposed(weights, *shape, &self.adjoint, lanes, &mut self.next)
                }
                Map::Sparse(sparse) => sparse.product_transposed(&self.adjoint, lanes, &mut self.next),
                Map::Scale(scale) => scaled(&self.adjoint, scale, lanes, &mut self.next),
            }
            std::mem::swap(&mut self.adjoint, &mut self.next);
        }
        &self.adjoint
    }
}

fn scaled(x: &[f32], scale: &[f32], lanes: usize, out: &mut [f32]) {
    for ((out, x), s) in out.chunks_exact_mut(lanes).zip(x.chunks_exact(lanes)).zip(scale) {
        out.iter_mut().zip(x).for_each(|(o, x)| *o = s * x);
    }
}

#[inline(always)]
fn activate(z: &mut [f32], bias: &[f32], lanes: usize, relu: bool) {
    for (row, b) in z.chunks_exact_mut(lanes).zip(bias) {
        bias_relu(row, *b, relu);
    }
}

/// Derivatives of ReLU, `leak` at the kink and below.
#[inline(always)]
fn mask(a: &mut [f32], post: &[f32], leak: f32) {
    for (a, x) in a.iter_mut().zip(post) {
        *a = match *x > 0.0 {
            true => *a,
            // Not the product, which is NaN for an infinite adjoint.
            false if leak == 0.0 => 0.0,
            false => leak * *a,
        };
    }
}
