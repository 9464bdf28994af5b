//! `certus supports` and `certus capabilities`: what queries and networks can be verified, as VNN-LIB 2.0 asks it.

use std::io::Write;
use std::process::ExitCode;

use certus_engine::graph::{OPERATOR_SET_MAX, OPERATOR_SET_MIN, OPERATORS};
use certus_engine::property::ElementType;
use serde::Serialize;

use super::Error;

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub struct Args {
    /// Oldest and newest ONNX operator set that is read.
    #[arg(long)]
    onnx_opset_versions: bool,
    /// Element types of variables.
    #[arg(long)]
    onnx_element_types: bool,
    /// ONNX operators that are read.
    #[arg(long)]
    onnx_operators: bool,
    /// Oldest and newest version of VNN-LIB 2.
    #[arg(long)]
    vnnlib_versions: bool,
    /// H (hidden nodes) or NH.
    #[arg(long)]
    hidden_node_theories: bool,
    /// SIO (one input, one output) or MIO.
    #[arg(long)]
    multiple_input_output_theories: bool,
    /// SNET, MENET, MINET, MNET.
    #[arg(long)]
    multiple_network_theories: bool,
    /// SNC or MNC (comparisons between nodes of one network).
    #[arg(long)]
    multiple_node_comparison_theories: bool,
    /// BND, COUT, LIN or POLY.
    #[arg(long)]
    arithmetic_complexity_theories: bool,
    /// Whether disjunctions are more than expanded.
    #[arg(long)]
    optimised_disjunctive_reasoning: bool,
    /// Whether `verify --serialise-assignments` is known.
    #[arg(long)]
    serialise_assignments: bool,
}

#[derive(clap::Args)]
pub struct AllArgs {
    /// Print them as JSON.
    #[arg(long)]
    json: bool,
}

/// All capabilities; the names are those of the options of `supports`.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Capabilities {
    onnx_opset_versions: [i64; 2],
    onnx_element_types: Vec<String>,
    onnx_operators: Vec<&'static str>,
    vnnlib_versions: [&'static str; 2],
    hidden_node_theories: Vec<&'static str>,
    multiple_input_output_theories: Vec<&'static str>,
    multiple_network_theories: Vec<&'static str>,
    multiple_node_comparison_theories: Vec<&'static str>,
    arithmetic_complexity_theories: Vec<&'static str>,
    optimised_disjunctive_reasoning: bool,
    serialise_assignments: bool,
}

impl Capabilities {
    fn now() -> Self {
        Self {
            onnx_opset_versions: [OPERATOR_SET_MIN, OPERATOR_SET_MAX],
            onnx_element_types: ElementType::ALL.iter().map(ToString::to_string).collect(),
            onnx_operators: OPERATORS.iter().map(|o| o.name).collect(),
            vnnlib_versions: ["2.0", "2.1"],
            hidden_node_theories: vec!["H"],
            multiple_input_output_theories: vec!["SIO"],
            multiple_network_theories: vec!["SNET", "MENET", "MINET", "MNET"],
            multiple_node_comparison_theories: vec!["SNC", "MNC"],
            arithmetic_complexity_theories: vec!["BND", "COUT", "LIN"],
            // Disjuncts over one box are decided together, and neighbouring boxes by their hull first.
            optimised_disjunctive_reasoning: true,
            serialise_assignments: true,
        }
    }
}

pub fn run(args: &Args, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let all = Capabilities::now();
    let words = |list: &[&str]| list.join("\n");
    let [oldest, newest] = all.onnx_opset_versions;
    let answers = [
        (args.onnx_opset_versions, format!("{oldest}\n{newest}")),
        (args.onnx_element_types, all.onnx_element_types.join("\n")),
        (args.onnx_operators, words(&all.onnx_operators)),
        (args.vnnlib_versions, words(&all.vnnlib_versions)),
        (args.hidden_node_theories, words(&all.hidden_node_theories)),
        (args.multiple_input_output_theories, words(&all.multiple_input_output_theories)),
        (args.multiple_network_theories, words(&all.multiple_network_theories)),
        (args.multiple_node_comparison_theories, words(&all.multiple_node_comparison_theories)),
        (args.arithmetic_complexity_theories, words(&all.arithmetic_complexity_theories)),
        (args.optimised_disjunctive_reasoning, all.optimised_disjunctive_reasoning.to_string()),
        (args.serialise_assignments, all.serialise_assignments.to_string()),
    ];
    for (_, answer) in answers.iter().filter(|(asked, _)| *asked) {
        writeln!(out, "{answer}")?;
    }
    Ok(ExitCode::SUCCESS)
}

pub fn run_all(args: &AllArgs, out: &mut dyn Write) -> Result<ExitCode, Error> {
    let all = serde_json::to_value(Capabilities::now()).expect("plain strings and numbers");
    if args.json {
        writeln!(out, "{all}")?;
        return Ok(ExitCode::SUCCESS);
    }
    for (name, value) in all.as_object().expect("a struct") {
        let shown = match value {
            serde_json::Value::Array(list) => {
                let words: Vec<String> =
                    list.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect();
                words.join(" ")
            }
            other => other.to_string(),
        };
        writeln!(out, "{name}: {shown}")?;
    }
    Ok(ExitCode::SUCCESS)
}
