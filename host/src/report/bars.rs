//! Horizontal bars: one stacked bar for the parts of a whole, and a histogram.

use super::chart::{label, line, rect};
use super::markup::{Element, coordinate, el};
use super::scale::Scale;

const WIDTH: f64 = 760.0;

/// A part of a whole.
#[derive(Clone, Debug)]
pub struct Part {
    /// Shown in the legend.
    pub name: String,
    /// Colour class.
    pub class: &'static str,
    /// Its size.
    pub value: f64,
    /// Its size as text, with unit.
    pub text: String,
}

/// One bar cut into parts, with a legend that gives each part's size.
pub fn stacked(title: &str, parts: &[Part]) -> Element {
    let total: f64 = parts.iter().map(|p| p.value).sum();
    let mut svg =
        el("svg").at("viewBox", format!("0 0 {WIDTH} 44")).at("role", "img").at("aria-label", title);
    let mut at = 0.0;
    let mut legend = el("div").class("legend");
    for part in parts {
        let width = if total > 0.0 { part.value / total * WIDTH } else { 0.0 };
        // A gap of one unit between parts, unless the part itself is thinner.
        let bar = rect(at, 6.0, (width - 1.0).max(width * 0.5), 32.0).class(format!("fill {}", part.class));
        svg = svg.with(bar.with(el("title").text(format!("{}: {}", part.name, part.text))));
        at += width;
        let key = el("span").with(el("i").class(format!("key area {}", part.class)));
        legend = legend.with(key.text(&part.name).with(el("b").text(&part.text)));
    }
    el("div").class("chart").with(legend).with(svg)
}

/// Counts of values in equal bins.
#[derive(Clone, Debug)]
pub struct Histogram {
    /// What it shows, for readers who do not see it.
    pub title: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// Ends of the horizontal axis.
    pub range: (f64, f64),
    /// How many bins.
    pub bins: usize,
    /// Series from bottom to top: name, colour class, values.
    pub series: Vec<(String, &'static str, Vec<f64>)>,
}

impl Histogram {
    /// Legend and drawing.
    pub fn render(&self) -> Element {
        let counts: Vec<Vec<usize>> = self.series.iter().map(|(_, _, values)| self.count(values)).collect();
        let highest = (0..self.bins).map(|b| counts.iter().map(|c| c[b]).sum::<usize>()).max().unwrap_or(0);
        let x = Scale { lower: self.range.0, upper: self.range.1, start: 64.0, end: WIDTH - 12.0 };
        let y = Scale::covering([0.0, highest.max(1) as f64], 172.0, 22.0, 4);
        let mut group = el("g");
        let (ticks, decimals) = y.ticks(4);
        for tick in ticks {
            group = group.with(line(x.start, y.map(tick), x.end, y.map(tick)).class("grid"));
            group = group.with(
                label(x.start - 8.0, y.map(tick) + 4.0, &format!("{tick:.decimals$}")).class("tick end"),
            );
        }
        let width = (self.range.1 - self.range.0) / self.bins as f64;
        for bin in 0..self.bins {
            let (from, to) =
                (x.map(self.range.0 + bin as f64 * width), x.map(self.range.0 + (bin + 1) as f64 * width));
            let mut below = 0;
            for (count, (_, class, _)) in counts.iter().zip(&self.series) {
                let (bottom, top) = (y.map(below as f64), y.map((below + count[bin]) as f64));
                if count[bin] > 0 {
                    group = group.with(
                        rect(from + 0.5, top, to - from - 1.0, bottom - top).class(format!("fill {class}")),
                    );
                }
                below += count[bin];
            }
        }
        group = group.with(line(x.start, y.start, x.end, y.start).class("axis"));
        let (ticks, decimals) = x.ticks(8);
        for tick in ticks {
            group = group.with(label(x.map(tick), 189.0, &format!("{tick:.decimals$}")).class("tick middle"));
        }
        group = group
            .with(label(x.start, 12.0, &self.y_label).class("axis-name"))
            .with(label(x.end, 206.0, &self.x_label).class("axis-name end"));
        let legend = el("div").class("legend").with_all(self.series.iter().map(|(name, class, values)| {
            let key = el("span").with(el("i").class(format!("key area {class}")));
            key.text(name).with(el("b").text(values.len().to_string()))
        }));
        let svg = el("svg").at("viewBox", format!("0 0 {WIDTH} {}", coordinate(212.0)));
        el("div")
            .class("chart")
            .with(legend)
            .with(svg.at("role", "img").at("aria-label", &self.title).with(group))
    }

    /// How many values fall into each bin; values outside the axis count in the bin at its end.
    fn count(&self, values: &[f64]) -> Vec<usize> {
        let mut counts = vec![0; self.bins];
        for value in values.iter().filter(|v| !v.is_nan()) {
            let share = (value - self.range.0) / (self.range.1 - self.range.0);
            counts[((share * self.bins as f64).max(0.0) as usize).min(self.bins - 1)] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_counted_once() {
        let histogram = Histogram {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            range: (0.0, 2.0),
            bins: 4,
            series: vec![],
        };
        assert_eq!(histogram.count(&[-1.0, 0.0, 0.5, 0.6, 1.99, 2.0, f64::INFINITY, f64::NAN]), [2, 2, 0, 3]);
    }
}
