//! Small pictures of values on a grid, such as spectrograms, side by side.

use super::chart::{label, line, rect};
use super::markup::{Element, coordinate, el};

const WIDTH: f64 = 760.0;
const GAP: f64 = 14.0;
const CAPTION: f64 = 44.0;
/// Shades that values are drawn in.
const SHADES: usize = 8;

/// A grid of values with two lines below.
#[derive(Clone, Debug)]
pub struct Tile {
    /// `[columns, rows]`, each from 0 to 1; row 0 is drawn at the bottom.
    pub values: Vec<f64>,
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// First line.
    pub name: String,
    /// Second line, in the colour of `class`.
    pub note: String,
    /// Colour class of the second line's mark.
    pub class: &'static str,
}

/// `across` tiles in a row, as many rows as there have to be.
///
/// # Panics
/// If `across` is 0.
pub fn tiles(title: &str, tiles: &[Tile], across: usize) -> Element {
    let width = (WIDTH + GAP) / across as f64 - GAP;
    let height = 0.6 * width;
    let mut svg = el("g");
    for (index, tile) in tiles.iter().enumerate() {
        let left = (index % across) as f64 * (width + GAP);
        let top = (index / across) as f64 * (height + CAPTION);
        svg = svg.with_all(cells(tile, [left, top, width, height]));
        svg = svg.with(line(left, top + height, left + width, top + height).class("axis"));
        svg = svg.with(rect(left, top + height + 21.0, 8.0, 8.0).class(format!("fill {}", tile.class)));
        svg = svg.with(label(left, top + height + 14.0, &tile.name).class("tick"));
        svg = svg.with(label(left + 12.0, top + height + 29.0, &tile.note).class("tick"));
    }
    let all = tiles.len().div_ceil(across) as f64 * (height + CAPTION) - CAPTION + 34.0;
    let picture = el("svg")
        .at("viewBox", format!("0 0 {WIDTH} {}", coordinate(all)))
        .at("role", "img")
        .at("aria-label", title)
        .with(svg);
    el("div").class("chart").with(picture)
}

/// One rectangle for each run of equal shades along a row; the lightest shade is left out.
fn cells(tile: &Tile, [left, top, width, height]: [f64; 4]) -> Vec<Element> {
    let (w, h) = (width / tile.columns.max(1) as f64, height / tile.rows.max(1) as f64);
    let shade = |column: usize, row: usize| {
        let value = tile.values.get(column * tile.rows + row).copied().unwrap_or(0.0);
        // NaN is drawn as nothing.
        (value.clamp(0.0, 1.0) * (SHADES - 1) as f64).round() as usize
    };
    let mut out = Vec::new();
    for row in 0..tile.rows {
        let mut from = 0;
        for column in 1..=tile.columns {
            if column < tile.columns && shade(column, row) == shade(from, row) {
                continue;
            }
            let level = shade(from, row);
            if level > 0 {
                let place = rect(
                    left + from as f64 * w,
                    top + (tile.rows - 1 - row) as f64 * h,
                    (column - from) as f64 * w,
                    h,
                );
                let opacity = level as f64 / (SHADES - 1) as f64;
                out.push(place.class("fill c-line").num("fill-opacity", opacity));
            }
            from = column;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_row_are_one_rectangle_and_row_0_is_at_the_bottom() {
        // Two rows of four columns: the lower 0 1 1 0.5, the upper all 0.
        let values = vec![0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.5, 0.0];
        let tile = Tile { values, columns: 4, rows: 2, name: "n".into(), note: "m".into(), class: "c-open" };
        let drawn: Vec<String> = cells(&tile, [10.0, 20.0, 40.0, 8.0]).iter().map(Element::render).collect();
        assert_eq!(drawn.len(), 2, "{drawn:?}");
        assert!(drawn[0].contains("x=\"20\" y=\"24\" width=\"20\" height=\"4\""), "{}", drawn[0]);
        assert!(drawn[1].contains("x=\"40\" y=\"24\" width=\"10\" height=\"4\""), "{}", drawn[1]);
        assert!(drawn[0].contains("fill-opacity=\"1\"") && !drawn[1].contains("fill-opacity=\"1\""));
    }
}
