//! What a run of training is told: a TOML file of four tables, and overrides from the command line.
//!
//! `[data]` says where inputs come from ([`DataSettings`]), `[network]` what is trained ([`NetworkSettings`]), `[train]` how
//! ([`certus_learn::train::Settings`], over a preset if `preset` names one), `[evaluate]` how the result is judged
//! ([`EvaluateSettings`]). Keys that mean nothing are errors.

use std::path::{Path, PathBuf};

use certus_engine::file::{self, FileError};
use certus_learn::model::Layer;
use certus_learn::train::{PRESETS, SettingError, Settings, within};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::layers::{self, LayerError};
use crate::output::one_line;

/// Cap on a file of settings, bytes.
const LIMIT_BYTES: u64 = 1 << 20;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML.
    #[error("{path}:{line}: {problem}")]
    Toml {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// A key that means nothing, or a value of another type.
    #[error("{place}: [{table}] {problem}; docs/training.md lists every key")]
    Key {
        /// The file, with its line where known.
        place: String,
        /// The table.
        table: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A value outside its range.
    #[error("{place}: [{table}] {source}")]
    Range {
        /// The file, with its line where known.
        place: String,
        /// The table.
        table: &'static str,
        /// The value.
        source: SettingError,
    },
    /// A layer that is none.
    #[error("{place}: [network] {source}")]
    Layer {
        /// The file, with its line where known.
        place: String,
        /// The layer.
        source: LayerError,
    },
    /// An override that is none.
    #[error("--set {text}: {problem}")]
    Override {
        /// What was written.
        text: String,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// Everything a run is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where inputs come from.
    pub data: DataSettings,
    /// What is trained.
    pub network: NetworkSettings,
    /// How.
    pub train: Settings,
    /// The preset that `train` began with.
    pub preset: Option<String>,
    /// How the result is judged.
    pub evaluate: EvaluateSettings,
    /// The file.
    pub path: PathBuf,
}

/// File formats of data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// IDX, as of MNIST: one file of inputs, one of labels.
    #[default]
    Idx,
    /// CSV or TSV: inputs and targets in columns.
    Csv,
    /// NPY: one file of inputs, one of targets.
    Npy,
    /// NPZ: an archive with arrays, named behind a `#`.
    Npz,
    /// CIFAR-10, binary.
    Cifar10,
    /// CIFAR-100, binary, its fine labels.
    Cifar100,
}

/// One value or one for each element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerElement {
    /// The same for all.
    One(f64),
    /// One each.
    Each(Vec<f64>),
}

/// One file or several, one behind the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Files {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Files {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(file) => std::slice::from_ref(file),
            Self::Several(files) => files,
        }
    }
}

/// Where inputs and targets come from, and in which units they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// Format of the files.
    pub format: Format,
    /// Training inputs: a path, or several; relative to the file of settings, else to the folder in `CERTUS_DATA`.
    pub train: Option<Files>,
    /// Labels or targets of them, where the format has files of their own.
    pub train_labels: Option<Files>,
    /// Test inputs, which are read once, at the end.
    pub test: Option<Files>,
    /// Labels or targets of them.
    pub test_labels: Option<Files>,
    /// Shape of one input, such as `[1, 28, 28]`; what the file says without.
    pub shape: Option<Vec<usize>>,
    /// What inputs are divided by.
    pub divide: f64,
    /// Smallest and largest value that an element can have, after division; boxes end there. Without, they do not.
    pub range: Option<[f64; 2]>,
    /// Radius of each element where `epsilon` is 1, after division.
    pub radius: PerElement,
    /// Column of the label (CSV).
    pub label: Option<String>,
    /// Columns of numbers to predict (CSV), instead of a label.
    pub targets: Vec<String>,
    /// Columns of the inputs (CSV); all others without.
    pub features: Vec<String>,
    /// Columns that are left out (CSV).
    pub ignore: Vec<String>,
    /// Names of the classes, in the order of their numbers.
    pub classes: Vec<String>,
    /// Training inputs on which choices are made instead.
    pub held_out: usize,
    /// Seed of which these are.
    pub held_out_seed: u64,
    /// Whether the network begins by bringing its inputs to mean 0 and standard deviation 1, channel by channel.
    pub normalise: bool,
    /// What the files of the network say about what it learned from, such as a licence.
    pub notice: Option<String>,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            format: Format::Idx,
            train: None,
            train_labels: None,
            test: None,
            test_labels: None,
            shape: None,
            divide: 1.0,
            range: None,
            radius: PerElement::One(1.0),
            label: None,
            targets: Vec::new(),
            features: Vec::new(),
            ignore: Vec::new(),
            classes: Vec::new(),
            held_out: 1000,
            held_out_seed: 0,
            normalise: false,
            notice: None,
        }
    }
}

/// What is trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSettings {
    /// Layers, as [`layers::parse`] reads them; the last one, with an output for each class, is added.
    pub layers: Vec<String>,
}

impl Default for NetworkSettings {
    fn default() -> Self {
        let layers = ["dense 512", "relu", "dense 512", "relu"];
        Self { layers: layers.map(String::from).into() }
    }
}

impl NetworkSettings {
    /// The layers of a network with `outputs` outputs.
    ///
    /// # Errors
    /// [`LayerError`] that names the layer.
    pub fn layers(&self, outputs: usize) -> Result<Vec<Layer>, LayerError> {
        let mut layers = self.layers.iter().map(|text| layers::parse(text)).collect::<Result<Vec<_>, _>>()?;
        layers.push(Layer::Dense { outputs });
        Ok(layers)
    }
}

/// How a network is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateSettings {
    /// Radius in units of `radius`; 0 takes `epsilon_test` of `[train]`, or `epsilon`.
    pub epsilon: f64,
    /// Inputs, from the first on; 0 takes all.
    pub count: usize,
    /// Inputs, from the first on, that are attacked.
    pub attack_count: usize,
    /// Steps of each attack; 0 attacks nothing.
    pub attack_steps: usize,
    /// Random starts of each attack.
    pub attack_starts: usize,
    /// Inputs, from the first on, that the complete verifier decides where bounds leave them open.
    pub verify: usize,
    /// Seconds for each of these.
    pub verify_timeout: f64,
    /// Radii of the curve, in units of `epsilon`.
    pub curve: Vec<f64>,
    /// Inputs of the curve, from the first on.
    pub curve_count: usize,
    /// Seed of the attacks.
    pub seed: u64,
}

impl Default for EvaluateSettings {
    fn default() -> Self {
        Self {
            epsilon: 0.0,
            count: 0,
            attack_count: 1000,
            attack_steps: 40,
            attack_starts: 1,
            verify: 100,
            verify_timeout: 10.0,
            curve: vec![0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0],
            curve_count: 500,
            seed: 0,
        }
    }
}

impl EvaluateSettings {
    fn check(&self) -> Result<(), SettingError> {
        within("epsilon", self.epsilon, [0.0, 1e6])?;
        within("attack_steps", self.attack_steps as f64, [0.0, 1e4])?;
        within("attack_starts", self.attack_starts as f64, [1.0, 1e3])?;
        within("verify_timeout", self.verify_timeout, [1e-3, 1e6])?;
        self.curve.iter().try_for_each(|x| within("curve", *x, [0.0, 1e3]))
    }
}

impl DataSettings {
    fn check(&self) -> Result<(), SettingError> {
        within("divide", self.divide, [1e-12, 1e12])?;
        if let Some([least, most]) = self.range
            && !(least.is_finite() && most.is_finite() && least < most)
        {
            let range = "two finite numbers, the smaller one first".into();
            return Err(SettingError { key: "range", found: format!("[{least}, {most}]"), range });
        }
        let radii = match &self.radius {
            PerElement::One(x) => std::slice::from_ref(x),
            PerElement::Each(all) => all,
        };
        radii.iter().try_for_each(|x| within("radius", *x, [0.0, 1e12]))
    }
}

/// The settings in the file at `path`, changed by `overrides` of the form `table.key=value`.
///
/// # Errors
/// [`ConfigError`], naming file, line where known, table and key.
pub fn read(path: &Path, overrides: &[String]) -> Result<Config, ConfigError> {
    let bytes = file::read(path, LIMIT_BYTES)?;
    let name = path.display().to_string();
    let text = String::from_utf8(bytes).map_err(|_| ConfigError::Toml {
        path: name.clone(),
        line: 1,
        problem: "is not UTF-8 text; settings in TOML are needed".into(),
    })?;
    parse(path, &text, overrides)
}

/// As [`read`], from `text`; `path` names it in messages, and what it names is relative to its folder.
///
/// # Errors
/// [`ConfigError`].
pub fn parse(path: &Path, text: &str, overrides: &[String]) -> Result<Config, ConfigError> {
    let mut tables: Table = toml::from_str(text).map_err(|e| ConfigError::Toml {
        path: path.display().to_string(),
        line: line_at(text, e.span().map_or(0, |s| s.start)),
        problem: one_line(&e.message().replace('\n', "; ")),
    })?;
    for change in overrides {
        apply(&mut tables, change)
            .map_err(|problem| ConfigError::Override { text: change.clone(), problem })?;
    }
    let place = Place { path, text, overrides };
    let mut taken = |table: &'static str| place.take(&mut tables, table);
    let (data, network, mut train, evaluate) =
        (taken("data")?, taken("network")?, taken("train")?, taken("evaluate")?);
    if let Some(key) = tables.keys().next() {
        let problem =
            format!("`{}` is no table of settings: there are data, network, train, evaluate", one_line(key));
        return Err(ConfigError::Toml { path: path.display().to_string(), line: place.line(key), problem });
    }
    let preset = train.remove("preset");
    let (base, preset) = preset.map_or(Ok((Settings::default(), None)), |name| place.preset(&name))?;
    let config = Config {
        data: place.read("data", data)?,
        network: place.read("network", network)?,
        train: place.read("train", over(base, train))?,
        preset,
        evaluate: place.read("evaluate", evaluate)?,
        path: path.to_owned(),
    };
    let range =
        |table, source: SettingError| ConfigError::Range { place: place.at(source.key), table, source };
    config.data.check().map_err(|e| range("data", e))?;
    config.train.check().map_err(|e| range("train", e))?;
    config.evaluate.check().map_err(|e| range("evaluate", e))?;
    config.network.layers(1).map_err(|source| ConfigError::Layer { place: place.at("layers"), source })?;
    Ok(config)
}

impl Config {
    /// The settings as a file, overrides and preset worked in.
    pub fn show(&self) -> String {
        let mut tables = Table::new();
        tables.insert("data".into(), table_of(&self.data));
        tables.insert("network".into(), table_of(&self.network));
        tables.insert("train".into(), table_of(&self.train));
        tables.insert("evaluate".into(), table_of(&self.evaluate));
        toml::to_string(&tables).expect("tables of plain values can be written")
    }

    /// The radius at which the network is judged.
    pub fn test_epsilon(&self) -> f64 {
        if self.evaluate.epsilon > 0.0 { self.evaluate.epsilon } else { self.train.test_radius() }
    }
}

fn table_of(of: &impl Serialize) -> Value {
    Value::try_from(of).expect("settings are tables of plain values")
}

/// `settings` with the keys of `changes` in their place.
fn over(settings: Settings, changes: Table) -> Table {
    let Value::Table(mut table) = table_of(&settings) else { unreachable!("settings are a table") };
    table.extend(changes);
    table
}

/// Line of the byte `offset`, from 1.
fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1
}

/// Where settings stand.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
    overrides: &'a [String],
}

impl Place<'_> {
    /// The first line that sets `key`, 1 if there is none.
    fn line(&self, key: &str) -> usize {
        let sets = |line: &str| {
            let head = line.split('=').next().unwrap_or_default();
            head.trim_matches(|c: char| c.is_whitespace() || "[]\"".contains(c)) == key
        };
        self.text.lines().position(sets).map_or(1, |k| k + 1)
    }

    /// The override of `key`, or its file and line; the file alone if it is set nowhere.
    fn at(&self, key: &str) -> String {
        let sets = |change: &&String| {
            let name = change.split('=').next().unwrap_or_default();
            name.split('.').nth(1).is_some_and(|k| k.trim() == key)
        };
        if let Some(change) = self.overrides.iter().rev().find(sets) {
            return format!("--set {change}");
        }
        let path = self.path.display();
        match self.line(key) {
            1 => path.to_string(),
            line => format!("{path}:{line}"),
        }
    }

    fn take(&self, tables: &mut Table, table: &'static str) -> Result<Table, ConfigError> {
        match tables.remove(table) {
            None => Ok(Table::new()),
            Some(Value::Table(found)) => Ok(found),
            Some(_) => {
                Err(ConfigError::Key { place: self.at(table), table, problem: "has to be a table".into() })
            }
        }
    }

    fn preset(&self, name: &Value) -> Result<(Settings, Option<String>), ConfigError> {
        let known = name.as_str().and_then(|n| Settings::preset(n).map(|s| (s, Some(n.to_owned()))));
        known.ok_or_else(|| ConfigError::Key {
            place: self.at("preset"),
            table: "train",
            problem: format!(
                "`preset` is {}; there are: {}",
                one_line(&name.to_string()),
                PRESETS.join(", ")
            ),
        })
    }

    fn read<T: for<'d> Deserialize<'d>>(&self, table: &'static str, from: Table) -> Result<T, ConfigError> {
        from.try_into().map_err(|e: toml::de::Error| {
            let text = e.to_string();
            let mut problem = one_line(text.trim());
            // The key stands in backticks, first in "unknown field `key`", behind it in "…\nin `key`".
            let quoted: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
            let key = if text.starts_with("unknown field") { quoted.first() } else { quoted.last() };
            let place = key.map_or_else(|| self.path.display().to_string(), |k| self.at(k));
            problem.truncate(problem.floor_char_boundary(400));
            ConfigError::Key { place, table, problem }
        })
    }
}

/// Puts `table.key=value` into `tables`; a value that is no TOML is a word.
fn apply(tables: &mut Table, change: &str) -> Result<(), String> {
    let form = "give table.key=value, such as train.epsilon=0.1";
    let (name, value) = change.split_once('=').ok_or(form)?;
    let (table, key) = name.trim().split_once('.').ok_or(form)?;
    let value = value.trim();
    let parsed = toml::from_str::<Table>(&format!("x = {value}")).ok().and_then(|mut t| t.remove("x"));
    let value = parsed.unwrap_or_else(|| Value::String(value.trim_matches('"').to_owned()));
    let entry = tables.entry(table.trim()).or_insert_with(|| Value::Table(Table::new()));
    let Value::Table(entry) = entry else { return Err(format!("`{table}` is no table")) };
    entry.insert(key.trim().to_owned(), value);
    Ok(())
}
