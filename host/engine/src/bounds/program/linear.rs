//! A linear map applied to the live rows of a block, in both directions.

use std::sync::Arc;

use super::conv::{self, Lists, Way};
use super::prepare::{Dense, Linear};
use super::rows::{Rows, Support};
use certus_kernels::gather::{DROP, Term};
use certus_kernels::lanes::add_scaled;

impl Linear {
    /// The neurons of `full` on the target side that `from` is connected with.
    pub(super) fn support(
        &self,
        way: Way,
        from: &Arc<Support>,
        full: &Arc<Support>,
        lists: &mut Lists,
    ) -> Arc<Support> {
        match self {
            Self::Identity | Self::Scale(_) => {
                if full.contains(from) {
                    return Arc::clone(from);
                }
                let live = from.live.iter().copied().filter(|j| full.pos[*j as usize] != DROP).collect();
                return Arc::new(Support::new(full.pos.len(), live));
            }
            Self::Dense(dense) => {
                if dense.count == 1 {
                    return Arc::clone(full);
                }
                let (source, target) = dense.sides(way);
                lists.marks.clear();
                lists.marks.resize(dense.count * target, false);
                for j in &from.live {
                    lists.marks[*j as usize / source * target..][..target].fill(true);
                }
            }
            Self::Conv(packed) => conv::mark(packed, way, from, lists),
            Self::ConvTranspose(packed) => conv::mark(packed, way.reversed(), from, lists),
            Self::Sparse { by_row, cols } => {
                lists.marks.clear();
                lists.marks.resize(if way == Way::Backward { *cols } else { by_row.rows() }, false);
                by_row.for_each(|o, i, _| {
                    let (s, t) = if way == Way::Backward { (o, i) } else { (i, o) };
                    lists.marks[t] |= from.pos[s] != DROP;
                });
            }
        }
        Support::marked(full, &lists.marks)
    }

    /// Writes the map of `from` to every row of `to`.
    pub(super) fn apply(&self, way: Way, from: &Rows, to: &mut Rows, lanes: usize, lists: &mut Lists) {
        match self {
            Self::Identity => copy(from, to, lanes, |_| 1.0),
            Self::Scale(scale) => copy(from, to, lanes, |j| scale[j]),
            Self::Dense(dense) => dense.apply(way, from, to, lanes, lists),
            Self::Conv(packed) => conv::apply(packed, way, from, to, lanes, lists),
            Self::ConvTranspose(packed) => conv::apply(packed, way.reversed(), from, to, lanes, lists),
            Self::Sparse { by_row, .. } => {
                to.data.fill(0.0);
                by_row.for_each(|o, i, v| {
                    let (s, t) = if way == Way::Backward { (o, i) } else { (i, o) };
                    let (s, t) = (from.support.pos[s], to.support.pos[t]);
                    if s != DROP && t != DROP {
                        let row = &from.data[s as usize * lanes..][..lanes];
                        add_scaled(&mut to.data[t as usize * lanes..][..lanes], row, by_row.values.values[v]);
                    }
                });
            }
        }
    }
}

impl Way {
    pub(super) fn reversed(self) -> Self {
        match self {
            Self::Backward => Self::Forward,
            Self::Forward => Self::Backward,
        }
    }
}

fn copy(from: &Rows, to: &mut Rows, lanes: usize, factor: impl Fn(usize) -> f32) {
    to.data.fill(0.0);
    for (row, j) in to.data.chunks_exact_mut(lanes).zip(&to.support.live) {
        let at = from.support.pos[*j as usize];
        if at != DROP {
            add_scaled(row, &from.data[at as usize * lanes..][..lanes], factor(*j as usize));
        }
    }
}

impl Dense {
    /// Elements of one vector on the source and the target side.
    fn sides(&self, way: Way) -> (usize, usize) {
        match way {
            Way::Backward => (self.rows, self.cols),
            Way::Forward => (self.cols, self.rows),
        }
    }

    fn apply(&self, way: Way, from: &Rows, to: &mut Rows, lanes: usize, lists: &mut Lists) {
        let panels = match way {
            Way::Backward => self.backward(),
            Way::Forward => self.forward(),
        };
        let (source, target) = self.sides(way);
        let mut live = from.support.live.iter().zip(0u32..).peekable();
        for vector in 0..self.count {
            lists.terms.clear();
            let first = (vector * source) as u32;
            while let Some((j, row)) = live.next_if(|(j, _)| **j < first + source as u32) {
                lists.terms.push(Term { col: j - first, row });
            }
            let targets = &to.support.pos[vector * target..][..target];
            panels.product(&lists.terms, &from.data, lanes, targets, &mut to.data);
        }
    }
}
