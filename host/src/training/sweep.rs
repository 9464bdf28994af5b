//! Several runs that differ in some settings, and the front of clean against certified accuracy that they span.

use super::config::Config;
use crate::report::chart::{Chart, Panel, Series, Shape};
use crate::report::{Block, Cell, Page, Section, Table};

/// Most runs of a sweep.
pub const MOST: usize = 1000;

/// A setting and the values that it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// `table.key`.
    pub key: String,
    /// At least one, as TOML writes them.
    pub values: Vec<String>,
}

impl Axis {
    /// Reads `table.key=v1,v2,…`; commas in brackets divide nothing.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form = || "give table.key=value,value, such as train.kappa=0,0.5".to_owned();
        let (key, list) = text.split_once('=').ok_or_else(form)?;
        let (mut values, mut depth) = (vec![String::new()], 0i32);
        for c in list.chars() {
            depth += i32::from(c == '[') - i32::from(c == ']');
            match (c, depth) {
                (',', 0) => values.push(String::new()),
                _ => values.last_mut().expect("at least one").push(c),
            }
        }
        let values: Vec<String> = values.iter().map(|v| v.trim().to_owned()).collect();
        if !key.contains('.') || values.iter().any(String::is_empty) {
            return Err(form());
        }
        Ok(Self { key: key.trim().to_owned(), values })
    }
}

/// Every combination of the axes' values, as overrides; the last axis varies fastest.
pub fn combinations(axes: &[Axis]) -> Vec<Vec<String>> {
    axes.iter().fold(vec![Vec::new()], |all, axis| {
        let with = |before: &Vec<String>, value: &String| {
            before.iter().cloned().chain([format!("{}={value}", axis.key)]).collect()
        };
        all.iter().flat_map(|before| axis.values.iter().map(move |value| with(before, value))).collect()
    })
}

/// A network of a sweep, measured on held-out inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// What was set.
    pub changes: Vec<String>,
    /// Share of held-out inputs that are right.
    pub clean: f64,
    /// Share that intervals certify.
    pub certified: f64,
}

impl Point {
    /// What was set, without the tables' names.
    pub fn name(&self) -> String {
        let short = |c: &String| c.split_once('.').map_or(c.clone(), |(_, key)| key.to_owned());
        self.changes.iter().map(short).collect::<Vec<_>>().join(" ")
    }
}

/// The points that no other is as good as in both and better in one, by rising clean accuracy.
pub fn front(points: &[Point]) -> Vec<usize> {
    let beats = |a: &Point, b: &Point| {
        a.clean >= b.clean && a.certified >= b.certified && (a.clean > b.clean || a.certified > b.certified)
    };
    let mut on: Vec<usize> =
        (0..points.len()).filter(|k| !points.iter().any(|other| beats(other, &points[*k]))).collect();
    on.sort_by(|a, b| points[*a].clean.total_cmp(&points[*b].clean));
    on
}

/// The point of the largest certified share among those that are right at least so often; of equals the one that is right more often.
pub fn choose(points: &[Point], clean_at_least: f64) -> Option<usize> {
    let good = (0..points.len()).filter(|k| points[*k].clean >= clean_at_least);
    good.max_by(|a, b| {
        let (a, b) = (&points[*a], &points[*b]);
        a.certified.total_cmp(&b.certified).then(a.clean.total_cmp(&b.clean))
    })
}

/// The sweep's report.
pub fn page(config: &Config, points: &[Point], chosen: Option<usize>) -> Page {
    let on = front(points);
    let place = |k: usize| (100.0 * points[k].clean, 100.0 * points[k].certified);
    let series = |name: &str, class, shape, points| Series { name: name.into(), class, shape, points };
    let all: Vec<(f64, f64)> = (0..points.len()).map(place).collect();
    let mut drawn = vec![
        series("networks", "c-muted", Shape::Dots, all.clone()),
        series("front", "c-certified", Shape::Line, on.iter().map(|k| place(*k)).collect()),
        series("", "c-certified", Shape::Dots, on.iter().map(|k| place(*k)).collect()),
    ];
    drawn.extend(chosen.map(|k| series("chosen", "c-refuted", Shape::Dots, vec![place(k)])));
    let ends = |values: &mut dyn Iterator<Item = f64>| {
        let (l, u) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, u), x| (l.min(x), u.max(x)));
        let room = 0.08 * (u - l).max(1.0);
        (l - room, u + room)
    };
    let chart = Chart {
        title: "Certified against clean accuracy".into(),
        x_label: "held-out inputs that are right, %".into(),
        x_range: ends(&mut all.iter().map(|p| p.0)),
        panels: vec![Panel {
            label: "held-out inputs certified by IBP".into(),
            height: 320.0,
            range: Some(ends(&mut all.iter().map(|p| p.1))),
            unit: " %",
            series: drawn,
        }],
        lanes: Vec::new(),
    };
    let row = |k: usize| {
        let state = match (Some(k) == chosen, on.contains(&k)) {
            (true, _) => Cell::State("c-refuted", "chosen".into()),
            (_, true) => Cell::State("c-certified", "on the front".into()),
            _ => Cell::Text(String::new()),
        };
        let share = |x: f64| Cell::Text(format!("{:.2} %", 100.0 * x));
        vec![Cell::Code(points[k].name()), share(points[k].clean), share(points[k].certified), state]
    };
    let table = Table {
        columns: [("Set", false), ("Right", true), ("Certified", true), ("", false)]
            .map(|(name, numeric)| (name.to_owned(), numeric))
            .to_vec(),
        rows: (0..points.len()).map(row).collect(),
        caption: String::new(),
    };
    let caption = format!(
        "Held-out training inputs, certified at radius {} by intervals in plain f32: estimates, which the choice rests on.",
        config.train.test_radius()
    );
    let name = config.path.file_stem().map_or_else(|| "network".into(), |n| n.to_string_lossy().into_owned());
    Page {
        title: format!("{name}: clean against certified accuracy"),
        lead: format!(
            "{} networks, {} of them on the front. The test data were read for the chosen one alone.",
            points.len(),
            on.len()
        ),
        facts: Vec::new(),
        sections: vec![Section {
            heading: "The front".into(),
            lead: String::new(),
            blocks: vec![Block::Figure { picture: chart.render(), caption }, Block::Table(table)],
        }],
        footer: format!("certus {}", env!("CARGO_PKG_VERSION")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_lists_of_values_and_combine() {
        let axis = Axis::parse("train.rate_steps=[1, 2], [3]").unwrap();
        assert_eq!(axis.values, ["[1, 2]", "[3]"]);
        let other = Axis::parse("train.kappa=0,0.5").unwrap();
        let all = combinations(&[other, Axis::parse("train.seed=1,2").unwrap()]);
        assert_eq!(all.len(), 4);
        assert_eq!(all[1], ["train.kappa=0", "train.seed=2"]);
        for bad in ["train.kappa", "kappa=1", "train.kappa=1,,2", "train.kappa="] {
            assert!(Axis::parse(bad).unwrap_err().contains("table.key=value"), "{bad}");
        }
    }

    #[test]
    fn the_front_is_what_nothing_beats_and_the_choice_lies_on_it() {
        let point = |clean, certified| Point { changes: vec!["train.kappa=0".into()], clean, certified };
        let points =
            [point(0.9, 0.5), point(0.8, 0.6), point(0.85, 0.55), point(0.8, 0.4), point(0.84, 0.55)];
        assert_eq!(front(&points), [1, 2, 0]);
        assert_eq!(choose(&points, 0.0), Some(1));
        assert_eq!(choose(&points, 0.82), Some(2));
        assert_eq!(choose(&points, 0.95), None);
        // Equal points are both on it.
        assert_eq!(front(&[point(0.5, 0.5), point(0.5, 0.5)]), [0, 1]);
        assert_eq!(points[0].name(), "kappa=0");
    }
}
