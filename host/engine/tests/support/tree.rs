//! Proof trees as values, read and written by code of their own.

use super::exact::{Net, Question};
use super::tiny::Random;

/// Which checker a tree is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Style {
    Chain,
    Program,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Claim {
    pub row: u16,
    pub alpha: Vec<u8>,
    pub beta: Vec<f32>,
    /// Planes of a chain's leaf over two inputs, each behind its neuron.
    pub planes: Vec<[u8; 4]>,
    /// Weights of a chain's rows.
    pub weights: Vec<f32>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `x ≤ value`, then `x ≥ value`.
    Input {
        coordinate: u32,
        value: f64,
        halves: Box<[Node; 2]>,
    },
    /// `z ≥ point`, then `z ≤ point` for the pre-activation of a neuron.
    Value {
        layer: u16,
        neuron: u32,
        point: f32,
        halves: Box<[Node; 2]>,
    },
    /// The open disjuncts before `at`, then the others.
    Disjuncts {
        at: u16,
        halves: Box<[Node; 2]>,
    },
    Lemma {
        below: Box<Node>,
    },
    Leaf {
        claims: Vec<Claim>,
    },
    /// Bytes that need not be a tree.
    Raw {
        bytes: Vec<u8>,
    },
}

struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.0.split_at(N);
        self.0 = tail;
        head.try_into().unwrap()
    }
    fn list(&mut self, n: usize) -> Vec<u8> {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head.to_vec()
    }
}

impl Node {
    pub fn leaf(disjuncts: usize) -> Self {
        Self::Leaf { claims: vec![Claim::default(); disjuncts] }
    }

    pub fn parse(bytes: &[u8], style: Style, question: &Question) -> Self {
        let mut bytes = Bytes(bytes);
        let root = Self::read(&mut bytes, style, (&question.net, (0, question.disjuncts.len())), 0);
        assert!(bytes.0.is_empty(), "the tree ends with the bytes");
        root
    }

    fn read(bytes: &mut Bytes<'_>, style: Style, of: (&Net, (usize, usize)), splits: usize) -> Self {
        let [tag] = bytes.take();
        let halves = |bytes: &mut Bytes<'_>, splits| {
            Box::new([Self::read(bytes, style, of, splits), Self::read(bytes, style, of, splits)])
        };
        match (style, tag) {
            (Style::Chain, 1) => {
                let coordinate = u16::from_le_bytes(bytes.take()).into();
                let value = f64::from_le_bytes(bytes.take());
                Self::Input { coordinate, value, halves: halves(bytes, splits) }
            }
            (Style::Chain, 2) => {
                let (layer, neuron) = (u16::from_le_bytes(bytes.take()), u32::from_le_bytes(bytes.take()));
                Self::Value { layer, neuron, point: 0.0, halves: halves(bytes, splits + 1) }
            }
            (Style::Program, 17) => {
                let coordinate = u32::from_le_bytes(bytes.take());
                let value = f64::from_le_bytes(bytes.take());
                Self::Input { coordinate, value, halves: halves(bytes, splits) }
            }
            (Style::Program, 18) => {
                let (slot, neuron) = (u32::from_le_bytes(bytes.take()), u32::from_le_bytes(bytes.take()));
                let point = f32::from_le_bytes(bytes.take());
                let layer = ((slot - 1) / 2) as u16;
                Self::Value { layer, neuron, point, halves: halves(bytes, splits + 1) }
            }
            (Style::Program, 20) => {
                assert_eq!(bytes.take(), [1, 0, 0]);
                Self::Lemma { below: Box::new(Self::read(bytes, style, of, splits)) }
            }
            (Style::Program, 21) => {
                let at = u16::from_le_bytes(bytes.take());
                let (net, (first, end)) = of;
                let parts = [(first, at.into()), (at.into(), end)];
                let halves = parts.map(|part| Self::read(bytes, style, (net, part), splits));
                Self::Disjuncts { at, halves: Box::new(halves) }
            }
            (Style::Chain, 3) | (Style::Program, 19) => {
                let (first, end) = of.1;
                let claims = (first..end).map(|_| {
                    let (row, [flags]) = (u16::from_le_bytes(bytes.take()), bytes.take());
                    let alpha = if flags & 1 == 1 { bytes.list(of.0.claims_len(style)) } else { Vec::new() };
                    let betas = if flags & 2 == 2 { splits } else { 0 };
                    let beta = (0..betas).map(|_| f32::from_le_bytes(bytes.take())).collect();
                    let planes = if flags & 4 == 0 { 0 } else { u16::from_le_bytes(bytes.take()) };
                    let planes = (0..planes).map(|_| bytes.take()).collect();
                    let weights = if flags & 8 == 0 { 0 } else { u16::from_le_bytes(bytes.take()) };
                    let weights = (0..weights).map(|_| f32::from_le_bytes(bytes.take())).collect();
                    Claim { row, alpha, beta, planes, weights }
                });
                Self::Leaf { claims: claims.collect() }
            }
            other => panic!("{other:?}"),
        }
    }

    pub fn to_bytes(&self, style: Style) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(style, &mut bytes);
        bytes
    }

    fn write(&self, style: Style, bytes: &mut Vec<u8>) {
        self.head(style, bytes);
        match self {
            Self::Input { halves, .. } | Self::Value { halves, .. } | Self::Disjuncts { halves, .. } => {
                halves.iter().for_each(|h| h.write(style, bytes));
            }
            Self::Lemma { below } => below.write(style, bytes),
            Self::Leaf { .. } | Self::Raw { .. } => {}
        }
    }

    /// The node's own step.
    pub fn head(&self, style: Style, bytes: &mut Vec<u8>) {
        match self {
            Self::Raw { bytes: raw } => bytes.extend(raw),
            Self::Input { coordinate, value, .. } => {
                if style == Style::Chain {
                    bytes.push(1);
                    bytes.extend((*coordinate as u16).to_le_bytes());
                } else {
                    bytes.push(17);
                    bytes.extend(coordinate.to_le_bytes());
                }
                bytes.extend(value.to_le_bytes());
            }
            Self::Value { layer, neuron, point, .. } => {
                if style == Style::Chain {
                    bytes.push(2);
                    bytes.extend(layer.to_le_bytes());
                    bytes.extend(neuron.to_le_bytes());
                } else {
                    bytes.push(18);
                    bytes.extend((2 * u32::from(*layer) + 1).to_le_bytes());
                    bytes.extend(neuron.to_le_bytes());
                    bytes.extend(point.to_le_bytes());
                }
            }
            Self::Disjuncts { at, .. } => {
                bytes.push(21);
                bytes.extend(at.to_le_bytes());
            }
            Self::Lemma { .. } => bytes.extend([20, 1, 0, 0]),
            Self::Leaf { claims } => {
                bytes.push(if style == Style::Chain { 3 } else { 19 });
                for claim in claims {
                    bytes.extend(claim.row.to_le_bytes());
                    let lists =
                        [claim.alpha.len(), claim.beta.len(), claim.planes.len(), claim.weights.len()];
                    bytes.push((0..4).map(|bit| u8::from(lists[bit] > 0) << bit).sum());
                    bytes.extend(&claim.alpha);
                    claim.beta.iter().for_each(|b| bytes.extend(b.to_le_bytes()));
                    if !claim.planes.is_empty() {
                        bytes.extend((claim.planes.len() as u16).to_le_bytes());
                        bytes.extend(claim.planes.concat());
                    }
                    if !claim.weights.is_empty() {
                        bytes.extend((claim.weights.len() as u16).to_le_bytes());
                        claim.weights.iter().for_each(|w| bytes.extend(w.to_le_bytes()));
                    }
                }
            }
        }
    }

    /// The halves of a split, or what is below a lemma.
    pub fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::Input { halves, .. } | Self::Value { halves, .. } | Self::Disjuncts { halves, .. } => {
                halves.iter_mut().collect()
            }
            Self::Lemma { below } => vec![below],
            Self::Leaf { .. } | Self::Raw { .. } => Vec::new(),
        }
    }

    /// The same tree with only some of its leaves' claims.
    pub fn part(&self, disjuncts: std::ops::Range<usize>) -> Self {
        let mut copy = self.clone();
        if let Self::Leaf { claims } = &mut copy {
            *claims = claims[disjuncts.clone()].to_vec();
        }
        copy.children_mut().into_iter().for_each(|c| *c = c.part(disjuncts.clone()));
        copy
    }

    /// How many nodes are `counted`.
    pub fn count(&self, counted: &dyn Fn(&Self) -> bool) -> usize {
        let below: usize = self.clone().children_mut().into_iter().map(|c| c.count(counted)).sum();
        below + usize::from(counted(self))
    }

    pub fn last_leaf(&mut self) -> &mut Self {
        if let Self::Leaf { .. } = self {
            return self;
        }
        self.children_mut().pop().expect("a split or lemma").last_leaf()
    }

    pub fn without_lemmas(&self) -> Self {
        if let Self::Lemma { below } = self {
            return below.without_lemmas();
        }
        let mut copy = self.clone();
        copy.children_mut().into_iter().for_each(|c| *c = c.without_lemmas());
        copy
    }

    /// A leaf, chosen from the root down.
    pub fn any_leaf(&mut self, random: &mut Random) -> &mut Self {
        if let Self::Leaf { .. } = self {
            return self;
        }
        let mut children = self.children_mut();
        let at = random.below(children.len());
        children.swap_remove(at).any_leaf(random)
    }

    /// A split that has this many nodes above it or fewer; the node itself if it has no split below.
    fn any_split(&mut self, random: &mut Random) -> &mut Self {
        let is_split =
            |n: &Self| matches!(n, Self::Input { .. } | Self::Value { .. } | Self::Disjuncts { .. });
        let go = match self {
            Self::Leaf { .. } | Self::Raw { .. } => false,
            Self::Lemma { .. } => true,
            Self::Input { halves, .. } | Self::Value { halves, .. } | Self::Disjuncts { halves, .. } => {
                halves.iter().any(is_split) && random.below(2) == 0
            }
        };
        if !go {
            return self;
        }
        let mut children = self.children_mut();
        let splits: Vec<usize> = (0..children.len()).filter(|i| is_split(children[*i])).collect();
        let at = if splits.is_empty() { 0 } else { splits[random.below(splits.len())] };
        children.swap_remove(at).any_split(random)
    }

    /// A split and one of its halves go, the other half takes its place; multipliers of the split go with it.
    pub fn drop_half(&mut self, random: &mut Random) {
        let node = self.any_split(random);
        let neuron = matches!(node, Self::Value { .. });
        if let Self::Input { halves, .. } | Self::Value { halves, .. } | Self::Disjuncts { halves, .. } = node
        {
            let mut half = halves[random.below(2)].clone();
            if neuron {
                half.forget_multipliers();
            }
            *node = half;
        }
    }

    fn forget_multipliers(&mut self) {
        if let Self::Leaf { claims } = self {
            claims.iter_mut().for_each(|c| c.beta.clear());
        }
        self.children_mut().into_iter().for_each(Self::forget_multipliers);
    }

    pub fn swap_halves(&mut self, random: &mut Random) {
        if let Self::Input { halves, .. } | Self::Value { halves, .. } | Self::Disjuncts { halves, .. } =
            self.any_split(random)
        {
            halves.swap(0, 1);
        }
    }

    pub fn change_split(&mut self, question: &Question, style: Style, random: &mut Random) {
        match self.any_split(random) {
            Self::Input { coordinate, value, .. } => {
                if random.below(2) == 0 {
                    *coordinate = 1 - *coordinate;
                }
                let j = *coordinate as usize;
                *value = question.lower[j] + random.unit() * (question.upper[j] - question.lower[j]);
            }
            Self::Value { layer, neuron, point, .. } => {
                let at = random.below(question.net.layers.len() - 1);
                *layer = at as u16;
                *neuron = random.below(question.net.layers[at].bias.len()) as u32;
                if style == Style::Program && random.below(2) == 0 {
                    *point = random.eighths(8);
                }
            }
            Self::Disjuncts { at, .. } => *at = random.below(question.disjuncts.len() + 2) as u16,
            _ => {}
        }
    }
}
