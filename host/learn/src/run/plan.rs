//! A graph made ready to be evaluated many times in `f32`: order, memory, and what is computed in one loop.
//!
//! Elementwise operations wait until something needs them that is not elementwise; all that wait with as many elements are then one
//! loop ([`super::fused`]), so that a value which only they read never reaches memory. Memory of a value is used again once its last
//! reader has run. Order and division of the work depend on the graph alone, not on time: the same plan gives the same bits with any
//! number of threads.

use std::collections::HashMap;

use super::fused::{Fused, Instruction, Operand, Task};
use super::step::Step;
use crate::graph::{Graph, Node, Op};

/// Where the elements of a value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A leaf.
    Leaf(u32),
    /// A tensor of the graph.
    Tensor(u32),
    /// A buffer of the plan.
    Buffer(u32),
}

/// One piece of work.
#[derive(Debug)]
pub(super) enum Work {
    /// A loop over elements.
    Fused(Fused),
    /// An operation that is none, into a buffer.
    Step {
        step: Step,
        /// Each with its elements.
        inputs: Vec<(Place, usize)>,
        to: u32,
        len: usize,
    },
}

/// What a graph's outputs take, in order.
#[derive(Debug)]
pub struct Plan {
    pub(super) works: Vec<Work>,
    /// Elements of the buffers.
    pub(super) sizes: Vec<usize>,
    /// Each with its elements.
    pub(super) outputs: Vec<(Place, usize)>,
    /// Elements of the leaves.
    pub(super) leaves: Vec<usize>,
    /// Those of the graph.
    pub(super) tensors: Vec<Vec<f32>>,
    pub(super) scratch: usize,
}

impl Plan {
    /// What `outputs` take.
    pub fn new(graph: &Graph, outputs: &[Node]) -> Self {
        let mut planner = Planner::new(graph, outputs);
        planner.schedule();
        planner.allocate()
    }

    /// Memory of buffers, bytes: leaves are not copied.
    pub fn bytes(&self) -> usize {
        4 * (self.sizes.iter().sum::<usize>() + self.scratch)
    }
}

/// Work whose values have no memory yet.
enum Draft {
    /// Nodes of one length, in order.
    Fused(Vec<Node>),
    Step(Node),
}

struct Planner<'g> {
    graph: &'g Graph,
    outputs: &'g [Node],
    needed: Vec<bool>,
    /// Elementwise nodes that wait, by their length.
    waiting: HashMap<usize, Vec<Node>>,
    /// Whether a node waits.
    waits: Vec<bool>,
    drafts: Vec<Draft>,
}

impl<'g> Planner<'g> {
    fn new(graph: &'g Graph, outputs: &'g [Node]) -> Self {
        let count = graph.entries().len();
        let mut needed = vec![false; count];
        outputs.iter().for_each(|n| needed[n.index()] = true);
        for index in (0..count).rev() {
            if needed[index] {
                graph.entries()[index].inputs.iter().for_each(|n| needed[n.index()] = true);
            }
        }
        Self {
            graph,
            outputs,
            needed,
            waiting: HashMap::new(),
            waits: vec![false; count],
            drafts: Vec::new(),
        }
    }

    /// The node whose elements `node` has: behind reshapes.
    fn source(&self, mut node: Node) -> Node {
        while let Op::Reshape | Op::Detach = self.graph.entry(node).op {
            node = self.graph.entry(node).inputs[0];
        }
        node
    }

    fn is_constant(&self, node: Node) -> bool {
        matches!(self.graph.entry(node).op, Op::Constant(_))
    }

    fn schedule(&mut self) {
        for index in 0..self.needed.len() {
            let node = Node::at(index);
            let entry = &self.graph.entries()[index];
            if !self.needed[index]
                || matches!(
                    entry.op,
                    Op::Leaf(_) | Op::Tensor(_) | Op::Reshape | Op::Detach | Op::Constant(_)
                )
            {
                continue;
            }
            if entry.op.is_elementwise() || matches!(entry.op, Op::Expand(_)) {
                if matches!(entry.op, Op::Expand(_)) {
                    self.flush_node(entry.inputs[0]);
                }
                self.waiting.entry(entry.len()).or_default().push(node);
                self.waits[index] = true;
                continue;
            }
            for input in &entry.inputs {
                self.need(*input);
            }
            self.drafts.push(Draft::Step(node));
        }
        for output in self.outputs {
            self.need(*output);
        }
    }

    /// Sees to it that `node` is in memory from here on.
    fn need(&mut self, node: Node) {
        let node = self.source(node);
        if self.is_constant(node) {
            // A tensor of one number: filled where it is needed as a tensor.
            if !self.drafts.iter().any(|d| matches!(d, Draft::Step(n) if *n == node)) {
                self.drafts.push(Draft::Step(node));
            }
            return;
        }
        self.flush_node(node);
    }

    fn flush_node(&mut self, node: Node) {
        let node = self.source(node);
        if !self.waits[node.index()] {
            return;
        }
        let group = self.waiting.remove(&self.graph.entry(node).len()).expect("a node that waits is listed");
        group.iter().for_each(|n| self.waits[n.index()] = false);
        self.drafts.push(Draft::Fused(group));
    }

    /// Gives values their memory.
    fn allocate(self) -> Plan {
        let graph = self.graph;
        // The last draft that reads each node; outputs live for ever.
        let mut last = vec![0usize; self.needed.len()];
        let mut outside = vec![false; self.needed.len()];
        for (at, draft) in self.drafts.iter().enumerate() {
            let (nodes, group): (&[Node], &[Node]) = match draft {
                Draft::Fused(nodes) => (nodes, nodes),
                Draft::Step(node) => (std::slice::from_ref(node), &[]),
            };
            for node in nodes {
                for input in &graph.entry(*node).inputs {
                    let input = self.source(*input);
                    last[input.index()] = at;
                    let expands = matches!(graph.entry(*node).op, Op::Expand(_));
                    outside[input.index()] |= expands || !group.contains(&input);
                }
            }
        }
        for output in self.outputs {
            let node = self.source(*output);
            (last[node.index()], outside[node.index()]) = (usize::MAX, true);
        }
        let mut memory =
            Memory { places: vec![None; self.needed.len()], sizes: Vec::new(), free: Vec::new() };
        for (number, leaf) in graph.leaves().iter().enumerate() {
            memory.places[leaf.index()] = Some(Place::Leaf(number as u32));
        }
        for (index, entry) in graph.entries().iter().enumerate() {
            if let Op::Tensor(number) = entry.op {
                memory.places[index] = Some(Place::Tensor(number));
            }
        }
        let (mut works, mut scratch) = (Vec::new(), 0);
        for (at, draft) in self.drafts.iter().enumerate() {
            let made: Vec<Node> = match draft {
                Draft::Fused(nodes) => nodes.iter().copied().filter(|n| outside[n.index()]).collect(),
                Draft::Step(node) => vec![*node],
            };
            for node in &made {
                memory.take(*node, graph.entry(*node).len());
            }
            works.push(match draft {
                Draft::Fused(nodes) => {
                    let fused = self.fuse(nodes, &outside, &memory);
                    scratch = scratch.max(fused.scratch());
                    Work::Fused(fused)
                }
                Draft::Step(node) => {
                    let of = |x: &Node| (memory.place(self.source(*x)), graph.entry(*x).len());
                    let inputs = graph.entry(*node).inputs.iter().map(of).collect();
                    let Place::Buffer(to) = memory.place(*node) else { unreachable!("made here") };
                    let step = Step::new(graph, *node);
                    scratch = scratch.max(step.scratch());
                    Work::Step { step, inputs, to, len: graph.entry(*node).len() }
                }
            });
            let read: Vec<Node> = match draft {
                Draft::Fused(nodes) => nodes.clone(),
                Draft::Step(node) => vec![*node],
            };
            let mut ended: Vec<Node> =
                read.iter().flat_map(|n| &graph.entry(*n).inputs).map(|x| self.source(*x)).collect();
            ended.extend(&made);
            ended.sort_unstable();
            ended.dedup();
            for node in ended.into_iter().filter(|n| last[n.index()] <= at) {
                memory.give(node);
            }
        }
        let of = |x: &Node| (memory.place(self.source(*x)), graph.entry(*x).len());
        let outputs = self.outputs.iter().map(of).collect();
        let leaves = graph.leaves().iter().map(|x| graph.entry(*x).len()).collect();
        let tensors = graph.tensors().iter().map(|t| t.iter().map(|x| *x as f32).collect()).collect();
        Plan { works, sizes: memory.sizes, outputs, leaves, tensors, scratch }
    }

    /// One loop that computes `nodes`.
    fn fuse(&self, nodes: &[Node], outside: &[bool], memory: &Memory) -> Fused {
        let graph = self.graph;
        let mut sources: Vec<Place> = Vec::new();
        let mut registers = HashMap::new();
        let mut instructions = Vec::new();
        let mut stores = Vec::new();
        let ends: HashMap<Node, usize> = nodes
            .iter()
            .enumerate()
            .flat_map(|(k, n)| graph.entry(*n).inputs.iter().map(move |x| (*x, k)))
            .map(|(x, k)| (self.source(x), k))
            .collect();
        let mut free: Vec<u16> = Vec::new();
        let mut count = 0u16;
        for (k, node) in nodes.iter().enumerate() {
            let entry = graph.entry(*node);
            let mut source = |place: Place| {
                let at = sources.iter().position(|p| *p == place).unwrap_or_else(|| {
                    sources.push(place);
                    sources.len() - 1
                });
                at as u16
            };
            let mut operand = |x: Node| {
                let x = self.source(x);
                match graph.entry(x).op {
                    Op::Constant(c) => Operand::Number(c.get() as f32),
                    _ => match registers.get(&x) {
                        Some(register) => Operand::Register(*register),
                        None => Operand::Source(source(memory.place(x))),
                    },
                }
            };
            let task = match entry.op {
                Op::Unary(f) => Task::Unary(f, operand(entry.inputs[0])),
                Op::Binary(f) => Task::Binary(f, operand(entry.inputs[0]), operand(entry.inputs[1])),
                Op::Expand(at) => match graph.entry(self.source(entry.inputs[0])).op {
                    Op::Constant(c) => Task::Fill(c.get() as f32),
                    _ => Task::Expand(at, source(memory.place(self.source(entry.inputs[0])))),
                },
                _ => unreachable!("only elementwise operations are fused"),
            };
            let to = free.pop().unwrap_or_else(|| {
                count += 1;
                count - 1
            });
            registers.insert(*node, to);
            instructions.push(Instruction { task, to });
            if outside[node.index()] {
                let Place::Buffer(buffer) = memory.place(*node) else { unreachable!("made here") };
                stores.push((k as u32, buffer));
            }
            // Registers whose last reader this was; a result that nothing here reads is free at once.
            let mut done: Vec<Node> = entry.inputs.iter().map(|x| self.source(*x)).collect();
            done.push(*node);
            done.sort_unstable();
            done.dedup();
            for x in done {
                if let Some(register) = registers.get(&x)
                    && ends.get(&x).is_none_or(|end| *end <= k)
                {
                    free.push(*register);
                }
            }
        }
        Fused { len: graph.entry(nodes[0]).len(), sources, instructions, stores, registers: count }
    }
}

/// Buffers while a plan is made.
struct Memory {
    places: Vec<Option<Place>>,
    sizes: Vec<usize>,
    free: Vec<u32>,
}

impl Memory {
    fn place(&self, node: Node) -> Place {
        self.places[node.index()].expect("a value is read after it was made")
    }

    /// The free buffer that fits best, or a new one.
    fn take(&mut self, node: Node, len: usize) {
        let fits = |b: &u32| self.sizes[*b as usize] >= len && self.sizes[*b as usize] <= 2 * len;
        let best = self
            .free
            .iter()
            .enumerate()
            .filter(|(_, b)| fits(b))
            .min_by_key(|(_, b)| self.sizes[**b as usize]);
        let buffer = match best.map(|(at, _)| at) {
            Some(at) => self.free.swap_remove(at),
            None => {
                self.sizes.push(len);
                (self.sizes.len() - 1) as u32
            }
        };
        self.places[node.index()] = Some(Place::Buffer(buffer));
    }

    fn give(&mut self, node: Node) {
        if let Some(Place::Buffer(buffer)) = self.places[node.index()] {
            self.places[node.index()] = None;
            self.free.push(buffer);
        }
    }
}
