//! Sliding windows: where convolution and pooling read.
//!
//! Along each spatial axis, output `o` and kernel tap `k` read the element `o · stride + k · dilation − pad`;
//! outside `0..size_in` there is padding.

/// The geometry of a convolution or a pooling, one entry for each spatial axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Spatial size of what is read.
    pub size_in: Vec<usize>,
    /// Spatial size of what is given.
    pub size_out: Vec<usize>,
    /// Taps.
    pub kernel: Vec<usize>,
    /// Step of the window.
    pub stride: Vec<usize>,
    /// Step inside the window.
    pub dilation: Vec<usize>,
    /// Padding before the first element.
    pub pad: Vec<usize>,
    /// Padding behind the last element.
    pub pad_end: Vec<usize>,
}

/// The tap that reads padding in [`Window::taps`].
pub const PADDING: u32 = u32::MAX;

impl Window {
    /// Spatial axes.
    pub fn rank(&self) -> usize {
        self.kernel.len()
    }
    /// Elements of one channel of what is read.
    pub fn len_in(&self) -> usize {
        self.size_in.iter().product()
    }
    /// Elements of one channel of what is given.
    pub fn len_out(&self) -> usize {
        self.size_out.iter().product()
    }
    /// Taps of the kernel.
    pub fn len_kernel(&self) -> usize {
        self.kernel.iter().product()
    }

    /// `[len_out, len_kernel]`, row-major: the element of the channel that each output reads with each tap, or
    /// [`PADDING`].
    pub fn taps(&self) -> Vec<u32> {
        let mut taps = vec![0u32];
        let mut outputs = 1;
        let mut kernels = 1;
        // One axis after the other: a tap of the axes so far, times this axis' size, plus this axis' element.
        for axis in 0..self.rank() {
            let (more_outputs, more_kernels) = (self.size_out[axis], self.kernel[axis]);
            let mut next = Vec::with_capacity(taps.len() * more_outputs * more_kernels);
            for o in 0..outputs {
                for p in 0..more_outputs {
                    for k in 0..kernels {
                        let before = taps[o * kernels + k];
                        next.extend((0..more_kernels).map(|l| self.tap(axis, before, p, l)));
                    }
                }
            }
            taps = next;
            outputs *= more_outputs;
            kernels *= more_kernels;
        }
        taps
    }

    fn tap(&self, axis: usize, before: u32, output: usize, tap: usize) -> u32 {
        let at = (output * self.stride[axis] + tap * self.dilation[axis]).checked_sub(self.pad[axis]);
        match at.filter(|i| *i < self.size_in[axis] && before != PADDING) {
            Some(i) => before * self.size_in[axis] as u32 + i as u32,
            None => PADDING,
        }
    }

    /// What the sum over each output's window is divided by in an average: the taps inside the operand, with
    /// `count_include_pad` those inside operand and padding (a window may reach beyond both where its last
    /// position was rounded up).
    pub fn average_divisors(&self, count_include_pad: bool) -> Vec<usize> {
        let mut divisors = vec![1];
        for axis in 0..self.rank() {
            let (first, end) = if count_include_pad {
                (0, self.pad[axis] + self.size_in[axis] + self.pad_end[axis])
            } else {
                (self.pad[axis], self.pad[axis] + self.size_in[axis])
            };
            let count = |o: usize| {
                let at = |k| o * self.stride[axis] + k * self.dilation[axis];
                (0..self.kernel[axis]).filter(|k| (first..end).contains(&at(*k))).count()
            };
            let along: Vec<usize> = (0..self.size_out[axis]).map(count).collect();
            divisors = divisors.iter().flat_map(|d| along.iter().map(move |c| d * c)).collect();
        }
        divisors
    }
}
