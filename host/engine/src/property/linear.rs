//! Linear expressions over the variables of a property, exact.

use super::decimal::Decimal;
use super::error::Problem;

/// A variable of a VNN-LIB 1.0 property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variable {
    /// `X_i`, input `i` of the network.
    Input(u32),
    /// `Y_i`, output `i`.
    Output(u32),
}

impl Variable {
    /// Reads `X_i` or `Y_i`; the index has no leading zeros.
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, index) = name.split_once('_')?;
        let canonical = index == "0" || !index.starts_with('0');
        let index = index.parse().ok().filter(|_| canonical && index.bytes().all(|b| b.is_ascii_digit()))?;
        match kind {
            "X" => Some(Self::Input(index)),
            "Y" => Some(Self::Output(index)),
            _ => None,
        }
    }
}

/// `Σ cᵢ·vᵢ + constant`; variables ascend, no coefficient is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// Variables with their coefficients.
    pub terms: Vec<(Variable, Decimal)>,
    /// The rest.
    pub constant: Decimal,
}

impl Linear {
    /// A number.
    pub fn number(constant: Decimal) -> Self {
        Self { terms: Vec::new(), constant }
    }

    /// A variable.
    pub fn variable(variable: Variable) -> Self {
        Self { terms: vec![(variable, Decimal::ONE)], constant: Decimal::ZERO }
    }

    /// Whether it is the number 1 or −1.
    pub fn is_unit(&self) -> bool {
        self.terms.is_empty() && (self.constant == Decimal::ONE || -&self.constant == Decimal::ONE)
    }

    /// `−self`.
    #[must_use]
    pub fn negated(&self) -> Self {
        let terms = self.terms.iter().map(|(v, c)| (*v, -c)).collect();
        Self { terms, constant: -&self.constant }
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`Problem::Range`].
    pub fn plus(&self, other: &Self) -> Result<Self, Problem> {
        let mut terms = Vec::with_capacity(self.terms.len() + other.terms.len());
        let (mut left, mut right) = (self.terms.iter().peekable(), other.terms.iter().peekable());
        loop {
            let order = match (left.peek(), right.peek()) {
                (None, None) => break,
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
                (Some((v, _)), Some((w, _))) => v.cmp(w),
            };
            match order {
                std::cmp::Ordering::Less => terms.extend(left.next().cloned()),
                std::cmp::Ordering::Greater => terms.extend(right.next().cloned()),
                std::cmp::Ordering::Equal => {
                    if let (Some((v, a)), Some((_, b))) = (left.next(), right.next()) {
                        let sum = a.checked_add(b).ok_or(Problem::Range)?;
                        if !sum.is_zero() {
                            terms.push((*v, sum));
                        }
                    }
                }
            }
        }
        let constant = self.constant.checked_add(&other.constant).ok_or(Problem::Range)?;
        Ok(Self { terms, constant })
    }

    /// `self · other`, one of which must be a number.
    ///
    /// # Errors
    /// [`Problem::NonLinear`], [`Problem::Range`].
    pub fn times(&self, other: &Self) -> Result<Self, Problem> {
        let (factor, linear) = match (self.terms.is_empty(), other.terms.is_empty()) {
            (true, _) => (&self.constant, other),
            (_, true) => (&other.constant, self),
            _ => return Err(Problem::NonLinear),
        };
        if factor.is_zero() {
            return Ok(Self::number(Decimal::ZERO));
        }
        let product = |c: &Decimal| c.checked_mul(factor).ok_or(Problem::Range);
        let terms =
            linear.terms.iter().map(|(v, c)| Ok((*v, product(c)?))).collect::<Result<_, Problem>>()?;
        Ok(Self { terms, constant: product(&linear.constant)? })
    }
}
