//! Convolutions and their transposes in one or two dimensions.
//!
//! ONNX's kernels lie in memory as those of [`Conv`] do: `[M, C / groups, …]` for a convolution, and
//! `[C, M / groups, …]` for a transpose, which is the transpose of a convolution from `M` to `C` channels.
//! Several samples are several groups, each with the same kernel.

use std::sync::Arc;

use crate::program::{Conv, Map, Slot, Term};

use super::super::error::Fault;
use super::super::window::Window;
use super::Lowering;

impl Lowering<'_, '_> {
    pub(super) fn conv(&mut self, window: &Window, groups: usize) -> Result<Slot, Fault> {
        let conv = self.convolution(window, groups, false)?;
        self.with_channel_bias(Map::Conv(conv))
    }

    pub(super) fn conv_transpose(&mut self, window: &Window, groups: usize) -> Result<Slot, Fault> {
        let conv = self.convolution(window, groups, true)?;
        self.with_channel_bias(Map::ConvTranspose(conv))
    }

    /// The convolution of the node, or the one whose transpose the node is.
    fn convolution(&mut self, window: &Window, groups: usize, is_transpose: bool) -> Result<Conv, Fault> {
        let kernel = self.operand(1);
        let Some(weights) = kernel.exact() else {
            return Err(
                self.refuse("has a kernel that is no constant of the file; export it as an initializer")
            );
        };
        let x = &self.operand(0).shape;
        let (samples, channels_in) = (x[0], x[1]);
        let channels_out = self.output().shape[1];
        let flat = |v: &[usize], fill: usize| match v {
            [w] => Some([fill, *w]),
            [h, w] => Some([*h, *w]),
            _ => None,
        };
        let (Some(size_in), Some(size_out)) = (flat(&window.size_in, 1), flat(&window.size_out, 1)) else {
            return Err(self.refuse("has three or more spatial dimensions; only one or two are lowered"));
        };
        let pair = |v: &[usize], fill| flat(v, fill).expect("as many dimensions as the sizes");
        self.reserve(weights.len().saturating_mul(samples))?;
        let (from, to) = if is_transpose { (channels_out, channels_in) } else { (channels_in, channels_out) };
        Ok(Conv {
            channels_in: samples * from,
            channels_out: samples * to,
            groups: samples * groups,
            size_in,
            size_out,
            kernel: pair(&window.kernel, 1),
            stride: pair(&window.stride, 1),
            dilation: pair(&window.dilation, 1),
            pad: pair(&window.pad, 0),
            weights: Arc::new(weights.repeat(samples)),
        })
    }

    /// The map of operand 0, plus operand 2, one element for each channel, if there is one.
    fn with_channel_bias(&mut self, map: Map) -> Result<Slot, Fault> {
        let input = self.computed(0)?;
        if self.node.inputs.len() < 3 {
            return self.affine(input, map, None);
        }
        let bias = self.operand(2);
        let to = &self.output().shape;
        let len: usize = to.iter().product();
        let pixels: usize = to[2..].iter().product();
        let channel = move |i: usize| i / pixels % to[1];
        if let Some(known) = &bias.known {
            let bias = self.constants((0..len).map(|i| known.at(channel(i))))?;
            return self.affine(input, map, Some(bias));
        }
        let slot = self.computed(2)?;
        let spread = self.index(slot, (0..len).map(channel))?;
        self.sum(vec![Term { input, map }, Term { input: spread, map: Map::Identity }], None)
    }
}
