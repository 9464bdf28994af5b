//! Linear operators as the products that each output element is the sum of, found by counting coordinates.

use certus_engine::graph::{ValueId, Window};

use super::{Step, broadcast_element, coordinates, element, length};

/// For each output element, the pairs of elements (of the first and of the second operand) whose products it
/// is the sum of.
type Products = Vec<Vec<(usize, usize)>>;

/// `factor · Σ x·w`, plus `bias_factor` times the element of the third operand that `bias` names.
fn sums(
    ids: &[ValueId],
    products: Products,
    bias: Option<Vec<usize>>,
    [factor, bias_factor]: [f64; 2],
) -> Step {
    let ids = ids.to_vec();
    Box::new(move |v| {
        let (x, w) = (&v[&ids[0]], &v[&ids[1]]);
        let sum =
            |pairs: &Vec<(usize, usize)>| pairs.iter().map(|(i, j)| x[*i] * w[*j]).sum::<f64>() * factor;
        let mut result: Vec<f64> = products.iter().map(sum).collect();
        if let Some(bias) = &bias {
            result.iter_mut().zip(bias).for_each(|(y, i)| *y += bias_factor * v[&ids[2]][*i]);
        }
        result
    })
}

pub(super) fn matmul(ids: &[ValueId], shapes: &[Vec<usize>], to: &[usize]) -> Step {
    let mut left = shapes[0].clone();
    let mut right = shapes[1].clone();
    let mut to = to.to_vec();
    if right.len() == 1 {
        right.push(1);
        to.push(1);
    }
    if left.len() == 1 {
        left.insert(0, 1);
        to.insert(to.len() - 1, 1);
    }
    let inner = left[left.len() - 1];
    let products = |index: usize| {
        let at = coordinates(&to, index);
        let (batch, cell) = at.split_at(at.len() - 2);
        let pair = |k: usize| {
            let l = [batch, &[cell[0], k]].concat();
            let r = [batch, &[k, cell[1]]].concat();
            (broadcast_element(&left, &l), broadcast_element(&right, &r))
        };
        (0..inner).map(pair).collect()
    };
    sums(ids, (0..length(&to)).map(products).collect(), None, [1.0, 0.0])
}

pub(super) fn gemm(
    ids: &[ValueId],
    shapes: &[Vec<usize>],
    to: &[usize],
    factors: [f64; 2],
    transposed: [bool; 2],
) -> Step {
    let at = |which: usize, row: usize, col: usize| {
        let cell = if transposed[which] { [col, row] } else { [row, col] };
        element(&shapes[which], &cell)
    };
    let inner = shapes[0][usize::from(!transposed[0])];
    let products = |index: usize| {
        let (i, j) = (index / to[1], index % to[1]);
        (0..inner).map(|k| (at(0, i, k), at(1, k, j))).collect()
    };
    let products = (0..length(to)).map(products).collect();
    let bias =
        shapes.get(2).map(|c| (0..length(to)).map(|i| broadcast_element(c, &coordinates(to, i))).collect());
    sums(ids, products, bias, factors)
}

/// Where tap `tap` of the window at `output` reads, if that is inside.
fn read(window: &Window, output: &[usize], tap: &[usize]) -> Option<Vec<usize>> {
    let one = |a: usize| {
        let at = (output[a] * window.stride[a] + tap[a] * window.dilation[a]) as i64 - window.pad[a] as i64;
        usize::try_from(at).ok().filter(|at| *at < window.size_in[a])
    };
    (0..output.len()).map(one).collect()
}

fn channel_bias(shapes: &[Vec<usize>], to: &[usize]) -> Option<Vec<usize>> {
    shapes.get(2).map(|_| (0..length(to)).map(|i| coordinates(to, i)[1]).collect())
}

pub(super) fn conv(
    ids: &[ValueId],
    shapes: &[Vec<usize>],
    to: &[usize],
    window: Window,
    groups: usize,
) -> Step {
    let (x, w) = (&shapes[0], &shapes[1]);
    let (channels, outputs) = (x[1] / groups, to[1] / groups);
    let products = |index: usize| {
        let at = coordinates(to, index);
        let mut pairs = Vec::new();
        for c in 0..channels {
            for t in 0..length(&window.kernel) {
                let tap = coordinates(&window.kernel, t);
                let Some(place) = read(&window, &at[2..], &tap) else { continue };
                let channel = at[1] / outputs * channels + c;
                let from = element(x, &[&[at[0], channel], place.as_slice()].concat());
                pairs.push((from, element(w, &[&[at[1], c], tap.as_slice()].concat())));
            }
        }
        pairs
    };
    sums(ids, (0..length(to)).map(products).collect(), channel_bias(shapes, to), [1.0, 1.0])
}

/// Every element of the operand is spread over the result by the kernel.
pub(super) fn conv_transpose(
    ids: &[ValueId],
    shapes: &[Vec<usize>],
    to: &[usize],
    window: Window,
    groups: usize,
) -> Step {
    let (x, w) = (&shapes[0], &shapes[1]);
    let (channels, outputs) = (x[1] / groups, to[1] / groups);
    let mut products = vec![Vec::new(); length(to)];
    for index in 0..length(x) {
        let at = coordinates(x, index);
        for m in 0..outputs {
            for t in 0..length(&window.kernel) {
                let tap = coordinates(&window.kernel, t);
                let Some(place) = read(&window, &at[2..], &tap) else { continue };
                let channel = at[1] / channels * outputs + m;
                let result = element(to, &[&[at[0], channel], place.as_slice()].concat());
                let weight = element(w, &[&[at[1], m], tap.as_slice()].concat());
                products[result].push((index, weight));
            }
        }
    }
    sums(ids, products, channel_bias(shapes, to), [1.0, 1.0])
}

/// For each output element of a pooling, the elements that its window reads.
pub(super) fn windows(to: &[usize], window: &Window) -> Vec<Vec<usize>> {
    let from = [&to[..2], window.size_in.as_slice()].concat();
    let taps = |index: usize| {
        let at = coordinates(to, index);
        let taps = (0..length(&window.kernel)).map(|t| coordinates(&window.kernel, t));
        let places = taps.filter_map(|tap| read(window, &at[2..], &tap));
        places.map(|place| element(&from, &[&at[..2], place.as_slice()].concat())).collect()
    };
    (0..length(to)).map(taps).collect()
}

/// For each output element of an average, what its sum is divided by.
pub(super) fn average_counts(to: &[usize], window: &Window, count_include_pad: bool) -> Vec<f64> {
    let count = |index: usize| {
        let at = coordinates(to, index);
        let inside = |a: usize, tap: usize| {
            let place =
                (at[a + 2] * window.stride[a] + tap * window.dilation[a]) as i64 - window.pad[a] as i64;
            let (before, behind) =
                if count_include_pad { (window.pad[a], window.pad_end[a]) } else { (0, 0) };
            place >= -(before as i64) && place < (window.size_in[a] + behind) as i64
        };
        let taps = (0..length(&window.kernel)).map(|t| coordinates(&window.kernel, t));
        taps.filter(|tap| tap.iter().enumerate().all(|(a, k)| inside(a, *k))).count() as f64
    };
    (0..length(to)).map(count).collect()
}
