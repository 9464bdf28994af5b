//! Interval arithmetic, one step at a time.

use super::prepare::{Dense, Linear, Node, PackedConv, Product};
use crate::relax::{RelaxError, image_into, product_image};
use certus_kernels::lanes::dot_interval;

/// Share of an interval's width by which rounding may have moved an end.
pub(super) const ROUNDING: f32 = 1e-5;

/// Bounds of the elements of one slot, `[size]` each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interval {
    /// Lower bounds.
    pub lower: Vec<f32>,
    /// Upper bounds.
    pub upper: Vec<f32>,
}

impl Interval {
    /// `[lower, upper]` of element `j`.
    pub fn at(&self, j: usize) -> [f32; 2] {
        [self.lower[j], self.upper[j]]
    }

    /// Intersects it with another; false if that is empty by more than rounding can explain.
    pub(super) fn intersect(&mut self, other: &Self) -> bool {
        let ends = self.lower.iter_mut().zip(&mut self.upper).zip(other.lower.iter().zip(&other.upper));
        for ((l, u), (other_l, other_u)) in ends {
            let cut = (l.max(*other_l), u.min(*other_u));
            if cut.0 > cut.1 + ROUNDING * (cut.0.abs() + cut.1.abs() + (*u - *l) + (other_u - other_l)) {
                return false;
            }
            (*l, *u) = (cut.0.min(cut.1), cut.0.max(cut.1));
        }
        true
    }

    fn from_pairs(pairs: impl Iterator<Item = (f32, f32)>) -> Self {
        let (lower, upper) = pairs.unzip();
        Self { lower, upper }
    }
}

/// Centre and radius, `[size]` each.
struct Ball {
    centre: Vec<f32>,
    radius: Vec<f32>,
}

impl Ball {
    fn of(interval: &Interval) -> Self {
        let pairs = interval.lower.iter().zip(&interval.upper);
        let (centre, radius) = pairs.map(|(l, u)| (0.5 * l + 0.5 * u, 0.5 * u - 0.5 * l)).unzip();
        Self { centre, radius }
    }
    fn add(&mut self, at: usize, (centre, radius): (f32, f32)) {
        self.centre[at] += centre;
        self.radius[at] += radius;
    }
}

/// The interval of what `node` gives; `known` holds those of the slots that it reads.
pub(super) fn step(name: &str, node: &Node, size: usize, known: &[Interval]) -> Result<Interval, RelaxError> {
    Ok(match node {
        Node::Input | Node::Unused => Interval::default(),
        Node::Affine { terms, bias } => {
            let centre = bias.clone().unwrap_or_else(|| vec![0.0; size]);
            let mut sum = Ball { centre, radius: vec![0.0; size] };
            for (slot, map) in terms {
                map.add_interval(&Ball::of(&known[*slot]), &mut sum);
            }
            Interval::from_pairs(sum.centre.iter().zip(&sum.radius).map(|(c, r)| (c - r, c + r)))
        }
        Node::Elementwise { input, function } => {
            let x = &known[*input];
            let mut image = Interval { lower: vec![0.0; size], upper: vec![0.0; size] };
            image_into(name, *function, (&x.lower, &x.upper), (&mut image.lower, &mut image.upper))?;
            image
        }
        Node::Max { input, groups } => {
            let x = &known[*input];
            let greatest = |bound: &[f32], group: &[u32]| {
                group.iter().fold(f32::NEG_INFINITY, |m, j| m.max(bound[*j as usize]))
            };
            Interval::from_pairs(groups.iter().map(|g| (greatest(&x.lower, g), greatest(&x.upper, g))))
        }
        Node::Product(product) => product.interval(size, known),
        Node::Index { inputs, sources } => Interval::from_pairs(sources.iter().map(|source| match source {
            Some((of, element)) => {
                let [l, u] = known[inputs[*of as usize]].at(*element as usize);
                (l, u)
            }
            None => (0.0, 0.0),
        })),
    })
}

impl Product {
    fn interval(&self, size: usize, known: &[Interval]) -> Interval {
        let (left, right) = (&known[self.left], &known[self.right]);
        Interval::from_pairs((0..size).map(|index| {
            (0..self.k).fold((0.0, 0.0), |(lower, upper), term| {
                let (i, j) = self.operands(index, term);
                let ([a, b], [c, d]) = (left.at(i), right.at(j));
                let (l, u) = product_image((a, b), (c, d));
                (lower + l, upper + u)
            })
        }))
    }
}

impl Linear {
    fn add_interval(&self, x: &Ball, sum: &mut Ball) {
        match self {
            Self::Identity => {
                (0..x.centre.len()).for_each(|i| sum.add(i, (x.centre[i], x.radius[i])));
            }
            Self::Scale(scale) => {
                let term = |i: usize| (scale[i] * x.centre[i], scale[i].abs() * x.radius[i]);
                (0..scale.len()).for_each(|i| sum.add(i, term(i)));
            }
            Self::Dense(dense) => dense.add_interval(x, sum),
            Self::Conv(packed) => packed.add_interval(x, sum),
            Self::ConvTranspose(PackedConv { conv, .. }) => conv.for_each(|o, i, w| {
                let w = conv.weights[w];
                sum.add(i, (w * x.centre[o], w.abs() * x.radius[o]));
            }),
            Self::Sparse { by_row, .. } => by_row.for_each(|o, i, v| {
                let w = by_row.values.values[v];
                sum.add(o, (w * x.centre[i], w.abs() * x.radius[i]));
            }),
        }
    }
}

impl Dense {
    fn add_interval(&self, x: &Ball, sum: &mut Ball) {
        for vector in 0..self.count {
            let at = vector * self.cols..(vector + 1) * self.cols;
            let (centre, radius) = (&x.centre[at.clone()], &x.radius[at]);
            for (i, row) in self.weights.chunks_exact(self.cols).enumerate() {
                sum.add(vector * self.rows + i, dot_interval(row, centre, radius));
            }
        }
    }
}

impl PackedConv {
    /// One window at a time, copied to where its channels and taps are contiguous.
    fn add_interval(&self, x: &Ball, sum: &mut Ball) {
        let c = &self.conv;
        let (cin, cout) = (c.channels_in / c.groups, c.channels_out / c.groups);
        let ([ih, iw], [oh, ow], [kh, kw]) = (c.size_in, c.size_out, c.kernel);
        let window = cin * kh * kw;
        let (mut centre, mut radius) = (vec![0.0f32; window], vec![0.0f32; window]);
        for group in 0..c.groups {
            for (oy, ox) in (0..oh).flat_map(|y| (0..ow).map(move |x| (y, x))) {
                centre.fill(0.0);
                radius.fill(0.0);
                for (ky, kx) in (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                    let iy =
                        (oy * c.stride[0] + ky * c.dilation[0]).checked_sub(c.pad[0]).filter(|i| *i < ih);
                    let ix =
                        (ox * c.stride[1] + kx * c.dilation[1]).checked_sub(c.pad[1]).filter(|i| *i < iw);
                    let (Some(iy), Some(ix)) = (iy, ix) else { continue };
                    for channel in 0..cin {
                        let from = ((group * cin + channel) * ih + iy) * iw + ix;
                        let to = (channel * kh + ky) * kw + kx;
                        (centre[to], radius[to]) = (x.centre[from], x.radius[from]);
                    }
                }
                for o in group * cout..(group + 1) * cout {
                    let row = &c.weights[o * window..][..window];
                    sum.add((o * oh + oy) * ow + ox, dot_interval(row, &centre, &radius));
                }
            }
        }
    }
}
