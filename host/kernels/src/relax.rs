//! What happens to lanes between two products: relaxation of ReLU, bias, concretization; and elementwise
//! steps of a forward pass. Plain loops, compiled once per vector width.
//!
//! A lane of a backward pass is a row `a` of coefficients with its constant `c`, and is bounded from below:
//! positive coefficients take the lower line of the relaxation, negative ones the upper line.
//!
//! # Rounding
//! *Estimate*: the search's arithmetic. Proofs use the lanes of `certus_core::proof`.

use crate::simd::Level;

/// Runs a closure compiled for the widest vectors of this processor: loops inside it are vectorised by the compiler.
///
/// The closure must be `#[inline(always)]`-able: put the loops into functions marked so.
#[inline]
pub fn wide<R>(body: impl FnOnce() -> R) -> R {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
        fn avx512<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2<R>(body: impl FnOnce() -> R) -> R {
            body()
        }
        match Level::detect() {
            // SAFETY: the features were detected.
            Level::Avx512 => return unsafe { avx512(body) },
            // SAFETY: the features were detected.
            Level::Avx2 => return unsafe { avx2(body) },
            Level::Plain => {}
        }
    }
    body()
}

/// A body of loops for [`wide_run`], whose `run` is `#[inline(always)]`.
pub trait Body {
    /// Runs it.
    fn run(self);
}

/// As [`wide`] for a body that the compiler would not inline as a closure, being large.
#[inline]
pub fn wide_run(body: impl Body) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
        fn avx512(body: impl Body) {
            body.run();
        }
        #[target_feature(enable = "avx2,fma")]
        fn avx2(body: impl Body) {
            body.run();
        }
        match Level::detect() {
            // SAFETY: the features were detected.
            Level::Avx512 => return unsafe { avx512(body) },
            // SAFETY: the features were detected.
            Level::Avx2 => return unsafe { avx2(body) },
            Level::Plain => {}
        }
    }
    body.run();
}

/// The two lines of an unstable ReLU, and the bias of the affine row that feeds it.
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// Slope of the lower line (through 0).
    pub lower_slope: f32,
    /// Slope of the upper line.
    pub upper_slope: f32,
    /// Intercept of the upper line.
    pub upper_intercept: f32,
}

/// `a ← coefficients on z`, `c += intercepts + a·bias`, for one unstable neuron.
#[inline(always)]
pub fn relax_unstable(a: &mut [f32], c: &mut [f32], lines: Lines, bias: f32) {
    for (a, c) in a.iter_mut().zip(c) {
        let (plus, minus) = (a.max(0.0), a.min(0.0));
        let next = plus * lines.lower_slope + minus * lines.upper_slope;
        *c += minus * lines.upper_intercept + next * bias;
        *a = next;
    }
}

/// As [`relax_unstable`], with a lower slope per lane.
#[inline(always)]
pub fn relax_unstable_alpha(a: &mut [f32], c: &mut [f32], alpha: &[f32], lines: Lines, bias: f32) {
    for ((a, c), alpha) in a.iter_mut().zip(c).zip(alpha) {
        let (plus, minus) = (a.max(0.0), a.min(0.0));
        let next = plus * alpha + minus * lines.upper_slope;
        *c += minus * lines.upper_intercept + next * bias;
        *a = next;
    }
}

/// `c += a·bias`: an active neuron passes its coefficient on.
#[inline(always)]
pub fn add_bias(a: &[f32], c: &mut [f32], bias: f32) {
    for (a, c) in a.iter().zip(c) {
        *c += a * bias;
    }
}

/// `c += min over [lower, upper] of a·x` for one input.
#[inline(always)]
pub fn concretize(a: &[f32], c: &mut [f32], lower: f32, upper: f32) {
    for (a, c) in a.iter().zip(c) {
        *c += a.max(0.0) * lower + a.min(0.0) * upper;
    }
}

/// `z ← relu(z + bias)` or `z + bias`.
#[inline(always)]
pub fn bias_relu(z: &mut [f32], bias: f32, relu: bool) {
    if relu {
        z.iter_mut().for_each(|z| *z = (*z + bias).max(0.0));
    } else {
        z.iter_mut().for_each(|z| *z += bias);
    }
}
