//! Resize and Upsample: nearest neighbours, and linear interpolation where its weights are exact.
//!
//! Interpolation is done axis by axis: `y = (1 − t)·x[first] + t·x[second]` with a constant `t` for each
//! position. Only weights that are exact in `f32` are taken (scales of 2, 4, … without aligned corners are).

use super::super::error::Fault;
use super::super::network::ValueId;
use super::super::ops::{Binary, Op};
use super::super::tensor::{Tensor, TensorData};
use super::Builder;
use super::moves::{select_along, sizes};
use super::node::OpenNode;

/// Along one axis: how large it was and is, and the factor between.
#[derive(Clone, Copy)]
struct Axis {
    from: usize,
    to: usize,
    scale: f32,
}

/// Resize (operator set 10 and later) and Upsample (before).
pub(super) fn import_resize(builder: &mut Builder<'_>, node: &OpenNode<'_>) -> Result<(), Fault> {
    builder.at_most(node, 4)?;
    let mut current = builder.operand(node, 0)?;
    let axes = read_axes(builder, node, builder.shape(current))?;
    let coordinates = Coordinates::read(node)?;
    match node.word("mode", "nearest")? {
        "nearest" => {
            let round = Rounding::read(node)?;
            for (axis, size) in axes.iter().enumerate().filter(|(_, a)| !a.is_kept()) {
                let shape = resized(builder.shape(current), axis, size.to);
                builder.claim(node, &shape, false)?;
                let at = |i| round.apply(coordinates.original(i, *size)).clamp(0.0, (size.from - 1) as f32);
                let positions: Vec<usize> = (0..size.to).map(|i| at(i) as usize).collect();
                current = take(builder, node, current, axis, &positions)?;
            }
        }
        "linear" => {
            for (axis, size) in axes.iter().enumerate().filter(|(_, a)| !a.is_kept()) {
                current = interpolate(builder, node, current, axis, *size, coordinates)?;
            }
        }
        other => {
            return Err(node.attribute(format!("mode {other:?} is not supported; use nearest or linear")));
        }
    }
    builder.give(node, current)
}

impl Axis {
    fn is_kept(self) -> bool {
        self.from == self.to && self.scale == 1.0
    }
}

fn resized(shape: &[usize], axis: usize, to: usize) -> Vec<usize> {
    shape.iter().enumerate().map(|(a, d)| if a == axis { to } else { *d }).collect()
}

fn take(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
    input: ValueId,
    axis: usize,
    positions: &[usize],
) -> Result<ValueId, Fault> {
    let from = builder.shape(input).to_vec();
    let shape = resized(&from, axis, positions.len());
    builder.emit_index(node, vec![input], shape, || select_along(&from, axis, positions))
}

/// The size of each axis before and after, from scales or sizes.
fn read_axes(builder: &Builder<'_>, node: &OpenNode<'_>, from: &[usize]) -> Result<Vec<Axis>, Fault> {
    if node.word("keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return Err(node.attribute("keep_aspect_ratio_policy must be stretch".into()));
    }
    let named = match node.ints("axes") {
        None => (0..from.len()).collect(),
        Some(axes) => {
            node.axes(&axes, from.len())?;
            axes.iter().map(|a| node.axis(*a, from.len())).collect::<Result<Vec<_>, _>>()?
        }
    };
    let mut axes: Vec<Axis> = from.iter().map(|d| Axis { from: *d, to: *d, scale: 1.0 }).collect();
    let wrong = |found: usize| {
        node.attribute(format!("has {found} sizes or scales where {} are needed", named.len()))
    };
    let is_new = node.operator == "Resize" && node.operator_set >= 11;
    if is_new && let Some(to) = builder.optional_ints(node, 3)?.filter(|s| !s.is_empty()) {
        let to = sizes(node, &to)?;
        if to.len() != named.len() {
            return Err(wrong(to.len()));
        }
        for (axis, to) in named.iter().zip(to) {
            axes[*axis] = Axis { from: from[*axis], to, scale: to as f32 / from[*axis] as f32 };
        }
        return Ok(axes);
    }
    let scales = match builder.optional(node, if is_new { 2 } else { 1 })? {
        Some(id) => builder.floats(node, id)?.to_vec(),
        None => node.find("scales").map(|a| a.floats.clone()).unwrap_or_default(),
    };
    if scales.len() != named.len() {
        return Err(wrong(scales.len()));
    }
    for (axis, scale) in named.iter().zip(scales) {
        if !(scale > 0.0 && scale <= 1e6) {
            return Err(node.attribute(format!("has the scale {scale}; it must be positive")));
        }
        // Rounded in f32, as runtimes do.
        let to = (from[*axis] as f32 * scale).floor() as usize;
        axes[*axis] = Axis { from: from[*axis], to, scale };
    }
    Ok(axes)
}

/// Where a position of the result lies in the operand.
#[derive(Clone, Copy)]
enum Coordinates {
    HalfPixel,
    PytorchHalfPixel,
    HalfPixelSymmetric,
    TfHalfPixelForNn,
    Asymmetric,
    AlignCorners,
}

impl Coordinates {
    fn read(node: &OpenNode<'_>) -> Result<Self, Fault> {
        if node.operator == "Upsample" || node.operator_set < 11 {
            return Ok(Self::Asymmetric);
        }
        match node.word("coordinate_transformation_mode", "half_pixel")? {
            "half_pixel" => Ok(Self::HalfPixel),
            "pytorch_half_pixel" => Ok(Self::PytorchHalfPixel),
            "half_pixel_symmetric" => Ok(Self::HalfPixelSymmetric),
            "tf_half_pixel_for_nn" => Ok(Self::TfHalfPixelForNn),
            "asymmetric" => Ok(Self::Asymmetric),
            "align_corners" => Ok(Self::AlignCorners),
            other => Err(node.attribute(format!(
                "coordinate_transformation_mode {other:?} is not supported; use half_pixel or asymmetric"
            ))),
        }
    }

    /// In `f32`, as runtimes compute it: which neighbour is nearest may hang on the rounding.
    fn original(self, at: usize, axis: Axis) -> f32 {
        let Axis { from, to, scale } = axis;
        let at = at as f32;
        match self {
            Self::Asymmetric => at / scale,
            Self::AlignCorners if to == 1 => 0.0,
            Self::AlignCorners => at * (from - 1) as f32 / (to - 1) as f32,
            Self::PytorchHalfPixel if to == 1 => 0.0,
            Self::TfHalfPixelForNn => (at + 0.5) / scale,
            Self::HalfPixelSymmetric => {
                let adjustment = to as f32 / (scale * from as f32);
                let offset = from as f32 / 2.0 * (1.0 - adjustment);
                offset + (at + 0.5) / scale - 0.5
            }
            Self::HalfPixel | Self::PytorchHalfPixel => (at + 0.5) / scale - 0.5,
        }
    }
}

/// Which neighbour is nearest.
#[derive(Clone, Copy)]
enum Rounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
}

impl Rounding {
    fn read(node: &OpenNode<'_>) -> Result<Self, Fault> {
        if node.operator == "Upsample" || node.operator_set < 11 {
            return Ok(Self::Floor);
        }
        match node.word("nearest_mode", "round_prefer_floor")? {
            "round_prefer_floor" => Ok(Self::PreferFloor),
            "round_prefer_ceil" => Ok(Self::PreferCeil),
            "floor" => Ok(Self::Floor),
            "ceil" => Ok(Self::Ceil),
            other => Err(node.attribute(format!("nearest_mode {other:?} is not supported; use floor"))),
        }
    }

    fn apply(self, x: f32) -> f32 {
        match self {
            Self::PreferFloor => (x - 0.5).ceil(),
            Self::PreferCeil => (x + 0.5).floor(),
            Self::Floor => x.floor(),
            Self::Ceil => x.ceil(),
        }
    }
}

/// Linear interpolation along one axis.
fn interpolate(
    builder: &mut Builder<'_>,
    node: &OpenNode<'_>,
    input: ValueId,
    axis: usize,
    size: Axis,
    coordinates: Coordinates,
) -> Result<ValueId, Fault> {
    if node.flag("antialias")? && size.to < size.from {
        return Err(node.attribute("antialias is not supported; pool before export".into()));
    }
    let shape = resized(builder.shape(input), axis, size.to);
    builder.claim(node, &shape, false)?;
    let last = size.from - 1;
    let (mut first, mut second, mut share) = (Vec::new(), Vec::new(), Vec::new());
    for i in 0..size.to {
        let at = coordinates.original(i, size).clamp(0.0, last as f32);
        let lower = at.floor();
        if !is_exact(coordinates, size) {
            return Err(node.attribute(format!(
                "interpolates with weights that f32 cannot hold ({} to {} elements); use scales of 2 or 4 without aligned corners, or mode nearest",
                size.from, size.to
            )));
        }
        first.push(lower as usize);
        second.push((lower as usize + 1).min(last));
        share.push(at - lower);
    }
    let mut weighted = |positions: &[usize], weights: Vec<f32>| {
        let taken = take(builder, node, input, axis, positions)?;
        let mut dims = vec![1; shape.len()];
        dims[axis] = size.to;
        let data = TensorData::Float(weights.into());
        let weights = builder.push_constant("interpolation", Tensor { shape: dims, data });
        builder.emit(node, Op::Binary(Binary::Mul), vec![taken, weights], shape.clone())
    };
    let left = weighted(&first, share.iter().map(|t| 1.0 - t).collect())?;
    let right = weighted(&second, share)?;
    builder.emit(node, Op::Binary(Binary::Add), vec![left, right], shape)
}

/// Whether every coordinate is a multiple of a power of two that `f32` holds: the scale is a power of two
/// and sizes are small, so that no step of [`Coordinates::original`] rounds.
fn is_exact(coordinates: Coordinates, size: Axis) -> bool {
    let mantissa = size.scale.to_bits() & 0x7f_ffff;
    let small = size.from.max(size.to) <= 1 << 16 && (1.0 / 64.0..=64.0).contains(&size.scale);
    let whole = size.from as f32 * size.scale == size.to as f32;
    mantissa == 0 && small && whole && !matches!(coordinates, Coordinates::AlignCorners)
}
