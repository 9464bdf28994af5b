//! Several cases as one that implies them.

use std::collections::HashMap;

use super::{Case, Disjunct, InputBox, Property};

impl Property {
    /// A case that is violated wherever one of the given `cases` is: the smallest box that holds theirs, and their
    /// disjuncts, those with the same coefficients joined into one with the larger right-hand sides. A proof of it is a
    /// proof of all of them.
    ///
    /// # Panics
    /// If `cases` is empty or names no case.
    pub fn merged(&self, cases: &[usize]) -> Case {
        let mut region = self.cases[cases[0]].region.clone();
        let mut disjuncts: Vec<Disjunct> = Vec::new();
        let mut by_coefficients: HashMap<Vec<u64>, usize> = HashMap::new();
        for case in cases.iter().map(|i| &self.cases[*i]) {
            widen(&mut region, &case.region);
            for disjunct in &case.disjuncts {
                match by_coefficients.get(&key(disjunct)) {
                    Some(&index) => loosen(&mut disjuncts[index], disjunct),
                    None => {
                        by_coefficients.insert(key(disjunct), disjuncts.len());
                        disjuncts.push(disjunct.clone());
                    }
                }
            }
        }
        Case { region, disjuncts }
    }
}

fn key(disjunct: &Disjunct) -> Vec<u64> {
    disjunct.rows.iter().flat_map(|r| &r.coefficients).map(|c| c.to_bits()).collect()
}

fn widen(region: &mut InputBox, other: &InputBox) {
    region.lower.iter_mut().zip(&other.lower).for_each(|(l, x)| *l = l.min(*x));
    region.upper.iter_mut().zip(&other.upper).for_each(|(u, x)| *u = u.max(*x));
    region.witness_lower.iter_mut().zip(&other.witness_lower).for_each(|(l, x)| *l = l.min(*x));
    region.witness_upper.iter_mut().zip(&other.witness_upper).for_each(|(u, x)| *u = u.max(*x));
}

/// Makes `disjunct` hold wherever `other`, of the same coefficients, does.
fn loosen(disjunct: &mut Disjunct, other: &Disjunct) {
    for (row, other) in disjunct.rows.iter_mut().zip(&other.rows) {
        row.rhs_lower = row.rhs_lower.max(other.rhs_lower);
        row.rhs_upper = row.rhs_upper.max(other.rhs_upper);
        row.strict &= other.strict;
    }
}

#[cfg(test)]
mod tests {
    use crate::property::parse_vnnlib_str;

    #[test]
    fn a_merged_case_holds_the_boxes_and_the_larger_thresholds() {
        let text = "(declare-const X_0 Real)(declare-const Y_0 Real)(declare-const Y_1 Real)(assert (or
            (and (>= X_0 0) (<= X_0 1) (<= Y_0 -1)) (and (>= X_0 0) (<= X_0 1) (>= Y_0 5))
            (and (>= X_0 3) (<= X_0 4) (<= Y_0 -2)) (and (>= X_0 3) (<= X_0 4) (<= Y_1 0))))";
        let property = parse_vnnlib_str(text).unwrap();
        assert_eq!(property.cases.len(), 2);
        let merged = property.merged(&[1, 0]);
        assert_eq!((merged.region.lower[0], merged.region.upper[0]), (0.0, 4.0));
        let rows: Vec<_> =
            merged.disjuncts.iter().map(|d| (d.rows[0].coefficients.clone(), d.rows[0].rhs_upper)).collect();
        assert_eq!(rows, [(vec![1.0, 0.0], -1.0), (vec![0.0, 1.0], 0.0), (vec![-1.0, 0.0], -5.0)]);
    }
}
