//! Counterexamples: checked against the exact statement of the property, written and read in the format
//! of VNN-COMP.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::BigInt;

use super::error::{Position, Problem, PropertyError};
use super::linear::Variable;
use super::sexpr::{Item, Reader};
use super::{Evaluate, InputBox, Property, Row};

/// A counterexample: an input of the network, and what the network says there (meaning `F32`).
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    /// `[inputs]`.
    pub input: Vec<f32>,
    /// `[outputs]`.
    pub output: Vec<f32>,
}

/// The witness at `input`, if it is one: inside the decimal box of some case (where no `f32` lies between a coordinate's
/// decimals, the nearest one stands for them; over the reals the decimals count), with all rows of one and the same
/// disjunct of that case true both of the `f32` outputs and of the `f64` outputs.
///
/// # Panics
/// If `property` does not fit `network` (see [`Property::check_against`]) or `input` is not `[inputs]`.
///
/// # Rounding
/// None: rows are evaluated exactly over the outputs as computed, so `Some` is a fact about these outputs.
pub fn check_witness(network: &dyn Evaluate, property: &Property, input: &[f32]) -> Option<Witness> {
    assert_eq!(input.len(), property.inputs, "input has the shape [inputs]");
    let mut cases = property.cases.iter().filter(|c| c.region.contains(input)).peekable();
    cases.peek()?;
    let output = network.eval_f32(input);
    let as_f64 = |values: &[f32]| values.iter().copied().map(f64::from).collect::<Vec<_>>();
    let output_f32 = as_f64(&output);
    let found = cases.any(|case| {
        let output_f64 = network.eval_f64(&case.region.inside(input));
        let holds = |row: &Row| row.holds(&output_f32) && row.holds(&output_f64);
        case.disjuncts.iter().any(|d| d.rows.iter().all(holds))
    });
    found.then(|| Witness { input: input.to_vec(), output })
}

impl InputBox {
    /// The input over the reals that `input` stands for: itself, but the nearest point of the box in coordinates whose
    /// decimals have no `f32` between them.
    fn inside(&self, input: &[f32]) -> Vec<f64> {
        let ends = self.lower.iter().zip(&self.upper);
        input.iter().zip(ends).map(|(x, (l, u))| f64::from(*x).max(*l).min(*u)).collect()
    }

    /// Whether `input` lies inside the decimal bounds, or is the `f32` nearest to them where none lies between; NaN never does.
    pub fn contains(&self, input: &[f32]) -> bool {
        let inside = |((x, lower), upper): ((&f32, &f32), &f32)| lower <= x && x <= upper;
        input.iter().zip(&self.witness_lower).zip(&self.witness_upper).all(inside)
    }
}

impl Row {
    /// Whether the row is true of `output` for certain: compared exactly, against the lower end of the
    /// right-hand side. Outputs that are NaN or infinite never satisfy a row.
    pub fn holds(&self, output: &[f64]) -> bool {
        match exact_cmp(&self.coefficients, output, self.rhs_lower) {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => !self.strict,
            Some(Ordering::Greater) | None => false,
        }
    }
}

/// `coefficients · values` against `rhs`, exactly; `None` if a number is not finite.
fn exact_cmp(coefficients: &[f64], values: &[f64], rhs: f64) -> Option<Ordering> {
    let mut sum = Dyadic::from(-rhs)?;
    for (c, v) in coefficients.iter().zip(values) {
        if !v.is_finite() {
            return None;
        }
        if *c != 0.0 {
            sum = sum.plus(&Dyadic::from(*c)?.times(&Dyadic::from(*v)?));
        }
    }
    Some(sum.mantissa.cmp(&BigInt::ZERO))
}

/// `mantissa · 2^power`.
struct Dyadic {
    mantissa: BigInt,
    power: i64,
}

impl Dyadic {
    fn from(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        let bits = float.to_bits();
        let (fraction, biased) = ((bits & ((1 << 52) - 1)).cast_signed(), (bits >> 52) & 0x7ff);
        let (magnitude, power) =
            if biased == 0 { (fraction, -1074) } else { (fraction | (1 << 52), biased.cast_signed() - 1075) };
        Some(Self { mantissa: BigInt::from(if float < 0.0 { -magnitude } else { magnitude }), power })
    }

    fn times(&self, other: &Self) -> Self {
        Self { mantissa: &self.mantissa * &other.mantissa, power: self.power + other.power }
    }

    fn plus(&self, other: &Self) -> Self {
        let power = self.power.min(other.power);
        let aligned = |d: &Self| &d.mantissa << (d.power - power).unsigned_abs();
        Self { mantissa: aligned(self) + aligned(other), power }
    }
}

/// The VNN-COMP format: `sat`, then every variable with its value.
///
/// Values are written so that reading them as `f64` gives exactly the `f32`.
impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sat")?;
        let sides = [("X", &self.input), ("Y", &self.output)];
        let mut open = "(";
        for (letter, values) in sides {
            for (i, value) in values.iter().enumerate() {
                write!(f, "{open}({letter}_{i} {})", f64::from(*value))?;
                open = "\n";
            }
        }
        writeln!(f, ")")
    }
}

/// Reads the VNN-COMP format; numbers are rounded to the nearest `f32`.
///
/// # Errors
/// [`Problem::Witness`], [`Problem::Gap`] if a variable is missing.
pub fn parse_witness(text: &str) -> Result<Witness, PropertyError> {
    let mut reader = Reader::new(text);
    let mut found: Vec<(Variable, f32)> = Vec::new();
    let mut at = Position::default();
    while let Some(form) = reader.next_form()? {
        at = form[0].position();
        match form {
            [Item::Atom { text: "sat", .. }] if found.is_empty() => {}
            [Item::List { .. }, pairs @ ..] if found.is_empty() => read_pairs(pairs, &mut found)?,
            _ => return Err(PropertyError::at(at, Problem::Witness)),
        }
    }
    found.sort_by_key(|(variable, _)| *variable);
    let (mut input, mut output) = (Vec::new(), Vec::new());
    for (variable, value) in found {
        let (values, index, letter) = match variable {
            Variable::Input(i) => (&mut input, i, "X"),
            Variable::Output(i) => (&mut output, i, "Y"),
        };
        if index as usize != values.len() {
            let index = values.len() as u32;
            return Err(PropertyError::at(at, Problem::Gap { letter, index }));
        }
        values.push(value);
    }
    if input.is_empty() {
        Err(PropertyError::at(at, Problem::Witness))
    } else {
        Ok(Witness { input, output })
    }
}

fn read_pairs(items: &[Item<'_>], found: &mut Vec<(Variable, f32)>) -> Result<(), PropertyError> {
    let mut rest = items;
    while let [first, tail @ ..] = rest {
        let wrong = || PropertyError::at(first.position(), Problem::Witness);
        let (Item::List { children: 2, .. }, [name, value, tail @ ..]) = (first, tail) else {
            return Err(wrong());
        };
        let variable = name.atom().and_then(Variable::parse).ok_or_else(wrong)?;
        let number = value.atom().and_then(|v| v.parse::<f32>().ok()).ok_or_else(wrong)?;
        found.push((variable, number));
        rest = tail;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::property::parse_vnnlib_str;
    use crate::{Chain, OwnedAffine, OwnedLayer};

    /// `y = (x₀ + x₁, x₀ − x₁)`.
    fn chain() -> Chain {
        let affine =
            OwnedAffine::Dense { rows: 2, cols: 2, weights: vec![1.0, 1.0, 1.0, -1.0], bias: vec![0.0; 2] };
        Chain::new(vec![OwnedLayer { affine, relu: false }]).unwrap()
    }

    fn property(assert: &str) -> Property {
        let bounds = "(assert (>= X_0 0))(assert (<= X_0 0.1))(assert (>= X_1 0))(assert (<= X_1 0.1))";
        let declared: String =
            ["X_0", "X_1", "Y_0", "Y_1"].map(|v| format!("(declare-const {v} Real)")).concat();
        parse_vnnlib_str(&format!("{declared}{bounds}(assert {assert})")).unwrap()
    }

    #[test]
    fn a_witness_lies_in_the_decimal_box_and_obeys_strictness() {
        let equal = property("(>= Y_1 0)");
        let strict = property("(> Y_1 0)");
        let check = |p: &Property, x: [f32; 2]| check_witness(&chain(), p, &x).is_some();
        assert!(check(&equal, [0.0625, 0.0625]) && !check(&strict, [0.0625, 0.0625]));
        assert!(check(&strict, [0.0625f32.next_up(), 0.0625]));
        // The float nearest to 0.1 is above it.
        assert!(!check(&equal, [0.1, 0.0]) && check(&equal, [0.1f32.next_down(), 0.0]));
        assert!(!check(&equal, [f32::NAN, 0.0]));
    }

    #[test]
    fn a_row_that_only_one_of_the_meanings_satisfies_gives_no_witness() {
        // In f32 the sum of these is 1 exactly, in f64 it is above.
        let (big, small) = (1.0f32, f32::EPSILON / 4.0);
        let wide = |assert: &str| {
            let mut p = property(assert);
            (p.cases[0].region.witness_upper, p.cases[0].region.upper) = (vec![2.0, 2.0], vec![2.0, 2.0]);
            p
        };
        let x = [big, small];
        assert!(check_witness(&chain(), &wide("(<= Y_0 1)"), &x).is_none());
        assert!(check_witness(&chain(), &wide("(> Y_0 1)"), &x).is_none());
        assert!(check_witness(&chain(), &wide("(>= Y_0 1)"), &x).is_some());
    }

    #[test]
    fn both_meanings_have_to_satisfy_the_same_disjunct() {
        // At (1, ε/4) the sum is 1 in f32 and above in f64: each meaning satisfies one disjunct, none both.
        let mut p = property("(or (<= Y_0 1) (> Y_0 1))");
        (p.cases[0].region.witness_upper, p.cases[0].region.upper) = (vec![2.0, 2.0], vec![2.0, 2.0]);
        assert_eq!(p.cases[0].disjuncts.len(), 2);
        assert!(check_witness(&chain(), &p, &[1.0, f32::EPSILON / 4.0]).is_none());
        assert!(check_witness(&chain(), &p, &[1.0, 0.5]).is_some());
    }

    #[test]
    fn rows_are_compared_exactly_where_f64_sums_round() {
        let row = |rhs| Row { coefficients: vec![1.0, 1.0], rhs_lower: rhs, rhs_upper: rhs, strict: false };
        // 2⁶⁰ + 1 rounds to 2⁶⁰ in f64.
        let y = [2f64.powi(60), 1.0];
        assert!(!row(2f64.powi(60)).holds(&y));
        assert!(row(2f64.powi(60).next_up()).holds(&y));
        assert!(!row(0.0).holds(&[f64::NAN, 0.0]) && !row(0.0).holds(&[f64::NEG_INFINITY, 0.0]));
        assert!(row(f64::from_bits(1)).holds(&[f64::from_bits(1), 0.0]));
    }

    #[test]
    fn the_written_form_reads_back_bit_for_bit_as_f32_and_as_f64() {
        let witness = Witness { input: vec![0.1, -0.0, f32::from_bits(1), f32::MAX], output: vec![-1e-30] };
        let text = witness.to_string();
        assert!(text.starts_with("sat\n((X_0 0.10000000149011612)\n(X_1 -0)\n"), "{text}");
        assert!(text.ends_with("))\n"));
        let back = parse_witness(&text).unwrap();
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back.input), bits(&witness.input));
        assert_eq!(bits(&back.output), bits(&witness.output));
        let first = text.split_whitespace().nth(2).unwrap().trim_end_matches(')');
        assert_eq!(first.parse::<f64>().unwrap(), f64::from(0.1f32));
    }

    #[test]
    fn what_is_no_counterexample_is_refused() {
        for text in [
            "",
            "unsat",
            "sat",
            "sat\n((X_0 1) (X_2 2))",
            "sat ((X_0))",
            "sat ((X_0 a))",
            "((X_0 1)) ((Y_0 1))",
        ] {
            assert!(parse_witness(text).is_err(), "{text}");
        }
        assert_eq!(
            parse_witness("((Y_0 2) (X_0 1))").unwrap(),
            Witness { input: vec![1.0], output: vec![2.0] }
        );
    }
}
