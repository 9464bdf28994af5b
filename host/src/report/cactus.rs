//! Cactus plot: how many instances are solved within how long, time on a logarithmic axis.

use super::chart::{label, line};
use super::markup::{Element, coordinate, el, path_through};
use super::scale::Scale;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const AXIS: f64 = 40.0;
/// Shorter times are drawn as this, seconds.
const SHORTEST_S: f64 = 1e-4;

/// Times of one tool or list.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Shown in the legend.
    pub name: String,
    /// Colour class of the style sheet.
    pub class: &'static str,
    /// Drawn with dashes.
    pub dashed: bool,
    /// Wall time of each solved instance, in any order.
    pub seconds: Vec<f64>,
}

/// The whole plot.
#[derive(Clone, Debug)]
pub struct Cactus {
    /// What it shows, for readers who do not see it.
    pub title: String,
    /// Drawn in this order.
    pub curves: Vec<Curve>,
}

impl Cactus {
    /// Legend and drawing.
    pub fn render(&self) -> Element {
        let bottom = TOP + HEIGHT;
        let most = self.curves.iter().map(|c| c.seconds.len()).max().unwrap_or(0).max(1);
        let x = Scale { lower: 0.0, upper: most as f64, start: LEFT, end: WIDTH - RIGHT };
        let logs = || self.curves.iter().flat_map(|c| c.seconds.iter().map(|s| decade(*s)));
        let lower = logs().fold(f64::INFINITY, f64::min).min(-2.0).floor();
        let upper = logs().fold(f64::NEG_INFINITY, f64::max).max(0.0).ceil();
        let y = Scale { lower, upper, start: bottom, end: TOP };
        let mut group = el("g").with(label(LEFT, TOP - 9.0, "wall time").class("axis-name"));
        let mut power = lower;
        while power <= upper {
            let height = y.map(power);
            group = group.with(line(x.start, height, x.end, height).class("grid"));
            group = group.with(label(x.start - 8.0, height + 4.0, &seconds(power)).class("tick end"));
            power += 1.0;
        }
        let (ticks, _) = x.ticks(8);
        group = group.with(line(x.start, bottom, x.end, bottom).class("axis"));
        for tick in ticks {
            let name = label(x.map(tick), bottom + 17.0, &format!("{tick:.0}")).class("tick middle");
            group = group.with(line(x.map(tick), bottom, x.map(tick), bottom + 4.0).class("axis")).with(name);
        }
        group = group.with(label(x.end, bottom + 34.0, "instances solved").class("axis-name end"));
        for curve in &self.curves {
            group = group.with(draw(curve, &x, &y));
        }
        let picture = el("svg")
            .at("viewBox", format!("0 0 {WIDTH} {}", coordinate(bottom + AXIS)))
            .at("role", "img")
            .at("aria-label", &self.title)
            .with(group);
        el("div").class("chart").with(self.legend()).with(picture)
    }

    fn legend(&self) -> Element {
        el("div").class("legend").with_all(self.curves.iter().map(|c| {
            let mark = if c.dashed { "key dashed" } else { "key line" };
            let count = el("b").text(c.seconds.len().to_string());
            el("span")
                .with(el("i").class(format!("{mark} {}", c.class)))
                .text(format!("{} ", c.name))
                .with(count)
        }))
    }
}

/// Logarithm of a time to base 10.
fn decade(seconds: f64) -> f64 {
    seconds.max(SHORTEST_S).log10()
}

/// `10^power` seconds in words.
fn seconds(power: f64) -> String {
    let value = 10f64.powi(power as i32);
    if power < 0.0 { format!("{:.*} s", -power as usize, value) } else { format!("{value:.0} s") }
}

/// One step to the right for each instance, fastest first.
fn draw(curve: &Curve, x: &Scale, y: &Scale) -> Element {
    let mut sorted = curve.seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let points: Vec<(f64, f64)> =
        sorted.iter().enumerate().map(|(i, s)| (x.map((i + 1) as f64), y.map(decade(*s)))).collect();
    let class = if curve.dashed { "line dashed" } else { "line" };
    el("path").class(format!("{class} {}", curve.class)).at("d", path_through(&points))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_rises_with_the_instances_and_time_is_logarithmic() {
        let curve = |seconds| Curve { name: "a".into(), class: "c-line", dashed: false, seconds };
        let x = Scale { lower: 0.0, upper: 3.0, start: 0.0, end: 300.0 };
        let y = Scale { lower: -2.0, upper: 1.0, start: 300.0, end: 0.0 };
        let drawn = draw(&curve(vec![10.0, 0.01, 0.1]), &x, &y).render();
        assert!(drawn.contains("M100 300L200 200L300 0"), "{drawn}");
        let whole = Cactus { title: "t".into(), curves: vec![curve(vec![]), curve(vec![0.0, 1e9])] };
        let text = whole.render().render();
        assert!(
            roxmltree::Document::parse(&text).is_ok() && text.contains("0.01 s") && !text.contains("NaN")
        );
    }
}
