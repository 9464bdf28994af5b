use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use certus_engine::property::Evaluate;
use certus_learn::data::Targets;
use certus_learn::model::Random;

use crate::training::config::{self, Config};
use crate::training::load::{self, LoadError, Part};
use crate::training::log::Epoch;
use crate::training::run::{CHECKPOINT, End, LOG, Live, Run, RunError, Watch};

/// Two classes, told apart by the sum of two columns; 300 lines.
fn table(folder: &Path) {
    let mut random = Random(1);
    let mut text = String::from("a,b,kind,when\n");
    for k in 0..300 {
        let (a, b) = (random.unit(), random.unit());
        let kind = if a + b > 1.0 { "high" } else { "low" };
        writeln!(text, "{a},{b},{kind},{k}").unwrap();
    }
    fs::write(folder.join("data.csv"), text).unwrap();
}

fn config(folder: &Path, changes: &[&str]) -> Config {
    let text = "[data]\nformat = \"csv\"\ntrain = \"data.csv\"\nlabel = \"kind\"\nignore = [\"when\"]\nrange = [0, 1]\n\
                radius = [1, 2]\nheld_out = 60\nnormalise = true\n[network]\nlayers = [\"dense 16\", \"batch-norm\", \"relu\"]\n\
                [train]\nepsilon = 0.01\nepochs = 6\nbatch = 32\nwarmup = 1\nramp = 2\nrate = 0.01\nthreads = 1\n\
                average = \"ema\"\naverage_keep = 0.9\n";
    let changes: Vec<String> = changes.iter().map(|c| (*c).to_owned()).collect();
    config::parse(&folder.join("run.toml"), text, &changes).unwrap()
}

/// Ends the run once `last` steps are done.
struct Until<'a> {
    last: u64,
    stop: &'a AtomicBool,
    epochs: Vec<Epoch>,
}

impl Watch for Until<'_> {
    fn step(&mut self, live: &Live) {
        assert!(live.step <= live.total && live.loss.is_finite());
        if live.step == self.last {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn epoch(&mut self, epoch: &Epoch, left: f64) {
        assert!(left >= 0.0);
        self.epochs.push(epoch.clone());
    }
}

fn go(run: &mut Run, last: u64) -> (End, Vec<Epoch>) {
    let stop = AtomicBool::new(false);
    let mut watch = Until { last, stop: &stop, epochs: Vec::new() };
    let end = run.go(&stop, &mut watch).unwrap();
    (end, watch.epochs)
}

fn start(config: &Config, folder: Option<&Path>, resume: bool) -> Result<Run, RunError> {
    Run::new(config, load::prepare(config)?, folder, resume)
}

#[test]
fn a_run_that_is_interrupted_twice_ends_bit_for_bit_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    table(at);
    let config = config(at, &[]);
    let mut whole = start(&config, None, false).unwrap();
    let (end, epochs) = go(&mut whole, u64::MAX);
    // 240 inputs in batches of 32 are 8 steps an epoch.
    assert_eq!((end, epochs.len(), whole.steps()), (End::Done, 6, [48, 48]));
    assert!(epochs[5].held_out_clean > 0.85, "{:?}", epochs[5]);
    assert!(epochs[5].held_out_certified > 0.5 && epochs[5].held_out_certified < epochs[5].held_out_clean);
    assert_eq!((epochs[0].epsilon, epochs[5].epsilon), (0.0, 0.01));

    let runs = at.join("runs");
    fs::create_dir(&runs).unwrap();
    let nothing = start(&config, Some(&runs), true).unwrap_err().to_string();
    assert!(nothing.contains("no checkpoint to go on from"), "{nothing}");
    for (last, resume) in [(13, false), (29, true)] {
        let mut part = start(&config, Some(&runs), resume).unwrap();
        assert_eq!(go(&mut part, last).0, End::Interrupted);
        assert_eq!(part.steps()[0], last);
    }
    let again = start(&config, Some(&runs), false).unwrap_err().to_string();
    assert!(again.contains("--resume"), "{again}");
    // A log that is ahead of its checkpoint, as after a kill between both.
    let log = fs::read_to_string(runs.join(LOG)).unwrap();
    fs::write(runs.join(LOG), format!("{log}{}\n", log.lines().last().unwrap().replacen("3,24", "9,72", 1)))
        .unwrap();
    let mut last = start(&config, Some(&runs), true).unwrap();
    assert_eq!(last.epochs().len(), 3);
    assert_eq!(go(&mut last, u64::MAX).0, End::Done);
    let weights = |run: &Run| run.outcome().unwrap().onnx;
    assert_eq!(weights(&last), weights(&whole));
    let certified = |epochs: &[Epoch]| epochs.iter().map(|e| e.held_out_certified).collect::<Vec<_>>();
    assert_eq!(certified(last.epochs()), certified(&epochs));

    let other = self::config(at, &["train.rate=0.02"]);
    let error = start(&other, Some(&runs), true).unwrap_err().to_string();
    assert!(error.contains("another run"), "{error}");
    let bytes = fs::read(runs.join(CHECKPOINT)).unwrap();
    fs::write(runs.join(CHECKPOINT), &bytes[..bytes.len() / 2]).unwrap();
    let error = start(&config, Some(&runs), true).unwrap_err().to_string();
    assert!(error.contains(CHECKPOINT), "{error}");
}

#[test]
fn what_comes_out_is_what_was_measured() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path());
    let config = config(folder.path(), &["data.notice=of somebody"]);
    let prepared = load::prepare(&config).unwrap();
    let held_out = prepared.held_out.clone();
    let mut run = Run::new(&config, prepared, None, false).unwrap();
    let (_, epochs) = go(&mut run, u64::MAX);
    let outcome = run.outcome().unwrap();
    assert_eq!(outcome.names, ["high", "low"]);
    let Targets::Classes { labels, .. } = &held_out.targets else { panic!("classes") };
    let right = (0..held_out.len())
        .filter(|k| {
            let y = outcome.program.eval_f32(held_out.input(*k));
            (y[1] > y[0]) == (labels[*k] == 1)
        })
        .count();
    assert_eq!(right as f64 / held_out.len() as f64, epochs.last().unwrap().held_out_clean);
    assert!(String::from_utf8_lossy(&outcome.onnx).contains("of somebody"));
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_with_the_step() {
    let folder = tempfile::tempdir().unwrap();
    table(folder.path());
    let config = config(
        folder.path(),
        &[
            "train.rate=1000",
            "train.clip=0",
            "train.optimizer=sgd",
            "network.layers=[\"dense 16\", \"dense 16\", \"dense 16\"]",
        ],
    );
    let mut run = start(&config, None, false).unwrap();
    let stop = AtomicBool::new(false);
    let error = run.go(&stop, &mut Until { last: u64::MAX, stop: &stop, epochs: vec![] }).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, RunError::Diverged { .. }) && text.contains("smaller `rate`"), "{text}");
}

#[test]
fn data_that_do_not_fit_are_errors_that_name_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    table(at);
    fs::write(at.join("bad.csv"), "a,b,kind\n0.1,0.2,low\n0.3,nan,high\n").unwrap();
    fs::write(at.join("far.csv"), "a,b,kind\n0.1,0.2,low\n0.3,7,high\n").unwrap();
    fs::write(at.join("huge.csv"), "a,b,kind\n0.1,0.2,low\n0.3,3e38,high\n").unwrap();
    let cases: [(&[&str], &str); 12] = [
        (&["data.train=none.csv"], "train: no file `none.csv`"),
        (&["data.train=bad.csv", "data.ignore=[]"], "line 3, column `b`: `nan` is no finite number"),
        (
            &["data.train=far.csv", "data.ignore=[]"],
            "element 1 of input 1 is 7 after division, outside [data] `range`",
        ),
        (&["data.label=sort"], "no column `sort`; there are: a, b, kind, when"),
        (&["data.targets=[\"a\"]"], "set either [data] `label`"),
        (&["data.held_out=300"], "`held_out` is 300, of 300 training inputs"),
        (&["data.radius=[1]"], "`radius` has 1 numbers for inputs of 2"),
        (&["data.shape=[1, 2, 3]"], "inputs of 2 elements do not have the shape [1, 2, 3]"),
        (&["data.shape=[4294967296, 8589934592]"], "do not have the shape [4294967296, 8589934592]"),
        (&["data.classes=[\"low\"]"], "a label `high` that [data] `classes` does not name"),
        (&["data.format=idx"], "`train_labels` is not set"),
        (&["data.format=cifar10"], "do not divide into records"),
    ];
    for (changes, message) in cases {
        let error = load::prepare(&config(at, changes)).unwrap_err().to_string();
        assert!(error.contains(message), "{changes:?}: {error}");
    }
    let mut huge = config(at, &["data.train=huge.csv", "data.ignore=[]", "data.divide=0.1"]);
    huge.data.range = None;
    let error = load::prepare(&huge).unwrap_err().to_string();
    assert!(error.contains("element 1 of input 1 is inf after division"), "{error}");
    let error = load::read(&config(at, &[]), Part::Test, None).unwrap_err();
    assert!(matches!(error, LoadError::Unset { key: "test", .. }), "{error}");
    let error =
        start(&config(at, &["network.layers=[\"conv 2 3 1 1\"]"]), None, false).unwrap_err().to_string();
    assert!(error.contains("run.toml: [network] layer 0: a convolution needs an image"), "{error}");
    let large = "network.layers=[\"dense 1000000\", \"dense 1000000\"]";
    let error = start(&config(at, &[large]), None, false).unwrap_err().to_string();
    assert!(error.contains("layer 1: weights of [1000000, 1000000] are more than"), "{error}");
    let error = start(&config(at, &["train.shift=[1, 1]"]), None, false).unwrap_err().to_string();
    assert!(error.contains("run.toml: [train] `shift`"), "{error}");
}

#[test]
fn test_labels_have_the_numbers_of_training() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    table(at);
    fs::write(at.join("test.csv"), "a,b,kind,when\n0.1,0.2,low,1\n").unwrap();
    let config = config(at, &["data.test=test.csv"]);
    let names = ["high".to_owned(), "low".to_owned()];
    let Targets::Classes { labels, .. } = load::read(&config, Part::Test, Some(&names)).unwrap().targets
    else {
        panic!("classes")
    };
    assert_eq!(labels, [1]);
}

#[test]
fn numbers_can_be_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut random = Random(2);
    let mut text = String::from("a,b,y\n");
    for _ in 0..300 {
        let (a, b) = (random.unit(), random.unit());
        writeln!(text, "{a},{b},{}", (2.0 * a - b).max(0.5)).unwrap();
    }
    fs::write(at.join("data.csv"), text).unwrap();
    let changes = ["data.targets=[\"y\"]", "data.ignore=[]", "train.epochs=40", "train.rate_steps=[30]"];
    let mut config = config(at, &changes);
    config.data.label = None;
    let prepared = load::prepare(&config).unwrap();
    let (held_out, task) = (prepared.held_out.clone(), prepared.task.clone());
    let mut run = Run::new(&config, prepared, None, false).unwrap();
    go(&mut run, u64::MAX);
    let program = run.outcome().unwrap().program;
    let network = certus_engine::model::Model::from(program);
    let stop = AtomicBool::new(false);
    let found = crate::evaluate::judge::judge(
        network,
        &held_out,
        &task,
        (&config.evaluate, 0.01),
        &stop,
        &|_, _, _| {},
    )
    .unwrap();
    let [y] = &found.predicted[..] else { panic!("one number") };
    // A box of radius 0.01 and 0.02 moves 2a − b by up to 0.08.
    assert!(y.name == "y" && y.error < 0.08 && y.width > 0.02 && y.width < 0.4, "{y:?}");
    assert!(y.worst >= y.error && y.worst <= y.error + y.width, "{y:?}");
}
