//! A subproblem of the search on a program: a box.

use super::checker::Cut;

/// A subproblem waiting to be bounded.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Its node in the tree.
    pub node: u32,
    /// Splits above it.
    pub depth: u32,
    /// Lower ends of its box, `[inputs]`.
    pub lower: Vec<f64>,
    /// Upper ends.
    pub upper: Vec<f64>,
    /// How many times the checker refused what the search held for proved, here and above.
    pub refused: u8,
}

/// A domain that the checker refuses for the last time stays open: its bound is within rounding of the threshold.
const MOST_REFUSALS: u8 = 12;

impl Domain {
    /// Whether splitting it further has no prospect.
    pub fn is_hopeless(&self) -> bool {
        self.refused >= MOST_REFUSALS
    }

    /// The box in `f32`, rounded outward.
    pub fn rounded(&self) -> (Vec<f32>, Vec<f32>) {
        let down = |x: f64| {
            let y = x as f32;
            if f64::from(y) > x { y.next_down() } else { y }
        };
        (self.lower.iter().map(|x| down(*x)).collect(), self.upper.iter().map(|x| -down(-*x)).collect())
    }

    /// A point of `f32` strictly inside coordinate `j`, about the middle.
    pub fn middle(&self, j: usize) -> Option<f64> {
        let (l, u) = (self.lower[j], self.upper[j]);
        let middle = f64::from((0.5 * l + 0.5 * u) as f32);
        (l < middle && middle < u).then_some(middle)
    }

    /// Its halves, of the nodes given: below the cut, then above.
    pub fn halve(self, cut: Cut, (first, second): (u32, u32)) -> [Self; 2] {
        let mut below = Self { node: first, depth: self.depth + 1, ..self };
        let mut above = Self { node: second, ..below.clone() };
        let Cut { coordinate, value } = cut;
        below.upper[coordinate as usize] = value;
        above.lower[coordinate as usize] = value;
        [below, above]
    }
}
