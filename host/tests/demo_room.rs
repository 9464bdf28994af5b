//! `certus demo occupancy` and `certus demo forecast` from the outside, with short training.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("room_{name}"));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn data() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/occupancy").display().to_string()
}

fn certus(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certus")).args(arguments).output().expect("the program runs")
}

/// Runs an example with `arguments` and checks that what it names is there and that the other commands take it.
fn run(name: &str, arguments: &[&str]) -> String {
    let folder = folder(name);
    let path = |name: &str| folder.join(name).display().to_string();
    let (data, out) = (data(), path(""));
    let common = ["demo", name, "--no-firmware", "--data", &data, "--out", &out];
    let output = certus(&[&common[..], arguments].concat());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for line in text.lines().filter_map(|line| line.strip_prefix("wrote ")) {
        let name = line.split_whitespace().next().expect("a name");
        assert!(fs::metadata(name).is_ok_and(|m| m.len() > 0), "{line}");
    }
    let report = fs::read_to_string(path("report.html")).expect("a report");
    for heading in ["Along test 1", "Along test 2", "What is proved, and what is not"] {
        assert!(report.contains(heading), "{heading}");
    }
    let file = |extension: &str| path(&format!("{name}.{extension}"));
    let (artifact, network, samples) = (file("crts"), file("onnx"), file("csv"));
    let check = certus(&["export", "--check", &artifact, "--net", &network, "--samples", &samples]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let monitor = certus(&["monitor", &artifact, "--input", &samples, "--interval"]);
    assert!(String::from_utf8_lossy(&monitor.stdout).contains("1000 samples: "));
    text
}

/// The numbers of the first row that starts with `recording`, then `second`.
fn row(text: &str, recording: &str, second: &str) -> Vec<f64> {
    let line =
        text.lines().filter_map(|line| line.strip_prefix(recording)?.trim_start().strip_prefix(second));
    let line = line.into_iter().next().unwrap_or_else(|| panic!("no row {recording} {second} in {text}"));
    line.split_whitespace().map(|cell| cell.parse().expect("a number")).collect()
}

#[test]
fn occupancy_is_certified_under_the_sensors_errors() {
    let text = run("occupancy", &["--epochs", "10"]);
    for recording in ["test 1", "test 2"] {
        let [clean, _, attacked, certified] = row(&text, recording, "certified ")[..] else {
            panic!("{text}")
        };
        // Who always says `empty` is right on 63.5 % and 79.0 %.
        assert!(clean > 90.0 && certified > 80.0, "{text}");
        assert!(certified <= attacked && attacked <= clean, "{text}");
    }
    assert!(text.contains("certified samples that an attack broke: 0"), "{text}");
}

#[test]
fn a_forecast_lies_in_its_interval() {
    let text = run("forecast", &["--epochs", "10"]);
    for recording in ["test 1", "test 2"] {
        let [_, _, _, width] = row(&text, recording, "certified ")[..] else { panic!("{text}") };
        let [_, _, _, plain] = row(&text, recording, "plain ")[..] else { panic!("{text}") };
        assert!(width < plain, "training with bounds gives narrower intervals: {text}");
        let [certified, attacked, _] = row(&text, recording, "1.00 ")[..] else { panic!("{text}") };
        assert!(attacked <= certified && attacked > 0.5 * certified, "{text}");
    }
    assert!(text.contains("attacked outputs outside their certified interval: 0"), "{text}");
}

#[test]
fn folders_without_recordings_are_named_in_one_line() {
    let folder = folder("nothing");
    fs::create_dir_all(&folder).expect("made");
    let empty = folder.display().to_string();
    for name in ["occupancy", "forecast"] {
        let out = folder.join("out").display().to_string();
        let output = certus(&["demo", name, "--no-firmware", "--data", &empty, "--out", &out]);
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(
            message.contains(&empty) && message.contains("--data") && message.lines().count() == 1,
            "{message}"
        );
    }
}

#[test]
fn recordings_are_found_below_the_variable_and_beside_a_variable_for_other_data() {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    let nothing = folder("other_data");
    fs::create_dir_all(&nothing).expect("made");
    let run = |variable: &Path, current: &Path| {
        let out = folder("variable").display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_certus"));
        command.args(["demo", "occupancy", "--no-firmware", "--epochs", "1", "--held-out", "--out", &out]);
        command.env("CERTUS_DATA", variable).current_dir(current);
        command.output().expect("the program runs").status.code()
    };
    let outside = std::env::temp_dir();
    assert_eq!(run(&assets, &outside), Some(0));
    assert_eq!(run(&assets.join("occupancy"), &outside), Some(0));
    assert_eq!(run(&nothing, &assets), Some(0));
    assert_eq!(run(&nothing, &outside), Some(2));
}

#[test]
fn a_damaged_recording_is_named_with_its_line() {
    let folder = folder("damaged");
    fs::create_dir_all(&folder).expect("made");
    let head = "id,date,Temperature,Humidity,Light,CO2,HumidityRatio,Occupancy\n";
    fs::write(folder.join("train.csv"), format!("{head}1,2015-02-04 17:51:00,23,27,none,721,0.004,1\n"))
        .expect("written");
    let (data, out) = (folder.display().to_string(), folder.join("out").display().to_string());
    let output = certus(&["demo", "occupancy", "--no-firmware", "--data", &data, "--out", &out]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("train.csv") && message.contains("line 2") && message.contains("none"),
        "{message}"
    );
}

#[test]
fn recordings_too_short_to_learn_from_are_named() {
    let folder = folder("short");
    fs::create_dir_all(&folder).expect("made");
    let head = "id,date,Temperature,Humidity,Light,CO2,HumidityRatio,Occupancy\n";
    let line = "1,2015-02-04 17:51:00,23,27,426,721,0.004,1\n";
    let (data, out) = (folder.display().to_string(), folder.join("out").display().to_string());
    let run = |name: &str| {
        certus(&["demo", name, "--no-firmware", "--data", &data, "--out", &out, "--epochs", "1"])
    };
    for file in ["train", "test1", "test2"] {
        fs::write(folder.join(format!("{file}.csv")), format!("{head}{line}")).expect("written");
    }
    // One sample is no window.
    let output = run("forecast");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && message.contains("`train`"), "{message}");
    fs::write(folder.join("test2.csv"), head).expect("written");
    let output = run("occupancy");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && message.contains("`test 2`"), "{message}");
}
