//! Bars: one stacked bar for the parts of a whole, and columns of counts.

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

/// Counts per category, stacked.
#[derive(Clone, Debug)]
pub struct Columns {
    /// What it shows, for readers who do not see it.
    pub title: String,
    /// Name and unit of the categories.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// From left to right.
    pub categories: Vec<String>,
    /// Series from bottom to top: name, colour class, one count per category.
    pub series: Vec<(String, &'static str, Vec<usize>)>,
}

impl Columns {
    /// Legend and drawing.
    pub fn render(&self) -> Element {
        let count = |series: &[usize], at: usize| series.get(at).copied().unwrap_or(0);
        let total = |at| self.series.iter().map(|s| count(&s.2, at)).sum::<usize>();
        let highest = (0..self.categories.len()).map(total).max().unwrap_or(0);
        let (left, right) = (44.0, WIDTH - 12.0);
        let y = Scale::covering([0.0, highest.max(1) as f64], 172.0, 22.0, 4);
        let mut group = el("g");
        let (ticks, decimals) = y.ticks(4);
        for tick in ticks {
            group = group.with(line(left, y.map(tick), right, y.map(tick)).class("grid"));
            group = group
                .with(label(left - 8.0, y.map(tick) + 4.0, &format!("{tick:.decimals$}")).class("tick end"));
        }
        let slot = (right - left) / self.categories.len().max(1) as f64;
        for (at, category) in self.categories.iter().enumerate() {
            let (from, width) = (left + (at as f64 + 0.2) * slot, 0.6 * slot);
            let mut below = 0;
            for (name, class, counts) in self.series.iter().filter(|s| count(&s.2, at) > 0) {
                let above = below + count(counts, at);
                let bar = rect(from, y.map(above as f64), width, y.map(below as f64) - y.map(above as f64));
                let note = el("title").text(format!("{category}, {name}: {}", above - below));
                group = group.with(bar.class(format!("fill {class}")).with(note));
                below = above;
            }
            let middle = from + width / 2.0;
            group =
                group.with(label(middle, y.map(below as f64) - 5.0, &below.to_string()).class("tick middle"));
            group = group.with(label(middle, 189.0, category).class("tick middle"));
        }
        group = group
            .with(line(left, y.start, right, y.start).class("axis"))
            .with(label(left, 9.0, &self.y_label).class("axis-name"))
            .with(label(right, 208.0, &self.x_label).class("axis-name end"));
        let legend = el("div").class("legend").with_all(self.series.iter().map(|(name, class, counts)| {
            let key = el("span").with(el("i").class(format!("key area {class}")));
            key.text(name).with(el("b").text(counts.iter().sum::<usize>().to_string()))
        }));
        let svg = el("svg").at("viewBox", format!("0 0 {WIDTH} {}", coordinate(214.0)));
        el("div")
            .class("chart")
            .with(legend)
            .with(svg.at("role", "img").at("aria-label", &self.title).with(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_counts_and_stand_on_each_other() {
        let columns = Columns {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            categories: vec!["a".into()],
            series: vec![("s".into(), "c-line", vec![30]), ("t".into(), "c-open", vec![10])],
        };
        let drawn = columns.render().render();
        // The axis runs from 0 at 172 to 40 at 22: 3.75 per count.
        assert!(
            drawn.contains("y=\"59.5\" width=\"422.4\" height=\"112.5\" class=\"fill c-line\""),
            "{drawn}"
        );
        assert!(drawn.contains("y=\"22\" width=\"422.4\" height=\"37.5\" class=\"fill c-open\""), "{drawn}");
    }

    #[test]
    fn parts_fill_the_bar() {
        let part = |value| Part { name: String::new(), class: "c-line", value, text: String::new() };
        let drawn = stacked("", &[part(3.0), part(1.0)]).render();
        assert!(drawn.contains("x=\"0\" y=\"6\" width=\"569\""), "{drawn}");
        assert!(drawn.contains("x=\"570\" y=\"6\" width=\"189\""), "{drawn}");
    }
}
