//! Data sets as the settings name them.

use std::path::{Path, PathBuf};

use certus_learn::data::{Array, DataError, Set, Targets, cifar, idx, npy, table};
use certus_learn::model::Random;
use certus_learn::train::Task;

use super::config::{Config, DataSettings, Files, Format, PerElement};
use super::network::Normalise;

/// The folder that data may lie in, or in its folder `data`, if not beside the settings.
pub const DATA_VARIABLE: &str = "CERTUS_DATA";

/// Why there are no data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A file of data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file that is nowhere.
    #[error("{key}: no file `{file}` in {tried}; {way_out}")]
    Missing {
        /// The setting.
        key: &'static str,
        /// What it names.
        file: String,
        /// Where it was looked for.
        tried: String,
        /// What to do.
        way_out: String,
    },
    /// A setting that is needed.
    #[error("{path}: [data] `{key}` is not set: {why}")]
    Unset {
        /// The file of settings.
        path: String,
        /// The setting.
        key: &'static str,
        /// Why it is needed.
        why: &'static str,
    },
    /// Files that do not fit one another or the settings.
    #[error("{path}: {problem}")]
    Fit {
        /// The file.
        path: String,
        /// What does not fit.
        problem: String,
    },
}

/// Which inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those to learn from.
    Train,
    /// Those to judge by.
    Test,
}

/// What is trained on, what choices are made on, and what it is trained for: all in the units of the data after division, before normalisation.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepared {
    /// Inputs to learn from.
    pub train: Set,
    /// Held-out inputs.
    pub held_out: Set,
    /// What the network does first.
    pub normalise: Option<Normalise>,
    /// Radius and range of each element.
    pub task: Task,
}

/// Reads the training data and divides them.
///
/// # Errors
/// [`LoadError`].
pub fn prepare(config: &Config) -> Result<Prepared, LoadError> {
    let all = read(config, Part::Train, None)?;
    let task = task(config, all.width())?;
    let held_out = config.data.held_out;
    if held_out >= all.len() {
        return Err(LoadError::Fit {
            path: config.path.display().to_string(),
            problem: format!("[data] `held_out` is {held_out}, of {} training inputs in all", all.len()),
        });
    }
    let [train, held_out] = all.hold_out(held_out, &mut Random(config.data.held_out_seed));
    let normalise = config.data.normalise.then(|| Normalise::of(&train));
    Ok(Prepared { train, held_out, normalise, task })
}

/// Radius and range of each of `width` elements.
///
/// # Errors
/// [`LoadError::Fit`] if there are not as many radii as elements.
pub fn task(config: &Config, width: usize) -> Result<Task, LoadError> {
    let radius = match &config.data.radius {
        PerElement::One(radius) => vec![*radius as f32; width],
        PerElement::Each(all) if all.len() == width => all.iter().map(|r| *r as f32).collect(),
        PerElement::Each(all) => {
            return Err(LoadError::Fit {
                path: config.path.display().to_string(),
                problem: format!("[data] `radius` has {} numbers for inputs of {width}", all.len()),
            });
        }
    };
    let range = config.data.range.map(|ends| ends.map(|end| vec![end as f32; width]));
    Ok(Task { radius, range })
}

/// Inputs and targets of a part; `classes` are the names of the classes that a network has, whichever the part shows.
///
/// # Errors
/// [`LoadError`], naming the file, and the line and column of a table.
pub fn read(config: &Config, part: Part, classes: Option<&[String]>) -> Result<Set, LoadError> {
    let mut data = config.data.clone();
    if let (Some(names), true) = (classes, data.targets.is_empty()) {
        data.classes = names.to_vec();
    }
    let data = &data;
    let (key, files, labels_key, labels) = match part {
        Part::Train => ("train", &data.train, "train_labels", &data.train_labels),
        Part::Test => ("test", &data.test, "test_labels", &data.test_labels),
    };
    let why =
        if part == Part::Train { "there is nothing to learn from" } else { "there is nothing to judge by" };
    let unset = |key, why| LoadError::Unset { path: config.path.display().to_string(), key, why };
    let files = located(config, key, files.as_ref().ok_or(unset(key, why))?)?;
    let with_labels = |read: fn(&Path) -> Result<Array, DataError>| -> Result<_, LoadError> {
        let labels =
            labels.as_ref().ok_or(unset(labels_key, "the format has labels in a file of their own"))?;
        let labels = located(config, labels_key, labels)?;
        Ok((joined(&files, read)?, joined(&labels, read)?, labels))
    };
    let mut set = match data.format {
        Format::Csv => from_tables(data, &files)?,
        Format::Idx => labelled(data, with_labels(idx::read)?)?,
        Format::Npy => labelled(data, with_labels(npy::read)?)?,
        Format::Npz => labelled(data, with_labels(read_named)?)?,
        Format::Cifar10 | Format::Cifar100 => {
            let labels = if data.format == Format::Cifar10 { 1 } else { 2 };
            let parts: Vec<_> = files.iter().map(|f| cifar::read(f, labels)).collect::<Result<_, _>>()?;
            let (images, found): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            let joined = (concatenated(&files, images)?, concatenated(&files, found)?, files.clone());
            labelled(data, joined)?
        }
    };
    shape_and_scale(data, &mut set, &files[0])?;
    Ok(set)
}

/// `set` with names for as many classes as a network has outputs, if it shows fewer.
pub fn with_outputs(mut set: Set, outputs: usize) -> Set {
    if let Targets::Classes { names, .. } = &mut set.targets {
        let first = names.len();
        names.extend((first..outputs).map(|k| k.to_string()));
    }
    set
}

/// The paths that `files` name.
fn located(config: &Config, key: &'static str, files: &Files) -> Result<Vec<PathBuf>, LoadError> {
    let folder = config.path.parent().unwrap_or(Path::new("")).to_owned();
    let common = std::env::var_os(DATA_VARIABLE).map(PathBuf::from);
    let one = |file: &String| {
        // What stands behind a `#` names an array in the file.
        let bare = file.split('#').next().unwrap_or(file);
        let below = common.as_ref().map(|c| c.join("data"));
        for folder in [Some(&folder), common.as_ref(), below.as_ref()].into_iter().flatten() {
            if folder.join(bare).is_file() {
                return Ok(folder.join(file));
            }
        }
        let here = if folder.as_os_str().is_empty() { ".".into() } else { folder.display().to_string() };
        let tried = common
            .as_ref()
            .map_or(here.clone(), |c| format!("{here}, {} and its folder `data`", c.display()));
        let way_out = match &common {
            Some(_) => format!("correct the path, or set {DATA_VARIABLE} to the folder it is relative to"),
            None => format!("set {DATA_VARIABLE} to the folder that the path is relative to, or correct it"),
        };
        Err(LoadError::Missing { key, file: bare.to_owned(), tried, way_out })
    };
    let found: Vec<PathBuf> = files.all().iter().map(one).collect::<Result<_, _>>()?;
    match found.is_empty() {
        true => Err(LoadError::Fit {
            path: config.path.display().to_string(),
            problem: format!("[data] `{key}` names no file"),
        }),
        false => Ok(found),
    }
}

/// The array `name` of `file#name`, or the only one.
fn read_named(path: &Path) -> Result<Array, DataError> {
    let text = path.to_string_lossy();
    match text.split_once('#') {
        Some((file, name)) => npy::read_archive(Path::new(file), Some(name)),
        None => npy::read_archive(path, None),
    }
}

fn joined(files: &[PathBuf], read: fn(&Path) -> Result<Array, DataError>) -> Result<Array, LoadError> {
    let arrays = files.iter().map(|f| read(f)).collect::<Result<Vec<_>, _>>()?;
    concatenated(files, arrays)
}

/// Arrays one behind the other along the first axis.
fn concatenated(files: &[PathBuf], arrays: Vec<Array>) -> Result<Array, LoadError> {
    let mut all: Option<Array> = None;
    for (file, array) in files.iter().zip(arrays) {
        let problem = |problem: String| LoadError::Fit { path: file.display().to_string(), problem };
        if array.shape.is_empty() {
            return Err(problem("holds one number; an axis of inputs is needed".into()));
        }
        match &mut all {
            None => all = Some(array),
            Some(before) if before.shape[1..] == array.shape[1..] => {
                before.shape[0] += array.shape[0];
                before.values.extend(array.values);
            }
            Some(before) => {
                let (one, other) = (&array.shape[1..], &before.shape[1..]);
                return Err(problem(format!("inputs of shape {one:?}, those before of {other:?}")));
            }
        }
    }
    Ok(all.expect("at least one file"))
}

/// Inputs with labels, or with numbers if the labels are no whole numbers or have a second axis.
fn labelled(
    data: &DataSettings,
    (inputs, labels, files): (Array, Array, Vec<PathBuf>),
) -> Result<Set, LoadError> {
    let path = files[0].display().to_string();
    let fit = |problem: String| LoadError::Fit { path: path.clone(), problem };
    let (count, found) = (inputs.shape[0], labels.shape.first().copied().unwrap_or(0));
    if count != found {
        return Err(fit(format!("{found} labels for {count} inputs")));
    }
    if count == 0 {
        return Err(fit("holds no inputs".into()));
    }
    let whole = |x: &f32| *x >= 0.0 && *x < 65_536.0 && x.fract() == 0.0;
    let columns = labels.values.len() / count;
    let targets = if columns == 1 && data.targets.is_empty() {
        if let Some(bad) = labels.values.iter().position(|x| !whole(x)) {
            let x = labels.values[bad];
            return Err(fit(format!(
                "label {bad} is {x}, no class; name the numbers to predict in [data] `targets`"
            )));
        }
        let labels: Vec<u32> = labels.values.iter().map(|x| *x as u32).collect();
        let most = labels.iter().max().map_or(0, |m| *m as usize + 1);
        let names = names(data, most).map_err(fit)?;
        Targets::Classes { labels, names }
    } else {
        let named = data.targets.len();
        if named != columns {
            return Err(fit(format!("{columns} numbers for each input, [data] `targets` names {named}")));
        }
        Targets::Values { values: labels.values, names: data.targets.clone() }
    };
    Ok(Set { shape: inputs.shape[1..].to_vec(), inputs: inputs.values, targets })
}

/// Names of `most` classes or more.
fn names(data: &DataSettings, most: usize) -> Result<Vec<String>, String> {
    match data.classes.len() {
        0 => Ok((0..most.max(2)).map(|k| k.to_string()).collect()),
        named if named >= most => Ok(data.classes.clone()),
        named => Err(format!("label {}, [data] `classes` names {named}", most - 1)),
    }
}

/// Columns of tables.
fn from_tables(data: &DataSettings, files: &[PathBuf]) -> Result<Set, LoadError> {
    let mut all: Option<table::Table> = None;
    for file in files {
        let found = table::read(file)?;
        match &mut all {
            None => all = Some(found),
            Some(before) if before.names == found.names => before.lines.extend(found.lines),
            Some(before) => {
                let problem =
                    format!("columns {}, those before {}", found.names.join(", "), before.names.join(", "));
                return Err(LoadError::Fit { path: file.display().to_string(), problem });
            }
        }
    }
    let (table, path) = (all.expect("at least one file"), &files[0]);
    let fit = |problem: String| LoadError::Fit { path: path.display().to_string(), problem };
    let column = |name: &String| table.column(path, name);
    let special: Vec<usize> =
        data.label.iter().chain(&data.targets).chain(&data.ignore).map(column).collect::<Result<_, _>>()?;
    let features: Vec<usize> = match data.features.is_empty() {
        true => (0..table.names.len()).filter(|k| !special.contains(k)).collect(),
        false => data.features.iter().map(column).collect::<Result<_, _>>()?,
    };
    if features.is_empty() || table.lines.is_empty() {
        return Err(fit(format!("{} columns of inputs, {} lines", features.len(), table.lines.len())));
    }
    let inputs = table.numbers(path, &features)?.values;
    let targets = match (&data.label, data.targets.is_empty()) {
        (Some(label), true) => {
            let column = table.column(path, label)?;
            let (labels, found) = table.labels(column);
            in_order_of(&data.classes, labels, found).map_err(fit)?
        }
        (None, false) => {
            let columns: Vec<usize> = data.targets.iter().map(column).collect::<Result<_, _>>()?;
            Targets::Values { values: table.numbers(path, &columns)?.values, names: data.targets.clone() }
        }
        _ => {
            return Err(fit(
                "set either [data] `label`, a column of classes, or `targets`, columns of numbers".into(),
            ));
        }
    };
    Ok(Set { shape: vec![features.len()], inputs, targets })
}

/// Labels in the order of `classes`, if it names any.
fn in_order_of(classes: &[String], labels: Vec<u32>, found: Vec<String>) -> Result<Targets, String> {
    if classes.is_empty() {
        return Ok(Targets::Classes { labels, names: found });
    }
    let place = |name: &String| {
        let at = classes.iter().position(|c| c == name);
        at.map(|k| k as u32).ok_or(format!("a label `{name}` that [data] `classes` does not name"))
    };
    let places: Vec<u32> = found.iter().map(place).collect::<Result<_, _>>()?;
    let labels = labels.iter().map(|k| places[*k as usize]).collect();
    Ok(Targets::Classes { labels, names: classes.to_vec() })
}

/// Gives inputs their shape and unit.
fn shape_and_scale(data: &DataSettings, set: &mut Set, path: &Path) -> Result<(), LoadError> {
    let fit = |problem: String| LoadError::Fit { path: path.display().to_string(), problem };
    let width = set.width();
    if width == 0 {
        return Err(fit(format!("inputs of shape {:?} have no elements", set.shape)));
    }
    if data.divide != 1.0 {
        set.inputs.iter_mut().for_each(|x| *x = (f64::from(*x) / data.divide) as f32);
    }
    if let Some(bad) = set.inputs.iter().position(|x| !x.is_finite()) {
        let (element, input, x) = (bad % width, bad / width, set.inputs[bad]);
        return Err(fit(format!("element {element} of input {input} is {x} after division")));
    }
    if let Targets::Values { values, names } = &set.targets
        && let Some(bad) = values.iter().position(|x| !x.is_finite())
    {
        return Err(fit(format!(
            "target `{}` of input {} is {}",
            names[bad % names.len()],
            bad / names.len(),
            values[bad]
        )));
    }
    match &data.shape {
        Some(shape) if shape.iter().try_fold(1usize, |n, len| n.checked_mul(*len)) == Some(width) => {
            set.shape.clone_from(shape);
        }
        Some(shape) => {
            return Err(fit(format!("inputs of {width} elements do not have the shape {shape:?} of [data]")));
        }
        // An image without channels has one.
        None if set.shape.len() == 2 => set.shape.insert(0, 1),
        None => {}
    }
    if let Some([least, most]) = data.range {
        let (least, most) = (least as f32, most as f32);
        if let Some(bad) = set.inputs.iter().position(|x| *x < least || *x > most) {
            let (x, element, input) = (set.inputs[bad], bad % width, bad / width);
            return Err(fit(format!(
                "element {element} of input {input} is {x} after division, outside [data] `range` [{least}, {most}]"
            )));
        }
    }
    Ok(())
}
