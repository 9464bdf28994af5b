//! A piecewise affine network as sums, bends and maxima of single numbers, over the rationals.

use super::number::Q;
use num_traits::Zero;

/// `constant + Σ coefficient · values[value][element]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sum {
    /// Value, element, coefficient.
    pub terms: Vec<(usize, usize, Q)>,
    /// The constant.
    pub constant: Q,
}

/// What gives one value from earlier ones; value 0 is the input, value `k + 1` what step `k` gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// One sum per element.
    Sums(Vec<Sum>),
    /// `x` where `x ≥ 0`, else `slope·x`, on each element of a value.
    Bend {
        /// The value.
        value: usize,
        /// Slope on the negative side.
        slope: Q,
    },
    /// The largest of some elements of a value, for each group.
    Max {
        /// The value.
        value: usize,
        /// Elements; at least one per group.
        groups: Vec<Vec<usize>>,
    },
}

impl Sum {
    /// The sum at given values.
    pub fn at(&self, values: &[Vec<Q>]) -> Q {
        self.terms.iter().fold(self.constant.clone(), |s, (v, e, c)| s + c * &values[*v][*e])
    }
}

/// The last value at `input`.
pub fn evaluate(steps: &[Step], input: &[Q]) -> Vec<Q> {
    let mut values = vec![input.to_vec()];
    for step in steps {
        let next = match step {
            Step::Sums(sums) => sums.iter().map(|s| s.at(&values)).collect(),
            Step::Bend { value, slope } => {
                values[*value].iter().map(|x| if *x < Q::zero() { x * slope } else { x.clone() }).collect()
            }
            Step::Max { value, groups } => {
                let x = &values[*value];
                groups.iter().map(|g| g.iter().map(|i| &x[*i]).max().expect("not empty").clone()).collect()
            }
        };
        values.push(next);
    }
    values.pop().expect("at least the input")
}
