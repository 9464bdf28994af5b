//! What was measured at growing errors, with training by bounds and without.

/// A measurement at each level of error, rising; a level is a multiple of the sensors' own errors.
#[derive(Clone, Debug, PartialEq)]
pub struct Levels<T> {
    /// Of the network that was trained with bounds.
    pub certified: Vec<(f64, T)>,
    /// Of the one that was trained without.
    pub plain: Vec<(f64, T)>,
}

impl<T> Levels<T> {
    /// What was measured at `level`, with bounds and without.
    pub fn at(&self, level: f64) -> Option<[&T; 2]> {
        let of = |all: &'_ [(f64, T)]| all.iter().position(|(l, _)| *l == level);
        Some([&self.certified.get(of(&self.certified)?)?.1, &self.plain.get(of(&self.plain)?)?.1])
    }

    /// All that was measured.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.certified.iter().chain(&self.plain).map(|(_, found)| found)
    }
}

/// What `measure` finds at each of `levels`.
///
/// # Errors
/// The first of `measure`.
pub fn at_each<T, E>(
    levels: &[f64],
    mut measure: impl FnMut(f64) -> Result<T, E>,
) -> Result<Vec<(f64, T)>, E> {
    levels.iter().map(|level| Ok((*level, measure(*level)?))).collect()
}
