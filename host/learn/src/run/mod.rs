//! Evaluation of graphs: [`Reference`] in plain `f64`, the oracle; [`Run`] in `f32`, as fast as the processor goes.

mod fused;
mod plan;
mod reference;
mod step;
#[cfg(test)]
mod tests;

pub use plan::Plan;
pub use reference::Reference;

use fused::{BLOCK, Fused, Registers};
use plan::{Place, Work};

/// A plan with its memory.
#[derive(Debug)]
pub struct Run {
    plan: Plan,
    buffers: Vec<Vec<f32>>,
    registers: Vec<Registers>,
    threads: usize,
}

impl Run {
    /// Memory for `plan`; `threads` of rayon's current pool take part in evaluations.
    pub fn new(plan: Plan, threads: usize) -> Self {
        let buffers = plan.sizes.iter().map(|n| vec![0.0; *n]).collect();
        let threads = threads.max(1);
        let registers = (0..threads).map(|_| Registers::default()).collect();
        Self { plan, buffers, registers, threads }
    }

    /// What is evaluated.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Evaluates all outputs with these leaves.
    ///
    /// # Panics
    /// If a leaf is missing or has another number of elements.
    pub fn evaluate(&mut self, leaves: &[&[f32]]) {
        let found: Vec<usize> = leaves.iter().map(|x| x.len()).collect();
        assert_eq!(found, self.plan.leaves, "elements of the leaves");
        let Self { plan, buffers, registers, threads } = self;
        for work in &plan.works {
            match work {
                Work::Fused(fused) => run_fused(fused, (leaves, &plan.tensors), buffers, registers),
                Work::Step { step, inputs, to, len } => {
                    let mut out = std::mem::take(&mut buffers[*to as usize]);
                    let x: Vec<&[f32]> = inputs
                        .iter()
                        .map(|(place, len)| &at(*place, leaves, &plan.tensors, buffers)[..*len])
                        .collect();
                    step.run(&x, &mut out[..*len], *threads);
                    buffers[*to as usize] = out;
                }
            }
        }
    }

    /// Output `k` of the last evaluation; of `leaves` if it is one.
    ///
    /// # Panics
    /// If there is no such output, or it is a leaf.
    pub fn output(&self, k: usize) -> &[f32] {
        let (place, len) = self.plan.outputs[k];
        match place {
            Place::Buffer(b) => &self.buffers[b as usize][..len],
            Place::Leaf(_) | Place::Tensor(_) => panic!("output {k} is not computed"),
        }
    }
}

fn at<'a>(place: Place, leaves: &[&'a [f32]], tensors: &'a [Vec<f32>], buffers: &'a [Vec<f32>]) -> &'a [f32] {
    match place {
        Place::Leaf(k) => leaves[k as usize],
        Place::Tensor(k) => &tensors[k as usize],
        Place::Buffer(b) => &buffers[b as usize],
    }
}

/// Runs a loop, its elements divided among the threads.
fn run_fused(
    fused: &Fused,
    (leaves, tensors): (&[&[f32]], &[Vec<f32>]),
    buffers: &mut [Vec<f32>],
    registers: &mut [Registers],
) {
    let mut outs: Vec<Vec<f32>> =
        fused.stores.iter().map(|(_, b)| std::mem::take(&mut buffers[*b as usize])).collect();
    let sources: Vec<&[f32]> =
        fused.sources.iter().map(|place| at(*place, leaves, tensors, buffers)).collect();
    let share = fused.len.div_ceil(registers.len()).next_multiple_of(BLOCK);
    if share >= fused.len {
        let mut to: Vec<&mut [f32]> = outs.iter_mut().map(|o| &mut o[..fused.len]).collect();
        fused.run(0, &sources, &mut to, &mut registers[0]);
    } else {
        let mut rest: Vec<&mut [f32]> = outs.iter_mut().map(|o| &mut o[..fused.len]).collect();
        rayon::scope(|scope| {
            let mut start = 0;
            for registers in registers.iter_mut() {
                let n = share.min(fused.len - start);
                let mut now = Vec::with_capacity(rest.len());
                let mut later = Vec::with_capacity(rest.len());
                for out in rest.drain(..) {
                    let (a, b) = out.split_at_mut(n);
                    now.push(a);
                    later.push(b);
                }
                rest = later;
                let (from, sources) = (start, &sources);
                if n > 0 {
                    scope.spawn(move |_| fused.run(from, sources, &mut now, registers));
                }
                start += n;
            }
        });
    }
    for ((_, b), out) in fused.stores.iter().zip(outs) {
        buffers[*b as usize] = out;
    }
}
