//! Pooling: maxima and means of windows.

use std::sync::Arc;

use crate::program::{Conv, Groups, Map, Slot};

use super::super::error::Fault;
use super::super::window::{PADDING, Window};
use super::Lowering;
use super::enclosure::Enclosure;
use super::steps::{Rows, narrow};

impl Lowering<'_, '_> {
    /// Channels of all samples: what windows are slid over one by one.
    fn planes(&self) -> usize {
        let shape = &self.operand(0).shape;
        shape[0] * shape[1]
    }

    /// The maximum of each window, padding left out.
    pub(super) fn max_pool(&mut self, window: &Window) -> Result<Slot, Fault> {
        let input = self.computed(0)?;
        let planes = self.planes();
        self.reserve((window.len_out() * window.len_kernel()).saturating_mul(planes + 1))?;
        let taps = window.taps();
        let mut groups = Groups { starts: vec![0], members: Vec::new() };
        for plane in 0..planes {
            for taps in taps.chunks_exact(window.len_kernel()) {
                let inside = taps.iter().filter(|t| **t != PADDING);
                groups.members.extend(inside.map(|t| narrow(plane * window.len_in()) + t));
                groups.starts.push(narrow(groups.members.len()));
            }
        }
        self.max(input, groups)
    }

    /// The mean of each window: a depthwise convolution where all windows are whole and `1 / n` is exact, else a
    /// sparse matrix whose values carry the error of `1 / n`.
    pub(super) fn average_pool(&mut self, window: &Window, count_include_pad: bool) -> Result<Slot, Fault> {
        let input = self.computed(0)?;
        let divisors = window.average_divisors(count_include_pad);
        if let Some(conv) = self.average_conv(window, &divisors)? {
            return self.affine(input, Map::Conv(conv), None);
        }
        let planes = self.planes();
        self.reserve((window.len_out() * window.len_kernel()).saturating_mul(planes + 1))?;
        let taps = window.taps();
        let mut rows = Rows::new(planes * window.len_in());
        for plane in 0..planes {
            for (taps, divisor) in taps.chunks_exact(window.len_kernel()).zip(&divisors) {
                let weight = Enclosure::ONE / count(*divisor);
                for tap in taps.iter().filter(|t| **t != PADDING) {
                    rows.push(plane * window.len_in() + *tap as usize, weight);
                }
                rows.end();
            }
        }
        let map = rows.map(self)?;
        self.affine(input, map, None)
    }

    fn average_conv(&mut self, window: &Window, divisors: &[usize]) -> Result<Option<Conv>, Fault> {
        let planes = self.planes();
        let whole = divisors.iter().all(|d| *d == window.len_kernel());
        let pair = |v: &[usize], fill| match v {
            [w] => Some([fill, *w]),
            [h, w] => Some([*h, *w]),
            _ => None,
        };
        let weight = (Enclosure::ONE / count(window.len_kernel())).as_float().filter(|_| whole);
        let (Some(weight), Some(size_in)) = (weight, pair(&window.size_in, 1)) else { return Ok(None) };
        self.reserve(planes * window.len_kernel())?;
        let pair = |v, fill| pair(v, fill).expect("as many dimensions as the sizes");
        Ok(Some(Conv {
            channels_in: planes,
            channels_out: planes,
            groups: planes,
            size_in,
            size_out: pair(&window.size_out, 1),
            kernel: pair(&window.kernel, 1),
            stride: pair(&window.stride, 1),
            dilation: pair(&window.dilation, 1),
            pad: pair(&window.pad, 0),
            weights: Arc::new(vec![weight; planes * window.len_kernel()]),
        }))
    }
}

/// A number of elements.
#[expect(clippy::cast_precision_loss, reason = "at most 2^28")]
pub(super) fn count(n: usize) -> Enclosure {
    Enclosure::exact(n as f64)
}
