//! One layer's pre-activation intervals and row errors in `f64`.

use super::{Factors, Kernel, Meaning, Rejection, TINY, up};
use crate::layer::{Affine, Layer, Sparse};
use crate::round::{eta_times, gamma_factor};

/// What is known of a layer's pre-activations.
pub(super) struct Target<'m> {
    pub lower: &'m mut [f64],
    pub upper: &'m mut [f64],
    /// `q`.
    pub error: &'m mut [f64],
}

/// `relu` of an interval if `relu`.
pub(super) fn post(relu: bool, lower: f64, upper: f64) -> (f64, f64) {
    if relu {
        (if lower > 0.0 { lower } else { 0.0 }, if upper > 0.0 { upper } else { 0.0 })
    } else {
        (lower, upper)
    }
}

/// Bounds the pre-activations of layer `index` on the box `inputs` (pre-activations if `relu_before`).
/// Returns at least `Σ mⱼ`.
///
/// # Shapes
/// `inputs` two `[cols]`; `scratch` `[3 × cols]` then `[3 × rows]`; target slices `[rows]`.
pub(super) fn layer_intervals(
    kernel: &mut impl Kernel,
    (index, layer): (usize, &Layer<'_>),
    (inputs, relu_before): ((&[f64], &[f64]), bool),
    (factors, meaning): (Factors, Meaning),
    scratch: &mut [f64],
    target: Target<'_>,
) -> Result<f64, Rejection> {
    let (n, rows) = (layer.inputs(), layer.outputs());
    let (centre, rest) = scratch.split_at_mut_checked(n).ok_or(Rejection::Shape)?;
    let (radius, rest) = rest.split_at_mut_checked(n).ok_or(Rejection::Shape)?;
    let (mass, rest) = rest.split_at_mut_checked(n).ok_or(Rejection::Shape)?;
    let (sum_c, rest) = rest.split_at_mut_checked(rows).ok_or(Rejection::Shape)?;
    let (sum_r, rest) = rest.split_at_mut_checked(rows).ok_or(Rejection::Shape)?;
    let (sum_m, _) = rest.split_at_mut_checked(rows).ok_or(Rejection::Shape)?;
    let mut total = 0.0;
    for ((((c, r), m), l), u) in
        centre.iter_mut().zip(radius.iter_mut()).zip(mass.iter_mut()).zip(inputs.0).zip(inputs.1)
    {
        let (l, u) = post(relu_before, *l, *u);
        let middle = 0.5 * l + 0.5 * u;
        *c = if middle < l {
            l
        } else if middle > u {
            u
        } else {
            middle
        };
        let (above, below) = (u - *c, *c - l);
        let reach = if above > below { above } else { below };
        *r = if reach > 0.0 { reach.next_up() } else { reach };
        *m = if l.abs() > u.abs() { l.abs() } else { u.abs() };
        total += *m;
    }
    match layer.affine() {
        Affine::Dense(dense) => {
            kernel.interval_sums(index, &dense, [centre, radius, mass], [sum_c, sum_r, sum_m]);
        }
        Affine::Sparse(sparse) => {
            sparse_sums(&sparse, [centre, radius, mass], [sum_c, sum_r, sum_m]);
        }
        Affine::Scale(scale) => {
            let inputs = scale.scale().iter().zip(centre.iter()).zip(radius.iter()).zip(mass.iter());
            for (((((s, c), r), m), sum_c), (sum_r, sum_m)) in
                inputs.zip(sum_c.iter_mut()).zip(sum_r.iter_mut().zip(sum_m.iter_mut()))
            {
                let s = f64::from(*s);
                (*sum_c, *sum_r, *sum_m) = (s * c, s.abs() * r, s.abs() * m);
            }
        }
    }
    let bias = layer.affine().bias();
    let device = device_error(layer, meaning)?;
    let sums = sum_c.iter().zip(sum_r.iter()).zip(sum_m.iter()).zip(bias);
    let targets = target.lower.iter_mut().zip(target.upper.iter_mut()).zip(target.error.iter_mut());
    let mut finite = total.is_finite();
    for ((((y, s), t), b), ((lower, upper), error)) in sums.zip(targets) {
        let bias = f64::from(*b);
        let t = up(up((t + TINY) * factors.inflate) + bias.abs());
        let s = up((s + TINY) * factors.inflate);
        let device = device.at(t);
        // The centre's bias is one more rounding, inside the slack of `g`.
        let reach = up(up(s + 2.0 * factors.g * t) + up(device + TINY));
        let y = y + bias;
        *lower = (y - reach).next_down();
        *upper = (y + reach).next_up();
        *error = up(up(4.0 * factors.g * t) + 2.0 * device);
        finite &= lower.is_finite() && upper.is_finite() && error.is_finite() && device.is_finite();
    }
    if finite { Ok(up(total * factors.inflate)) } else { Err(Rejection::NonFinite) }
}

/// `W c`, `|W| r` and `|W| m` over the weights that are stored: with fewer terms, no more roundings than [`Kernel::interval_sums`].
fn sparse_sums(sparse: &Sparse<'_>, inputs: [&[f64]; 3], sums: [&mut [f64]; 3]) {
    let [c, r, m] = inputs;
    let [sum_c, sum_r, sum_m] = sums;
    for ((((row, _), sum_c), sum_r), sum_m) in sparse.row_iter().zip(sum_c).zip(sum_r).zip(sum_m) {
        let (mut y, mut s, mut t) = (0.0, 0.0, 0.0);
        for (j, w) in row.iter() {
            let (w, of) = (f64::from(w), |v: &[f64]| v.get(j).copied().unwrap_or(f64::NAN));
            y += w * of(c);
            s += w.abs() * of(r);
            t += w.abs() * of(m);
        }
        (*sum_c, *sum_r, *sum_m) = (y, s, t);
    }
}

/// How far the device's pre-activation can be from the real affine map of its inputs.
struct DeviceError {
    gamma: f64,
    eta: f64,
    limit: f64,
}

fn device_error(layer: &Layer<'_>, meaning: Meaning) -> Result<DeviceError, Rejection> {
    match meaning {
        Meaning::Real => Ok(DeviceError { gamma: 0.0, eta: 0.0, limit: f64::INFINITY }),
        Meaning::RealAndF32 => Ok(DeviceError {
            gamma: f64::from(gamma_factor(layer.forward_roundings()).ok_or(Rejection::Shape)?),
            eta: f64::from(eta_times(layer.products())),
            // Partial sums of the device stay below `t(1 + γ)`, so below the largest `f32`.
            limit: f64::from(f32::MAX) / 1.02,
        }),
    }
}

impl DeviceError {
    /// `≥ γ_K t + nη`, or infinite if the device could overflow.
    fn at(&self, t: f64) -> f64 {
        if self.gamma == 0.0 {
            0.0
        } else if t < self.limit {
            up(self.gamma * t + self.eta)
        } else {
            f64::INFINITY
        }
    }
}
