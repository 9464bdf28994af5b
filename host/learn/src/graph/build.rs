//! Building blocks. All panic if shapes do not fit: a graph is built by code that knows its shapes.

use super::{Axis, Binary, Conv, Graph, Node, Op, Unary};

fn product(shape: &[usize]) -> usize {
    shape.iter().product()
}

impl Graph {
    /// `value` everywhere.
    pub fn constant(&mut self, value: f64, shape: &[usize]) -> Node {
        self.insert(Op::Constant(value.into()), &[], shape.to_vec())
    }

    fn value_of(&self, x: Node) -> Option<f64> {
        match self.entry(x).op {
            Op::Constant(c) => Some(c.get()),
            _ => None,
        }
    }

    /// `function` of each element.
    pub fn unary(&mut self, function: Unary, x: Node) -> Node {
        match function {
            Unary::Scale(c) if c.get() == 1.0 => return x,
            Unary::Shift(c) if c.get() == 0.0 => return x,
            _ => {}
        }
        let shape = self.shape(x).to_vec();
        self.insert(Op::Unary(function), &[x], shape)
    }

    /// `function` of the elements of two tensors of one shape.
    pub fn binary(&mut self, function: Binary, a: Node, b: Node) -> Node {
        assert_eq!(self.shape(a), self.shape(b), "{function:?} of tensors of one shape");
        match (function, self.value_of(a), self.value_of(b)) {
            (Binary::Add, Some(0.0), _) => return b,
            (Binary::Add | Binary::Sub, _, Some(0.0)) => return a,
            (Binary::Mul, Some(c), _) => return self.scale(b, c),
            (Binary::Mul, _, Some(c)) => return self.scale(a, c),
            _ => {}
        }
        let shape = self.shape(a).to_vec();
        self.insert(Op::Binary(function), &[a, b], shape)
    }

    /// `a + b`.
    pub fn add(&mut self, a: Node, b: Node) -> Node {
        self.binary(Binary::Add, a, b)
    }

    /// `a − b`.
    pub fn sub(&mut self, a: Node, b: Node) -> Node {
        self.binary(Binary::Sub, a, b)
    }

    /// `a·b`, element by element.
    pub fn mul(&mut self, a: Node, b: Node) -> Node {
        self.binary(Binary::Mul, a, b)
    }

    /// `max(a, b)`.
    pub fn max(&mut self, a: Node, b: Node) -> Node {
        self.binary(Binary::Max, a, b)
    }

    /// `min(a, b)`.
    pub fn min(&mut self, a: Node, b: Node) -> Node {
        self.binary(Binary::Min, a, b)
    }

    /// `a / b`, 0 where `b` is 0.
    pub fn div(&mut self, a: Node, b: Node) -> Node {
        let inverse = self.unary(Unary::Recip, b);
        self.mul(a, inverse)
    }

    /// `c·x`.
    pub fn scale(&mut self, x: Node, c: f64) -> Node {
        self.unary(Unary::Scale(c.into()), x)
    }

    /// `x + c`.
    pub fn shift(&mut self, x: Node, c: f64) -> Node {
        self.unary(Unary::Shift(c.into()), x)
    }

    /// `max(x, 0)`.
    pub fn relu(&mut self, x: Node) -> Node {
        self.unary(Unary::Relu, x)
    }

    /// `|x|`.
    pub fn abs(&mut self, x: Node) -> Node {
        self.unary(Unary::Abs, x)
    }

    /// The vector `x` `[n]` along axis `axis` of `shape`, repeated along the others.
    pub fn expand(&mut self, x: Node, shape: &[usize], axis: usize) -> Node {
        assert_eq!(self.shape(x), [shape[axis]], "a vector along axis {axis} of {shape:?}");
        let at = place(shape, axis);
        self.insert(Op::Expand(at), &[x], shape.to_vec())
    }

    /// The single element of `x` everywhere in `shape`.
    pub fn fill(&mut self, x: Node, shape: &[usize]) -> Node {
        assert_eq!(self.entry(x).len(), 1, "one element");
        let at = Axis { outer: 1, len: 1, inner: product(shape) };
        self.insert(Op::Expand(at), &[x], shape.to_vec())
    }

    /// Sums along all axes but `axis`.
    pub fn sum_to(&mut self, x: Node, axis: usize) -> Node {
        let at = place(self.shape(x), axis);
        self.insert(Op::Sum(at), &[x], vec![at.len])
    }

    /// The sum of all elements, `[1]`.
    pub fn sum(&mut self, x: Node) -> Node {
        let at = Axis { outer: 1, len: 1, inner: self.entry(x).len() };
        self.insert(Op::Sum(at), &[x], vec![1])
    }

    /// The mean of all elements, `[1]`.
    pub fn mean(&mut self, x: Node) -> Node {
        let count = self.entry(x).len();
        let sum = self.sum(x);
        self.scale(sum, 1.0 / count as f64)
    }

    /// The largest elements along all axes but `axis`.
    pub fn largest_to(&mut self, x: Node, axis: usize) -> Node {
        let at = place(self.shape(x), axis);
        self.insert(Op::Largest(at), &[x], vec![at.len])
    }

    pub(super) fn expand_at(&mut self, x: Node, at: Axis, shape: &[usize]) -> Node {
        self.insert(Op::Expand(at), &[x], shape.to_vec())
    }

    pub(super) fn sum_at(&mut self, x: Node, at: Axis) -> Node {
        self.insert(Op::Sum(at), &[x], vec![at.len])
    }

    /// The same elements in `shape`.
    pub fn reshape(&mut self, x: Node, shape: &[usize]) -> Node {
        assert_eq!(self.entry(x).len(), product(shape), "{:?} as {shape:?}", self.shape(x));
        if self.shape(x) == shape {
            return x;
        }
        self.insert(Op::Reshape, &[x], shape.to_vec())
    }

    /// `A·B`, each transposed if marked.
    pub fn matmul(&mut self, a: Node, b: Node, transposed: [bool; 2]) -> Node {
        let dims = |x: Node, t: bool| match (self.shape(x), t) {
            (&[m, n], false) => (m, n),
            (&[n, m], true) => (m, n),
            (shape, _) => panic!("a product of matrices, not of {shape:?}"),
        };
        let ((m, k), (k2, n)) = (dims(a, transposed[0]), dims(b, transposed[1]));
        assert_eq!(k, k2, "a product of {m}×{k} and {k2}×{n}");
        self.insert(Op::MatMul(transposed), &[a, b], vec![m, n])
    }

    /// Images `x` `[channels, height, width, lanes]` convolved with `w`.
    pub fn conv(&mut self, geometry: Conv, x: Node, w: Node) -> Node {
        let lanes = *self.shape(x).last().expect("images have lanes");
        let [[h, v], g] = [geometry.size_in, geometry.channels];
        assert_eq!(self.shape(x), [g[0], h, v, lanes], "images of {geometry:?}");
        assert_eq!(self.shape(w), geometry.weights(), "weights of {geometry:?}");
        let [h, v] = geometry.size_out;
        self.insert(Op::Conv(geometry), &[x, w], vec![g[1], h, v, lanes])
    }

    /// The gradient `g` of a convolution's images, to the images that it was made from: the transposed convolution.
    pub fn conv_data(&mut self, geometry: Conv, g: Node, w: Node) -> Node {
        let lanes = *self.shape(g).last().expect("images have lanes");
        let [[h, v], c] = [geometry.size_out, geometry.channels];
        assert_eq!(self.shape(g), [c[1], h, v, lanes], "images behind {geometry:?}");
        assert_eq!(self.shape(w), geometry.weights(), "weights of {geometry:?}");
        let [h, v] = geometry.size_in;
        self.insert(Op::ConvData(geometry), &[g, w], vec![geometry.channels[0], h, v, lanes])
    }

    pub(super) fn conv_weight(&mut self, geometry: Conv, g: Node, x: Node) -> Node {
        self.insert(Op::ConvWeight(geometry), &[g, x], geometry.weights().to_vec())
    }

    /// `len` entries of the first axis, from `start` on.
    pub fn slice(&mut self, x: Node, start: usize, len: usize) -> Node {
        let mut shape = self.shape(x).to_vec();
        assert!(start + len <= shape[0], "{start}..{} of {shape:?}", start + len);
        if len == shape[0] {
            return x;
        }
        shape[0] = len;
        self.insert(Op::Slice { start }, &[x], shape)
    }

    /// Zeros of which the entries of the first axis from `start` on are `x`; `len` entries in all.
    pub fn embed(&mut self, x: Node, start: usize, len: usize) -> Node {
        let mut shape = self.shape(x).to_vec();
        assert!(start + shape[0] <= len, "{shape:?} from {start} on in {len}");
        if len == shape[0] {
            return x;
        }
        shape[0] = len;
        self.insert(Op::Embed { start }, &[x], shape)
    }

    /// `x` `[…, lanes]` as `[…, times·lanes]`: its lanes `times` times over.
    pub fn repeat(&mut self, x: Node, times: usize) -> Node {
        if times == 1 {
            return x;
        }
        let mut shape = self.shape(x).to_vec();
        let last = shape.last_mut().expect("a tensor has lanes");
        let inner = *last;
        *last *= times;
        self.insert(Op::Repeat { times, inner }, &[x], shape)
    }

    /// `x` `[…, times·lanes]` as `[…, lanes]`, summed over `times`.
    pub fn fold(&mut self, x: Node, times: usize) -> Node {
        if times == 1 {
            return x;
        }
        let mut shape = self.shape(x).to_vec();
        let last = shape.last_mut().expect("a tensor has lanes");
        assert_eq!(*last % times, 0, "{last} lanes are {times} times some");
        *last /= times;
        let inner = *last;
        self.insert(Op::Fold { times, inner }, &[x], shape)
    }

    /// The same elements; no gradient passes.
    pub fn detach(&mut self, x: Node) -> Node {
        let shape = self.shape(x).to_vec();
        self.insert(Op::Detach, &[x], shape)
    }
}

fn place(shape: &[usize], axis: usize) -> Axis {
    Axis { outer: product(&shape[..axis]), len: shape[axis], inner: product(&shape[axis + 1..]) }
}
