//! Panels of lines and areas over one shared horizontal axis, with lanes of states below.

use super::markup::{Element, coordinate, el, path_through};
use super::scale::Scale;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 92.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 22.0;
const PANEL_GAP: f64 = 30.0;
const LANE: f64 = 16.0;
const AXIS: f64 = 40.0;

/// How the points of a series are drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// A line.
    Line,
    /// A line of dashes.
    Dashed,
    /// A dot at each point.
    Dots,
    /// The area between the points and this many values below, one per point.
    Above(Vec<f64>),
}

/// Points with a name and a colour class of the style sheet.
#[derive(Clone, Debug)]
pub struct Series {
    /// Shown in the legend.
    pub name: String,
    /// Colour class.
    pub class: &'static str,
    /// Line or area.
    pub shape: Shape,
    /// Horizontal and vertical value; a value that is not finite leaves a gap.
    pub points: Vec<(f64, f64)>,
}

/// One vertical axis and what is drawn on it.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Name and unit of the vertical axis.
    pub label: String,
    /// Height of the drawing area, in picture units (the whole is 760 wide).
    pub height: f64,
    /// Ends of the vertical axis; the data's range without them.
    pub range: Option<(f64, f64)>,
    /// Written after each tick value.
    pub unit: &'static str,
    /// Drawn in this order.
    pub series: Vec<Series>,
}

/// Spans of the horizontal axis in which a state holds.
#[derive(Clone, Debug)]
pub struct Lane {
    /// Written at the left.
    pub name: String,
    /// Colour class.
    pub class: &'static str,
    /// From and to.
    pub spans: Vec<(f64, f64)>,
    /// Whether the spans also tint the panels.
    pub tint: bool,
}

/// The whole chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows, for readers who do not see it.
    pub title: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Ends of the horizontal axis.
    pub x_range: (f64, f64),
    /// From top to bottom.
    pub panels: Vec<Panel>,
    /// Below the panels.
    pub lanes: Vec<Lane>,
}

impl Chart {
    /// Legend and drawing.
    pub fn render(&self) -> Element {
        let x = Scale { lower: self.x_range.0, upper: self.x_range.1, start: LEFT, end: WIDTH - RIGHT };
        let mut svg = el("g");
        let mut top = TOP;
        for panel in &self.panels {
            svg = svg.with(self.panel(panel, &x, top));
            top += panel.height + PANEL_GAP;
        }
        top -= PANEL_GAP - 10.0;
        for lane in &self.lanes {
            svg = svg.with(draw_lane(lane, &x, top));
            top += LANE + 3.0;
        }
        svg = svg.with(self.x_axis(&x, top));
        let picture = el("svg")
            .at("viewBox", format!("0 0 {WIDTH} {}", coordinate(top + AXIS)))
            .at("role", "img")
            .at("aria-label", &self.title)
            .with(svg);
        el("div").class("chart").with(self.legend()).with(picture)
    }

    fn legend(&self) -> Element {
        let series = self.panels.iter().flat_map(|p| &p.series).filter(|s| !s.name.is_empty());
        el("div").class("legend").with_all(series.map(|s| {
            let mark = match s.shape {
                Shape::Line => "key line",
                Shape::Dots => "key dot",
                Shape::Dashed => "key dashed",
                Shape::Above(_) => "key area",
            };
            el("span").with(el("i").class(format!("{mark} {}", s.class))).text(&s.name)
        }))
    }

    fn panel(&self, panel: &Panel, x: &Scale, top: f64) -> Element {
        let bottom = top + panel.height;
        let values = panel.series.iter().flat_map(|s| s.points.iter().map(|p| p.1));
        let y = match panel.range {
            Some((lower, upper)) => Scale { lower, upper, start: bottom, end: top },
            None => Scale::covering(values, bottom, top, 4),
        };
        let mut group = el("g");
        for (from, to) in self.lanes.iter().filter(|l| l.tint).flat_map(|l| &l.spans) {
            group =
                group.with(rect(x.map(*from), top, x.map(*to) - x.map(*from), panel.height).class("tint"));
        }
        let (ticks, decimals) = y.ticks(if panel.height > 150.0 { 5 } else { 4 });
        for tick in ticks {
            let class = if tick == 0.0 { "grid zero" } else { "grid" };
            group = group.with(line(x.start, y.map(tick), x.end, y.map(tick)).class(class));
            let value = format!("{tick:.decimals$}{}", panel.unit).replace('-', "\u{2212}");
            group = group.with(label(x.start - 8.0, y.map(tick) + 4.0, &value).class("tick end"));
        }
        group = group.with(label(x.start, top - 9.0, &panel.label).class("axis-name"));
        for series in &panel.series {
            group = group.with_all(draw_series(series, x, &y));
        }
        group
    }

    fn x_axis(&self, x: &Scale, top: f64) -> Element {
        let (ticks, decimals) = x.ticks(8);
        let mut group = el("g").with(line(x.start, top, x.end, top).class("axis"));
        for tick in ticks {
            group = group.with(line(x.map(tick), top, x.map(tick), top + 4.0).class("axis"));
            group = group
                .with(label(x.map(tick), top + 17.0, &format!("{tick:.decimals$}")).class("tick middle"));
        }
        group.with(label(x.end, top + 34.0, &self.x_label).class("axis-name end"))
    }
}

fn draw_lane(lane: &Lane, x: &Scale, top: f64) -> Element {
    let mut group = el("g").with(label(x.start - 8.0, top + LANE - 4.5, &lane.name).class("tick end"));
    group = group.with(rect(x.start, top, x.end - x.start, LANE).class("lane"));
    for (from, to) in &lane.spans {
        group = group.with(
            rect(x.map(*from), top, x.map(*to) - x.map(*from), LANE).class(format!("fill {}", lane.class)),
        );
    }
    group
}

fn draw_series(series: &Series, x: &Scale, y: &Scale) -> Vec<Element> {
    let place = |(px, py): (f64, f64)| (x.map(px), y.map(py.clamp(y.lower, y.upper)));
    let through: Vec<_> = series.points.iter().copied().map(place).collect();
    let mut out = Vec::new();
    if let Shape::Above(base) = &series.shape {
        // Each unbroken run is closed on its own, so that a gap stays a gap.
        let indices: Vec<_> = (0..through.len()).collect();
        for run in
            indices.split(|&i| !(through[i].1.is_finite() && base.get(i).is_some_and(|b| b.is_finite())))
        {
            let back = run.iter().rev().map(|&i| place((series.points[i].0, base[i])));
            let outline: Vec<_> = run.iter().map(|&i| through[i]).chain(back).collect();
            if !outline.is_empty() {
                out.push(
                    el("path").class(format!("area {}", series.class)).at("d", path_through(&outline) + "Z"),
                );
            }
        }
    }
    if series.shape == Shape::Dots {
        let dots = through.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        out.extend(dots.map(|(x, y)| {
            el("circle").class(format!("dot {}", series.class)).num("cx", *x).num("cy", *y).num("r", 3.5)
        }));
        return out;
    }
    let class = if series.shape == Shape::Dashed { "line dashed" } else { "line" };
    out.push(el("path").class(format!("{class} {}", series.class)).at("d", path_through(&through)));
    out
}

/// A straight line.
pub fn line(x1: f64, y1: f64, x2: f64, y2: f64) -> Element {
    el("line").num("x1", x1).num("y1", y1).num("x2", x2).num("y2", y2)
}

/// A rectangle; a negative size is drawn as none.
pub fn rect(x: f64, y: f64, width: f64, height: f64) -> Element {
    el("rect").num("x", x).num("y", y).num("width", width.max(0.0)).num("height", height.max(0.0))
}

/// Text at a point.
pub fn label(x: f64, y: f64, text: &str) -> Element {
    el("text").num("x", x).num("y", y).text(text)
}

/// Runs of equal values along `keys`, each as `(from, to, key)`: `step` long per key, beginning at 0.
pub fn runs<K: Copy + PartialEq>(keys: &[K], step: f64) -> Vec<(f64, f64, K)> {
    let mut out: Vec<(f64, f64, K)> = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let (from, to) = (index as f64 * step, (index + 1) as f64 * step);
        match out.last_mut() {
            Some(last) if last.2 == *key => last.1 = to,
            _ => out.push((from, to, *key)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_the_axis_without_gaps() {
        assert_eq!(runs(&['a', 'a', 'b', 'a'], 0.5), [(0.0, 1.0, 'a'), (1.0, 1.5, 'b'), (1.5, 2.0, 'a')]);
        assert!(runs::<u8>(&[], 1.0).is_empty());
    }

    #[test]
    fn a_gap_splits_an_area_and_values_outside_the_axis_stay_inside_the_panel() {
        let points = vec![(0.0, 1.0), (1.0, 50.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, -9.0)];
        let series = Series { name: "a".into(), class: "s1", shape: Shape::Above(vec![0.0; 5]), points };
        let x = Scale { lower: 0.0, upper: 4.0, start: 0.0, end: 40.0 };
        let y = Scale { lower: 0.0, upper: 10.0, start: 100.0, end: 0.0 };
        let drawn: Vec<_> = draw_series(&series, &x, &y).iter().map(Element::render).collect();
        assert_eq!(drawn.len(), 3, "two areas and a line: {drawn:?}");
        assert!(drawn[0].contains("M0 90L10 0L10 100L0 100Z"), "{}", drawn[0]);
        assert!(drawn[1].contains("M30 90L40 100L40 100L30 100Z"), "{}", drawn[1]);
    }
}
