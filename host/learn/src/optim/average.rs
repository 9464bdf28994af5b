//! Means of the parameters over steps.
//!
//! Source: exponential: Polyak and Juditsky 1992; over epochs: Izmailov et al. 2018 (arXiv:1803.05407).

/// A running mean of tensors.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    /// `β` of an exponential mean; `None` for the plain mean of all that was added.
    pub keep: Option<f32>,
    /// How many were added.
    pub count: u64,
    /// The mean.
    pub tensors: Vec<Vec<f32>>,
}

impl Average {
    /// Nothing added.
    pub fn new(keep: Option<f32>, sizes: impl IntoIterator<Item = usize>) -> Self {
        Self { keep, count: 0, tensors: sizes.into_iter().map(|n| vec![0.0; n]).collect() }
    }

    /// Adds tensors of the sizes of [`Self::new`]; the first are the mean themselves.
    ///
    /// # Panics
    /// If sizes differ.
    pub fn add<'t>(&mut self, tensors: impl IntoIterator<Item = &'t [f32]>) {
        self.count += 1;
        let share = match (self.keep, self.count) {
            (_, 1) => 1.0,
            (Some(keep), _) => 1.0 - keep,
            (None, count) => 1.0 / count as f32,
        };
        for (mean, now) in self.tensors.iter_mut().zip(tensors) {
            assert_eq!(mean.len(), now.len(), "tensors of one size");
            mean.iter_mut().zip(now).for_each(|(m, x)| *m += share * (x - *m));
        }
    }
}
