//! `certus train` and `certus eval --data` from outside: files in, files out, and what goes wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn certus(folder: &Path, args: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_certus"))
        .args(args)
        .current_dir(folder)
        .env_remove("CERTUS_DATA")
        .output();
    run.expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The example on spoken digits, as a path from anywhere.
fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/training/digits.toml")
}

/// Few epochs, few inputs.
const SHORT: [&str; 8] = [
    "--epochs",
    "4",
    "--set",
    "train.ramp=1",
    "--set",
    "evaluate.verify=3",
    "--set",
    "evaluate.curve_count=40",
];

#[test]
fn the_example_trains_is_judged_and_its_network_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let example = example();
    let example = example.to_str().unwrap();
    let run = certus(at, &[&["train", example][..], &SHORT].concat());
    let (said, wrong) = (text(&run.stdout), text(&run.stderr));
    assert!(run.status.success(), "{wrong}");
    assert_eq!(wrong, "", "no bar where there is no terminal");
    let lines = said.lines().filter(|l| l.trim_start().starts_with(|c: char| c.is_ascii_digit()));
    assert!(lines.count() >= 4, "a line for each epoch: {said}");
    for name in [
        "report.html",
        "network.onnx",
        "log.csv",
        "checkpoint.safetensors",
        "settings.toml",
        "evaluation.json",
    ] {
        assert!(at.join("digits").join(name).exists(), "{name}");
    }
    assert_eq!(fs::read_dir(at.join("digits")).unwrap().count(), 6, "nothing half-written is left");
    let page = fs::read_to_string(at.join("digits/report.html")).unwrap();
    assert!(page.contains("CC BY-SA 4.0") && page.contains("<svg"));
    assert_eq!(fs::read_to_string(at.join("digits/log.csv")).unwrap().lines().count(), 5);

    // The numbers again, from the network's file.
    let again =
        certus(at, &["eval", "digits/network.onnx", "--data", "digits-again.toml", "--json", "again.json"]);
    assert_eq!(again.status.code(), Some(2), "no such settings");
    let eval = ["eval", "digits/network.onnx", "--data", example, "--json", "again.json"];
    let eval = [&eval[..], &SHORT[4..]].concat();
    let again = certus(at, &eval);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let read = |path: &Path| -> serde_json::Value {
        let mut json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        json.as_object_mut().unwrap().remove("seconds");
        json
    };
    let (first, second) = (read(&at.join("digits/evaluation.json")), read(&at.join("again.json")));
    assert_eq!(first["numbers"], second["numbers"]);
    let numbers = first["numbers"].as_array().unwrap();
    let percent =
        |by: &str| -> f64 { numbers.iter().find(|n| n["by"] == by).unwrap()["percent"].as_f64().unwrap() };
    let right = percent("the inputs themselves");
    assert!(right > 60.0 && percent("IBP") <= percent("CROWN-IBP"), "{first}");
    assert!(percent("CROWN-IBP") <= percent("PGD, AutoPGD on two losses"), "{first}");
    assert_eq!(first["curve"].as_array().unwrap().len(), 7);
    let columns = |key: &str| -> Vec<u64> {
        first["curve"].as_array().unwrap().iter().map(|c| c[key].as_u64().unwrap()).collect()
    };
    assert!(columns("certified_ibp").is_sorted_by(|a, b| a >= b), "a larger box is harder");
    assert!(columns("unbroken").is_sorted_by(|a, b| a >= b));

    // Outputs on samples are those of any other network.
    let samples = vec!["128"; 640].join(",");
    fs::write(at.join("samples.csv"), format!("{samples}\n")).unwrap();
    let run = certus(at, &["eval", "digits/network.onnx", "--input", "samples.csv"]);
    assert_eq!(text(&run.stdout).trim().split(',').count(), 10);
}

#[test]
fn a_run_goes_on_and_a_second_one_asks() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let example = example();
    let short = ["--set", "train.ramp=1", "--set", "evaluate.count=20", "--set", "evaluate.verify=0"];
    let short = [&short[..], &["--set", "evaluate.curve_count=0", "--out", "run"]].concat();
    let train = |more: &[&str]| {
        let args = [&["train", example.to_str().unwrap()][..], &short, more].concat();
        certus(at, &args)
    };
    let refused = |run: Output, message: &str| {
        let wrong = text(&run.stderr);
        assert_eq!((run.status.code(), wrong.lines().count()), (Some(2), 1), "{wrong}");
        assert!(wrong.contains(message), "{wrong}");
    };
    refused(train(&["--epochs", "2", "--resume"]), "no checkpoint to go on from");
    assert!(train(&["--epochs", "2"]).status.success());
    refused(train(&["--epochs", "2"]), "--resume");
    refused(train(&["--epochs", "3", "--resume", "--seed", "9"]), "another run: its settings");
    let run = train(&["--epochs", "3", "--resume"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    // Bit for bit the network of three epochs in one go.
    let whole =
        [&["train", example.to_str().unwrap()][..], &short[..short.len() - 1], &["whole", "--epochs", "3"]]
            .concat();
    assert!(certus(at, &whole).status.success());
    let network = |run: &str| fs::read(at.join(run).join("network.onnx")).unwrap();
    assert_eq!(network("run"), network("whole"));
}

#[test]
fn a_sweep_draws_the_front_and_judges_the_chosen_network() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let example = example();
    let sweep = ["--sweep", "train.kappa=0,0.9", "--sweep", "train.epsilon=0.1,0.5", "--out", "s"];
    let args = [&["train", example.to_str().unwrap()][..], &SHORT, &sweep].concat();
    let run = certus(at, &args);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let said = text(&run.stdout);
    assert_eq!(said.matches("   chosen").count(), 1, "{said}");
    assert!(fs::read_to_string(at.join("s/report.html")).unwrap().contains("Certified against clean"));
    let judged = |k: u32| at.join(format!("s/00{k}/evaluation.json")).exists();
    assert_eq!((1..=4).filter(|k| judged(*k)).count(), 1, "the test data are read for one network");
    for k in 1..=4 {
        let settings = fs::read_to_string(at.join(format!("s/00{k}/settings.toml"))).unwrap();
        assert!(settings.contains("epsilon_test = 1.0"), "all are measured at one radius: {settings}");
    }
    let none = certus(at, &[&args[..args.len() - 1], &["none", "--clean-at-least", "100.1"]].concat());
    assert_eq!(none.status.code(), Some(1));
    let wrong = certus(at, &["train", example.to_str().unwrap(), "--sweep", "kappa=1"]);
    assert!(text(&wrong.stderr).contains("--sweep: give table.key=value"), "{}", text(&wrong.stderr));
}

#[test]
#[cfg(unix)]
fn ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on() {
    use nix::sys::signal::{Signal, kill};
    use std::io::{BufRead, BufReader};
    use std::process::Stdio;

    let folder = tempfile::tempdir().unwrap();
    let example = example();
    let mut child = Command::new(env!("CARGO_BIN_EXE_certus"))
        .args(["train", example.to_str().unwrap(), "--out", "run", "--epochs", "5000"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = said.find(|line| line.as_ref().is_ok_and(|l| l.trim_start().starts_with("1 ")));
    assert!(first.is_some(), "a line for the first epoch");
    kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    for words in ["interrupted after", "--resume"] {
        assert!(rest.iter().any(|l| l.contains(words)), "{rest:?}");
    }
    assert!(folder.path().join("run/checkpoint.safetensors").exists());
    assert!(!folder.path().join("run/network.onnx").exists());
}

#[test]
fn bad_settings_and_data_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("a.toml"), "[data]\ntrain = \"t.csv\"\nformat = \"csv\"\nlabel = \"y\"\n").unwrap();
    fs::write(at.join("b.toml"), "[data]\nfromat = \"csv\"\n").unwrap();
    fs::write(at.join("t.csv"), "x,y\n1,a\n").unwrap();
    for (args, message) in [
        (&["train", "none.toml"][..], "none.toml"),
        (&["train", "b.toml"], "b.toml:2: [data] unknown field `fromat`"),
        (&["train", "a.toml"], "`held_out` is 1000, of 1 training inputs"),
        (&["train", "a.toml", "--set", "data.train=u.csv"], "set CERTUS_DATA to the folder"),
        (&["train", "a.toml", "--set", "data.held_out=0", "--out", "t.csv/run"], "t.csv/run"),
        (&["train", "a.toml", "--epochs", "nan"], "`epochs` is NaN"),
        (&["eval", "none.onnx", "--data", "a.toml"], "none.onnx"),
    ] {
        let run = certus(at, args);
        let wrong = text(&run.stderr);
        assert_eq!((run.status.code(), wrong.lines().count()), (Some(2), 1), "{args:?}: {wrong}");
        assert!(wrong.contains(message), "{args:?}: {wrong}");
    }
}
