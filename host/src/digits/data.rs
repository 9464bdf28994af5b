//! The recordings, as the quickstart splits them.

use std::path::{Path, PathBuf};

use certus_learn::data::{DataError, Set, Targets};
use certus_learn::model::Random;
use certus_learn::sensor::digits::{self, Recording, Rows};

/// Training recordings that are not trained on; the curves of training and all choices of hyper-parameters are measured on them.
pub const HELD_OUT: usize = 270;
/// Seed of the choice of those.
const HELD_OUT_SEED: u64 = 7;

/// A training set, a part held out of it, and a test set.
#[derive(Clone, Debug)]
pub struct Split {
    /// What is trained on.
    pub train: Set,
    /// What choices are made on.
    pub held_out: Set,
    /// What is evaluated once, at the end.
    pub test: Rows,
}

impl Split {
    /// Holds [`HELD_OUT`] of `rows` out.
    pub fn of([rows, test]: [Rows; 2]) -> Self {
        let [train, held_out] = rows.set.hold_out(HELD_OUT, &mut Random(HELD_OUT_SEED));
        Self { train, held_out, test }
    }
}

/// The split by take, and the test recordings that are there as sound.
///
/// # Errors
/// [`DataError`] names the file that is missing or damaged.
pub fn read(folder: &Path) -> Result<(Split, Vec<Recording>), DataError> {
    Ok((Split::of(digits::read(folder)?), digits::recordings(folder)?))
}

/// `assets/digits` of the checkout that `start` lies in.
pub fn shipped(start: &Path) -> Option<PathBuf> {
    start.ancestors().map(|folder| folder.join("assets/digits")).find(|folder| folder.is_dir())
}

/// The digit of each input of `set`.
///
/// # Panics
/// If its targets are numbers.
pub fn labels(set: &Set) -> &[u32] {
    match &set.targets {
        Targets::Classes { labels, .. } => labels,
        Targets::Values { .. } => panic!("digits are classes"),
    }
}

/// The inputs of `set`, `[inputs][640]`.
pub fn inputs(set: &Set) -> Vec<Vec<f32>> {
    (0..set.len()).map(|k| set.input(k).to_vec()).collect()
}
