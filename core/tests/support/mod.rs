//! Random programs and their exact values, for the tests of the checker.

#![allow(dead_code, reason = "each test crate uses a part")]

use certus_core::program::{
    Constants, Conv, Function, Groups, Map, Operation, Program, Slot, Sparse, Step, Term, Terms, ZERO,
};
use certus_core::proof::program::{Layout, Memory};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

/// A small generator of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        random.next();
        random.next();
        random
    }
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
    /// In `[-1, 1]`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    /// A weight: mostly in `[-1, 1]`, now and then 0 or far off in size.
    pub fn weight(&mut self) -> f32 {
        match self.below(12) {
            0 => 0.0,
            1 => self.unit() as f32 * 2f32.powi(self.below(50) as i32 - 40),
            _ => self.unit() as f32,
        }
    }
    pub fn weights(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.weight()).collect()
    }
    pub fn one_of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }
}

/// Constants, their stated errors, and where in that error the real constant lies (−1…1).
#[derive(Clone, Debug)]
pub struct OwnedConstants {
    pub values: Vec<f32>,
    pub error: Option<Vec<f32>>,
    pub place: Vec<BigRational>,
}

impl OwnedConstants {
    pub fn random(random: &mut Random, n: usize) -> Self {
        let values = random.weights(n);
        let error = (random.below(3) == 0).then(|| {
            (0..n).map(|_| (random.unit().abs() * 2f64.powi(-(random.below(30) as i32))) as f32).collect()
        });
        let place = (0..n).map(|_| exact([-1.0, 1.0, 0.5, 0.0][random.below(4)])).collect();
        Self { values, error, place }
    }
    fn borrow(&self) -> Constants<'_> {
        Constants { values: &self.values, error: self.error.as_deref() }
    }
    fn real(&self, i: usize) -> BigRational {
        let error =
            self.error.as_ref().map_or_else(BigRational::zero, |e| exact(e[i].into()) * &self.place[i]);
        exact(self.values[i].into()) + error
    }
}

#[derive(Clone, Debug)]
pub struct OwnedConv {
    pub shape: Conv<'static>,
    pub weights: Vec<f32>,
}

impl OwnedConv {
    fn borrow(&self) -> Conv<'_> {
        Conv { weights: &self.weights, ..self.shape }
    }
}

#[derive(Clone, Debug)]
pub enum OwnedMap {
    Identity,
    Scale(OwnedConstants),
    Dense { count: usize, rows: usize, cols: usize, weights: Vec<f32> },
    Conv(OwnedConv),
    ConvTranspose(OwnedConv),
    Sparse { cols: usize, starts: Vec<u32>, columns: Vec<u32>, values: OwnedConstants },
}

#[derive(Clone, Debug)]
pub enum OwnedStep {
    Affine { terms: Vec<(usize, OwnedMap)>, bias: Option<OwnedConstants> },
    Elementwise(usize, Function),
    Max { input: usize, starts: Vec<u32>, members: Vec<u32> },
    Product { left: usize, right: usize, count: usize, m: usize, k: usize, n: usize },
    Index { slots: Vec<usize>, indices: Vec<u32> },
}

/// A program that owns its constants.
#[derive(Clone, Debug)]
pub struct Owned {
    pub sizes: Vec<usize>,
    pub steps: Vec<OwnedStep>,
}

/// The tables that a core program borrows.
pub struct Tables<'a> {
    pub steps: Vec<Step<'a>>,
    pub terms: Vec<Term<'a>>,
}

impl OwnedMap {
    fn borrow(&self) -> Map<'_> {
        match self {
            Self::Identity => Map::Identity,
            Self::Scale(scale) => Map::Scale(scale.borrow()),
            Self::Dense { count, rows, cols, weights } => {
                Map::Dense { count: *count, rows: *rows, cols: *cols, weights }
            }
            Self::Conv(conv) => Map::Conv(conv.borrow()),
            Self::ConvTranspose(conv) => Map::ConvTranspose(conv.borrow()),
            Self::Sparse { cols, starts, columns, values } => {
                Map::Sparse(Sparse { cols: *cols, starts, columns, values: values.borrow() })
            }
        }
    }

    /// Adds the map of `x` to `sum`.
    fn add_to<T: Number>(&self, x: &[T], sum: &mut [T]) {
        let constant = |w: f32| T::of(exact(w.into()));
        match self {
            Self::Identity => sum.iter_mut().zip(x).for_each(|(s, x)| s.add_product(&constant(1.0), x)),
            Self::Scale(scale) => {
                let all = sum.iter_mut().zip(x).enumerate();
                all.for_each(|(i, (s, x))| s.add_product(&T::of(scale.real(i)), x));
            }
            Self::Dense { rows, cols, weights, .. } => {
                for (x, sum) in x.chunks(*cols).zip(sum.chunks_mut(*rows)) {
                    for (row, s) in weights.chunks(*cols).zip(sum) {
                        row.iter().zip(x).for_each(|(w, x)| s.add_product(&constant(*w), x));
                    }
                }
            }
            Self::Conv(conv) => {
                conv.borrow().for_each(|o, i, w| sum[o].add_product(&constant(conv.weights[w]), &x[i]));
            }
            Self::ConvTranspose(conv) => {
                conv.borrow().for_each(|o, i, w| sum[i].add_product(&constant(conv.weights[w]), &x[o]));
            }
            Self::Sparse { starts, columns, values, .. } => {
                for (row, run) in starts.windows(2).enumerate() {
                    for k in run[0] as usize..run[1] as usize {
                        sum[row].add_product(&T::of(values.real(k)), &x[columns[k] as usize]);
                    }
                }
            }
        }
    }
}

/// What programs are evaluated in.
pub trait Number: Clone + PartialOrd {
    fn of(x: BigRational) -> Self;
    fn add_product(&mut self, a: &Self, b: &Self);
    fn apply(&self, function: Function) -> Self;
}

impl Number for BigRational {
    fn of(x: BigRational) -> Self {
        x
    }
    fn add_product(&mut self, a: &Self, b: &Self) {
        *self += a * b;
    }
    fn apply(&self, function: Function) -> Self {
        exact_function(function, self)
    }
}

impl Number for f64 {
    fn of(x: BigRational) -> Self {
        at_least(&x)
    }
    fn add_product(&mut self, a: &Self, b: &Self) {
        *self += a * b;
    }
    fn apply(&self, function: Function) -> Self {
        let x = *self;
        match function {
            Function::Sigmoid => 1.0 / (1.0 + (-x).exp()),
            Function::Tanh => x.tanh(),
            Function::Exp => x.exp(),
            Function::Log => x.ln(),
            Function::Sin => x.sin(),
            Function::Cos => x.cos(),
            Function::Sqrt => x.sqrt(),
            Function::Reciprocal => 1.0 / x,
            Function::Power { exponent } => x.powi(exponent as i32),
            Function::Softplus => x.max(0.0) + (-x.abs()).exp().ln_1p(),
            Function::Elu { alpha } => {
                if x >= 0.0 {
                    x
                } else {
                    f64::from(alpha) * x.exp_m1()
                }
            }
            Function::Softsign => x / (1.0 + x.abs()),
            straight => at_least(&exact_function(straight, &exact(x))),
        }
    }
}

impl Owned {
    pub fn tables(&self) -> Tables<'_> {
        let mut tables = Tables { steps: Vec::new(), terms: Vec::new() };
        for (index, step) in self.steps.iter().enumerate() {
            let first = tables.terms.len();
            let operation = match step {
                OwnedStep::Affine { terms, bias } => {
                    tables.terms.extend(terms.iter().map(|(s, m)| Term { input: Slot(*s), map: m.borrow() }));
                    Operation::Affine {
                        terms: Terms { first, count: terms.len() },
                        bias: bias.as_ref().map(OwnedConstants::borrow),
                    }
                }
                OwnedStep::Elementwise(input, function) => {
                    Operation::Elementwise { input: Slot(*input), function: *function }
                }
                OwnedStep::Max { input, starts, members } => {
                    Operation::Max { input: Slot(*input), groups: Groups { starts, members } }
                }
                OwnedStep::Product { left, right, count, m, k, n } => Operation::Product {
                    left: Slot(*left),
                    right: Slot(*right),
                    count: *count,
                    m: *m,
                    k: *k,
                    n: *n,
                },
                OwnedStep::Index { slots, indices } => {
                    tables.terms.extend(slots.iter().map(|s| Term { input: Slot(*s), map: Map::Identity }));
                    Operation::Index { terms: Terms { first, count: slots.len() }, indices }
                }
            };
            tables.steps.push(Step { len: self.sizes[index + 1], operation });
        }
        tables
    }

    /// The value of every slot.
    pub fn values<T: Number>(&self, x: &[T]) -> Vec<Vec<T>> {
        let mut values = vec![x.to_vec()];
        for (index, step) in self.steps.iter().enumerate() {
            let mut y = vec![T::of(BigRational::zero()); self.sizes[index + 1]];
            match step {
                OwnedStep::Affine { terms, bias } => {
                    if let Some(bias) = bias {
                        y.iter_mut().enumerate().for_each(|(i, y)| *y = T::of(bias.real(i)));
                    }
                    terms.iter().for_each(|(slot, map)| map.add_to(&values[*slot], &mut y));
                }
                OwnedStep::Elementwise(input, function) => {
                    y.iter_mut().zip(&values[*input]).for_each(|(y, x)| *y = x.apply(*function));
                }
                OwnedStep::Max { input, starts, members } => {
                    for (y, run) in y.iter_mut().zip(starts.windows(2)) {
                        let group = &members[run[0] as usize..run[1] as usize];
                        let of = |j: &u32| values[*input][*j as usize].clone();
                        *y = group.iter().map(of).reduce(|a, b| if b > a { b } else { a }).unwrap();
                    }
                }
                OwnedStep::Product { left, right, m, k, n, .. } => {
                    for (index, y) in y.iter_mut().enumerate() {
                        let (batch, row, col) = (index / (m * n), index / n % m, index % n);
                        for i in 0..*k {
                            let l = &values[*left][(batch * m + row) * k + i];
                            y.add_product(l, &values[*right][(batch * k + i) * n + col]);
                        }
                    }
                }
                OwnedStep::Index { slots, indices } => {
                    let all: Vec<_> = slots.iter().flat_map(|s| values[*s].iter().cloned()).collect();
                    for (y, i) in y.iter_mut().zip(indices) {
                        if *i != ZERO {
                            *y = all[*i as usize].clone();
                        }
                    }
                }
            }
            values.push(y);
        }
        values
    }

    /// The exact value of every slot.
    pub fn exact(&self, x: &[BigRational]) -> Vec<Vec<BigRational>> {
        self.values(x)
    }

    /// Whether every constant is exact and every function continuous, so that bounds at a point are values but for rounding.
    pub fn is_smooth(&self) -> bool {
        let exact = |c: &OwnedConstants| c.error.is_none();
        self.steps.iter().all(|step| match step {
            OwnedStep::Affine { terms, bias } => {
                bias.as_ref().is_none_or(exact)
                    && terms.iter().all(|(_, map)| match map {
                        OwnedMap::Scale(values) | OwnedMap::Sparse { values, .. } => exact(values),
                        _ => true,
                    })
            }
            OwnedStep::Elementwise(_, function) => !matches!(function, Function::Sign | Function::Floor),
            _ => true,
        })
    }

    /// A random program of `steps` steps, ending in an affine step of one to three outputs.
    pub fn random(random: &mut Random, steps: usize) -> Self {
        Self::random_with(random, steps, straight_function)
    }

    /// As [`Self::random`], with functions of a choice.
    pub fn random_with(random: &mut Random, steps: usize, function: fn(&mut Random) -> Function) -> Self {
        let mut owned = Self { sizes: vec![1 + random.below(5)], steps: Vec::new() };
        let mut products = 0;
        for _ in 0..steps {
            let slot = owned.recent(random);
            let kind = random.below(10);
            match kind {
                0..=2 => owned.push_affine(random, slot),
                3..=6 => {
                    let function = function(random);
                    owned.push(owned.sizes[slot], OwnedStep::Elementwise(slot, function));
                }
                7 => owned.push_max(random, slot),
                8 if products < 2 => {
                    products += 1;
                    owned.push_product(random, slot);
                }
                _ => owned.push_index(random, slot),
            }
        }
        let (slot, rows) = (owned.recent(random), 1 + random.below(3));
        let map = OwnedMap::Dense {
            count: 1,
            rows,
            cols: owned.sizes[slot],
            weights: random.weights(rows * owned.sizes[slot]),
        };
        owned.push(rows, OwnedStep::Affine { terms: vec![(slot, map)], bias: None });
        owned
    }

    fn push(&mut self, size: usize, step: OwnedStep) {
        self.sizes.push(size);
        self.steps.push(step);
    }

    /// Mostly the newest slot.
    fn recent(&self, random: &mut Random) -> usize {
        let last = self.sizes.len() - 1;
        if random.below(4) == 0 { random.below(last + 1) } else { last }
    }

    fn push_affine(&mut self, random: &mut Random, slot: usize) {
        let mut terms = vec![self.random_map(random, slot)];
        let size = map_len(&terms[0].1, self.sizes[slot]);
        for other in 0..self.sizes.len() {
            if random.below(3) == 0 && self.sizes[other] == size {
                let map = if random.below(2) == 0 {
                    OwnedMap::Identity
                } else {
                    OwnedMap::Scale(OwnedConstants::random(random, size))
                };
                terms.push((other, map));
            }
        }
        let bias = (random.below(3) > 0).then(|| OwnedConstants::random(random, size));
        self.push(size, OwnedStep::Affine { terms, bias });
    }

    fn random_map(&self, random: &mut Random, slot: usize) -> (usize, OwnedMap) {
        let size = self.sizes[slot];
        let map = match random.below(6) {
            0 => OwnedMap::Scale(OwnedConstants::random(random, size)),
            1 => {
                let rows = 1 + random.below(6);
                let starts: Vec<u32> = (0..=rows).map(|i| 2 * i as u32).collect();
                let columns = (0..2 * rows).map(|_| random.below(size) as u32).collect();
                OwnedMap::Sparse {
                    cols: size,
                    starts,
                    columns,
                    values: OwnedConstants::random(random, 2 * rows),
                }
            }
            2 | 3 => random_conv(random, size),
            _ => {
                let count = random.one_of(&divisors(size));
                let (rows, cols) = (1 + random.below(if count > 2 { 2 } else { 6 }), size / count);
                OwnedMap::Dense { count, rows, cols, weights: random.weights(rows * cols) }
            }
        };
        (slot, map)
    }

    fn push_max(&mut self, random: &mut Random, slot: usize) {
        let groups = 1 + random.below(4);
        let (mut starts, mut members) = (vec![0u32], Vec::new());
        for _ in 0..groups {
            (0..1 + random.below(4)).for_each(|_| members.push(random.below(self.sizes[slot]) as u32));
            starts.push(members.len() as u32);
        }
        self.push(groups, OwnedStep::Max { input: slot, starts, members });
    }

    fn push_product(&mut self, random: &mut Random, slot: usize) {
        // [count, m, k]·[count, k, n], the right operand gathered from anywhere.
        let size = self.sizes[slot];
        let count = random.one_of(&divisors(size));
        let k = random.one_of(&divisors(size / count));
        let (m, n) = (size / count / k, 1 + random.below(2));
        let from = self.recent(random);
        let indices = (0..count * k * n).map(|_| random.below(self.sizes[from]) as u32).collect();
        self.push(count * k * n, OwnedStep::Index { slots: vec![from], indices });
        let right = self.sizes.len() - 1;
        self.push(count * m * n, OwnedStep::Product { left: slot, right, count, m, k, n });
    }

    fn push_index(&mut self, random: &mut Random, slot: usize) {
        let other = random.below(self.sizes.len());
        let len = self.sizes[slot] + self.sizes[other];
        let indices = (0..1 + random.below(7))
            .map(|_| if random.below(8) == 0 { ZERO } else { random.below(len) as u32 })
            .collect::<Vec<_>>();
        self.push(indices.len(), OwnedStep::Index { slots: vec![slot, other], indices });
    }
}

fn divisors(n: usize) -> Vec<usize> {
    (1..=n).filter(|d| n.is_multiple_of(*d)).collect()
}

fn map_len(map: &OwnedMap, len: usize) -> usize {
    map.borrow().shape(len).1
}

/// A convolution, or the transpose of one, of an operand of `size` elements.
fn random_conv(random: &mut Random, size: usize) -> OwnedMap {
    let channels = random.one_of(&divisors(size));
    let height = random.one_of(&divisors(size / channels));
    let width = size / channels / height;
    let groups = random.one_of(&divisors(channels));
    let other = groups * (1 + random.below(2));
    let transposed = random.below(2) == 0;
    let axis = |random: &mut Random, len: usize| {
        let (kernel, stride, dilation, pad) =
            (1 + random.below(3), 1 + random.below(2), 1 + random.below(2), random.below(2));
        // Any size of the result is a convolution: what it reads outside is zero.
        let _ = len;
        (kernel, stride, dilation, pad, 1 + random.below(3))
    };
    let (ky, sy, dy, py, oy) = axis(random, height);
    let (kx, sx, dx, px, ox) = axis(random, width);
    let ([channels_in, channels_out], [size_in, size_out]) = if transposed {
        ([other, channels], [[oy, ox], [height, width]])
    } else {
        ([channels, other], [[height, width], [oy, ox]])
    };
    let shape = Conv {
        channels_in,
        channels_out,
        groups,
        size_in,
        size_out,
        kernel: [ky, kx],
        stride: [sy, sx],
        dilation: [dy, dx],
        pad: [py, px],
        weights: &[],
    };
    let conv = OwnedConv { shape, weights: random.weights(channels_out * (channels_in / groups) * ky * kx) };
    if transposed { OwnedMap::ConvTranspose(conv) } else { OwnedMap::Conv(conv) }
}

/// A curved function, or ReLU.
pub fn curved_function(random: &mut Random) -> Function {
    match random.below(13) {
        0 => Function::Sigmoid,
        1 => Function::Tanh,
        2 => Function::Exp,
        3 => Function::Log,
        4 => Function::Sin,
        5 => Function::Cos,
        6 => Function::Sqrt,
        7 => Function::Reciprocal,
        8 => Function::Power { exponent: 2 + random.below(3) as u32 },
        9 => Function::Softplus,
        10 => Function::Elu { alpha: 1.0 },
        11 => Function::Softsign,
        _ => Function::Relu,
    }
}

/// A function made of straight pieces.
pub fn straight_function(random: &mut Random) -> Function {
    let value = random.unit() as f32;
    match random.below(11) {
        0..=3 => Function::Relu,
        4 => Function::LeakyRelu { slope: random.one_of(&[0.01, 0.3, 1.5, -0.25, 0.0]) },
        5 => Function::Clip { lower: value - 0.5, upper: value + random.one_of(&[0.0, 0.1, 1.0]) },
        6 => Function::Abs,
        7 => Function::Sign,
        8 => Function::HardSigmoid { alpha: random.one_of(&[0.2, 1.7, -0.6, 0.0]), beta: value },
        9 => Function::Floor,
        _ => Function::Relu,
    }
}

/// `x` as a rational.
pub fn exact(x: f64) -> BigRational {
    BigRational::from_float(x).expect("finite")
}

fn exact_function(function: Function, x: &BigRational) -> BigRational {
    let zero = BigRational::zero();
    let clip = |x: BigRational, lower: f32, upper: f32| x.max(exact(lower.into())).min(exact(upper.into()));
    match function {
        Function::Relu => x.clone().max(zero),
        Function::LeakyRelu { slope } if x.is_negative() => exact(slope.into()) * x,
        Function::LeakyRelu { .. } => x.clone(),
        Function::Clip { lower, upper } => clip(x.clone(), lower, upper),
        Function::Abs => x.abs(),
        Function::Sign => {
            if x.is_zero() {
                zero
            } else if x.is_negative() {
                -BigRational::one()
            } else {
                BigRational::one()
            }
        }
        Function::HardSigmoid { alpha, beta } => clip(exact(alpha.into()) * x + exact(beta.into()), 0.0, 1.0),
        Function::Floor => x.floor(),
        other => panic!("{} has no exact values here", other.name()),
    }
}

/// The smallest `f64` that is at least `x`.
pub fn at_least(x: &BigRational) -> f64 {
    use num_traits::ToPrimitive;
    let near = x.to_f64().expect("finite");
    if exact(near) < *x { near.next_up() } else { near }
}

/// What a checker of programs works in, full of numbers that nothing may read before they are written.
pub struct Room {
    floats: Vec<f64>,
    index: Vec<u32>,
    lanes: usize,
}

impl Room {
    pub fn new(layout: &Layout<'_>, lanes: usize) -> Self {
        Self {
            floats: vec![f64::NAN; layout.memory_len(lanes)],
            index: vec![7; layout.index_len(lanes)],
            lanes,
        }
    }
    pub fn memory(&mut self) -> Memory<'_> {
        Memory { floats: &mut self.floats, index: &mut self.index, lanes: self.lanes }
    }
}

/// `|x₁| + |x₂|`, each of two neurons: bounds from lines are loose where `x₁` or `x₂` may have both signs.
pub fn sum_of_absolutes() -> Owned {
    let split = vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0, 0.0, -1.0];
    let dense = |rows, cols, weights| OwnedMap::Dense { count: 1, rows, cols, weights };
    Owned {
        sizes: vec![2, 4, 4, 1],
        steps: vec![
            OwnedStep::Affine { terms: vec![(0, dense(4, 2, split))], bias: None },
            OwnedStep::Elementwise(1, Function::Relu),
            OwnedStep::Affine { terms: vec![(2, dense(1, 4, vec![1.0; 4]))], bias: None },
        ],
    }
}

/// `n` as a rational.
pub fn whole(n: i64) -> BigRational {
    BigRational::from_integer(BigInt::from(n))
}

/// A program over its tables.
pub fn program<'a>(owned: &Owned, tables: &'a Tables<'a>) -> Program<'a> {
    Program::new(owned.sizes[0], &tables.steps, &tables.terms).expect("a program")
}
