//! Attacks on the inputs of a set, as an evaluation needs them.

use super::{Attack, AutoPgd, Objective, Pgd, Region};
use crate::data::{Set, Targets};
use crate::model::{Model, Random};

/// How hard is tried: PGD on the cross entropy, then AutoPGD on the cross entropy, then on the ratio of logits ([`Objective::Dlr`]), each on what
/// the ones before left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strength {
    /// Steps of each start. Default 40, range 1…
    pub steps: usize,
    /// Starts of each attack. Default 1, range 1…
    pub starts: usize,
    /// Inputs at a time. Default 128, range 1…
    pub lanes: usize,
}

impl Default for Strength {
    fn default() -> Self {
        Self { steps: 40, starts: 1, lanes: 128 }
    }
}

/// How far inputs may be off.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// Radius of each element, `[shape]`.
    pub radius: &'a [f64],
    /// Smallest and largest value of each element, `[shape]` each.
    pub range: Option<&'a [Vec<f32>; 2]>,
}

/// Counterexamples of the first `count` inputs of `set`: points within the boxes at which some other logit is larger than the label's. `None`
/// where none was found, and for targets that are numbers. Random starts come from `seed`; `progress` hears how many inputs are done and ends
/// the search by returning `false`.
///
/// # Rounding
/// Boxes are rounded inward: every point lies in the exact one. Logits are those of the planned executor in `f32`; whoever needs those of another
/// arithmetic evaluates the point there.
///
/// # Panics
/// If shapes are other than the model's.
pub fn counterexamples(
    model: &Model,
    set: &Set,
    (reach, count): (Reach<'_>, usize),
    strength: Strength,
    (seed, threads): (u64, usize),
    progress: &mut dyn FnMut(usize) -> bool,
) -> Vec<Option<Vec<f32>>> {
    let count = count.min(set.len());
    let mut found = vec![None; count];
    if !matches!(set.targets, Targets::Classes { .. }) {
        return found;
    }
    let lanes = crate::train::whole_lanes(model, strength.lanes.clamp(1, count.max(1)));
    let mut attacks =
        [Objective::CrossEntropy, Objective::Dlr].map(|o| Attack::new(model, o, lanes, threads));
    let settings = Pgd { steps: strength.steps, starts: strength.starts, step: 0.1, random: true };
    let auto = AutoPgd { steps: strength.steps, starts: strength.starts };
    let mut random = Random(seed);
    let mut left: Vec<u32> = (0..count as u32).collect();
    for stage in 0..3 {
        let mut open = Vec::new();
        for batch in left.chunks(lanes) {
            // The last batch is filled up with its last input, which does not count.
            let which: Vec<u32> = (0..lanes).map(|k| batch[k.min(batch.len() - 1)]).collect();
            let (lower, upper, targets) = gather(model, set, reach, &which);
            let region = Region { lower: &lower, upper: &upper };
            let result = match stage {
                0 => attacks[0].pgd(model, region, &targets, &settings, &mut random),
                _ => attacks[stage - 1].auto_pgd(model, region, &targets, &auto, &mut random),
            };
            for (lane, input) in batch.iter().enumerate() {
                if result.broken[lane] {
                    let point = result.points[lane..].iter().step_by(lanes).copied();
                    found[*input as usize] = Some(point.collect());
                } else {
                    open.push(*input);
                }
            }
            let broken = found.iter().filter(|f| f.is_some()).count();
            let done = if stage == 2 { broken + open.len() } else { broken };
            if !progress(done) {
                return found;
            }
        }
        left = open;
    }
    found
}

/// Boxes and targets of the inputs `which`, `[elements, which]` each.
fn gather(model: &Model, set: &Set, reach: Reach<'_>, which: &[u32]) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let lanes = which.len();
    let (mut lower, mut targets) = (vec![0.0; model.inputs() * lanes], vec![0.0; model.classes * lanes]);
    set.gather(which, &mut lower);
    set.gather_targets(which, &mut targets);
    let mut upper = lower.clone();
    let rows = lower.chunks_exact_mut(lanes).zip(upper.chunks_exact_mut(lanes));
    for (k, (lower, upper)) in rows.enumerate() {
        let [least, most] = match reach.range {
            Some([least, most]) => [least[k], most[k]],
            None => [f32::NEG_INFINITY, f32::INFINITY],
        };
        lower.iter_mut().for_each(|x| *x = inward(*x, -reach.radius[k]).max(least).min(*x));
        upper.iter_mut().for_each(|x| *x = inward(*x, reach.radius[k]).min(most).max(*x));
    }
    (lower, upper, targets)
}

/// `x + by`, rounded towards `x`.
fn inward(x: f32, by: f64) -> f32 {
    let exact = f64::from(x) + by;
    let near = exact as f32;
    if by < 0.0 && f64::from(near) < exact {
        near.next_up()
    } else if by > 0.0 && f64::from(near) > exact {
        near.next_down()
    } else {
        near
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_never_pass_the_exact_ones_and_miss_them_by_no_float() {
        let mut random = Random(1);
        for _ in 0..10_000 {
            let x = (random.normal() * 10f64.powi(random.below(8) as i32 - 4)) as f32;
            let by = random.normal() * 10f64.powi(random.below(8) as i32 - 6);
            let exact = f64::from(x) + by;
            let found = inward(x, by);
            let [inner, outer] = if by < 0.0 { [found, found.next_down()] } else { [found, found.next_up()] };
            let past = |y: f32| if by < 0.0 { f64::from(y) < exact } else { f64::from(y) > exact };
            assert!(!past(inner) && past(outer), "{x} + {by}: {found}");
        }
    }
}
