//! What the documents name exists, and every shipped data file has its origin stated.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The pieces of `text` between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What is wrong with a quoted `path` or `path::item`, if anything.
fn problem(name: &str) -> Option<String> {
    let (path, item) = name.split_once("::").map_or((name, None), |(path, item)| (path, Some(item)));
    let full = root().join(path);
    if !full.exists() {
        return Some(format!("{path} does not exist"));
    }
    let item = item?;
    let text = fs::read_to_string(&full).unwrap_or_default();
    let declared = ["fn ", "struct ", "enum ", "const ", "mod ", "trait "].iter().any(|keyword| {
        text.match_indices(&format!("{keyword}{item}"))
            .any(|(at, found)| ends_a_word(&text, at + found.len()))
    });
    (!declared).then(|| format!("{path} declares no {item}"))
}

fn ends_a_word(text: &str, at: usize) -> bool {
    !text[at..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

#[test]
fn every_path_and_test_named_in_the_requirement_trace_exists() {
    let text = fs::read_to_string(root().join("docs/requirements.md")).expect("docs/requirements.md");
    let table: String = text.lines().filter(|line| line.starts_with('|')).collect::<Vec<_>>().join("\n");
    let names: Vec<&str> = quoted(&table).filter(|name| name.contains('/')).collect();
    assert!(names.len() >= 8, "the table names only {} paths", names.len());
    let problems: Vec<String> = names.iter().filter_map(|name| problem(name)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_claim_has_an_argument_code_and_a_test() {
    let text = fs::read_to_string(root().join("docs/requirements.md")).expect("docs/requirements.md");
    for line in text.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{line}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "an empty cell: {line}");
    }
}

#[test]
fn the_checks_above_see_what_is_missing() {
    assert!(problem("core/src/lib.rs").is_none());
    assert!(problem("core/src/no_such_file.rs").is_some());
    assert!(problem("core/src/infer.rs::forward").is_none());
    assert!(problem("core/src/infer.rs::forwar").is_some());
}

/// Tracked files that hold data rather than code or text; `None` outside a git checkout.
fn data_files() -> Option<Vec<String>> {
    const DATA: [&str; 10] = ["onnx", "vnnlib", "csv", "gz", "npy", "npz", "bin", "crts", "png", "tsv"];
    let output = std::process::Command::new("git").arg("ls-files").current_dir(root()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    let is_data = |path: &&str| {
        path.rsplit_once('.').is_some_and(|(_, extension)| DATA.contains(&extension))
            || path.contains("/corpus/")
    };
    Some(text.lines().filter(is_data).map(str::to_owned).collect())
}

#[test]
fn every_shipped_data_file_has_its_origin_stated() {
    let text = fs::read_to_string(root().join("LICENSES/README.md")).expect("LICENSES/README.md");
    let rows = text.lines().filter(|line| line.starts_with('|')).flat_map(quoted);
    let named: Vec<&str> = rows.filter(|name| name.contains('/')).collect();
    let stale: Vec<String> = named.iter().filter_map(|name| problem(name)).collect();
    assert!(stale.is_empty(), "LICENSES/README.md: {}", stale.join("\n"));
    let Some(files) = data_files() else {
        assert!(std::env::var_os("CI").is_none(), "CI runs in a git checkout");
        eprintln!("NOT TESTED: this is not a git checkout, so shipped files are unknown");
        return;
    };
    let nameless: Vec<_> =
        files.iter().filter(|path| !named.iter().any(|name| Path::new(path).starts_with(name))).collect();
    assert!(nameless.is_empty(), "without origin in LICENSES/README.md: {nameless:?}");
}
