//! `certus explain-bound`: which row, which layers and which neurons keep an instance open.

use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use certus::report::bars::{Part, stacked};
use certus::report::{Block, Cell, Fact, Page, Section, Table};
use certus::table::write_table;
use certus::{interrupt, output};
use certus_engine::bounds::explain::{Explanation, Limits, Split, explain};
use certus_engine::graph;
use certus_engine::property::{Row, Specification, load_specification};
use certus_engine::verify::Instance;
use serde_json::{Value, json};

use super::Error;
use super::verify::timeout;

#[derive(clap::Args)]
pub struct Args {
    /// Network, ONNX (gzip accepted).
    network: PathBuf,
    /// Property, VNN-LIB (gzip accepted).
    property: PathBuf,
    /// Neurons of which the two halves are bounded.
    #[arg(long, value_name = "N", default_value_t = 8)]
    top: usize,
    /// Seconds for the root's bounds and for the halves together, about.
    #[arg(long, value_name = "S", default_value_t = 20.0, allow_negative_numbers = true)]
    timeout: f64,
    /// Worker threads; 0 takes one per core.
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write an HTML report.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let limit = timeout("timeout", args.timeout)?;
    if let Some(path) = &args.report {
        output::check_writable(path)?;
    }
    let model = graph::load_model(&args.network, None)?;
    let lowered = match load_specification(&args.property)? {
        Specification::V1(lowered) => lowered,
        Specification::V2(query) => query.lower().map_err(|e| e.in_file(&args.property))?,
    };
    let instance = Instance::new(lowered, vec![model]).map_err(|e| e.in_file(&args.property))?;
    let threads = match args.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let limits = Limits {
        deadline: Instant::now() + limit.min(Duration::from_secs(1 << 30)),
        flag: interrupt::stop_flag(),
        threads,
        splits: args.top,
    };
    let found =
        explain(instance.model(certus_core::proof::Meaning::Real), instance.property(), &limits).map_err(
            |e| Error::Option { option: "timeout", problem: format!("{}: {e}", args.network.display()) },
        )?;
    let row = &instance.property().cases[found.case].disjuncts[found.disjunct].rows[found.row];
    if args.json {
        writeln!(out, "{}", to_json(&found, row))?;
    } else {
        print(&found, row, out)?;
    }
    if let Some(path) = &args.report {
        let title = args.property.file_name().unwrap_or_default().to_string_lossy().into_owned();
        output::write_atomic(path, page(&title, &found, row).render().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The row as it is to be refuted, cut after a few terms.
fn row_text(row: &Row) -> String {
    const MOST: usize = 6;
    let mut text = String::new();
    let terms: Vec<(usize, f64)> =
        row.coefficients.iter().copied().enumerate().filter(|(_, c)| *c != 0.0).collect();
    for (index, c) in terms.iter().take(MOST) {
        let sign = if *c < 0.0 { " - " } else { " + " };
        let factor = if c.abs() == 1.0 { String::new() } else { format!("{} ", c.abs()) };
        write!(text, "{sign}{factor}Y_{index}").expect("writing to a string");
    }
    if terms.len() > MOST {
        text.push_str(" + …");
    }
    let text = text.strip_prefix(" + ").map_or_else(|| text.trim().to_owned(), str::to_owned);
    format!("{text} {} {}", if row.strict { "<" } else { "<=" }, row.rhs_upper)
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { 100.0 * part / whole } else { 0.0 }
}

const LAYERS: [&str; 6] = ["layer", "step", "kind", "neurons", "unstable", "loss %"];
const NEURONS: [&str; 9] =
    ["layer", "neuron", "lower", "upper", "coefficient", "loss %", "split at", "below", "above"];

fn layer_rows(e: &Explanation) -> Vec<Vec<String>> {
    let row = |l: &certus_engine::bounds::explain::Layer| {
        vec![
            l.slot.to_string(),
            l.name.clone(),
            l.kind.to_owned(),
            l.neurons.to_string(),
            l.unstable.to_string(),
            format!("{:.1}", share(l.loss, e.looseness())),
        ]
    };
    e.layers.iter().map(row).collect()
}

fn neuron_rows(e: &Explanation) -> Vec<Vec<String>> {
    let half = |bound: Option<f32>| bound.map_or("-".into(), |b| format!("{b:.4}"));
    let row = |s: &Split| {
        vec![
            s.slot.to_string(),
            s.element.to_string(),
            format!("{:.4}", s.lower),
            format!("{:.4}", s.upper),
            format!("{:.4}", s.coefficient),
            format!("{:.2}", share(s.loss, e.looseness())),
            s.point.map_or("-".into(), |p| format!("{p:.4}")),
            half(s.halves.map(|h| h[0])),
            half(s.halves.map(|h| h[1])),
        ]
    };
    e.splits.iter().map(row).collect()
}

/// What would help, in one sentence.
fn advice(e: &Explanation) -> String {
    if e.best() > 0.0 {
        return "the row is refuted on the whole box, as the search sees it".into();
    }
    if e.value <= 0.0 {
        return match e.rows {
            1 => "where the bound is reached the row itself is violated, up to rounding: that corner is a counterexample",
            _ => "where the bound is reached the row itself is not refuted: only a smaller box, or another row of the disjunct, will do",
        }
        .into();
    }
    let gain = e.splits.iter().filter_map(|s| Some((s.gain(e.crown)?, s))).max_by(|a, b| a.0.total_cmp(&b.0));
    match gain {
        Some((gain, s)) if gain > 0.0 => format!(
            "splitting neuron {} of layer {} raises the CROWN bound most, by {gain:.4}",
            s.element, s.slot
        ),
        _ => "no single split of these neurons raises the bound: splitting inputs, or many neurons together, is what is left".into(),
    }
}

fn print(e: &Explanation, row: &Row, out: &mut dyn Write) -> Result<(), Error> {
    writeln!(
        out,
        "weakest: case {}, disjunct {} of {}, row {} of {}",
        e.case + 1,
        e.disjunct + 1,
        e.disjuncts,
        e.row + 1,
        e.rows
    )?;
    writeln!(out, "to be refuted: {}", row_text(row))?;
    let alpha = e.alpha.map_or("-".into(), |b| format!("{b:.6}"));
    writeln!(out, "lower bounds of left minus right side, refuted above 0:")?;
    writeln!(out, "  intervals {:.6}, CROWN {:.6}, joint alpha {alpha}", e.interval, e.crown)?;
    writeln!(
        out,
        "taken apart: bound {:.6}, reached where the row itself is {:.6}: {:.6} is lost to relaxation",
        e.bound,
        e.value,
        e.looseness()
    )?;
    writeln!(out)?;
    write_table(out, &LAYERS, &layer_rows(e))?;
    if !e.splits.is_empty() {
        writeln!(out)?;
        write_table(out, &NEURONS, &neuron_rows(e))?;
    }
    writeln!(out, "\n{}", advice(e))?;
    Ok(())
}

fn to_json(e: &Explanation, row: &Row) -> Value {
    let layers: Vec<Value> = e
        .layers
        .iter()
        .map(|l| json!({"layer": l.slot, "step": l.name, "kind": l.kind, "neurons": l.neurons, "unstable": l.unstable, "loss": l.loss}))
        .collect();
    let splits: Vec<Value> = e
        .splits
        .iter()
        .map(|s| json!({"layer": s.slot, "neuron": s.element, "lower": s.lower, "upper": s.upper, "coefficient": s.coefficient,
            "loss": s.loss, "split_at": s.point, "bounds_of_halves": s.halves, "gain": s.gain(e.crown)}))
        .collect();
    json!({
        "case": e.case, "disjunct": e.disjunct, "disjuncts": e.disjuncts, "row": e.row, "rows": e.rows, "row_text": row_text(row),
        "bounds": {"intervals": e.interval, "crown": e.crown, "joint_alpha": e.alpha},
        "bound": e.bound, "value": e.value, "looseness": e.looseness(),
        "layers": layers, "neurons": splits, "advice": advice(e),
    })
}

/// Colours of the layers, in this order and then again.
const CLASSES: [&str; 6] = ["c-certified", "c-line", "c-open", "c-refuted", "c-strong-right", "c-weak-left"];

fn page(title: &str, e: &Explanation, row: &Row) -> Page {
    let fact = |value: String, label: &str| Fact { value, label: label.into() };
    let parts = e.layers.iter().filter(|l| l.loss > 0.0).enumerate().map(|(i, l)| Part {
        name: format!("{} {}", l.slot, l.name),
        class: CLASSES[i % CLASSES.len()],
        value: l.loss,
        text: format!("{:.1} %", share(l.loss, e.looseness())),
    });
    let bar = stacked("Share of each layer in what the bound loses", &parts.collect::<Vec<_>>());
    let table = |columns: &[&str], rows: Vec<Vec<String>>, texts: &[usize], caption: &str| Table {
        columns: columns.iter().enumerate().map(|(i, c)| ((*c).to_owned(), !texts.contains(&i))).collect(),
        rows: rows.into_iter().map(|r| r.into_iter().map(Cell::Text).collect()).collect(),
        caption: caption.into(),
    };
    Page {
        title: format!("What keeps {title} open"),
        lead: format!("To be refuted: {}. {}.", row_text(row), advice(e)),
        facts: vec![
            fact(format!("{:.4}", e.interval), "bound by intervals"),
            fact(format!("{:.4}", e.crown), "by CROWN"),
            fact(e.alpha.map_or("-".into(), |b| format!("{b:.4}")), "by joint α-CROWN"),
            fact(format!("{:.4}", e.looseness()), "lost to relaxation"),
        ],
        sections: vec![
            Section {
                heading: "Layers".into(),
                lead: String::new(),
                blocks: vec![
                    Block::Figure { picture: bar, caption: "Shares of the layers in the difference between the bound and the row at the bound's own corner of the box; they add up exactly.".into() },
                    Block::Table(table(&LAYERS, layer_rows(e), &[1, 2], "")),
                ],
            },
            Section {
                heading: "Neurons".into(),
                lead: String::new(),
                blocks: vec![Block::Table(table(&NEURONS, neuron_rows(e), &[], "The neurons that lose most, with their operand's interval and the CROWN bound of the row on each side of a split."))],
            },
        ],
        footer: format!("certus {}; every bound here is the search's estimate in f32, not a proof", env!("CARGO_PKG_VERSION")),
    }
}
