//! Matrix products and convolutions.

use super::super::error::Fault;
use super::super::ops::Op;
use super::super::shapes::{broadcast, matmul};
use super::super::window::Window;
use super::Builder;
use super::node::OpenNode;
use super::pool::{WindowSettings, read_pads, wrong_rank};

/// MatMul.
pub(super) fn import_matmul(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let inputs = builder.two_operands(node)?;
    let [left, right] = inputs.map(|id| builder.shape(id));
    let rule = "columns of the first must be rows of the second";
    let sizes = matmul(left, right).ok_or_else(|| node.shapes(left.to_vec(), right.to_vec(), rule))?;
    builder.finish(node, Op::MatMul, inputs.to_vec(), sizes.output)
}

/// Gemm.
pub(super) fn import_gemm(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 3)?;
    let mut inputs = vec![builder.operand(node, 0)?, builder.operand(node, 1)?];
    let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
    let (trans_a, trans_b) = (node.flag("transA")?, node.flag("transB")?);
    let turned = |i: usize, turn: bool| match (builder.shape(inputs[i]), turn) {
        (&[a, b], false) => Some((a, b)),
        (&[a, b], true) => Some((b, a)),
        _ => None,
    };
    let sizes = turned(0, trans_a).zip(turned(1, trans_b)).filter(|((_, k), (l, _))| k == l);
    let Some(((m, _), (_, n))) = sizes else {
        let [a, b] = [0, 1].map(|i| builder.shape(inputs[i]).to_vec());
        return Err(node.shapes(a, b, "A is [M, K] or with transA [K, M], B [K, N] or with transB [N, K]"));
    };
    if let Some(c) = builder.optional(node, 2)? {
        let shape = builder.shape(c);
        if broadcast(shape, &[m, n]).as_deref() != Some(&[m, n]) {
            return Err(node.shapes(vec![m, n], shape.to_vec(), "C must broadcast to [M, N]"));
        }
        inputs.push(c);
    }
    builder.finish(node, Op::Gemm { alpha, beta, trans_a, trans_b }, inputs, vec![m, n])
}

/// What Conv and ConvTranspose share: operands, groups and the settings of the window.
struct Convolution {
    inputs: Vec<super::ValueId>,
    /// `[N, C, …]`.
    x: Vec<usize>,
    /// `[M, C / groups, …]`, of a transposed convolution `[C, M / groups, …]`.
    w: Vec<usize>,
    groups: usize,
    settings: WindowSettings,
}

impl Convolution {
    fn read(builder: &Builder<'_>, node: &OpenNode<'_>) -> Result<Self, Fault> {
        builder.at_most(node, 3)?;
        let inputs = vec![builder.operand(node, 0)?, builder.operand(node, 1)?];
        let (x, w) = (builder.shape(inputs[0]).to_vec(), builder.shape(inputs[1]).to_vec());
        if x.len() < 3 || w.len() != x.len() {
            return Err(wrong_rank(node, x, w));
        }
        let settings = WindowSettings::read(node, x.len() - 2, Some(&w[2..]))?;
        if settings.kernel != w[2..] {
            return Err(node.shapes(settings.kernel, w[2..].to_vec(), "kernel_shape must be that of W"));
        }
        let groups = usize::try_from(node.int("group", 1)?).ok().filter(|g| *g > 0);
        let groups = groups.ok_or_else(|| node.attribute("group must be positive".into()))?;
        Ok(Self { inputs, x, w, groups, settings })
    }

    fn add_bias(&mut self, builder: &Builder<'_>, node: &OpenNode<'_>, channels: usize) -> Result<(), Fault> {
        if let Some(bias) = builder.optional(node, 2)? {
            if builder.shape(bias) != [channels] {
                let shape = builder.shape(bias).to_vec();
                return Err(node.shapes(vec![channels], shape, "the bias needs one number for each channel"));
            }
            self.inputs.push(bias);
        }
        Ok(())
    }
}

/// Conv.
pub(super) fn import_conv(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let mut conv = Convolution::read(builder, node)?;
    let (x, w, groups) = (&conv.x, &conv.w, conv.groups);
    let channels = w[0];
    if w[1].checked_mul(groups) != Some(x[1]) || !channels.is_multiple_of(groups) {
        let rule = "X is [N, C, …], W [M, C / group, …], M a multiple of group";
        return Err(node.shapes(x.clone(), w.clone(), rule));
    }
    let window = conv.settings.window(node, &x[2..], false)?;
    let shape = [&[x[0], channels], window.size_out.as_slice()].concat();
    conv.add_bias(builder, node, channels)?;
    builder.finish(node, Op::Conv { window, groups: conv.groups }, conv.inputs, shape)
}

/// ConvTranspose: its window is that of the convolution from its result back to its operand.
pub(super) fn import_conv_transpose(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let mut conv = Convolution::read(builder, node)?;
    let (x, w, groups) = (&conv.x, &conv.w, conv.groups);
    if w[0] != x[1] || !x[1].is_multiple_of(groups) {
        let rule = "X is [N, C, …], W [C, M / group, …], C a multiple of group";
        return Err(node.shapes(x.clone(), w.clone(), rule));
    }
    let channels = w[1].checked_mul(groups).ok_or_else(|| node.attribute("group is too large".into()))?;
    let window = transposed_window(node, &conv.settings, &x[2..])?;
    let shape = [&[x[0], channels], window.size_in.as_slice()].concat();
    conv.add_bias(builder, node, channels)?;
    builder.finish(node, Op::ConvTranspose { window, groups: conv.groups }, conv.inputs, shape)
}

/// Along an axis of `n` elements the result reaches `stride · (n − 1) + output_padding + extent` places, of
/// which the pads are cut off; where the result's size is given, the pads follow from it.
fn transposed_window(
    node: &OpenNode<'_>,
    settings: &WindowSettings,
    from: &[usize],
) -> Result<Window, Fault> {
    let rank = from.len();
    let extra = read_pads(node, "output_padding", rank)?.unwrap_or_else(|| vec![0; rank]);
    let asked = read_pads(node, "output_shape", rank)?;
    let auto_pad = node.word("auto_pad", "NOTSET")?;
    let (mut sizes, mut pads, mut pads_end) = (Vec::new(), Vec::new(), Vec::new());
    for axis in 0..rank {
        let full = settings.stride[axis] * (from[axis] - 1) + extra[axis] + settings.extent(axis);
        let size = match (&asked, auto_pad) {
            (Some(asked), _) => asked[axis],
            (None, "SAME_UPPER" | "SAME_LOWER") => from[axis] * settings.stride[axis],
            (None, "VALID") => full,
            (None, _) => full.saturating_sub(settings.pad[axis] + settings.pad_end[axis]),
        };
        if size == 0 {
            return Err(node.attribute(format!("pads cut off all {full} places along axis {axis}")));
        }
        // Places asked for beyond all products are zeros at the end.
        let cut = full.saturating_sub(size);
        let (pad, pad_end) = match (&asked, auto_pad) {
            (None, "NOTSET") => (settings.pad[axis], settings.pad_end[axis]),
            (_, "SAME_UPPER") => (cut / 2, cut - cut / 2),
            _ => (cut - cut / 2, cut / 2),
        };
        sizes.push(size);
        pads.push(pad);
        pads_end.push(pad_end);
    }
    let window = Window {
        size_in: sizes,
        size_out: from.to_vec(),
        kernel: settings.kernel.clone(),
        stride: settings.stride.clone(),
        dilation: settings.dilation.clone(),
        pad: pads,
        pad_end: pads_end,
    };
    settings.check_taps(node, &window)?;
    Ok(window)
}
