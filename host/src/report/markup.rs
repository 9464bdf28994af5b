//! Elements of HTML and SVG that are well-formed whatever text goes in.
//!
//! One builder serves both languages: what it writes is XML and, because only HTML's void elements close
//! themselves, HTML too.

use std::fmt::Write as _;

/// Elements that HTML never closes.
const VOID: [&str; 4] = ["meta", "br", "hr", "col"];

/// An element with its attributes and children.
#[derive(Clone, Debug)]
pub struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    children: Vec<Node>,
}

#[derive(Clone, Debug)]
enum Node {
    Element(Element),
    Text(String),
    Raw(&'static str),
}

/// An element without attributes and children.
pub fn el(name: &'static str) -> Element {
    Element { name, attributes: Vec::new(), children: Vec::new() }
}

impl Element {
    /// Adds an attribute.
    #[must_use]
    pub fn at(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }
    /// Adds `class`.
    #[must_use]
    pub fn class(self, value: impl ToString) -> Self {
        self.at("class", value)
    }
    /// Adds a coordinate, rounded to a hundredth.
    #[must_use]
    pub fn num(self, name: &'static str, value: f64) -> Self {
        self.at(name, coordinate(value))
    }
    /// Adds a child.
    #[must_use]
    pub fn with(mut self, child: Element) -> Self {
        self.children.push(Node::Element(child));
        self
    }
    /// Adds children.
    #[must_use]
    pub fn with_all(mut self, children: impl IntoIterator<Item = Element>) -> Self {
        self.children.extend(children.into_iter().map(Node::Element));
        self
    }
    /// Adds text; it is escaped when written.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.children.push(Node::Text(text.into()));
        self
    }
    /// Adds the contents of a `style` element, which HTML does not unescape.
    ///
    /// # Panics
    /// If `text` holds a character that XML would have to escape.
    #[must_use]
    pub fn raw(mut self, text: &'static str) -> Self {
        assert!(!text.contains(['<', '>', '&']), "a style sheet must read the same in XML and in HTML");
        self.children.push(Node::Raw(text));
        self
    }

    /// The element as text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        let _ = write!(out, "<{}", self.name);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}=\"{}\"", escape(value));
        }
        if self.children.is_empty() && VOID.contains(&self.name) {
            out.push_str("/>");
            return;
        }
        out.push('>');
        for child in &self.children {
            match child {
                Node::Element(element) => element.write(out),
                Node::Text(text) => out.push_str(&escape(text)),
                Node::Raw(text) => out.push_str(text),
            }
        }
        let _ = write!(out, "</{}>", self.name);
    }
}

/// `text` with the five special characters escaped and characters that XML forbids replaced.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate with at most two decimals; what is not finite becomes 0, so that a drawing stays readable.
pub fn coordinate(value: f64) -> String {
    if !value.is_finite() {
        return "0".into();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Path data through `points`; a point that is not finite breaks the line.
pub fn path_through(points: &[(f64, f64)]) -> String {
    let mut out = String::new();
    let mut pen_down = false;
    for &(x, y) in points {
        if !(x.is_finite() && y.is_finite()) {
            pen_down = false;
            continue;
        }
        let _ = write!(out, "{}{} {}", if pen_down { 'L' } else { 'M' }, coordinate(x), coordinate(y));
        pen_down = true;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_attributes_are_escaped() {
        let rendered = el("p").at("title", "\"a\" & 'b'").text("1 < 2 > 0 & \u{1}").render();
        assert_eq!(
            rendered,
            "<p title=\"&quot;a&quot; &amp; &#39;b&#39;\">1 &lt; 2 &gt; 0 &amp; \u{fffd}</p>"
        );
    }

    #[test]
    fn only_void_elements_close_themselves() {
        assert_eq!(el("br").render(), "<br/>");
        assert_eq!(el("path").render(), "<path></path>");
    }

    #[test]
    fn coordinates_are_short_and_finite() {
        assert_eq!(coordinate(1.0), "1");
        assert_eq!(coordinate(-0.001), "0");
        assert_eq!(coordinate(2.345_6), "2.35");
        assert_eq!(coordinate(f64::NAN), "0");
        assert_eq!(coordinate(100.0), "100");
    }

    #[test]
    fn a_gap_in_the_data_lifts_the_pen() {
        let d = path_through(&[(0.0, 0.0), (1.0, 1.0), (2.0, f64::NAN), (3.0, 3.0)]);
        assert_eq!(d, "M0 0L1 1M3 3");
    }
}
