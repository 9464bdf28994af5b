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
    held: Vec<Held>,
}

/// Where a register's block is at present.
#[derive(Clone, Copy, Debug)]
enum Held {
    /// In the register's own memory.
    Block,
    /// All its elements are this number.
    Number(f32),
    /// In the result of this number: it is read there.
    Result(usize),
}

/// A block to be read.
#[derive(Clone, Copy)]
enum Block<'a> {
    Elements(&'a [f32]),
    Number(f32),
}

/// What instructions read, for the block of `n` elements from `at` of the sources and `from` of the results.
struct View<'a> {
    blocks: &'a [Vec<f32>],
    held: &'a [Held],
    sources: &'a [&'a [f32]],
    results: &'a [&'a mut [f32]],
    at: usize,
    from: usize,
    n: usize,
}

impl View<'_> {
    fn read(&self, x: Operand) -> Block<'_> {
        match x {
            Operand::Source(s) => Block::Elements(&self.sources[usize::from(s)][self.at..self.at + self.n]),
            Operand::Number(c) => Block::Number(c),
            Operand::Register(r) => match self.held[usize::from(r)] {
                Held::Block => Block::Elements(&self.blocks[usize::from(r)][..self.n]),
                Held::Number(c) => Block::Number(c),
                Held::Result(k) => Block::Elements(&self.results[k][self.from..self.from + self.n]),
            },
        }
    }

    /// The number that all elements of the block are, where that is known without computing them.
    fn number(&self, task: Task) -> Option<f32> {
        match task {
            Task::Fill(c) => Some(c),
            Task::Expand(axis, source) => {
                let last = self.at + self.n - 1;
                let same = self.at / axis.inner == last / axis.inner;
                same.then(|| self.sources[usize::from(source)][self.at / axis.inner % axis.len])
            }
            _ => None,
        }
    }

    fn compute(&self, task: Task, to: &mut [f32]) {
        match task {
            Task::Fill(c) => to.fill(c),
            Task::Expand(axis, source) => expand(axis, self.sources[usize::from(source)], self.at, to),
            Task::Unary(f, x) => {
                let x = self.read(x);
                wide(|| unary(f, x, to));
            }
            Task::Binary(f, a, b) => {
                let (a, b) = (self.read(a), self.read(b));
                wide(|| binary(f, a, b, to));
            }
        }
    }
}

impl Fused {
    /// Elements of scratch memory for one thread.
    pub fn scratch(&self) -> usize {
        usize::from(self.registers) * BLOCK
    }

    /// Elements `start..` of all results, as many as each of `to` has.
    pub fn run(&self, start: usize, sources: &[&[f32]], to: &mut [&mut [f32]], registers: &mut Registers) {
        let Registers { blocks, held } = registers;
        if blocks.len() < usize::from(self.registers) {
            blocks.resize(usize::from(self.registers), vec![0.0; BLOCK]);
            held.resize(usize::from(self.registers), Held::Block);
        }
        let len = to.first().map_or(0, |t| t.len());
        for from in (0..len).step_by(BLOCK) {
            let (n, at) = (BLOCK.min(len - from), start + from);
            let mut stored = 0;
            for (k, Instruction { task, to: register }) in self.instructions.iter().enumerate() {
                let register = usize::from(*register);
                // What is being written is taken out, so that the rest can be read.
                let now = if self.stores.get(stored).is_some_and(|(of, _)| *of as usize == k) {
                    let out = std::mem::take(&mut to[stored]);
                    let view = View { blocks, held, sources, results: to, at, from, n };
                    view.compute(*task, &mut out[from..from + n]);
                    to[stored] = out;
                    stored += 1;
                    Held::Result(stored - 1)
                } else {
                    let mut out = std::mem::take(&mut blocks[register]);
                    let view = View { blocks, held, sources, results: to, at, from, n };
                    let number = view.number(*task);
                    if number.is_none() {
                        view.compute(*task, &mut out[..n]);
                    }
                    blocks[register] = out;
                    number.map_or(Held::Block, Held::Number)
                };
                held[register] = now;
            }
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
fn unary(f: Unary, x: Block<'_>, to: &mut [f32]) {
    macro_rules! each {
        ($e:expr) => {
            match x {
                Block::Elements(x) => to.iter_mut().zip(x).for_each(|(y, x)| *y = $e(*x)),
                Block::Number(x) => to.fill($e(x)),
            }
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
fn binary(f: Binary, a: Block<'_>, b: Block<'_>, to: &mut [f32]) {
    macro_rules! each {
        ($e:expr) => {
            match (a, b) {
                (Block::Elements(a), Block::Elements(b)) => {
                    to.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = $e(*a, *b))
                }
                (Block::Elements(a), Block::Number(b)) => {
                    to.iter_mut().zip(a).for_each(|(y, a)| *y = $e(*a, b))
                }
                (Block::Number(a), Block::Elements(b)) => {
                    to.iter_mut().zip(b).for_each(|(y, b)| *y = $e(a, *b))
                }
                (Block::Number(a), Block::Number(b)) => to.fill($e(a, b)),
            }
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
