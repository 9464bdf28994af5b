//! Steps that give what they read are dropped.

use super::super::{Affine, Map, Operation, Program, Slot};
use super::Parts;

/// Drops index maps that map every element to itself.
pub(super) fn drop_index_maps(program: Program) -> Program {
    drop_repeats(program, |operation, program| {
        let Operation::Index { inputs, indices } = operation else { return None };
        let [input] = inputs.as_slice() else { return None };
        let all = indices.len() == program.size(*input);
        (all && indices.iter().enumerate().all(|(i, j)| i == *j as usize)).then_some(*input)
    })
}

/// Drops affine steps of one unchanged term without a bias.
pub(super) fn drop_sums(program: Program) -> Program {
    drop_repeats(program, |operation, _| {
        let Operation::Affine(Affine { terms, bias }) = operation else { return None };
        let [term] = terms.as_slice() else { return None };
        let zero = bias.as_ref().is_none_or(|b| b.error.is_none() && b.values.iter().all(|b| *b == 0.0));
        (term.map == Map::Identity && zero).then_some(term.input)
    })
}

/// Drops the steps of which `repeated` knows the slot whose value they give.
fn drop_repeats(program: Program, repeated: impl Fn(&Operation, &Program) -> Option<Slot>) -> Program {
    let mut alias: Vec<Slot> = (0..program.slots()).map(Slot).collect();
    for (i, step) in program.steps().iter().enumerate() {
        if let Some(slot) = repeated(&step.operation, &program) {
            alias[i + 1] = alias[slot.0];
        }
    }
    let mut parts = Parts::of(program);
    for (i, step) in parts.steps.iter_mut().enumerate() {
        if alias[i + 1] != Slot(i + 1) {
            *step = None;
        }
    }
    parts.program(|s| alias[s.0])
}

#[cfg(test)]
mod tests {
    use super::super::super::{Builder, Constants, Function};
    use super::*;

    #[test]
    fn chains_of_identities_vanish_and_other_maps_stay() {
        let mut b = Builder::new(2);
        let index =
            |input, indices: &[u32]| Operation::Index { inputs: vec![input], indices: indices.to_vec() };
        let x = b.push("same", index(Slot::INPUT, &[0, 1])).unwrap();
        let zero = Some(Constants::exact(vec![0.0, -0.0]));
        let x = b.affine("zero", x, Map::Identity, zero).unwrap();
        let x = b.push("swap", index(x, &[1, 0])).unwrap();
        let x = b.push("first", index(x, &[0])).unwrap();
        let x = b.elementwise("abs", x, Function::Abs).unwrap();
        let x = b.affine("end", x, Map::Identity, None).unwrap();
        let program = b.finish(x).unwrap();
        let dropped = drop_sums(drop_index_maps(program.clone()));
        let names: Vec<&str> = dropped.steps().iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["swap", "first", "abs"]);
        assert_eq!(dropped.eval(&[3.0f64, -4.0]), program.eval(&[3.0f64, -4.0]));
        assert_eq!(dropped.eval(&[3.0f64, -4.0]), [4.0]);
    }
}
