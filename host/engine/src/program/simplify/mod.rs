//! Passes that change a program's form, never its meaning: fewer slots, so fewer values to bound.
//!
//! Each pass rounds nothing: over the reals every slot that is left has the value it had.

mod affine;
mod identity;
mod index;

use super::{Builder, Operation, Program, Slot, Step};

/// All passes, in the order in which one makes room for the next.
pub fn simplify(program: Program) -> Program {
    let program = index::merge_index_maps(program);
    let program = identity::drop_index_maps(program);
    let program = affine::merge_affine(program);
    identity::drop_sums(program)
}

/// The slots and steps of a program taken apart.
struct Parts {
    inputs: usize,
    steps: Vec<Option<Step>>,
    output: Slot,
    /// How often each slot is read; the output counts once more.
    readers: Vec<usize>,
}

impl Parts {
    fn of(program: Program) -> Self {
        let mut readers = vec![0; program.slots()];
        readers[program.output().0] += 1;
        for step in program.steps() {
            step.operation.inputs().iter().for_each(|s| readers[s.0] += 1);
        }
        let (inputs, output) = (program.inputs(), program.output());
        Self { inputs, steps: program.into_steps().into_iter().map(Some).collect(), output, readers }
    }

    /// Takes the step that gives `slot`, if nobody else reads it and `wanted` says so.
    fn take_if(&mut self, slot: Slot, wanted: impl Fn(&Operation) -> bool) -> Option<Step> {
        let index = slot.0.checked_sub(1)?;
        let step = self.steps[index].as_ref()?;
        (self.readers[slot.0] == 1 && wanted(&step.operation)).then(|| self.steps[index].take())?
    }

    /// The program of the steps that are left, `alias[slot]` read in place of `slot`.
    fn program(self, alias: impl Fn(Slot) -> Slot) -> Program {
        let mut builder = Builder::new(self.inputs);
        let mut renamed = vec![Slot::INPUT; self.steps.len() + 1];
        for (i, step) in self.steps.into_iter().enumerate() {
            let Some(mut step) = step else { continue };
            step.operation.rename(|s| renamed[alias(s).0]);
            let slot = builder.push(&step.name, step.operation);
            renamed[i + 1] = slot.expect("a pass keeps every size");
        }
        builder.finish(renamed[alias(self.output).0]).expect("the output is a slot of the program")
    }
}
