//! Elementary functions of one number, enclosed with proved remainders.
//!
//! Nothing here trusts a library: each file reduces the argument, sums a series with a bound of what it leaves out, and bounds the roundings of
//! both; sums, products, quotients and comparisons in round to nearest are all it uses. The enclosures hold the real value for every
//! `f64` argument: NaN gives all real numbers, an argument outside the domain too, overflow `[f64::MAX, ∞]`.
//!
//! The functions in `f32` of [`single`] are the device's forward pass: one stated sequence of roundings, the same on host and device, within a
//! verified distance of the real function.

mod erf;
mod exp;
mod interval;
mod log;
mod sigmoid;
mod sin;
pub mod single;
mod sqrt;

pub use erf::{erf, erf_slope};
pub use exp::{exp, exp_m1};
pub use interval::Interval;
pub use log::log;
pub use sigmoid::{sigmoid, sigmoid_slope, softplus, tanh, tanh_slope};
pub use sin::{cos, half_pi, sin};
pub use single::{SIGMOID_ERROR, TANH_ERROR, sigmoid_f32, tanh_f32};
pub use sqrt::sqrt;
