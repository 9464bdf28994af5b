//! What is learned from: inputs in memory, each with its target.

use crate::model::Random;

/// What belongs to each input.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// One class each.
    Classes {
        /// Class of each input.
        labels: Vec<u32>,
        /// What the classes are called.
        names: Vec<String>,
    },
    /// Numbers, `[inputs, outputs]`, row-major.
    Values {
        /// The numbers.
        values: Vec<f32>,
        /// What they are called; their count is that of the outputs.
        names: Vec<String>,
    },
}

impl Targets {
    /// Outputs of a network that learns them.
    pub fn outputs(&self) -> usize {
        let (Self::Classes { names, .. } | Self::Values { names, .. }) = self;
        names.len()
    }
}

/// Inputs and targets.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// Shape of one input: `[channels, height, width]` or `[features]`.
    pub shape: Vec<usize>,
    /// `[inputs, shape]`, row-major.
    pub inputs: Vec<f32>,
    /// What belongs to them.
    pub targets: Targets,
}

impl Set {
    /// Elements of one input.
    pub fn width(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many inputs there are.
    pub fn len(&self) -> usize {
        self.inputs.len() / self.width().max(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Input `k`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn input(&self, k: usize) -> &[f32] {
        &self.inputs[k * self.width()..][..self.width()]
    }

    /// The inputs `which`, in that order.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn subset(&self, which: &[u32]) -> Self {
        let rows = |x: &[f32], width: usize| -> Vec<f32> {
            which.iter().flat_map(|k| &x[*k as usize * width..][..width]).copied().collect()
        };
        let targets = match &self.targets {
            Targets::Classes { labels, names } => Targets::Classes {
                labels: which.iter().map(|k| labels[*k as usize]).collect(),
                names: names.clone(),
            },
            Targets::Values { values, names } => {
                Targets::Values { values: rows(values, names.len()), names: names.clone() }
            }
        };
        Self { shape: self.shape.clone(), inputs: rows(&self.inputs, self.width()), targets }
    }

    /// What is trained on, and a random share of `held_out` inputs on which choices are made.
    pub fn hold_out(&self, held_out: usize, random: &mut Random) -> [Self; 2] {
        let order = random.permutation(self.len());
        let (rest, train) = order.split_at(held_out.min(self.len()));
        let [mut train, mut rest] = [train.to_vec(), rest.to_vec()];
        train.sort_unstable();
        rest.sort_unstable();
        [self.subset(&train), self.subset(&rest)]
    }

    /// Copies the inputs `which` to `to`, `[shape, which]`: one lane each.
    ///
    /// # Panics
    /// If there are not so many, or `to` has another size.
    pub fn gather(&self, which: &[u32], to: &mut [f32]) {
        let (lanes, width) = (which.len(), self.width());
        assert_eq!(to.len(), width * lanes, "room for the lanes");
        // Sixteen inputs at a time: what is written stays in the cache.
        for (block, inputs) in which.chunks(16).enumerate() {
            let rows: Vec<&[f32]> = inputs.iter().map(|k| self.input(*k as usize)).collect();
            for (at, to) in to.chunks_exact_mut(lanes).enumerate() {
                for (to, row) in to[block * 16..].iter_mut().zip(&rows) {
                    *to = row[at];
                }
            }
        }
    }

    /// The targets of `which` as a graph reads them, `[outputs, which]`: 1 at the class, or the numbers.
    ///
    /// # Panics
    /// If there are not so many, or `to` has another size.
    pub fn gather_targets(&self, which: &[u32], to: &mut [f32]) {
        let (lanes, outputs) = (which.len(), self.targets.outputs());
        assert_eq!(to.len(), outputs * lanes, "room for the lanes");
        for (lane, k) in which.iter().enumerate() {
            let k = *k as usize;
            for output in 0..outputs {
                to[output * lanes + lane] = match &self.targets {
                    Targets::Classes { labels, .. } => f32::from(u8::from(labels[k] as usize == output)),
                    Targets::Values { values, .. } => values[k * outputs + output],
                };
            }
        }
    }

    /// Smallest and largest value of each element over all inputs.
    pub fn range(&self) -> [Vec<f32>; 2] {
        let width = self.width();
        let mut ends = [vec![f32::INFINITY; width], vec![f32::NEG_INFINITY; width]];
        for row in self.inputs.chunks_exact(width.max(1)) {
            for (at, x) in row.iter().enumerate() {
                ends[0][at] = ends[0][at].min(*x);
                ends[1][at] = ends[1][at].max(*x);
            }
        }
        ends
    }
}
