//! Settings of the verifier in a TOML file: read over the defaults, each value checked against its type and range.

use std::path::Path;

use certus_engine::file::{self, FileError};
use certus_engine::search::lp::{Solver, highs};
use certus_engine::verify::Settings;
use certus_engine::verify::settings::{FIELDS, Field, Kind};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::output::one_line;

/// Cap on a file of settings, bytes.
const LIMIT_BYTES: u64 = 1 << 20;

/// Why settings could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not UTF-8.
    #[error("{path}: is not UTF-8 text; settings in TOML are needed")]
    Text {
        /// The file.
        path: String,
    },
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
    /// A key that means nothing.
    #[error("{path}:{line}: no setting is called `{key}`; {help}")]
    Unknown {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The nearest key, or where they are listed.
        help: String,
    },
    /// A solver that is not there.
    #[error("{path}: `lp_solver` is \"highs\", but there is none: {problem}")]
    NoSolver {
        /// The file.
        path: String,
        /// Why there is none.
        problem: String,
    },
    /// A value of another type or outside its range.
    #[error("{path}:{line}: `{key}` is {found}; it takes {range}")]
    Value {
        /// The file.
        path: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// Allowed values.
        range: String,
    },
}

/// The settings in the file at `path`, the defaults where it says nothing.
///
/// # Errors
/// [`SettingsError`], naming file, line, key and allowed range.
pub fn read(path: &Path) -> Result<Settings, SettingsError> {
    let name = path.display().to_string();
    let bytes = file::read(path, LIMIT_BYTES)?;
    let text = String::from_utf8(bytes).map_err(|_| SettingsError::Text { path: name.clone() })?;
    let settings = parse(&name, &text)?;
    match highs::missing() {
        Some(problem) if settings.lp_solver == Solver::Highs => {
            Err(SettingsError::NoSolver { path: name, problem })
        }
        _ => Ok(settings),
    }
}

/// As [`read`], from `text`; `path` names it in messages.
///
/// # Errors
/// [`SettingsError`].
pub fn parse(path: &str, text: &str) -> Result<Settings, SettingsError> {
    let line_of =
        |offset: usize| text.as_bytes()[..offset.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|e| SettingsError::Toml {
        path: path.to_owned(),
        line: line_of(e.span().map_or(0, |s| s.start)),
        problem: e.message().replace('\n', "; "),
    })?;
    let mut settings = Settings::default();
    let mut problem = None;
    visit("", table.get_ref(), &mut |key, offset, value| {
        let place = || (path.to_owned(), line_of(offset), key.to_owned());
        let result = match FIELDS.iter().find(|f| f.key == key) {
            Some(field) => apply(field, value, &mut settings).map_err(|found| {
                let (path, line, key) = place();
                SettingsError::Value { path, line, key, found, range: field.kind.range() }
            }),
            None => {
                let (path, line, key) = place();
                let help = nearest(&key);
                Err(SettingsError::Unknown { path, line, key, help })
            }
        };
        // The first problem in the file is the one that is told.
        if let Err(error) = result {
            let earlier = problem.as_ref().is_some_and(|(at, _)| *at <= offset);
            problem = if earlier { problem.take() } else { Some((offset, error)) };
        }
    });
    problem.map_or(Ok(settings), |(_, error)| Err(error))
}

/// Calls `each` with the dotted key, the place and the value of everything in `table` that is no table. TOML's own limit on
/// nesting (80 levels) bounds the recursion.
fn visit(prefix: &str, table: &DeTable<'_>, each: &mut dyn FnMut(&str, usize, &DeValue<'_>)) {
    for (key, value) in table {
        let name =
            if prefix.is_empty() { key.get_ref().to_string() } else { format!("{prefix}.{}", key.get_ref()) };
        let known =
            FIELDS.iter().any(|f| f.key.strip_prefix(&name).is_some_and(|rest| rest.starts_with('.')));
        match value.get_ref() {
            DeValue::Table(inner) if known || !inner.is_empty() => visit(&name, inner, each),
            other => each(&name, Spanned::span(key).start, other),
        }
    }
}

/// Puts `value` into `settings`; the error says what was found.
fn apply(field: &Field, value: &DeValue<'_>, settings: &mut Settings) -> Result<(), String> {
    match (field.kind, value) {
        (Kind::Switch { set, .. }, DeValue::Boolean(on)) => set(settings, *on),
        (Kind::Integer { least, most, set, .. }, DeValue::Integer(text)) => {
            let number = i64::from_str_radix(text.as_str(), text.radix()).ok();
            set(settings, number.filter(|n| (least..=most).contains(n)).ok_or(describe(value))?);
        }
        (Kind::Number { least, most, set, .. }, DeValue::Integer(_) | DeValue::Float(_)) => {
            let number = match value {
                DeValue::Integer(text) => {
                    i64::from_str_radix(text.as_str(), text.radix()).ok().map(|n| n as f64)
                }
                DeValue::Float(text) => text.as_str().parse().ok(),
                _ => None,
            };
            set(settings, number.filter(|x| (least..=most).contains(x)).ok_or(describe(value))?);
        }
        (Kind::Word { words, set, .. }, DeValue::String(word)) => {
            set(settings, words.iter().position(|w| *w == word.as_ref()).ok_or(describe(value))?);
        }
        _ => return Err(describe(value)),
    }
    Ok(())
}

/// A value in a message, cut short.
fn describe(value: &DeValue<'_>) -> String {
    let short = |text: &str| one_line(&text.chars().take(40).collect::<String>());
    match value {
        DeValue::String(word) => format!("\"{}\"", short(word)),
        DeValue::Integer(number) => short(number.as_str()),
        DeValue::Float(number) => short(number.as_str()),
        DeValue::Boolean(on) => on.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// What to say of an unknown key.
fn nearest(key: &str) -> String {
    let best = FIELDS.iter().map(|f| (distance(key, f.key), f.key)).min();
    match best {
        Some((changes, known)) if changes <= 1 + key.chars().count() / 3 => format!("`{known}` is"),
        _ => "`certus settings` lists them".into(),
    }
}

/// Fewest insertions, deletions and replacements of a character from `a` to `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    // A key of a file may be long; no known one is.
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().collect());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

/// `settings` as a file, each with its meaning, its default and its range.
pub fn show(settings: &Settings) -> String {
    let defaults = Settings::default();
    let mut text = String::from(
        "# Settings of `certus verify` and `certus bench`; options of the command line take precedence.\n",
    );
    let mut fields: Vec<(&str, &str, &Field)> =
        FIELDS.iter().map(|f| f.key.rsplit_once('.').map_or(("", f.key, f), |(t, k)| (t, k, f))).collect();
    fields.sort_by_key(|(table, _, _)| *table);
    let mut open = "";
    for (table, key, field) in fields {
        if table != open {
            text.push_str(&format!("\n[{table}]\n"));
            open = table;
        }
        let (default, range) = (field.kind.show(&defaults), field.kind.range());
        text.push_str(&format!(
            "\n# {}\n# Default {default}; {range}.\n{key} = {}\n",
            field.meaning,
            field.kind.show(settings)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use certus_engine::verify::Branching;
    use std::time::Duration;

    #[test]
    fn what_is_shown_reads_back_and_what_is_missing_keeps_its_default() {
        let changed = Settings {
            timeout: Duration::from_millis(2500),
            threads: 3,
            seed: 7,
            attack: false,
            ..Settings::default()
        };
        let changed = Settings { branching: Branching::Neurons, ..changed };
        assert_eq!(parse("f", &show(&changed)).unwrap(), changed);
        assert_eq!(parse("f", &show(&Settings::default())).unwrap(), Settings::default());
        let one = parse("f", "# nothing but\nthreads = 0x10\n").unwrap();
        assert_eq!(one, Settings { threads: 16, ..Settings::default() });
        assert_eq!(parse("f", "timeout_s = 3").unwrap().timeout, Duration::from_secs(3));
    }

    #[test]
    fn errors_name_file_line_key_and_range() {
        let cases = [
            ("\nthread = 3", "f.toml:2: no setting is called `thread`; `threads` is"),
            ("x.y = 3", "f.toml:1: no setting is called `x.y`; `certus settings` lists them"),
            ("[attack]\non = true", "f.toml:2: no setting is called `attack.on`; `attack` is"),
            ("threads = 5000", "f.toml:1: `threads` is 5000; it takes an integer from 0 to 1024"),
            ("threads = -1", "f.toml:1: `threads` is -1; it takes an integer from 0 to 1024"),
            (
                "threads = 99999999999999999999",
                "f.toml:1: `threads` is 99999999999999999999; it takes an integer from 0 to 1024",
            ),
            ("threads = 2.5", "f.toml:1: `threads` is 2.5; it takes an integer from 0 to 1024"),
            ("\n\nattack = \"yes\"", "f.toml:3: `attack` is \"yes\"; it takes true or false"),
            ("timeout_s = nan", "f.toml:1: `timeout_s` is nan; it takes a number from 0.001 to 1000000000"),
            ("timeout_s = 0", "f.toml:1: `timeout_s` is 0; it takes a number from 0.001 to 1000000000"),
            (
                "branching = \"all\"",
                "f.toml:1: `branching` is \"all\"; it takes one of \"automatic\", \"inputs\", \"neurons\"",
            ),
            ("seed = []", "f.toml:1: `seed` is a list; it takes an integer from 0"),
            ("attack = 1\nthreads = \"x\"", "f.toml:1: `attack` is 1; it takes true or false"),
        ];
        for (text, message) in cases {
            assert_eq!(parse("f.toml", text).unwrap_err().to_string(), message, "{text}");
        }
        let broken = parse("f.toml", "threads = 2\nseed = = 3").unwrap_err().to_string();
        assert!(broken.starts_with("f.toml:2: ") && !broken.contains('\n'), "{broken}");
        let twice = parse("f.toml", "seed = 2\nseed = 3").unwrap_err().to_string();
        assert!(twice.starts_with("f.toml:2: "), "{twice}");
    }
}
