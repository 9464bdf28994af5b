//! Elementwise operations in one loop: a block of elements passes all of them before the next one is read.
//!
//! Registers hold a block each and stay in the first-level cache; each instruction is a plain loop over its block, compiled for the
//! widest vectors.

use super::plan::Place;
use crate::graph::{Axis, Binary, Unary};
use certus_kernels::relax::wide;

/// Elements of a block.
pub(super) const BLOCK: usize = 512;

/// What an instruction reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operand {
    /// A block in a register.
    Register(u16),
    /// A block of a source.
    Source(u16),
    /// The same number everywhere.
    Number(f32),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    Unary(Unary, Operand),
    Binary(Binary, Operand, Operand),
    /// Elements of a source, a vector, repeated.
    Expand(Axis, u16),
    Fill(f32),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Instruction {
    pub task: Task,
    pub to: u16,
}

/// The loop.
#[derive(Debug)]
pub(super) struct Fused {
    /// Elements.
    pub len: usize,
    pub sources: Vec<Place>,
    pub instructions: Vec<Instruction>,
    /// Instructions whose results go to buffers, in order.
    pub stores: Vec<(u32, u32)>,
    pub registers: u16,
}

/// Registers for one thread.
#[derive(Debug, Default)]
pub(super) struct Registers {
    blocks: Vec<Vec<f32>>,
    /// Numbers as blocks.
    numbers: [Vec<f32>; 2],
}

impl Fused {
    /// Elements of scratch memory for one thread.
    pub fn scratch(&self) -> usize {
        (usize::from(self.registers) + 2) * BLOCK
    }

    /// Elements `start..` of all results, as many as each of `to` has.
    pub fn run(&self, start: usize, sources: &[&[f32]], to: &mut [&mut [f32]], registers: &mut Registers) {
        let Registers { blocks, numbers } = registers;
        if blocks.len() < usize::from(self.registers) {
            blocks.resize(usize::from(self.registers), vec![0.0; BLOCK]);
        }
        numbers.iter_mut().for_each(|n| n.resize(BLOCK, 0.0));
        let len = to.first().map_or(0, |t| t.len());
        for from in (0..len).step_by(BLOCK) {
            let n = BLOCK.min(len - from);
            let at = start + from;
            let mut stored = 0;
            for (k, instruction) in self.instructions.iter().enumerate() {
                let mut out = std::mem::take(&mut blocks[usize::from(instruction.to)]);
                let block = &mut out[..n];
                let [first, second] = &mut *numbers;
                match instruction.task {
                    Task::Fill(c) => block.fill(c),
                    Task::Expand(axis, source) => expand(axis, sources[usize::from(source)], at, block),
                    Task::Unary(f, x) => {
                        let x = read(x, blocks, sources, at, n, first);
                        wide(|| unary(f, x, block));
                    }
                    Task::Binary(f, a, b) => {
                        let a = read(a, blocks, sources, at, n, first);
                        let b = read(b, blocks, sources, at, n, second);
                        wide(|| binary(f, a, b, block));
                    }
                }
                if self.stores.get(stored).is_some_and(|(of, _)| *of as usize == k) {
                    to[stored][from..from + n].copy_from_slice(block);
                    stored += 1;
                }
                blocks[usize::from(instruction.to)] = out;
            }
        }
    }
}

fn read<'a>(
    x: Operand,
    blocks: &'a [Vec<f32>],
    sources: &[&'a [f32]],
    at: usize,
    n: usize,
    number: &'a mut [f32],
) -> &'a [f32] {
    match x {
        Operand::Register(r) => &blocks[usize::from(r)][..n],
        Operand::Source(s) => &sources[usize::from(s)][at..at + n],
        Operand::Number(c) => {
            number[..n].fill(c);
            &number[..n]
        }
    }
}

/// Elements `at..` of `x` repeated along the other axes.
fn expand(axis: Axis, x: &[f32], at: usize, to: &mut [f32]) {
    let (mut at, mut to) = (at, to);
    while !to.is_empty() {
        let (within, index) = (at % axis.inner, at / axis.inner % axis.len);
        // The rest of a run of equal elements, or, where runs have one element, of the vector.
        let n = if axis.inner == 1 {
            (axis.len - index).min(to.len())
        } else {
            (axis.inner - within).min(to.len())
        };
        let (now, rest) = to.split_at_mut(n);
        if axis.inner == 1 {
            now.copy_from_slice(&x[index..index + n]);
        } else {
            now.fill(x[index]);
        }
        (at, to) = (at + n, rest);
    }
}

#[inline(always)]
fn unary(f: Unary, x: &[f32], to: &mut [f32]) {
    macro_rules! each {
        ($e:expr) => {
            to.iter_mut().zip(x).for_each(|(y, x)| *y = $e(*x))
        };
    }
    match f {
        Unary::Neg => each!(|x: f32| -x),
        Unary::Abs => each!(f32::abs),
        Unary::Sign => each!(|x: f32| if x > 0.0 {
            1.0
        } else if x < 0.0 {
            -1.0
        } else {
            0.0
        }),
        Unary::Relu => each!(|x: f32| if x > 0.0 { x } else { 0.0 }),
        Unary::Step => each!(|x: f32| if x > 0.0 { 1.0 } else { 0.0 }),
        Unary::Exp => each!(f32::exp),
        Unary::Log => each!(f32::ln),
        Unary::Sqrt => each!(f32::sqrt),
        Unary::Recip => each!(|x: f32| if x == 0.0 { 0.0 } else { 1.0 / x }),
        Unary::Square => each!(|x: f32| x * x),
        Unary::Tanh => each!(f32::tanh),
        Unary::Sigmoid => each!(|x: f32| 1.0 / (1.0 + (-x).exp())),
        Unary::Scale(c) => {
            let c = c.get() as f32;
            each!(|x: f32| x * c)
        }
        Unary::Shift(c) => {
            let c = c.get() as f32;
            each!(|x: f32| x + c)
        }
    }
}

#[inline(always)]
fn binary(f: Binary, a: &[f32], b: &[f32], to: &mut [f32]) {
    macro_rules! each {
        ($e:expr) => {
            to.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = $e(*a, *b))
        };
    }
    match f {
        Binary::Add => each!(|a: f32, b: f32| a + b),
        Binary::Sub => each!(|a: f32, b: f32| a - b),
        Binary::Mul => each!(|a: f32, b: f32| a * b),
        Binary::Max => each!(|a: f32, b: f32| if a > b { a } else { b }),
        Binary::Min => each!(|a: f32, b: f32| if a < b { a } else { b }),
        Binary::Greater => each!(|a: f32, b: f32| if a > b { 1.0 } else { 0.0 }),
        Binary::Equal => each!(|a: f32, b: f32| if a == b { 1.0 } else { 0.0 }),
    }
}
