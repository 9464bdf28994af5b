//! Functions of one real number that a program applies element by element.

/// A function of one real number.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Function {
    /// `max(x, 0)`.
    Relu,
    /// `x` where `x ≥ 0`, else `slope · x`.
    LeakyRelu {
        /// Slope on the negative side.
        slope: f32,
    },
    /// `min(max(x, lower), upper)`.
    Clip {
        /// Smallest value.
        lower: f32,
        /// Largest value, at least `lower`.
        upper: f32,
    },
    /// `|x|`.
    Abs,
    /// −1, 0 or 1.
    Sign,
    /// `1 / (1 + exp(−x))`.
    Sigmoid,
    /// Hyperbolic tangent.
    Tanh,
    /// `exp(x)`.
    Exp,
    /// Natural logarithm, of positive numbers.
    Log,
    /// Sine.
    Sin,
    /// Cosine.
    Cos,
    /// Square root, of numbers that are not negative.
    Sqrt,
    /// `1 / x`, of numbers that are not 0.
    Reciprocal,
    /// `x` to a natural power.
    Power {
        /// The exponent, at least 2.
        exponent: u32,
    },
    /// Gauss error function.
    Erf,
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x` where `x ≥ 0`, else `alpha · (exp(x) − 1)`.
    Elu {
        /// Depth on the negative side.
        alpha: f32,
    },
    /// `x / (1 + |x|)`.
    Softsign,
    /// `min(max(alpha · x + beta, 0), 1)`.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at 0.
        beta: f32,
    },
    /// Greatest integer not above `x`.
    Floor,
}

impl Function {
    /// Its name for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "ReLU",
            Self::LeakyRelu { .. } => "leaky ReLU",
            Self::Clip { .. } => "clip",
            Self::Abs => "absolute value",
            Self::Sign => "sign",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Exp => "exp",
            Self::Log => "log",
            Self::Sin => "sin",
            Self::Cos => "cos",
            Self::Sqrt => "square root",
            Self::Reciprocal => "reciprocal",
            Self::Power { .. } => "power",
            Self::Erf => "erf",
            Self::Softplus => "softplus",
            Self::Elu { .. } => "ELU",
            Self::Softsign => "softsign",
            Self::HardSigmoid { .. } => "hard sigmoid",
            Self::Floor => "floor",
        }
    }
}
