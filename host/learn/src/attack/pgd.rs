//! Projected gradient descent with steps of fixed size.

use super::{Attack, Found, Region, sign};
use crate::model::{Model, Random};

/// `x ← clamp(x + step·h·sign ∇f(x))`, `h` half the box's width.
///
/// Source: Madry et al. 2018 (arXiv:1706.06083).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pgd {
    /// Steps of each start. Range 0…
    pub steps: usize,
    /// Length of a step, in half widths of the box. Range above 0…2.
    pub step: f32,
    /// Starts; each but the first is random. Range 1…
    pub starts: usize,
    /// Whether the first start is random too, rather than the box's centre.
    pub random: bool,
}

impl Default for Pgd {
    /// The 40 steps of 0.01 at radius 0.3 with which Madry et al. train on MNIST.
    fn default() -> Self {
        Self { steps: 40, step: 1.0 / 30.0, starts: 1, random: true }
    }
}

impl Attack {
    /// The worst points on the ways from the starts; `targets` `[classes, lanes]` is 1 at the label, else 0.
    ///
    /// # Panics
    /// If shapes are other than the model's.
    pub fn pgd(
        &mut self,
        model: &Model,
        region: Region<'_>,
        targets: &[f32],
        settings: &Pgd,
        random: &mut Random,
    ) -> Found {
        self.check(model, region, targets);
        let mut best = Found::nothing(region.lower, self.lanes);
        for start in 0..settings.starts.max(1) {
            let mut x = if start > 0 || settings.random { region.draw(random) } else { region.middle() };
            self.evaluate(model, &x, targets);
            self.keep(&x, &mut best);
            for _ in 0..settings.steps {
                climb(&mut x, self.gradient(), region, settings.step);
                self.evaluate(model, &x, targets);
                self.keep(&x, &mut best);
            }
            if best.is_complete() {
                break;
            }
        }
        self.confirm(model, region, targets, best)
    }

    /// The points after `settings.steps` steps of one start: those on which adversarial training goes on.
    ///
    /// # Panics
    /// If shapes are other than the model's.
    pub fn last_points(
        &mut self,
        model: &Model,
        region: Region<'_>,
        targets: &[f32],
        settings: &Pgd,
        random: &mut Random,
    ) -> Vec<f32> {
        self.check(model, region, targets);
        let mut x = if settings.random { region.draw(random) } else { region.middle() };
        for _ in 0..settings.steps {
            self.evaluate(model, &x, targets);
            climb(&mut x, self.gradient(), region, settings.step);
        }
        x
    }
}

/// One step up, back into the box.
fn climb(x: &mut [f32], gradient: &[f32], region: Region<'_>, step: f32) {
    for (((x, g), lower), upper) in x.iter_mut().zip(gradient).zip(region.lower).zip(region.upper) {
        let moved = *x + step * 0.5 * (upper - lower) * sign(*g);
        *x = moved.max(*lower).min(*upper);
    }
}
