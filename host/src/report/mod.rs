//! A report in one HTML file: text, tables and drawings, no script, nothing fetched.
//!
//! [`Page`] says what is shown; [`Page::render`] writes HTML that is also well-formed XML. The drawings
//! are made by [`chart`], [`bars`] and [`map`] from plain numbers; none of them knows a network.

pub mod bars;
pub mod cactus;
pub mod chart;
pub mod heat;
pub mod map;
pub mod markup;
pub mod scale;
pub mod text;

use markup::{Element, el};

const STYLE: &str = include_str!("style.css");

/// A whole report.
#[derive(Clone, Debug)]
pub struct Page {
    /// Heading and window title.
    pub title: String,
    /// One or two sentences under the heading.
    pub lead: String,
    /// The figures to remember.
    pub facts: Vec<Fact>,
    /// From top to bottom.
    pub sections: Vec<Section>,
    /// Last line: versions, seed, how to repeat it.
    pub footer: String,
}

/// A number with what it means.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The number, with its unit.
    pub value: String,
    /// What it counts.
    pub label: String,
}

/// A heading with what stands under it.
#[derive(Clone, Debug)]
pub struct Section {
    /// Heading.
    pub heading: String,
    /// Paragraph under the heading; empty for none.
    pub lead: String,
    /// From top to bottom.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Clone, Debug)]
pub enum Block {
    /// A drawing with its caption.
    Figure {
        /// The drawing.
        picture: Element,
        /// What it shows, and what is proved of it.
        caption: String,
    },
    /// Rows under headings.
    Table(Table),
    /// What is proved and what is not, side by side.
    Claims {
        /// Sentences that are proved.
        proved: Vec<String>,
        /// Sentences that are not.
        open: Vec<String>,
    },
}

impl Block {
    /// A table of `rows` under `columns`, each with whether it holds numbers.
    pub fn table(columns: &[(&str, bool)], rows: Vec<Vec<Cell>>, caption: &str) -> Self {
        let columns = columns.iter().map(|(name, numeric)| ((*name).to_owned(), *numeric)).collect();
        Self::Table(Table { columns, rows, caption: caption.into() })
    }
}

/// Rows of cells under headings.
#[derive(Clone, Debug)]
pub struct Table {
    /// Name of each column, and whether it holds numbers.
    pub columns: Vec<(String, bool)>,
    /// As many cells as columns.
    pub rows: Vec<Vec<Cell>>,
    /// Under the table; empty for none.
    pub caption: String,
}

/// One cell of a table.
#[derive(Clone, Debug)]
pub enum Cell {
    /// Words or a number.
    Text(String),
    /// A name in a file or program.
    Code(String),
    /// A state in its colour; class of the style sheet, then the word.
    State(&'static str, String),
    /// A name and, below it, what it means.
    Named(String, String),
}

impl Page {
    /// The report as one HTML file.
    pub fn render(&self) -> String {
        let head = el("head")
            .with(el("meta").at("charset", "utf-8"))
            .with(el("meta").at("name", "viewport").at("content", "width=device-width, initial-scale=1"))
            .with(el("meta").at("name", "color-scheme").at("content", "light dark"))
            .with(el("title").text(&self.title))
            .with(el("style").raw(STYLE));
        let mut header =
            el("header").with(el("h1").text(&self.title)).with(el("p").class("lead").text(&self.lead));
        if !self.facts.is_empty() {
            header =
                header.with(el("dl").class("facts").with_all(self.facts.iter().map(|fact| {
                    el("div").with(el("dt").text(&fact.label)).with(el("dd").text(&fact.value))
                })));
        }
        let body = el("body")
            .with(header)
            .with(el("main").with_all(self.sections.iter().map(Section::render)))
            .with(el("footer").text(&self.footer));
        format!("<!DOCTYPE html>\n{}\n", el("html").at("lang", "en").with(head).with(body).render())
    }
}

impl Section {
    fn render(&self) -> Element {
        let mut section = el("section").with(el("h2").text(&self.heading));
        if !self.lead.is_empty() {
            section = section.with(el("p").text(&self.lead));
        }
        section.with_all(self.blocks.iter().map(Block::render))
    }
}

impl Block {
    fn render(&self) -> Element {
        match self {
            Block::Figure { picture, caption } => {
                el("figure").with(picture.clone()).with(el("figcaption").text(caption))
            }
            Block::Table(table) => table.render(),
            Block::Claims { proved, open } => el("div")
                .class("claims")
                .with(claim_list("Proved", "proved", proved))
                .with(claim_list("Not proved", "open", open)),
        }
    }
}

fn claim_list(heading: &str, class: &str, sentences: &[String]) -> Element {
    let items = sentences.iter().map(|s| el("li").text(s));
    el("div").class(class).with(el("h3").text(heading)).with(el("ul").with_all(items))
}

impl Table {
    fn render(&self) -> Element {
        let cell = |name: &'static str, numeric: bool| if numeric { el(name).class("num") } else { el(name) };
        let heads =
            self.columns.iter().map(|(column, numeric)| cell("th", *numeric).at("scope", "col").text(column));
        let rows = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&self.columns);
            el("tr").with_all(cells.map(|(content, (_, numeric))| content.put_into(cell("td", *numeric))))
        });
        let table =
            el("table").with(el("thead").with(el("tr").with_all(heads))).with(el("tbody").with_all(rows));
        let mut figure = el("figure").with(el("div").class("scroll").with(table));
        if !self.caption.is_empty() {
            figure = figure.with(el("figcaption").text(&self.caption));
        }
        figure
    }
}

impl Cell {
    fn put_into(&self, cell: Element) -> Element {
        match self {
            Cell::Text(text) => cell.text(text),
            Cell::Code(text) => cell.with(el("code").text(text)),
            Cell::State(class, word) => cell.with(el("span").class(format!("state {class}")).text(word)),
            Cell::Named(name, meaning) => {
                cell.with(el("span").class("name").text(name)).with(el("span").class("meaning").text(meaning))
            }
        }
    }
}

#[cfg(test)]
mod tests;
