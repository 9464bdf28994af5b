//! Integers that exact arithmetic runs in: `i128` while it lasts, else of any length.

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{CheckedAdd, CheckedMul, CheckedSub, Signed, Zero};

/// A number of the specification.
pub type Q = BigRational;

/// The exact value of a finite float.
///
/// # Panics
/// If `x` is NaN or infinite.
pub fn exact(x: f64) -> Q {
    Q::from_float(x).expect("a finite number")
}

/// Integers with arithmetic that says when it overflows.
pub trait Int:
    Integer + Signed + CheckedAdd + CheckedSub + CheckedMul + Clone + TryFrom<BigInt> + Into<BigInt>
{
}
impl Int for i128 {}
impl Int for BigInt {}

/// The numbers have outgrown the type; the computation has to run again in a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow;

/// `a·b`.
pub fn mul<T: Int>(a: &T, b: &T) -> Result<T, Overflow> {
    a.checked_mul(b).ok_or(Overflow)
}

/// `a + b`.
pub fn add<T: Int>(a: &T, b: &T) -> Result<T, Overflow> {
    a.checked_add(b).ok_or(Overflow)
}

/// `−a`.
pub fn neg<T: Int>(a: &T) -> Result<T, Overflow> {
    T::zero().checked_sub(a).ok_or(Overflow)
}

/// `a` as a `T`.
pub fn int<T: Int>(a: &BigInt) -> Result<T, Overflow> {
    T::try_from(a.clone()).map_err(|_| Overflow)
}

/// Least common multiple of the denominators of `numbers`.
pub fn common_denominator<'a>(numbers: impl Iterator<Item = &'a Q>) -> BigInt {
    numbers.fold(BigInt::from(1), |d, q| if (&d % q.denom()).is_zero() { d } else { d.lcm(q.denom()) })
}

/// `q·denominator`, which is an integer.
pub fn scaled<T: Int>(q: &Q, denominator: &BigInt) -> Result<T, Overflow> {
    int(&(q.numer() * (denominator / q.denom())))
}

/// Divides all by their greatest common divisor.
pub fn reduce<T: Int>(row: &mut [T]) {
    let divisor = row.iter().fold(T::zero(), |d, x| if d.is_one() { d } else { d.gcd(x) });
    if !divisor.is_zero() && !divisor.is_one() {
        row.iter_mut().for_each(|x| *x = x.clone() / divisor.clone());
    }
}
