//! Statements over rationals, written as VNN-LIB and decided at a point exactly.

use std::fmt::Write as _;

use super::exact::{Q, Region, Sum};
use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{One, Signed, Zero};

/// The violation that is asked for: some case has an input in its box at which all rows of one of its disjuncts hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Outputs of the network.
    pub outputs: usize,
    /// At least one.
    pub cases: Vec<Case>,
}

/// One box with its disjuncts.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Terminating decimals.
    pub region: Region,
    /// At least one, each with at least one row.
    pub disjuncts: Vec<Vec<Row>>,
}

/// `coefficients · y ≤ rhs`, or `<`; all numbers are terminating decimals.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// `[outputs]`.
    pub coefficients: Vec<Q>,
    /// Right-hand side.
    pub rhs: Q,
    /// Whether equality is left out.
    pub strict: bool,
}

impl Row {
    /// `coefficients · y − rhs` as a sum over the elements of value `last`.
    pub fn excess(&self, last: usize) -> Sum {
        let terms = self.coefficients.iter().enumerate().map(|(e, c)| (last, e, c.clone())).collect();
        Sum { terms, constant: -self.rhs.clone() }
    }

    /// `coefficients · y − rhs` at `y`.
    pub fn excess_at(&self, y: &[Q]) -> Q {
        self.coefficients.iter().zip(y).fold(-self.rhs.clone(), |s, (c, y)| s + c * y)
    }
}

impl Statement {
    /// The same with every right-hand side larger by `shift`.
    pub fn shifted(&self, shift: &Q) -> Self {
        let mut shifted = self.clone();
        for row in shifted.cases.iter_mut().flat_map(|c| &mut c.disjuncts).flatten() {
            row.rhs += shift;
        }
        shifted
    }

    /// As VNN-LIB 1.0.
    ///
    /// # Panics
    /// If a number is no terminating decimal.
    pub fn vnnlib(&self) -> String {
        let mut text = String::from("; made by `certus selftest`\n");
        let inputs = self.cases[0].region.lower.len();
        for (letter, count) in [("X", inputs), ("Y", self.outputs)] {
            for i in 0..count {
                writeln!(text, "(declare-const {letter}_{i} Real)").expect("a string");
            }
        }
        let mut alternatives = Vec::new();
        for case in &self.cases {
            let bounds = case.bounds();
            if self.cases.len() == 1 {
                bounds.iter().for_each(|b| writeln!(text, "(assert {b})").expect("a string"));
            }
            for disjunct in &case.disjuncts {
                let mut parts = if self.cases.len() == 1 { Vec::new() } else { bounds.clone() };
                parts.extend(disjunct.iter().map(Row::text));
                alternatives.push(format!("(and {})", parts.join(" ")));
            }
        }
        writeln!(text, "(assert (or\n{}))", alternatives.join("\n")).expect("a string");
        text
    }
}

impl Case {
    fn bounds(&self) -> Vec<String> {
        let ends = self.region.lower.iter().zip(&self.region.upper).enumerate();
        ends.flat_map(|(j, (l, u))| {
            [format!("(>= X_{j} {})", decimal(l)), format!("(<= X_{j} {})", decimal(u))]
        })
        .collect()
    }
}

impl Row {
    fn text(&self) -> String {
        let terms: Vec<String> = self
            .coefficients
            .iter()
            .enumerate()
            .filter(|(_, c)| !c.is_zero())
            .map(|(e, c)| if c.is_one() { format!("Y_{e}") } else { format!("(* {} Y_{e})", decimal(c)) })
            .collect();
        let left = match terms.as_slice() {
            [] => "(* 0 Y_0)".into(),
            [one] => one.clone(),
            many => format!("(+ {})", many.join(" ")),
        };
        format!("({} {left} {})", if self.strict { "<" } else { "<=" }, decimal(&self.rhs))
    }
}

/// All digits of a terminating decimal.
///
/// # Panics
/// If it does not terminate.
pub fn decimal(q: &Q) -> String {
    let (mut rest, mut powers) = (q.denom().clone(), [0usize; 2]);
    for (power, prime) in powers.iter_mut().zip([2, 5]) {
        let prime = BigInt::from(prime);
        while rest.is_multiple_of(&prime) {
            rest /= &prime;
            *power += 1;
        }
    }
    assert!(rest.is_one(), "{q} has endless digits");
    let places = powers[0].max(powers[1]);
    let digits = (q.numer() * BigInt::from(10).pow(places as u32) / q.denom()).abs().to_string();
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if q.numer().sign() == Sign::Minus { "-" } else { "" };
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_with_all_their_digits() {
        let q = |n: i64, d: i64| Q::new(n.into(), d.into());
        assert_eq!(decimal(&q(-3, 8)), "-0.375");
        assert_eq!(decimal(&q(1, 10)), "0.1");
        assert_eq!(decimal(&q(7, 1)), "7");
        assert_eq!(decimal(&q(1, 640)), "0.0015625");
        assert!(std::panic::catch_unwind(|| decimal(&q(1, 3))).is_err());
    }
}
