//! The table of settings that a file may hold: key, meaning, range, and how each reads and changes [`Settings`].
//!
//! A new field of [`Settings`] is one more line of [`FIELDS`]; a test refuses a field that is in neither table.

use super::{Branching, Settings};
use crate::search::lp::Solver;
use std::time::Duration;

/// Fields of [`Settings`] that no file sets: what the question itself says.
pub const NOT_IN_FILES: &[&str] = &["meaning"];

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name of the field of [`Settings`].
    pub field: &'static str,
    /// Name in a file; with a dot, the part before it is a table.
    pub key: &'static str,
    /// What it does, one sentence, with its unit.
    pub meaning: &'static str,
    /// Its values.
    pub kind: Kind,
}

/// Type and range of a setting, and how it is read and changed.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A number from `least` to `most`.
    Number {
        /// Smallest value.
        least: f64,
        /// Largest value.
        most: f64,
        /// Reads it.
        get: fn(&Settings) -> f64,
        /// Changes it.
        set: fn(&mut Settings, f64),
    },
    /// A whole number from `least` to `most`.
    Integer {
        /// Smallest value.
        least: i64,
        /// Largest value.
        most: i64,
        /// Reads it.
        get: fn(&Settings) -> i64,
        /// Changes it.
        set: fn(&mut Settings, i64),
    },
    /// On or off.
    Switch {
        /// Reads it.
        get: fn(&Settings) -> bool,
        /// Changes it.
        set: fn(&mut Settings, bool),
    },
    /// One of some words.
    Word {
        /// The words.
        words: &'static [&'static str],
        /// Reads it, as an index into `words`.
        get: fn(&Settings) -> usize,
        /// Changes it, by an index into `words`.
        set: fn(&mut Settings, usize),
    },
}

const SOLVERS: [Solver; 2] = [Solver::Own, Solver::Highs];
const BRANCHINGS: [Branching; 3] = [Branching::Automatic, Branching::Inputs, Branching::Neurons];

/// Every setting that a file may hold.
#[rustfmt::skip]
pub const FIELDS: &[Field] = &[
    Field { field: "timeout", key: "timeout_s", meaning: "Seconds until the search is given up.",
        kind: Kind::Number { least: 1e-3, most: 1e9, get: |s| s.timeout.as_secs_f64(), set: |s, x| s.timeout = Duration::from_secs_f64(x) } },
    Field { field: "threads", key: "threads", meaning: "Worker threads; 0 takes one per core.",
        kind: Kind::Integer { least: 0, most: 1024, get: |s| s.threads as i64, set: |s, n| s.threads = n as usize } },
    Field { field: "seed", key: "seed", meaning: "Seed of the attack's random starts.",
        kind: Kind::Integer { least: 0, most: i64::MAX, get: |s| s.seed.cast_signed(), set: |s, n| s.seed = n.cast_unsigned() } },
    Field { field: "branching", key: "branching", meaning: "What is split: inputs or neurons; automatic decides by the network.",
        kind: Kind::Word { words: &["automatic", "inputs", "neurons"], get: |s| BRANCHINGS.iter().position(|b| *b == s.branching).unwrap_or(0), set: |s, i| s.branching = BRANCHINGS[i] } },
    Field { field: "attack", key: "attack", meaning: "Whether counterexamples are looked for; without, no answer is `sat`.",
        kind: Kind::Switch { get: |s| s.attack, set: |s, on| s.attack = on } },
    Field { field: "memory", key: "memory_mib", meaning: "Most memory of open domains, MiB; 0 takes a quarter of the machine's.",
        kind: Kind::Integer { least: 0, most: 1 << 20, get: |s| (s.memory >> 20) as i64, set: |s, n| s.memory = (n as usize) << 20 } },
    Field { field: "lp_solver", key: "lp_solver", meaning: "Who solves linear programs: the own simplex, or HiGHS from its shared library.",
        kind: Kind::Word { words: &["own", "highs"], get: |s| SOLVERS.iter().position(|b| *b == s.lp_solver).unwrap_or(0), set: |s, i| s.lp_solver = SOLVERS[i] } },
];

impl Kind {
    /// The allowed values in words.
    pub fn range(&self) -> String {
        match self {
            Self::Number { least, most, .. } => format!("a number from {least} to {most}"),
            Self::Integer { least, most, .. } if *most == i64::MAX => format!("an integer from {least}"),
            Self::Integer { least, most, .. } => format!("an integer from {least} to {most}"),
            Self::Switch { .. } => "true or false".into(),
            Self::Word { words, .. } => {
                let quoted: Vec<String> = words.iter().map(|w| format!("\"{w}\"")).collect();
                format!("one of {}", quoted.join(", "))
            }
        }
    }

    /// The value in `settings`, as TOML writes it.
    pub fn show(&self, settings: &Settings) -> String {
        match self {
            // With a point, so that it reads as a number that need not be whole.
            Self::Number { get, .. } => format!("{:?}", get(settings)),
            Self::Integer { get, .. } => get(settings).to_string(),
            Self::Switch { get, .. } => get(settings).to_string(),
            Self::Word { words, get, .. } => format!("\"{}\"", words[get(settings)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_in_a_table_and_no_other() {
        // The pretty form names each field on a line of its own, indented by four.
        let shown = format!("{:#?}", Settings::default());
        let of_struct = shown.lines().filter_map(|line| {
            let name = line.strip_prefix("    ")?.split_once(':')?.0;
            (!name.starts_with(' ')).then_some(name)
        });
        let mut of_struct: Vec<&str> = of_struct.collect();
        let mut of_tables: Vec<&str> =
            FIELDS.iter().map(|f| f.field).chain(NOT_IN_FILES.iter().copied()).collect();
        of_struct.sort_unstable();
        of_tables.sort_unstable();
        assert_eq!(of_struct, of_tables);
    }

    #[test]
    fn each_entry_reads_back_what_it_sets_and_holds_its_default() {
        let mut keys: Vec<&str> = FIELDS.iter().map(|f| f.key).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), FIELDS.len(), "a key stands twice");
        for f in FIELDS {
            let mut s = Settings::default();
            match f.kind {
                Kind::Number { least, most, get, set } => {
                    assert!((least..=most).contains(&get(&s)), "{}", f.key);
                    for x in [least, most] {
                        set(&mut s, x);
                        assert!((get(&s) - x).abs() <= 1e-6 * x.abs(), "{}", f.key);
                    }
                }
                Kind::Integer { least, most, get, set } => {
                    assert!((least..=most).contains(&get(&s)), "{}", f.key);
                    for n in [least, most] {
                        set(&mut s, n);
                        assert_eq!(get(&s), n, "{}", f.key);
                    }
                }
                Kind::Switch { get, set } => {
                    let other = !get(&s);
                    set(&mut s, other);
                    assert_eq!(get(&s), other, "{}", f.key);
                }
                Kind::Word { words, get, set } => {
                    for i in 0..words.len() {
                        set(&mut s, i);
                        assert_eq!(get(&s), i, "{}", f.key);
                    }
                }
            }
        }
    }
}
