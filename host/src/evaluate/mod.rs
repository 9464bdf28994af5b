//! How good a network is, and what is proved of it: a cascade from cheap to complete, the name of the bound behind every number.
//!
//! [`cascade`] runs it: clean accuracy, attacks ([`certus_learn::attack`]: an upper bound of what can be certified), intervals with the last
//! layer elided and CROWN-IBP ([`bounds`], rounding included: what they show holds over the reals and on the device), then the complete
//! verifier ([`complete`]: α-CROWN, and branch and bound where that is not enough) for a subset. An input that a bound certifies and an attack
//! breaks ends it with [`EvaluateError::Contradiction`].

pub mod bounds;
pub mod cascade;
pub mod complete;
pub mod interval;
pub mod judge;
#[cfg(test)]
mod tests;

pub use cascade::{Bound, Cascade, EvaluateError, Fate, Judged, Plan, Subject};

/// The box of radius `radius` around `x`, within `range`, rounded outward to `f32`: it holds every input that is meant.
///
/// # Panics
/// If the shapes differ.
pub fn outward(x: &[f32], radius: &[f64], range: Option<&[Vec<f32>; 2]>) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(x.len(), radius.len(), "one radius for each element");
    let mut ends = (x.to_vec(), x.to_vec());
    for (k, (x, r)) in x.iter().zip(radius).enumerate() {
        let [least, most] = range.map_or([f32::NEG_INFINITY, f32::INFINITY], |[l, u]| [l[k], u[k]]);
        ends.0[k] = away(*x, -r).max(least).min(*x);
        ends.1[k] = away(*x, *r).min(most).max(*x);
    }
    ends
}

/// `x + by` or the next number beyond.
fn away(x: f32, by: f64) -> f32 {
    // The sum of two numbers of 24 and 53 bits may not be one of 53: one step further is beyond it in any case.
    let sum = f64::from(x) + by;
    if by == 0.0 {
        return x;
    }
    let (sum, near) = if by < 0.0 { (sum.next_down(), sum as f32) } else { (sum.next_up(), sum as f32) };
    if by < 0.0 {
        if f64::from(near) <= sum { near } else { near.next_down() }
    } else if f64::from(near) >= sum {
        near
    } else {
        near.next_up()
    }
}
