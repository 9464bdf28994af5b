//! An index map that only another one reads becomes part of it.

use super::super::{Operation, Program, Slot, Step, ZERO};
use super::Parts;

/// Merges index maps into those that read them.
pub(super) fn merge_index_maps(program: Program) -> Program {
    let sizes: Vec<usize> = (0..program.slots()).map(|s| program.size(Slot(s))).collect();
    let mut parts = Parts::of(program);
    for i in 0..parts.steps.len() {
        let Some(Step { operation: Operation::Index { .. }, .. }) = &parts.steps[i] else { continue };
        let mut step = parts.steps[i].take().expect("just seen");
        if let Operation::Index { inputs, indices } = &mut step.operation {
            absorb(inputs, indices, &sizes, &mut parts);
        }
        parts.steps[i] = Some(step);
    }
    parts.program(|s| s)
}

/// Reads through the inputs that are index maps themselves.
fn absorb(inputs: &mut Vec<Slot>, indices: &mut [u32], sizes: &[usize], parts: &mut Parts) {
    if longest(inputs, sizes, parts) >= ZERO as usize {
        return;
    }
    // Where each element of the old concatenation is found in the new one.
    let mut found: Vec<u32> = Vec::new();
    let mut joined: Vec<Slot> = Vec::new();
    let mut start: u32 = 0;
    let length = |slots: &[Slot]| slots.iter().map(|s| sizes[s.0]).sum::<usize>();
    for slot in inputs.iter() {
        let inner = match parts.take_if(*slot, |o| matches!(o, Operation::Index { .. })) {
            Some(Step { operation: Operation::Index { inputs, indices }, .. }) => {
                found.extend(indices.iter().map(|j| if *j == ZERO { ZERO } else { start + j }));
                inputs
            }
            _ => {
                found.extend((start..).take(sizes[slot.0]));
                vec![*slot]
            }
        };
        start += u32::try_from(length(&inner)).expect("checked to be below the index of zero");
        joined.extend(inner);
    }
    *inputs = joined;
    indices.iter_mut().filter(|j| **j != ZERO).for_each(|j| *j = found[*j as usize]);
}

/// Elements that the concatenation can come to have.
fn longest(inputs: &[Slot], sizes: &[usize], parts: &Parts) -> usize {
    let inner = |slot: &Slot| match slot.0.checked_sub(1).and_then(|i| parts.steps[i].as_ref()) {
        Some(Step { operation: Operation::Index { inputs, .. }, .. }) => {
            inputs.iter().map(|s| sizes[s.0]).sum()
        }
        _ => 0,
    };
    inputs.iter().map(|s| inner(s).max(sizes[s.0])).sum()
}

#[cfg(test)]
mod tests {
    use super::super::super::Builder;
    use super::*;

    #[test]
    fn three_index_maps_become_one() {
        let mut b = Builder::new(3);
        let index = |inputs: &[Slot], indices: &[u32]| Operation::Index {
            inputs: inputs.to_vec(),
            indices: indices.to_vec(),
        };
        let a = b.push("a", index(&[Slot::INPUT], &[2, ZERO, 0, 1])).unwrap();
        let c = b.push("c", index(&[Slot::INPUT, Slot::INPUT], &[5, 0])).unwrap();
        let out = b.push("out", index(&[Slot::INPUT, a, c], &[8, 3, 4, 5, ZERO, 7, 1])).unwrap();
        let program = b.finish(out).unwrap();
        let merged = merge_index_maps(program.clone());
        assert_eq!(merged.steps().len(), 1);
        let x = [1.0f64, 2.0, 3.0];
        assert_eq!(merged.eval(&x), [1.0, 3.0, 0.0, 1.0, 0.0, 3.0, 2.0]);
        assert_eq!(merged.eval(&x), program.eval(&x));
    }
}
