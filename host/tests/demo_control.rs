//! `certus demo control` from the outside.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("control_{name}"));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn certus(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certus")).args(arguments).output().expect("the program runs")
}

#[test]
fn the_demonstration_writes_what_it_names_and_the_other_commands_take_it() {
    let folder = folder("whole");
    let path = |name: &str| folder.join(name).display().to_string();
    let output = certus(&["demo", "control", "--no-firmware", "--out", &path("")]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches(" unsat ").count(), 7, "{text}");
    assert_eq!(text.matches(" sat ").count(), 1, "{text}");
    for line in text.lines().filter_map(|line| line.strip_prefix("wrote ")) {
        let name = line.split_whitespace().next().expect("a name");
        assert!(fs::metadata(name).is_ok_and(|m| m.len() > 0), "{line}");
    }
    let report = fs::read_to_string(path("report.html")).expect("the report");
    assert!(report.len() < 2_000_000 && report.ends_with("</html>\n"));

    let check = ["export", "--check", &path("surrogate.crts"), "--net", &path("surrogate.onnx")];
    assert!(certus(&[&check[..], &["--samples", &path("states.csv")]].concat()).status.success());
    let monitor = certus(&["monitor", &path("surrogate.crts"), "--input", &path("trajectory.csv")]);
    assert!(String::from_utf8_lossy(&monitor.stdout).contains("200 samples: "));
    let leftovers = fs::read_dir(&folder).expect("the folder").flatten();
    let hidden: Vec<_> = leftovers.filter(|f| f.file_name().to_string_lossy().starts_with('.')).collect();
    assert!(hidden.is_empty(), "{hidden:?}");
}

#[test]
fn a_file_in_the_place_of_the_folder_is_one_line_and_exit_code_2() {
    let folder = folder("file");
    fs::create_dir_all(folder.parent().expect("a parent")).expect("made");
    fs::write(&folder, "not a folder").expect("written");
    let output = certus(&["demo", "control", "--out", &folder.display().to_string()]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(message.contains(&folder.display().to_string()) && message.lines().count() == 1, "{message}");
    assert_eq!(fs::read_to_string(&folder).expect("still there"), "not a folder");
    fs::remove_file(&folder).expect("removed");
}
