//! Pooling, and the settings of sliding windows that convolutions share with it.

use super::super::error::Fault;
use super::super::ops::{Op, Reduce};
use super::super::window::Window;
use super::node::OpenNode;
use super::{Builder, COMPUTED_MAX};

/// Cap on strides, dilations, pads and kernel sizes: products of two of them stay far from overflow.
const SETTING_MAX: usize = 1 << 24;

/// A window before the operand's size is known: attributes with their defaults.
pub(super) struct WindowSettings {
    /// Taps along each axis.
    pub kernel: Vec<usize>,
    /// Step of the window.
    pub stride: Vec<usize>,
    /// Step inside it.
    pub dilation: Vec<usize>,
    /// Padding before.
    pub pad: Vec<usize>,
    /// Padding behind.
    pub pad_end: Vec<usize>,
}

pub(super) fn wrong_rank(node: &OpenNode<'_>, x: Vec<usize>, w: Vec<usize>) -> Fault {
    node.shapes(x, w, "X is [N, C, D1, …] with at least one spatial dimension, the kernel has as many")
}

/// A list of sizes, if it is given: as many as wanted, none negative, none absurd.
pub(super) fn read_pads(node: &OpenNode<'_>, name: &str, count: usize) -> Result<Option<Vec<usize>>, Fault> {
    let Some(ints) = node.ints(name).filter(|i| !i.is_empty()) else { return Ok(None) };
    let size = |i: &i64| usize::try_from(*i).ok().filter(|s| *s <= SETTING_MAX);
    let sizes: Option<Vec<usize>> = ints.iter().take(count + 1).map(size).collect();
    sizes.filter(|s| s.len() == count).map(Some).ok_or_else(|| {
        let shown = &ints[..ints.len().min(16)];
        node.attribute(format!("{name} {shown:?} must be {count} sizes from 0 to {SETTING_MAX}"))
    })
}

impl WindowSettings {
    /// Reads the attributes; `kernel` is the kernel's size where a weight gives it.
    pub fn read(node: &OpenNode<'_>, rank: usize, kernel: Option<&[usize]>) -> Result<Self, Fault> {
        let steps = |name: &str| {
            let found = read_pads(node, name, rank)?.unwrap_or_else(|| vec![1; rank]);
            if found.contains(&0) {
                Err(node.attribute(format!("{name} {found:?} contain 0")))
            } else {
                Ok(found)
            }
        };
        let pads = read_pads(node, "pads", 2 * rank)?.unwrap_or_else(|| vec![0; 2 * rank]);
        let kernel = read_pads(node, "kernel_shape", rank)?.or_else(|| kernel.map(<[usize]>::to_vec));
        let kernel = kernel
            .filter(|k| k.iter().all(|d| (1..=SETTING_MAX).contains(d)))
            .ok_or_else(|| node.attribute("has no usable kernel_shape; export the model again".into()))?;
        let (stride, dilation) = (steps("strides")?, steps("dilations")?);
        Ok(Self { kernel, stride, dilation, pad: pads[..rank].to_vec(), pad_end: pads[rank..].to_vec() })
    }

    /// Elements from the first tap to the last.
    pub fn extent(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilation[axis] + 1
    }

    /// The window over an operand of size `from`; `ceil` keeps a last position that reaches beyond the end.
    pub fn window(&self, node: &OpenNode<'_>, from: &[usize], ceil: bool) -> Result<Window, Fault> {
        let (mut pad, mut pad_end) = (self.pad.clone(), self.pad_end.clone());
        let mut size_out = Vec::new();
        let auto_pad = node.word("auto_pad", "NOTSET")?;
        for axis in 0..from.len() {
            let (stride, extent) = (self.stride[axis], self.extent(axis));
            if matches!(auto_pad, "SAME_UPPER" | "SAME_LOWER") {
                let size = from[axis].div_ceil(stride);
                let total = ((size - 1) * stride + extent).saturating_sub(from[axis]);
                let smaller = total / 2;
                (pad[axis], pad_end[axis]) = if auto_pad == "SAME_UPPER" {
                    (smaller, total - smaller)
                } else {
                    (total - smaller, smaller)
                };
            } else if auto_pad == "VALID" {
                (pad[axis], pad_end[axis]) = (0, 0);
            } else if auto_pad != "NOTSET" {
                return Err(node.attribute(format!("auto_pad {auto_pad:?} is unknown")));
            }
            let padded = from[axis] + pad[axis] + pad_end[axis];
            let room = padded.checked_sub(extent).ok_or_else(|| {
                node.attribute(format!(
                    "the window of {extent} is larger than the padded operand of {padded}"
                ))
            })?;
            let mut size = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
            // A last window that starts in the padding behind is dropped.
            if ceil && (size - 1) * stride >= from[axis] + pad[axis] {
                size -= 1;
            }
            size_out.push(size);
        }
        let window = Window {
            size_in: from.to_vec(),
            size_out,
            kernel: self.kernel.clone(),
            stride: self.stride.clone(),
            dilation: self.dilation.clone(),
            pad,
            pad_end,
        };
        self.check_taps(node, &window)?;
        Ok(window)
    }

    /// Refuses a window whose table of taps would not be of sane size.
    pub fn check_taps(&self, node: &OpenNode<'_>, window: &Window) -> Result<(), Fault> {
        let factors = window.size_in.iter().chain(&window.size_out).chain(&self.kernel);
        let sizes = factors.clone().all(|f| *f <= SETTING_MAX * 64);
        let product = |list: &[usize]| list.iter().try_fold(1usize, |p, d| p.checked_mul(*d));
        let taps = product(&window.size_out).zip(product(&self.kernel)).and_then(|(o, k)| o.checked_mul(k));
        if sizes
            && taps.is_some_and(|t| t <= COMPUTED_MAX)
            && product(&window.size_in).is_some_and(|n| n <= COMPUTED_MAX)
        {
            return Ok(());
        }
        Err(node.attribute(format!("its windows read more than {COMPUTED_MAX} elements, the limit")))
    }
}

/// MaxPool and AveragePool.
pub(super) fn import_pool(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let from = builder.shape(input).to_vec();
    if from.len() < 3 {
        return Err(wrong_rank(node, from, vec![]));
    }
    let settings = WindowSettings::read(node, from.len() - 2, None)?;
    let window = settings.window(node, &from[2..], node.flag("ceil_mode")?)?;
    let shape = [&from[..2], window.size_out.as_slice()].concat();
    let count_include_pad = node.flag("count_include_pad")?;
    // A window wholly in the padding has no largest element and, padding not counted, no mean.
    if (node.operator == "MaxPool" || !count_include_pad) && window.average_divisors(false).contains(&0) {
        return Err(node.attribute("a window lies wholly in the padding; use smaller pads".into()));
    }
    let op = match node.operator {
        "MaxPool" => Op::MaxPool(window),
        _ => Op::AveragePool { window, count_include_pad },
    };
    let id = builder.emit(node, op, vec![input], shape)?;
    builder.give_first(node, id)
}

/// GlobalMaxPool and GlobalAveragePool: reductions of all spatial axes.
pub(super) fn import_global_pool(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    let input = builder.only_operand(node)?;
    let from = builder.shape(input).to_vec();
    if from.len() < 3 {
        return Err(wrong_rank(node, from, vec![]));
    }
    let kind = if node.operator == "GlobalMaxPool" { Reduce::Max } else { Reduce::Mean };
    let shape = from.iter().enumerate().map(|(a, d)| if a < 2 { *d } else { 1 }).collect();
    builder.finish(node, Op::Reduce { kind, axes: (2..from.len()).collect() }, vec![input], shape)
}
