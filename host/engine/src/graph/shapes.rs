//! Shapes: broadcasting and matrix products by numpy's rules.

/// Shape of the sum, difference or product of two values, if they broadcast.
pub fn broadcast(left: &[usize], right: &[usize]) -> Option<Vec<usize>> {
    let rank = left.len().max(right.len());
    // Dimensions are aligned at the last; a missing one counts as 1.
    let dim = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map_or(1, |j| shape[j]);
    let join = |i| match (dim(left, i), dim(right, i)) {
        (1, d) | (d, 1) => Some(d),
        (d, e) if d == e => Some(d),
        _ => None,
    };
    (0..rank).map(join).collect()
}

/// Sizes of a matrix product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatMulShape {
    /// Broadcast dimensions before the last two.
    pub batch: Vec<usize>,
    /// Rows of the left matrix.
    pub m: usize,
    /// Columns of the left matrix, rows of the right.
    pub k: usize,
    /// Columns of the right matrix.
    pub n: usize,
    /// Shape of the product: `batch`, then `m` and `n` where they are not of a vector.
    pub output: Vec<usize>,
}

/// Sizes of `left · right` by numpy's rule (a vector is a row on the left, a column on the right).
pub fn matmul(left: &[usize], right: &[usize]) -> Option<MatMulShape> {
    let (left_batch, m, k) = match left {
        [] => return None,
        [k] => (&[][..], None, *k),
        [batch @ .., m, k] => (batch, Some(*m), *k),
    };
    let (right_batch, k_right, n) = match right {
        [] => return None,
        [k] => (&[][..], *k, None),
        [batch @ .., k, n] => (batch, *k, Some(*n)),
    };
    if k != k_right {
        return None;
    }
    let batch = broadcast(left_batch, right_batch)?;
    let output = batch.iter().copied().chain(m).chain(n).collect();
    Some(MatMulShape { batch, m: m.unwrap_or(1), k, n: n.unwrap_or(1), output })
}

/// For each element of `output`, row-major, the index of the element of `shape` that broadcasts to it.
pub fn broadcast_indices(shape: &[usize], output: &[usize]) -> Vec<usize> {
    let mut indices = vec![0];
    let mut stride: usize = shape.iter().product();
    let lead = output.len() - shape.len();
    for (axis, &size) in output.iter().enumerate() {
        let own = axis.checked_sub(lead).map_or(1, |a| shape[a]);
        stride /= own;
        let step = if own == 1 { 0 } else { stride };
        indices = indices.iter().flat_map(|base| (0..size).map(move |i| base + i * step)).collect();
    }
    indices
}

/// For each axis of `shape`, how far apart its elements are, row-major.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// For each element of `shape`, row-major, the index of the element that it is reduced into when `axes` are.
pub fn reduced_indices(shape: &[usize], axes: &[usize]) -> Vec<u32> {
    let kept: Vec<usize> =
        shape.iter().enumerate().map(|(a, d)| if axes.contains(&a) { 1 } else { *d }).collect();
    broadcast_indices(&kept, shape).into_iter().map(|i| i as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_aligns_last_dimensions() {
        assert_eq!(broadcast(&[2, 1, 3], &[4, 1]), Some(vec![2, 4, 3]));
        assert_eq!(broadcast(&[], &[5]), Some(vec![5]));
        assert_eq!(broadcast(&[2], &[3]), None);
    }

    #[test]
    fn broadcast_indices_follow_numpy() {
        // numpy: np.broadcast_to(np.arange(2).reshape(2, 1), (2, 3)).ravel()
        assert_eq!(broadcast_indices(&[2, 1], &[2, 3]), [0, 0, 0, 1, 1, 1]);
        // np.broadcast_to(np.arange(3), (2, 3)).ravel()
        assert_eq!(broadcast_indices(&[3], &[2, 3]), [0, 1, 2, 0, 1, 2]);
        assert_eq!(broadcast_indices(&[], &[2]), [0, 0]);
        // np.broadcast_to(np.arange(6).reshape(2, 1, 3), (2, 2, 3)).ravel()
        assert_eq!(broadcast_indices(&[2, 1, 3], &[2, 2, 3]), [0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5]);
    }

    #[test]
    fn matrix_products_take_vectors_as_numpy_does() {
        let output = |l: &[usize], r: &[usize]| matmul(l, r).map(|s| s.output);
        assert_eq!(output(&[3], &[3]), Some(vec![]));
        assert_eq!(output(&[2, 3], &[3]), Some(vec![2]));
        assert_eq!(output(&[3], &[3, 4]), Some(vec![4]));
        assert_eq!(output(&[5, 1, 2, 3], &[7, 3, 4]), Some(vec![5, 7, 2, 4]));
        assert_eq!(output(&[2, 3], &[2, 3]), None);
        assert_eq!(output(&[], &[1]), None);
    }
}
