//! Recordings along their days: curves and spans of time, with gaps where samples are missing.

/// Longest time between samples that still belong together, seconds.
const GAP_S: i64 = 180;
/// Most points of a curve along days.
const POINTS: usize = 2500;

/// Days since the midnight before the first of `seconds`.
pub struct Days {
    midnight: i64,
}

impl Days {
    /// Of samples at `seconds`, rising.
    pub fn of(seconds: &[i64]) -> Self {
        Self { midnight: seconds.first().map_or(0, |s| s - s.rem_euclid(86_400)) }
    }

    fn at(&self, seconds: i64) -> f64 {
        (seconds - self.midnight) as f64 / 86_400.0
    }

    /// From the first sample to the last.
    pub fn range(&self, seconds: &[i64]) -> (f64, f64) {
        let end = |s: Option<&i64>| s.map_or(0.0, |s| self.at(*s));
        (end(seconds.first()), end(seconds.last()))
    }

    /// Every how manieth sample is drawn.
    pub fn stride(seconds: &[i64]) -> usize {
        seconds.len().div_ceil(POINTS).max(1)
    }

    /// Samples to draw, and `None` where samples are missing.
    fn drawn(seconds: &[i64]) -> Vec<Option<usize>> {
        let stride = Self::stride(seconds);
        let mut out: Vec<Option<usize>> = Vec::new();
        let mut last: Option<usize> = None;
        for index in (0..seconds.len()).step_by(stride) {
            if let Some(last) = last
                && (last..index).any(|k| seconds[k + 1] - seconds[k] > GAP_S)
            {
                out.push(None);
            }
            out.push(Some(index));
            last = Some(index);
        }
        out
    }

    /// A curve through `value` of the samples, with gaps where samples are missing.
    pub fn curve(&self, seconds: &[i64], value: impl Fn(usize) -> f64) -> Vec<(f64, f64)> {
        let point = |k: Option<usize>| k.map_or((f64::NAN, f64::NAN), |k| (self.at(seconds[k]), value(k)));
        Self::drawn(seconds).into_iter().map(point).collect()
    }

    /// Spans of time in which `holds`, each sample lasting until the next one, or a minute before a gap.
    pub fn spans(&self, seconds: &[i64], holds: impl Fn(usize) -> bool) -> Vec<(f64, f64)> {
        let mut out: Vec<(f64, f64)> = Vec::new();
        let mut open = false;
        for (index, from) in seconds.iter().enumerate() {
            let next = seconds.get(index + 1).filter(|next| **next - from <= GAP_S);
            let to = self.at(next.copied().unwrap_or(from + 60));
            if !holds(index) {
                open = false;
                continue;
            }
            match out.last_mut() {
                Some(last) if open => last.1 = to,
                _ => out.push((self.at(*from), to)),
            }
            open = next.is_some();
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: f64 = 86_400.0;

    #[test]
    fn spans_end_where_samples_are_missing() {
        let seconds = [60, 120, 180, 1000, 1060];
        let days = Days::of(&seconds);
        let minutes = |holds: &[bool]| -> Vec<(f64, f64)> {
            let spans = days.spans(&seconds, |k| holds[k]);
            spans.iter().map(|(a, b)| ((a * DAY).round(), (b * DAY).round())).collect()
        };
        assert_eq!(minutes(&[true; 5]), [(60.0, 240.0), (1000.0, 1120.0)]);
        assert_eq!(
            minutes(&[true, false, true, true, false]),
            [(60.0, 120.0), (180.0, 240.0), (1000.0, 1060.0)]
        );
        assert_eq!(minutes(&[false; 5]), []);
    }

    #[test]
    fn curves_have_a_gap_where_samples_are_missing_and_few_points() {
        let seconds: Vec<i64> = (0..5000).map(|k| 60 * k + if k < 2500 { 0 } else { 3600 }).collect();
        let drawn = Days::drawn(&seconds);
        assert_eq!(drawn.iter().filter(|k| k.is_none()).count(), 1);
        assert_eq!(drawn.iter().flatten().count(), POINTS);
        assert_eq!(drawn.iter().position(Option::is_none), Some(1250));
        assert!(Days::drawn(&[]).is_empty());
        let days = Days::of(&seconds[2500..]);
        assert_eq!(days.midnight, 86_400, "the midnight before the first sample");
    }
}
