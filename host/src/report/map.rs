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
    group = group.with_all(time_ties(fixes, place));
    if let Some(near) = fixes.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))) {
        let (own, other) = (place(near.own), place(near.intruder));
        group = group.with(line(own.0, own.1, other.0, other.1).class("closest"));
        group =
            group.with(label_beyond(other, own, 17.0, &format!("closest: {:.0} m", distance(near)), "tick"));
    }
    for fix in fixes {
        let (x, y) = place(fix.own);
        let (kind, radius) = if fix.certified { ("dot", 3.6) } else { ("dot open", 3.2) };
        let dot =
            el("circle").class(format!("{kind} {}", fix.class)).num("cx", x).num("cy", y).num("r", radius);
        group = group.with(dot.with(el("title").text(&fix.note)));
    }
    group = group.with_all(starts(fixes, place));
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

/// Text beside `to`, on the side away from `from`.
fn label_beyond(from: (f64, f64), to: (f64, f64), gap: f64, text: &str, class: &str) -> Element {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1e-9);
    let (x, y) = (to.0 + gap * dx / length, to.1 + gap * dy / length + 4.0);
    let anchor = match dx / length {
        c if c > 0.35 => "",
        c if c < -0.35 => " end",
        _ => " middle",
    };
    label(x, y, text).class(format!("{class} halo{anchor}"))
}

/// A line between both aircraft every ten seconds, with the time beyond the intruder.
fn time_ties(fixes: &[Fix], place: impl Fn((f64, f64)) -> (f64, f64)) -> Vec<Element> {
    let mut out = Vec::new();
    let mut next = 10.0;
    for fix in fixes {
        if fix.time_s + 1e-9 < next {
            continue;
        }
        let (own, other) = (place(fix.own), place(fix.intruder));
        out.push(line(own.0, own.1, other.0, other.1).class("tie"));
        out.push(el("circle").class("mark").num("cx", other.0).num("cy", other.1).num("r", 2.5));
        out.push(label_beyond(own, other, 8.0, &format!("{next:.0} s"), "tick"));
        next += 10.0;
    }
    out
}

/// Names of both aircraft behind where they start.
fn starts(fixes: &[Fix], place: impl Fn((f64, f64)) -> (f64, f64)) -> Vec<Element> {
    let [first, second, ..] = fixes else { return Vec::new() };
    let name = |start: (f64, f64), next: (f64, f64), text| {
        let y = if next.1 < start.1 { start.1 + 20.0 } else { start.1 - 12.0 };
        label(start.0.clamp(50.0, WIDTH - 50.0), y, text).class("axis-name halo middle")
    };
    vec![
        name(place(first.own), place(second.own), "own aircraft"),
        name(place(first.intruder), place(second.intruder), "intruder"),
    ]
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
