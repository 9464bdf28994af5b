//! The whole page: well-formed, self-contained, and true to what was put in.

use super::bars::{Columns, Part, stacked};
use super::chart::{Chart, Lane, Panel, Series, Shape};
use super::map::{self, Fix};
use super::*;

const HOSTILE: &str = "</style><script>alert('1' & \"2\")</script> ]]> \u{0}";

/// A page with one of everything, all texts hostile.
fn page_of_everything() -> Page {
    let text = || HOSTILE.to_string();
    let series = |shape| Series {
        name: text(),
        class: "c-line",
        shape,
        points: vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, -4.0)],
    };
    let all = vec![series(Shape::Line), series(Shape::Dashed), series(Shape::Above(vec![0.0; 4]))];
    let chart = Chart {
        title: text(),
        x_label: text(),
        x_range: (0.0, 3.0),
        panels: vec![Panel { label: text(), height: 80.0, range: None, unit: "%", series: all }],
        lanes: vec![Lane { name: text(), class: "c-open", spans: vec![(0.0, 1.0), (2.0, 1.0)], tint: true }],
    };
    let fix = |t: f64| Fix {
        time_s: t,
        own: (t, 0.0),
        intruder: (100.0 - t, t),
        class: "c-clear",
        certified: t > 10.0,
        note: text(),
    };
    let columns = Columns {
        title: text(),
        x_label: text(),
        y_label: text(),
        categories: vec![text(), text()],
        series: vec![(text(), "c-certified", vec![3, 0]), (text(), "c-open", vec![1])],
    };
    let parts = [Part { name: text(), class: "c-line", value: 3.0, text: text() }];
    let pictures = [
        chart.render(),
        map::render(HOSTILE, &[fix(0.0), fix(20.0)], &[("c-clear", text())]),
        map::render("empty", &[], &[]),
        columns.render(),
        stacked(HOSTILE, &parts),
        stacked("empty", &[]),
    ];
    let cells = vec![
        Cell::Text(text()),
        Cell::Code(text()),
        Cell::State("c-open", text()),
        Cell::Named(text(), text()),
    ];
    let table = Table {
        columns: (0..4).map(|i| (text(), i == 3)).collect(),
        rows: vec![cells.clone(), cells],
        caption: text(),
    };
    let mut blocks: Vec<Block> =
        pictures.into_iter().map(|picture| Block::Figure { picture, caption: text() }).collect();
    blocks.push(Block::Table(table));
    blocks.push(Block::Claims { proved: vec![text()], open: vec![text(), text()] });
    Page {
        title: text(),
        lead: text(),
        facts: vec![Fact { value: text(), label: text() }],
        sections: vec![Section { heading: text(), lead: text(), blocks }],
        footer: text(),
    }
}

fn without_doctype(html: &str) -> &str {
    html.strip_prefix("<!DOCTYPE html>\n").expect("begins with the document type")
}

#[test]
fn the_page_is_well_formed_xml_whatever_text_goes_in() {
    let html = page_of_everything().render();
    let document = roxmltree::Document::parse(without_doctype(&html)).expect("well-formed");
    let count = |name| document.descendants().filter(|n| n.has_tag_name(name)).count();
    assert_eq!((count("script"), count("svg"), count("figure"), count("style")), (0, 6, 7, 1));
    let heading = document.descendants().find(|n| n.has_tag_name("h1")).and_then(|n| n.text());
    // Text comes back as it was given, but for the character that XML cannot carry.
    assert_eq!(heading, Some(HOSTILE.replace('\0', "\u{fffd}").as_str()));
}

#[test]
fn only_void_elements_are_written_self_closed() {
    let html = page_of_everything().render();
    for (at, _) in html.match_indices("/>") {
        let open = html[..at].rfind('<').expect("an opening bracket");
        assert!(["<meta", "<br"].iter().any(|v| html[open..].starts_with(v)), "{}", &html[open..at + 2]);
    }
}

#[test]
fn nothing_is_fetched_when_the_page_opens() {
    let html = page_of_everything().render();
    let document = roxmltree::Document::parse(without_doctype(&html)).expect("well-formed");
    for node in document.descendants().filter(roxmltree::Node::is_element) {
        assert!(!["link", "script", "img", "iframe", "image", "use"].contains(&node.tag_name().name()));
        for attribute in node.attributes() {
            assert!(!["src", "href", "style", "onload"].contains(&attribute.name()), "{attribute:?}");
        }
    }
    assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
}

#[test]
fn every_colour_class_in_use_is_in_the_style_sheet_and_every_colour_has_a_dark_value() {
    let (light, dark) = STYLE.split_once("@media (prefers-color-scheme: dark)").expect("a dark half");
    let names = |text: &str| -> std::collections::BTreeSet<String> {
        text.split(['{', ';'])
            .filter_map(|d| d.trim().strip_prefix("--")?.split(':').next().map(String::from))
            .collect()
    };
    let dark_half = dark.split_once("}\n}").expect("the dark half ends").0;
    let (light, dark) = (names(light), names(dark_half));
    assert!(light.len() > 15);
    assert_eq!(light, dark);
    for name in
        light.iter().filter(|n| !["paper", "panel", "ink", "soft", "faint", "tint"].contains(&n.as_str()))
    {
        assert!(STYLE.contains(&format!(".c-{name} {{ --c: var(--{name}); }}")), "{name}");
    }
}

/// Relative luminance of `#rrggbb` (WCAG 2.2).
fn luminance(hex: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).expect("two hex digits")) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn text_has_contrast_4_5_and_marks_have_3_in_light_and_dark() {
    for half in STYLE.split("@media (prefers-color-scheme: dark)").take(2) {
        let value = |name: &str| {
            let at =
                half.find(&format!("--{name}: #")).unwrap_or_else(|| panic!("--{name}")) + name.len() + 4;
            luminance(&half[at..at + 7])
        };
        let contrast = |a: f64, b: f64| (a.max(b) + 0.05) / (a.min(b) + 0.05);
        for (name, needed) in [
            ("ink", 4.5),
            ("soft", 4.5),
            ("certified", 4.5),
            ("refuted", 4.5),
            ("open", 3.0),
            ("line", 3.0),
            ("muted", 3.0),
        ] {
            let found = contrast(value(name), value("panel"));
            assert!(found >= needed, "--{name}: {found:.2} < {needed}");
        }
    }
}
