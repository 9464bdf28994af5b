//! The last samples of a stream, in the order in which a network reads them.
//!
//! A sensor network reads a window: `C` channels at the last `T` times. [`Window`] keeps it in one array of fixed
//! capacity and shifts it by one time at each push, so the network's input is always contiguous; a push costs `C·T` moves.
//!
//! Each element of the network's input is a sample of one channel at one time, so a radius per channel, or a range, is
//! spread over the window by [`Order::spread`]: the ball around a window then allows every sample of a channel to be off
//! by that channel's epsilon, each on its own.
//!
//! ```
//! use certus_core::monitor::{Order, Window};
//!
//! let mut window = Window::<6>::new(2, Order::ChannelMajor).expect("3 times of 2 channels");
//! assert_eq!(window.push(&[1.0, -1.0]), None);
//! assert_eq!(window.push(&[2.0, -2.0]), None);
//! assert_eq!(window.push(&[3.0, -3.0]), Some(&[1.0, 2.0, 3.0, -1.0, -2.0, -3.0][..]));
//! assert_eq!(window.push(&[4.0, -4.0]), Some(&[2.0, 3.0, 4.0, -2.0, -3.0, -4.0][..]));
//! ```

/// How a window of `C` channels and `T` times lies in the network's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Order {
    /// `[C, T]`: all times of the first channel, then of the next; what a convolution over time reads.
    ChannelMajor,
    /// `[T, C]`: all channels at the first time, then at the next.
    TimeMajor,
}

impl Order {
    /// Writes each channel's value to its elements of a window.
    ///
    /// # Shapes
    /// `channels` `[C]`, `window` `[C·T]`; what does not fill a time is left as it is.
    pub fn spread(self, channels: &[f32], window: &mut [f32]) {
        let times = window.len().checked_div(channels.len()).unwrap_or(0);
        match self {
            Self::ChannelMajor => {
                let parts = window.chunks_exact_mut(times.max(1));
                channels.iter().zip(parts).for_each(|(value, part)| part.fill(*value));
            }
            Self::TimeMajor => {
                for part in window.chunks_exact_mut(channels.len().max(1)) {
                    part.iter_mut().zip(channels).for_each(|(slot, value)| *slot = *value);
                }
            }
        }
    }
}

/// A window of `SIZE` elements over a stream of samples.
#[derive(Clone, Debug)]
pub struct Window<const SIZE: usize> {
    order: Order,
    channels: usize,
    /// Samples still missing.
    missing: usize,
    values: [f32; SIZE],
}

impl<const SIZE: usize> Window<SIZE> {
    /// An empty window of `channels` channels; `None` if they do not divide `SIZE` into times.
    pub fn new(channels: usize, order: Order) -> Option<Self> {
        let times = SIZE.checked_div(channels)?;
        (times > 0 && times.checked_mul(channels) == Some(SIZE)).then_some(Self {
            order,
            channels,
            missing: times,
            values: [0.0; SIZE],
        })
    }

    /// Appends one sample, `[channels]`, and drops the oldest; the window once it is full.
    ///
    /// A sample of another length is not appended and gives `None`. A value that is not finite stays for as many
    /// pushes as the window has times; the monitor says [`super::Fault::NonFinite`] meanwhile.
    pub fn push(&mut self, sample: &[f32]) -> Option<&[f32]> {
        if sample.len() != self.channels {
            return None;
        }
        match self.order {
            Order::ChannelMajor => {
                let times = SIZE.checked_div(self.channels)?;
                for (series, value) in self.values.chunks_exact_mut(times.max(1)).zip(sample) {
                    shift(series, 1);
                    if let Some(last) = series.last_mut() {
                        *last = *value;
                    }
                }
            }
            Order::TimeMajor => {
                shift(&mut self.values, self.channels);
                let start = SIZE.checked_sub(self.channels)?;
                let last = self.values.get_mut(start..)?;
                last.iter_mut().zip(sample).for_each(|(slot, value)| *slot = *value);
            }
        }
        self.missing = self.missing.saturating_sub(1);
        self.values()
    }

    /// The window, if it is full.
    pub fn values(&self) -> Option<&[f32]> {
        (self.missing == 0).then_some(&self.values)
    }

    /// Forgets all samples: after a gap in the stream.
    pub fn clear(&mut self) {
        self.missing = SIZE.checked_div(self.channels).unwrap_or(SIZE);
    }
}

/// Moves every element `by` places towards the front.
fn shift(values: &mut [f32], by: usize) {
    for index in by..values.len() {
        let value = values.get(index).copied().unwrap_or(0.0);
        if let Some(slot) = index.checked_sub(by).and_then(|to| values.get_mut(to)) {
            *slot = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_the_last_samples_in_either_order() {
        let mut by_channel = Window::<12>::new(3, Order::ChannelMajor).unwrap();
        let mut by_time = Window::<12>::new(3, Order::TimeMajor).unwrap();
        for t in 0..20u8 {
            let sample = [0.0, 100.0, 200.0].map(|base| base + f32::from(t));
            let (channel, time) = (by_channel.push(&sample), by_time.push(&sample));
            assert_eq!(channel.is_some(), t >= 3);
            let (Some(channel), Some(time)) = (channel, time) else { continue };
            for c in 0..3u8 {
                for k in 0..4u8 {
                    let expected = 100.0 * f32::from(c) + f32::from(t - 3 + k);
                    assert_eq!(channel[usize::from(c * 4 + k)], expected);
                    assert_eq!(time[usize::from(k * 3 + c)], expected);
                }
            }
        }
        by_channel.clear();
        assert_eq!(by_channel.push(&[0.0; 3]), None);
        assert_eq!(by_time.push(&[0.0; 2]), None);
    }

    #[test]
    fn channels_that_do_not_fill_the_window_are_refused() {
        for channels in [0, 5, 13] {
            assert!(Window::<12>::new(channels, Order::ChannelMajor).is_none(), "{channels}");
        }
    }

    #[test]
    fn values_per_channel_reach_all_its_elements() {
        let mut window = [f32::NAN; 6];
        Order::ChannelMajor.spread(&[1.0, 2.0], &mut window);
        assert_eq!(window, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        Order::TimeMajor.spread(&[1.0, 2.0], &mut window);
        assert_eq!(window, [1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
    }
}
