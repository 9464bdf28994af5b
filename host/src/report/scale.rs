//! From data to picture coordinates, with round tick values.

/// A linear map from `[lower, upper]` of the data to `[start, end]` of the picture.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Smallest data value.
    pub lower: f64,
    /// Largest data value, above `lower`.
    pub upper: f64,
    /// Where `lower` is drawn.
    pub start: f64,
    /// Where `upper` is drawn.
    pub end: f64,
}

impl Scale {
    /// A scale over the finite values of `values`, widened to round ends; `[0, 1]` without any.
    pub fn covering(values: impl IntoIterator<Item = f64>, start: f64, end: f64, ticks: usize) -> Self {
        let (mut lower, mut upper) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.into_iter().filter(|v| v.is_finite()) {
            lower = lower.min(value);
            upper = upper.max(value);
        }
        if lower > upper {
            (lower, upper) = (0.0, 1.0);
        } else if lower == upper {
            let pad = if lower == 0.0 { 1.0 } else { lower.abs() * 0.5 };
            (lower, upper) = (lower - pad, upper + pad);
        }
        let step = round_step(upper - lower, ticks);
        Self { lower: (lower / step).floor() * step, upper: (upper / step).ceil() * step, start, end }
    }

    /// Where `value` is drawn.
    pub fn map(&self, value: f64) -> f64 {
        self.start + (value - self.lower) / (self.upper - self.lower) * (self.end - self.start)
    }

    /// About `count` round values inside the scale, with the decimals they need.
    pub fn ticks(&self, count: usize) -> (Vec<f64>, usize) {
        let span = self.upper - self.lower;
        let step = round_step(span, count);
        let first = (self.lower / step - 1e-9).ceil();
        let ticks = (0..=2 * count.max(1))
            .map(|k| (first + k as f64) * step)
            .take_while(|t| *t <= self.upper + 1e-9 * span)
            .map(|t| if t.abs() < 1e-9 * span { 0.0 } else { t })
            .collect();
        let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        (ticks, decimals)
    }
}

/// The step of the form 1, 2 or 5 times a power of ten that cuts `span` into at most `count` parts or so.
fn round_step(span: f64, count: usize) -> f64 {
    let raw = span.abs().max(f64::MIN_POSITIVE) / count.max(1) as f64;
    let magnitude = 10f64.powf(raw.log10().floor());
    let factor =
        [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * magnitude >= raw * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let scale = Scale::covering([0.3, 9.7], 0.0, 100.0, 5);
        assert_eq!((scale.lower, scale.upper), (0.0, 10.0));
        assert_eq!(scale.ticks(5), (vec![0.0, 2.0, 4.0, 6.0, 8.0, 10.0], 0));
        let fine = Scale { lower: -0.05, upper: 0.1, start: 0.0, end: 1.0 };
        let (ticks, decimals) = fine.ticks(3);
        assert_eq!(decimals, 2);
        assert_eq!(
            ticks.iter().map(|t| format!("{t:.2}")).collect::<Vec<_>>(),
            ["-0.05", "0.00", "0.05", "0.10"]
        );
    }

    #[test]
    fn a_scale_without_spread_or_data_still_maps() {
        for values in [vec![], vec![f64::NAN], vec![0.0], vec![3.0, 3.0], vec![-1e300, 1e300]] {
            let scale = Scale::covering(values.clone(), 0.0, 10.0, 4);
            assert!(scale.lower < scale.upper, "{values:?}");
            assert!(scale.map(scale.lower).is_finite());
            assert!(scale.ticks(4).0.len() <= 9);
        }
    }
}
