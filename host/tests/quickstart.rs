//! `certus quickstart` from the outside, with a training of a few epochs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("quickstart_{name}"));
    let _ = fs::remove_dir_all(&folder);
    folder
}

fn certus(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_certus")).args(arguments).output().expect("the program runs")
}

/// The only line on standard error of a command that ends with code 2.
fn refusal(arguments: &[&str]) -> String {
    let output = certus(arguments);
    let message = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    message
}

#[test]
fn it_writes_what_it_names_and_the_other_commands_take_it() {
    let folder = folder("whole");
    let path = |name: &str| folder.join(name).display().to_string();
    let output = certus(&["quickstart", "--epochs", "3", "--no-firmware", "--out", &path("")]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("features, not about sound") && text.contains("CC BY-SA 4.0"), "{text}");
    let mut written = 0;
    for line in text.lines().filter_map(|line| line.strip_prefix("wrote ")) {
        let name = line.split_whitespace().next().expect("a name");
        assert!(fs::metadata(name).is_ok_and(|m| m.len() > 0), "{line}");
        written += 1;
    }
    assert_eq!(written, 6, "{text}");
    for name in ["digits.onnx", "digits.crts", "report.html", "NOTICE.txt"] {
        let bytes = fs::read(path(name)).expect("written");
        assert!(bytes.windows(12).any(|w| w == b"CC BY-SA 4.0"), "{name} carries no notice");
    }

    let check = ["export", "--check", &path("digits.crts"), "--net", &path("digits.onnx")];
    assert!(certus(&[&check[..], &["--samples", &path("recordings.csv")]].concat()).status.success());
    let monitor = certus(&["monitor", &path("digits.crts"), "--input", &path("recordings.csv")]);
    assert!(String::from_utf8_lossy(&monitor.stdout).contains("30 samples: "));
}

#[test]
fn the_same_seed_gives_the_same_network() {
    let outputs = ["first", "second"].map(|name| {
        let folder = folder(name);
        let out = folder.display().to_string();
        let data = data_of_checkout().display().to_string();
        let arguments = ["quickstart", "--epochs", "1", "--no-firmware", "--data", &data, "--out", &out];
        assert!(certus(&arguments).status.success());
        fs::read(folder.join("digits.onnx")).expect("written")
    });
    assert!(outputs[0] == outputs[1]);
}

fn data_of_checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/digits")
}

#[test]
fn recordings_are_beside_the_program_not_inside_it() {
    let program = fs::read(env!("CARGO_BIN_EXE_certus")).expect("the program");
    let packed = fs::read(data_of_checkout().join("train-logmel-idx3-ubyte.gz")).expect("the features");
    let inside = |needle: &[u8]| program.windows(needle.len()).any(|w| w == needle);
    assert!(!inside(&packed[1000..1032]), "the data set is compiled into the program");
    assert!(inside(b"Free Spoken Digit Dataset"), "the search above can find things");
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let message = refusal(&["quickstart", "--data", "/nowhere", "--out", "/nowhere/out"]);
    assert!(message.contains("/nowhere/train-logmel-idx3-ubyte.gz"), "{message}");
    for epochs in ["0", "-1", "NaN"] {
        let message = refusal(&["quickstart", "--epochs", epochs, "--out", "/nowhere/out"]);
        assert!(message.contains("--epochs"), "{message}");
    }
    let folder = folder("file");
    fs::create_dir_all(folder.parent().expect("a parent")).expect("made");
    fs::write(&folder, "not a folder").expect("written");
    let message = refusal(&["quickstart", "--out", &folder.display().to_string()]);
    assert!(message.contains(&folder.display().to_string()), "{message}");
    fs::remove_file(&folder).expect("removed");
}
