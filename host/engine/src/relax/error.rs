//! Why a function has no lines on an interval.

use thiserror::Error;

use crate::program::Function;

/// Why one element has no lines or no image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An end point is NaN or infinite, or the ends are in the wrong order.
    NotAnInterval,
    /// The interval leaves the domain, which is as said.
    Domain(&'static str),
    /// The function leaves the range of the number type on the interval.
    Overflow,
}

/// Why a step cannot be relaxed.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum RelaxError {
    /// An end point is NaN or infinite, or the ends are in the wrong order.
    #[error(
        "step `{step}`: element {element} has the bounds [{lower}, {upper}], which are no finite interval; bound the inputs more tightly"
    )]
    NotAnInterval {
        /// The step.
        step: String,
        /// Index of the element.
        element: usize,
        /// Its lower bound.
        lower: f64,
        /// Its upper bound.
        upper: f64,
    },
    /// The function is not defined on all of the interval.
    #[error(
        "step `{step}`: {function} needs {needs}, but element {element} may be anything in [{lower}, {upper}]; split the inputs or bound them more tightly"
    )]
    Domain {
        /// The step.
        step: String,
        /// Name of the function.
        function: &'static str,
        /// What its operand has to be.
        needs: &'static str,
        /// Index of the element.
        element: usize,
        /// Its lower bound.
        lower: f64,
        /// Its upper bound.
        upper: f64,
    },
    /// The function overflows.
    #[error(
        "step `{step}`: {function} overflows on element {element}, which may be anything in [{lower}, {upper}]; bound the inputs more tightly"
    )]
    Overflow {
        /// The step.
        step: String,
        /// Name of the function.
        function: &'static str,
        /// Index of the element.
        element: usize,
        /// Its lower bound.
        lower: f64,
        /// Its upper bound.
        upper: f64,
    },
}

impl RelaxError {
    /// Names the step, function and element of a refusal.
    pub(super) fn at(
        refusal: Refusal,
        step: &str,
        function: Function,
        element: usize,
        [lower, upper]: [f64; 2],
    ) -> Self {
        let (step, function) = (step.to_owned(), function.name());
        match refusal {
            Refusal::NotAnInterval => Self::NotAnInterval { step, element, lower, upper },
            Refusal::Domain(needs) => Self::Domain { step, function, needs, element, lower, upper },
            Refusal::Overflow => Self::Overflow { step, function, element, lower, upper },
        }
    }
}
