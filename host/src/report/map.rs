//! Bird's-eye view of an encounter: both tracks, the advisory flown, and where it was certified.

use super::chart::{label, line};
use super::markup::{Element, coordinate, el, path_through};

const WIDTH: f64 = 760.0;
const MARGIN: f64 = 46.0;
const MAX_HEIGHT: f64 = 520.0;

/// One moment of the encounter, metres east (or forward) and north (or left) of a fixed origin.
#[derive(Clone, Debug)]
pub struct Fix {
    /// Seconds since the start.
    pub time_s: f64,
    /// Own position, metres.
    pub own: (f64, f64),
    /// The intruder's position, metres.
    pub intruder: (f64, f64),
    /// Colour class of the advisory.
    pub class: &'static str,
    /// Whether the advisory is certified.
    pub certified: bool,
    /// Shown when the pointer rests on the point.
    pub note: String,
}

/// A class and its name in the legend.
pub type Key = (&'static str, String);

/// Draws the encounter; both axes have the same scale.
pub fn render(title: &str, fixes: &[Fix], keys: &[Key]) -> Element {
    let points = || fixes.iter().flat_map(|f| [f.own, f.intruder]);
    let (left, right) = ends(points().map(|p| p.0));
    let (low, high) = ends(points().map(|p| p.1));
    let scale = ((WIDTH - 2.0 * MARGIN) / (right - left)).min((MAX_HEIGHT - 2.0 * MARGIN) / (high - low));
    let height = (high - low) * scale + 2.0 * MARGIN;
    let indent = (WIDTH - (right - left) * scale) / 2.0;
    let place = |(x, y): (f64, f64)| (indent + (x - left) * scale, height - MARGIN - (y - low) * scale);

    let track =
        |of: fn(&Fix) -> (f64, f64)| path_through(&fixes.iter().map(|f| place(of(f))).collect::<Vec<_>>());
    let mut group = el("g")
        .with(el("path").class("line intruder").at("d", track(|f| f.intruder)))
        .with(el("path").class("line own").at("d", track(|f| f.own)));
    if let Some(near) = fixes.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))) {
        let (a, b) = (place(near.own), place(near.intruder));
        group = group.with(line(a.0, a.1, b.0, b.1).class("closest"));
        let text = format!("closest: {:.0} m", distance(near));
        group = group.with(label((a.0 + b.0) / 2.0 + 7.0, (a.1 + b.1) / 2.0, &text).class("tick halo"));
    }
    for fix in fixes {
        let (x, y) = place(fix.own);
        let (kind, radius) = if fix.certified { ("dot", 3.6) } else { ("dot open", 3.2) };
        let dot =
            el("circle").class(format!("{kind} {}", fix.class)).num("cx", x).num("cy", y).num("r", radius);
        group = group.with(dot.with(el("title").text(&fix.note)));
    }
    group = group.with_all(time_marks(fixes, place)).with_all(ends_of_tracks(fixes, place));
    let bar = scale_bar_m(scale);
    group = group
        .with(line(MARGIN, height - 16.0, MARGIN + bar * scale, height - 16.0).class("scale-bar"))
        .with(label(MARGIN + bar * scale + 8.0, height - 12.0, &format!("{bar:.0} m")).class("tick"));

    let svg = el("svg")
        .at("viewBox", format!("0 0 {WIDTH} {}", coordinate(height)))
        .at("role", "img")
        .at("aria-label", title)
        .with(group);
    let mut legend = el("div").class("legend");
    for (class, name) in keys {
        legend = legend.with(el("span").with(el("i").class(format!("key disc {class}"))).text(name));
    }
    legend = legend
        .with(el("span").with(el("i").class("key disc solid")).text("certified"))
        .with(el("span").with(el("i").class("key disc hollow")).text("not certified"))
        .with(el("span").with(el("i").class("key dashed intruder")).text("intruder"));
    el("div").class("chart").with(legend).with(svg)
}

fn distance(fix: &Fix) -> f64 {
    (fix.own.0 - fix.intruder.0).hypot(fix.own.1 - fix.intruder.1)
}

fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (lower, upper) = values
        .filter(|v| v.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, u), v| (l.min(v), u.max(v)));
    if lower < upper { (lower, upper) } else { (lower.min(0.0), lower.min(0.0) + 1.0) }
}

/// A tick across both tracks every ten seconds, named on the intruder's.
fn time_marks(fixes: &[Fix], place: impl Fn((f64, f64)) -> (f64, f64)) -> Vec<Element> {
    let mut out = Vec::new();
    let mut next = 10.0;
    for fix in fixes {
        if fix.time_s + 1e-9 < next {
            continue;
        }
        let (x, y) = place(fix.intruder);
        out.push(el("circle").class("mark").num("cx", x).num("cy", y).num("r", 2.5));
        out.push(label(x, y - 7.0, &format!("{next:.0} s")).class("tick middle halo"));
        next += 10.0;
    }
    out
}

fn ends_of_tracks(fixes: &[Fix], place: impl Fn((f64, f64)) -> (f64, f64)) -> Vec<Element> {
    let Some(first) = fixes.first() else { return Vec::new() };
    let named = |at: (f64, f64), name: &str| {
        let (x, y) = place(at);
        // A name that would leave the picture is written to the left of its point.
        let class = if x > WIDTH - 120.0 { "axis-name halo end" } else { "axis-name halo" };
        label(x, y + 18.0, name).class(class)
    };
    vec![named(first.own, "own aircraft"), named(first.intruder, "intruder")]
}

/// A round length that is drawn between 60 and 180 units long.
fn scale_bar_m(scale: f64) -> f64 {
    let mut bar = 1.0;
    for factor in [2.0, 2.5, 2.0].into_iter().cycle().take(24) {
        if bar * scale >= 60.0 {
            break;
        }
        bar *= factor;
    }
    bar
}
