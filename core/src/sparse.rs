//! A layer of few weights: of a wide matrix only the weights that are not 0, row after row.
//!
//! What networks that select and compare are made of: thousands of rows with two to four weights each. It means what the
//! [`crate::Dense`] layer with zeros in all other places means, over the reals and in `f32`, bit for bit.
//!
//! Only hosts have them (feature `sparse`): without it no value of the type exists, and neither a device's layers nor its code grow by it.

use crate::infer::BLOCK;
#[cfg(feature = "sparse")]
use crate::layer::ShapeError;

/// `W x + b`, `W` `[rows, cols]` given by the weights that are stored; all others are 0.
#[derive(Clone, Copy, Debug)]
pub struct Sparse<'a>(Held<'a>);

#[cfg(feature = "sparse")]
type Held<'a> = Lists<'a>;
#[cfg(not(feature = "sparse"))]
type Held<'a> = (core::convert::Infallible, core::marker::PhantomData<&'a f32>);

#[derive(Clone, Copy, Debug)]
struct Lists<'a> {
    cols: usize,
    starts: &'a [u32],
    columns: &'a [u32],
    values: &'a [f32],
    bias: &'a [f32],
}

/// The weights that are stored of one row, columns ascending.
#[derive(Clone, Copy, Debug)]
pub struct SparseRow<'a> {
    columns: &'a [u32],
    values: &'a [f32],
}

impl<'a> Sparse<'a> {
    #[cfg(feature = "sparse")]
    fn lists(&self) -> &Lists<'a> {
        &self.0
    }
    #[cfg(not(feature = "sparse"))]
    fn lists(&self) -> &Lists<'a> {
        match self.0.0 {}
    }

    /// Borrows the rows: row `i` has the weights `values[starts[i]..starts[i + 1]]` in the `columns` beside.
    ///
    /// # Errors
    /// [`ShapeError::Empty`] if a dimension is 0, [`ShapeError::Length`] if the lists do not fit one another,
    /// [`ShapeError::Order`] if the columns of a row do not ascend or are not below `cols`.
    #[cfg(feature = "sparse")]
    pub fn new(
        cols: usize,
        [starts, columns]: [&'a [u32]; 2],
        values: &'a [f32],
        bias: &'a [f32],
    ) -> Result<Self, ShapeError> {
        if bias.is_empty() || cols == 0 {
            return Err(ShapeError::Empty);
        }
        if starts.len() != bias.len() + 1 {
            return Err(ShapeError::Length { expected: bias.len() + 1, found: starts.len() });
        }
        if values.len() != columns.len() {
            return Err(ShapeError::Length { expected: columns.len(), found: values.len() });
        }
        let last = starts.last().map_or(0, |s| *s as usize);
        if last != columns.len() {
            return Err(ShapeError::Length { expected: last, found: columns.len() });
        }
        let sparse = Self(Lists { cols, starts, columns, values, bias });
        let mut end = 0;
        for (start, next) in starts.iter().zip(starts.iter().skip(1)) {
            let row = columns.get(*start as usize..*next as usize).ok_or(ShapeError::Order)?;
            let ascending = row.iter().zip(row.iter().skip(1)).all(|(a, b)| a < b);
            if *start != end || !ascending || row.last().is_some_and(|j| *j as usize >= cols) {
                return Err(ShapeError::Order);
            }
            end = *next;
        }
        Ok(sparse)
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.lists().bias.len()
    }
    /// Inputs.
    pub fn cols(&self) -> usize {
        self.lists().cols
    }
    /// Bias, `[rows]`.
    pub fn bias(&self) -> &'a [f32] {
        self.lists().bias
    }
    /// The weights that are stored, row after row.
    pub fn values(&self) -> &'a [f32] {
        self.lists().values
    }
    /// The weights that are stored of row `i`; none if there is no such row.
    pub fn row(&self, i: usize) -> SparseRow<'a> {
        let Lists { starts, columns, values, .. } = *self.lists();
        let ends = starts.get(i).zip(starts.get(i + 1));
        let range = ends.map_or(0..0, |(start, end)| *start as usize..*end as usize);
        let columns = columns.get(range.clone()).unwrap_or_default();
        SparseRow { columns, values: values.get(range).unwrap_or_default() }
    }
    /// Each row with its bias.
    pub fn row_iter(&self) -> impl Iterator<Item = (SparseRow<'a>, f32)> {
        let sparse = *self;
        self.lists().bias.iter().enumerate().map(move |(i, b)| (sparse.row(i), *b))
    }
    /// Whether both borrow the same constants.
    pub(crate) fn is_same(&self, other: &Sparse<'_>) -> bool {
        let (a, b) = (self.lists(), other.lists());
        core::ptr::eq(a.values, b.values)
            && core::ptr::eq(a.columns, b.columns)
            && core::ptr::eq(a.starts, b.starts)
            && core::ptr::eq(a.bias, b.bias)
            && a.cols == b.cols
    }
}

impl<'a> SparseRow<'a> {
    /// Column and weight of each.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f32)> + use<'a> {
        self.columns.iter().zip(self.values).map(|(j, w)| (*j as usize, *w))
    }

    /// `bias + w·x` as [`crate::infer::dot_blocked`] computes it of the row with its zeros, bit for bit.
    ///
    /// With finite `x` a product with 0 is ±0 and adds nothing to a sum that is not −0; a block's sum begins at +0 and stays
    /// what it is, and a bias of −0 becomes +0 with the first block. With a NaN or an infinity in `x` every product counts.
    pub fn dot_blocked(&self, x: &[f32], x_is_finite: bool, bias: f32) -> f32 {
        if !x_is_finite {
            return self.dot_with_zeros(x, bias);
        }
        let (mut total, mut sum, mut block) = (bias, 0.0f32, 0);
        for (j, w) in self.iter() {
            if j / BLOCK != block {
                total += sum;
                (sum, block) = (0.0, j / BLOCK);
            }
            sum += w * x.get(j).copied().unwrap_or_default();
        }
        total + sum
    }

    fn dot_with_zeros(&self, x: &[f32], bias: f32) -> f32 {
        let (mut total, mut stored) = (bias, self.iter().peekable());
        for (block, x) in x.chunks(BLOCK).enumerate() {
            let mut sum = 0.0f32;
            for (k, x) in x.iter().enumerate() {
                let w = stored.next_if(|(j, _)| *j == block * BLOCK + k).map_or(0.0, |(_, w)| w);
                sum += w * x;
            }
            total += sum;
        }
        total
    }
}
