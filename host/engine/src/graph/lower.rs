//! Lowering: from operators to the chain of affine layers with ReLU that bounds, proofs and devices read.
//!
//! No constant is rounded. A sum becomes the bias of the product before it only where that product has
//! none yet; a product element by element is a [`OwnedAffine::Scale`] layer of its own (so input
//! normalisation comes out as layer 0). The chain over the reals therefore *is* the network over the reals.

use crate::chain::{Chain, OwnedAffine, OwnedLayer};

use super::error::{Fault, LoadError, Name};
use super::network::{Network, Node, Value, ValueId};
use super::ops::{Binary, Op, Unary};
use super::shapes;
use super::tensor::ELEMENTS_MAX;

impl Network {
    /// The network as a chain of affine layers with ReLU.
    ///
    /// # Errors
    /// [`Fault::Lowering`] names the node that such a chain cannot hold, [`Fault::Chain`] a layer that is
    /// too wide for the rounding argument.
    pub fn lower(&self) -> Result<Chain, LoadError> {
        self.lower_to_chain().map_err(|fault| LoadError::content(&self.file, fault))
    }

    fn lower_to_chain(&self) -> Result<Chain, Fault> {
        // A wider layer is refused by the core; refuse it before its constants are made.
        let too_wide = |v: &&Value| v.constant.is_none() && v.len() > WIDTH_MAX;
        if let Some(value) = self.values.iter().find(too_wide) {
            let shape = value.shape.iter().map(|d| *d as u64).collect();
            return Err(Fault::TooLarge { value: Name(value.name.clone()), shape, limit: WIDTH_MAX });
        }
        let mut chain = Builder { layers: Vec::new(), open: None, width: self.input().len(), constants: 0 };
        let mut current = self.input_id();
        for node in self.nodes() {
            let at = At { network: self, node, current };
            at.lower_into(&mut chain)?;
            if chain.constants > ELEMENTS_MAX {
                return Err(at.refuse(
                    "brings the layers to more constants than the limit of 2^28; split the network",
                ));
            }
            current = node.output;
        }
        Ok(Chain::new(chain.finish())?)
    }
}

/// Widest layer that the core's rounding argument covers.
const WIDTH_MAX: usize = certus_core::round::K_MAX - 1;

/// Layers under construction.
struct Builder {
    layers: Vec<OwnedLayer>,
    /// The last affine map, as long as a bias or ReLU may still join it.
    open: Option<Open>,
    /// Elements of the current value.
    width: usize,
    /// Weights, biases, factors and summands so far.
    constants: usize,
}

struct Open {
    affine: OwnedAffine,
    has_bias: bool,
}

impl Builder {
    fn close(&mut self, relu: bool) {
        self.layers.extend(self.open.take().map(|o| OwnedLayer { affine: o.affine, relu }));
    }

    fn push(&mut self, affine: OwnedAffine, has_bias: bool) {
        self.close(false);
        let constants;
        (self.width, constants) = match &affine {
            OwnedAffine::Dense { rows, weights, .. } => (*rows, weights.len()),
            OwnedAffine::Scale { scale, .. } => (scale.len(), scale.len()),
        };
        self.constants += constants + self.width;
        self.open = Some(Open { affine, has_bias });
    }

    fn scale(&mut self, scale: Vec<f32>, shift: Option<Vec<f32>>) {
        let has_bias = shift.is_some();
        let shift = shift.unwrap_or_else(|| vec![0.0; scale.len()]);
        self.push(OwnedAffine::Scale { scale, shift }, has_bias);
    }

    fn add(&mut self, constant: Vec<f32>) {
        if let Some(Open { affine, has_bias: has_bias @ false }) = &mut self.open {
            match affine {
                OwnedAffine::Dense { bias, .. } => *bias = constant,
                OwnedAffine::Scale { shift, .. } => *shift = constant,
            }
            *has_bias = true;
        } else if constant.iter().any(|c| *c != 0.0) {
            self.scale(vec![1.0; constant.len()], Some(constant));
        }
    }

    fn relu(&mut self) {
        if self.open.is_none() {
            if self.layers.last().is_some_and(|l| l.relu) {
                return;
            }
            self.scale(vec![1.0; self.width], None);
        }
        self.close(true);
    }

    fn finish(mut self) -> Vec<OwnedLayer> {
        if self.layers.is_empty() && self.open.is_none() {
            self.scale(vec![1.0; self.width], None);
        }
        self.close(false);
        self.layers
    }
}

/// One node, met when the chain has computed `current`.
struct At<'a> {
    network: &'a Network,
    node: &'a Node,
    current: ValueId,
}

impl<'a> At<'a> {
    fn refuse(&self, problem: &str) -> Fault {
        Fault::Lowering {
            node: Name(self.node.name.clone()),
            operator: self.node.operator,
            problem: problem.to_string(),
        }
    }

    fn lower_into(&self, chain: &mut Builder) -> Result<(), Fault> {
        let computed = self.node.inputs.iter().filter(|i| self.constant(**i).is_none()).count();
        if computed == 0 {
            return Err(self.refuse("has only constant operands; fold constants before export"));
        }
        if computed != 1 {
            return Err(self.refuse("combines computed values, which a chain of layers cannot hold; only chains are verified so far"));
        }
        if !self.node.inputs.contains(&self.current) {
            return Err(self.refuse("reads a value that another node reads too, which a chain of layers cannot hold; only chains are verified so far"));
        }
        match self.node.op {
            Op::Gemm { trans_a: true, .. } => {
                return Err(self.refuse("transA is not supported; transpose the operand before export"));
            }
            Op::Reshape => {}
            Op::Unary(Unary::Relu) => chain.relu(),
            Op::MatMul => chain.push(self.matmul()?, false),
            Op::Gemm { alpha, beta, trans_b, .. } => self.gemm(chain, alpha, beta, trans_b)?,
            Op::Binary(Binary::Add) => chain.add(self.elementwise_constant()?.0),
            Op::Binary(Binary::Mul) => chain.scale(self.elementwise_constant()?.0, None),
            Op::Binary(Binary::Sub) => {
                let (constant, is_left) = self.elementwise_constant()?;
                if is_left {
                    chain.scale(vec![-1.0; constant.len()], Some(constant));
                } else {
                    chain.add(constant.iter().map(|c| -c).collect());
                }
            }
            _ => return Err(self.refuse("is no layer of a chain of affine layers with ReLU")),
        }
        Ok(())
    }

    fn constant(&self, id: ValueId) -> Option<&'a [f32]> {
        self.network.value(id).floats()
    }

    fn operand(&self, i: usize) -> (&'a Value, Option<&'a [f32]>) {
        let id = self.node.inputs[i];
        (self.network.value(id), self.constant(id))
    }

    /// The constant of a binary operator, broadcast to the output, and whether it stands on the left.
    fn elementwise_constant(&self) -> Result<(Vec<f32>, bool), Fault> {
        let output = self.network.value(self.node.output);
        let ((left, left_constant), (right, right_constant)) = (self.operand(0), self.operand(1));
        let (value, data, computed, is_left) = match (left_constant, right_constant) {
            (Some(data), _) => (left, data, right, true),
            (_, Some(data)) => (right, data, left, false),
            (None, None) => return Err(self.refuse("has no constant operand")),
        };
        if computed.len() != output.len() {
            return Err(
                self.refuse("repeats the computed value by broadcasting; reshape the constant instead")
            );
        }
        let indices = shapes::broadcast_indices(&value.shape, &output.shape);
        Ok((indices.into_iter().map(|i| data[i]).collect(), is_left))
    }

    fn matmul(&self) -> Result<OwnedAffine, Fault> {
        let one_row = || self.refuse("multiplies several rows or columns; export the model with batch 1");
        let ((left, left_constant), (right, right_constant)) = (self.operand(0), self.operand(1));
        let sizes = shapes::matmul(&left.shape, &right.shape).expect("shapes were checked by import");
        let (m, k, n) = (sizes.m, sizes.k, sizes.n);
        match (left_constant, right_constant) {
            (Some(w), _) if right.len() == k && w.len() == m * k => Ok(dense(m, k, w.to_vec())),
            (_, Some(w)) if left.len() == k && w.len() == k * n => Ok(dense(n, k, transpose(w, k, n))),
            _ => Err(one_row()),
        }
    }

    /// `alpha · x·B' + beta · C`: the factors go into the constants where that is exact, else `alpha` becomes
    /// a scale layer.
    fn gemm(&self, chain: &mut Builder, alpha: f32, beta: f32, trans_b: bool) -> Result<(), Fault> {
        let ((a, _), (_, b)) = (self.operand(0), self.operand(1));
        let b = b.ok_or_else(|| self.refuse("B must be constant; export the weights as initializers"))?;
        let k = a.shape[1];
        if a.shape[0] != 1 {
            return Err(self.refuse("multiplies several rows; export the model with batch 1"));
        }
        let n = b.len() / k;
        let weights = if trans_b { b.to_vec() } else { transpose(b, k, n) };
        let bias = self.gemm_bias(n)?;
        let bias = match bias {
            Some(bias) => Some(times_exactly(&bias, beta).ok_or_else(|| {
                self.refuse("beta times C is not exact in f32; multiply C by beta before export")
            })?),
            None => None,
        };
        if let Some(weights) = times_exactly(&weights, alpha) {
            chain.push(dense(n, k, weights), false);
        } else {
            chain.push(dense(n, k, weights), true);
            chain.scale(vec![alpha; n], None);
        }
        bias.into_iter().for_each(|bias| chain.add(bias));
        Ok(())
    }

    /// `C` broadcast to the row of outputs.
    fn gemm_bias(&self, n: usize) -> Result<Option<Vec<f32>>, Fault> {
        if self.node.inputs.len() < 3 {
            return Ok(None);
        }
        let (value, data) = self.operand(2);
        let data =
            data.ok_or_else(|| self.refuse("C must be constant; export the bias as an initializer"))?;
        Ok(Some(shapes::broadcast_indices(&value.shape, &[1, n]).into_iter().map(|i| data[i]).collect()))
    }
}

fn dense(rows: usize, cols: usize, weights: Vec<f32>) -> OwnedAffine {
    OwnedAffine::Dense { rows, cols, weights, bias: vec![0.0; rows] }
}

/// `[k, n]` row-major as `[n, k]`.
fn transpose(w: &[f32], k: usize, n: usize) -> Vec<f32> {
    (0..n).flat_map(|j| (0..k).map(move |i| w[i * n + j])).collect()
}

/// `factor · values`, if no product rounds. Products of two `f32` are exact in `f64`.
fn times_exactly(values: &[f32], factor: f32) -> Option<Vec<f32>> {
    let exact = |v: &f32| {
        let product = f64::from(*v) * f64::from(factor);
        #[expect(clippy::cast_possible_truncation, reason = "compared with the product")]
        let narrowed = product as f32;
        (f64::from(narrowed) == product).then_some(narrowed)
    };
    values.iter().map(exact).collect()
}
