//! Inputs varied anew each time they are learned from.
//!
//! Each lane is flipped, shifted and made noisy by itself, in this order; what is drawn depends on the generator handed over alone. A radius is
//! about the varied input: certificates are not touched by any of this.

use crate::model::Random;

/// What an image shows where it was shifted away from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// This value.
    Value(f32),
    /// The nearest pixel.
    Edge,
}

/// How inputs are varied; the default leaves them as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augment {
    /// Most pixels by which an image moves up or down, left or right; every shift is as likely as any other. Range 0… below the image's size.
    pub shift: [usize; 2],
    /// What comes in.
    pub fill: Fill,
    /// Whether half of the images are mirrored, left to right.
    pub flip: bool,
    /// Standard deviation of noise on each element, in the elements' units. Range 0…
    pub noise: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Self { shift: [0, 0], fill: Fill::Value(0.0), flip: false, noise: 0.0 }
    }
}

/// What does not suit inputs of a shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AugmentError {
    /// Shifted or flipped, and no image.
    #[error(
        "only images [channels, height, width] are shifted or flipped, and inputs are {0:?}; switch both off"
    )]
    NoImage(Vec<usize>),
    /// Shifted out of sight.
    #[error("a shift by up to {shift:?} leaves nothing of images of {size:?}; take less")]
    Shift {
        /// As set.
        shift: [usize; 2],
        /// Height and width.
        size: [usize; 2],
    },
    /// Noise that is no deviation.
    #[error("noise has a deviation of 0 or more")]
    Noise,
}

impl Augment {
    /// Whether inputs stay as they are.
    pub fn is_none(&self) -> bool {
        self.shift == [0, 0] && !self.flip && self.noise == 0.0
    }

    /// Whether it suits inputs of `shape`.
    ///
    /// # Errors
    /// [`AugmentError`].
    pub fn check(&self, shape: &[usize]) -> Result<(), AugmentError> {
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            return Err(AugmentError::Noise);
        }
        if self.shift == [0, 0] && !self.flip {
            return Ok(());
        }
        let [_, height, width] = *shape else { return Err(AugmentError::NoImage(shape.to_vec())) };
        if self.shift[0] >= height || self.shift[1] >= width {
            return Err(AugmentError::Shift { shift: self.shift, size: [height, width] });
        }
        Ok(())
    }

    /// Varies the inputs `x` `[shape, lanes]`; noise counts in units of `unit` `[shape]` (1 without), and ends at `range`.
    ///
    /// # Panics
    /// If it does not suit `shape` ([`Self::check`]) or lengths do not fit.
    pub fn apply(
        &self,
        x: &mut [f32],
        shape: &[usize],
        lanes: usize,
        unit: Option<&[f32]>,
        range: Option<&[Vec<f32>; 2]>,
        random: &mut Random,
    ) {
        assert_eq!(x.len(), shape.iter().product::<usize>() * lanes, "inputs of {shape:?}");
        if self.shift != [0, 0] || self.flip {
            let [_, height, width] = *shape else { panic!("images, not {shape:?}") };
            self.move_images(x, [height, width], lanes, random);
        }
        if self.noise > 0.0 {
            for (k, row) in x.chunks_exact_mut(lanes).enumerate() {
                let deviation = self.noise * unit.map_or(1.0, |unit| unit[k]);
                add_noise(row, f64::from(deviation), random);
                if let Some([least, most]) = range {
                    row.iter_mut().for_each(|x| *x = x.max(least[k]).min(most[k]));
                }
            }
        }
    }

    fn move_images(&self, x: &mut [f32], [height, width]: [usize; 2], lanes: usize, random: &mut Random) {
        // For each row and column and lane, the one it is taken from.
        let (mut rows, mut columns) = (vec![0; height * lanes], vec![0; width * lanes]);
        for lane in 0..lanes {
            let [down, right] = self.shift.map(|most| random.below(2 * most + 1) as isize - most as isize);
            let mirrored = self.flip && random.below(2) == 1;
            for (row, to) in rows[lane..].iter_mut().step_by(lanes).enumerate() {
                *to = self.source(row, down, height);
            }
            for (column, to) in columns[lane..].iter_mut().step_by(lanes).enumerate() {
                let from = self.source(column, right, width);
                *to = if mirrored && from != OUTSIDE { width - 1 - from } else { from };
            }
        }
        let outside = match self.fill {
            Fill::Value(value) => value,
            Fill::Edge => 0.0,
        };
        for image in x.chunks_exact_mut(height * width * lanes) {
            let before = image.to_vec();
            for (pixel, to) in image.chunks_exact_mut(lanes).enumerate() {
                let rows = &rows[pixel / width * lanes..][..lanes];
                let columns = &columns[pixel % width * lanes..][..lanes];
                for (lane, to) in to.iter_mut().enumerate() {
                    let (row, column) = (rows[lane], columns[lane]);
                    *to = if row == OUTSIDE || column == OUTSIDE {
                        outside
                    } else {
                        before[(row * width + column) * lanes + lane]
                    };
                }
            }
        }
    }

    /// The place of `count` that comes to `at` when all move by `by`.
    fn source(&self, at: usize, by: isize, count: usize) -> usize {
        let from = at as isize - by;
        match self.fill {
            Fill::Edge => from.clamp(0, count as isize - 1) as usize,
            Fill::Value(_) => usize::try_from(from).ok().filter(|f| *f < count).unwrap_or(OUTSIDE),
        }
    }
}

const OUTSIDE: usize = usize::MAX;

fn add_noise(x: &mut [f32], deviation: f64, random: &mut Random) {
    for pair in x.chunks_mut(2) {
        let normal = random.normal_pair();
        pair.iter_mut().zip(normal).for_each(|(x, n)| *x += (deviation * n) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANES: usize = 24;
    /// Two channels of 3×4.
    const SHAPE: [usize; 3] = [2, 3, 4];

    /// Each pixel of each lane another number.
    fn images() -> Vec<f32> {
        (0..24 * LANES).map(|k| 1.0 + k as f32).collect()
    }

    fn lane(x: &[f32], lane: usize) -> Vec<f32> {
        x[lane..].iter().step_by(LANES).copied().collect()
    }

    /// All images that shifts by at most `shift` and mirroring make of `x`, one channel after the other.
    fn variants(x: &[f32], shift: [isize; 2], flip: bool, fill: Fill) -> Vec<Vec<f32>> {
        let mut all = Vec::new();
        for (down, right, mirrored) in (-shift[0]..=shift[0])
            .flat_map(|d| (-shift[1]..=shift[1]).map(move |r| (d, r)))
            .flat_map(|(d, r)| [(d, r, false), (d, r, true)])
            .filter(|(_, _, mirrored)| flip || !mirrored)
        {
            let mut y = vec![];
            for (c, row, column) in
                (0..2).flat_map(|c| (0..3).flat_map(move |r| (0..4).map(move |k| (c, r, k))))
            {
                let pixel = |row: isize, column: isize| {
                    let column = if mirrored { 3 - column } else { column };
                    x[((c * 3 + row) * 4 + column) as usize]
                };
                let (row, column) = (row - down, column - right);
                let inside = (0..3).contains(&row) && (0..4).contains(&column);
                y.push(match fill {
                    Fill::Edge => pixel(row.clamp(0, 2), column.clamp(0, 3)),
                    Fill::Value(value) => {
                        if inside {
                            pixel(row, column)
                        } else {
                            value
                        }
                    }
                });
            }
            all.push(y);
        }
        all
    }

    #[test]
    fn each_lane_is_one_of_the_shifted_and_mirrored_images_and_all_of_them_occur() {
        for (shift, flip, fill) in [
            ([1, 1], true, Fill::Value(-7.0)),
            ([1, 2], false, Fill::Edge),
            ([0, 0], true, Fill::Edge),
            ([2, 0], false, Fill::Value(0.0)),
        ] {
            let augment = Augment { shift, fill, flip, noise: 0.0 };
            augment.check(&SHAPE).unwrap();
            let (before, mut random) = (images(), Random(1));
            let mut seen = std::collections::HashSet::new();
            for _ in 0..30 {
                let mut x = before.clone();
                augment.apply(&mut x, &SHAPE, LANES, None, None, &mut random);
                for k in 0..LANES {
                    let all = variants(&lane(&before, k), shift.map(|s| s as isize), flip, fill);
                    let which = all.iter().position(|v| *v == lane(&x, k));
                    seen.insert(which.expect("a shifted, perhaps mirrored image"));
                }
            }
            let all = variants(&lane(&before, 0), shift.map(|s| s as isize), flip, fill).len();
            assert_eq!(seen.len(), all, "{augment:?}");
        }
    }

    #[test]
    fn noise_has_its_deviation_in_each_elements_unit_and_ends_at_the_range() {
        let augment = Augment { noise: 0.5, ..Augment::default() };
        let (shape, lanes) = ([3], 20_000);
        let unit = [1.0, 2.0, 0.0];
        let mut x = vec![1.0; 3 * lanes];
        augment.apply(&mut x, &shape, lanes, Some(&unit), None, &mut Random(2));
        for (row, unit) in x.chunks_exact(lanes).zip(unit) {
            let mean = row.iter().map(|x| f64::from(*x)).sum::<f64>() / lanes as f64;
            let square = row.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / lanes as f64;
            let right = 0.5 * f64::from(unit);
            // Four deviations of each estimate.
            assert!((mean - 1.0).abs() <= 4.0 * right / (lanes as f64).sqrt(), "mean {mean}");
            assert!((square.sqrt() - right).abs() <= 4.0 * right / (2.0 * lanes as f64).sqrt(), "{square}");
            // Neighbours in a pair have nothing to do with one another.
            let product = |p: &[f32]| (f64::from(p[0]) - mean) * (f64::from(p[1]) - mean);
            let both: f64 = row.chunks_exact(2).map(product).sum::<f64>() / (lanes / 2) as f64;
            assert!(both.abs() <= 4.0 * right * right / (lanes as f64 / 2.0).sqrt(), "{both}");
        }
        let range = [vec![0.9; 3], vec![1.2; 3]];
        augment.apply(&mut x, &shape, lanes, None, Some(&range), &mut Random(2));
        assert!(x.iter().all(|x| (0.9..=1.2).contains(x)) && x.contains(&0.9) && x.contains(&1.2));
    }

    #[test]
    fn the_seed_decides() {
        let augment = Augment { shift: [1, 1], flip: true, noise: 0.1, fill: Fill::Edge };
        let run = |seed: u64| {
            let mut x = images();
            augment.apply(&mut x, &SHAPE, LANES, None, None, &mut Random(seed));
            x
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn what_does_not_suit_is_refused() {
        let flip = Augment { flip: true, ..Augment::default() };
        assert_eq!(flip.check(&[12]), Err(AugmentError::NoImage(vec![12])));
        let far = Augment { shift: [3, 0], ..Augment::default() };
        assert_eq!(far.check(&SHAPE), Err(AugmentError::Shift { shift: [3, 0], size: [3, 4] }));
        let noise = |noise: f32| Augment { noise, ..Augment::default() }.check(&[12]);
        assert_eq!(noise(f32::NAN), Err(AugmentError::Noise));
        assert_eq!(noise(-1.0), Err(AugmentError::Noise));
        assert_eq!(noise(0.1), Ok(()));
    }
}
