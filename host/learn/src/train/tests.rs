//! Runs on a small problem: what they reach, and that they go on from files as if nothing had happened.

use super::{
    AverageName, CheckpointError, Measure, Method, OptimizerName, Settings, SlopeName, Task, Trainer,
};
use crate::attack::{Attack, AutoPgd, Objective, Region};
use crate::data::{Set, Targets};
use crate::graph::Graph;
use crate::loss;
use crate::model::{Layer, Model, Random};
use crate::run::Reference;

/// Points of the unit square, a class for each quarter, none within 0.1 of another quarter.
fn quarters(count: usize, seed: u64) -> Set {
    let mut random = Random(seed);
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let side = |random: &mut Random| {
            let high = random.below(2);
            (high, (0.4 * random.unit() + 0.6 * high as f64) as f32)
        };
        let ((a, x), (b, y)) = (side(&mut random), side(&mut random));
        inputs.extend([x, y]);
        labels.push((2 * a + b) as u32);
    }
    let names = ["sw", "nw", "se", "ne"].map(String::from).into();
    Set { shape: vec![2], inputs, targets: Targets::Classes { labels, names } }
}

fn dense(outputs: usize) -> Layer {
    Layer::Dense { outputs }
}

fn model(normalised: bool) -> Model {
    let hidden: &[Layer] =
        if normalised { &[dense(24), Layer::BatchNorm, Layer::Relu] } else { &[dense(24), Layer::Relu] };
    Model::new(&[2], &[hidden, &[dense(16), Layer::Relu, dense(4)]].concat()).unwrap()
}

fn settings() -> Settings {
    Settings {
        epsilon: 0.05,
        epochs: 12.0,
        batch: 50,
        ramp: 4.0,
        rate: 1e-2,
        rate_steps: vec![8.0],
        threads: 1,
        ..Settings::default()
    }
}

fn task() -> Task {
    Task::uniform(2, [0.0, 1.0])
}

#[test]
fn a_network_learns_to_hold_on_boxes() {
    for normalised in [false, true] {
        let (train, test) = (quarters(500, 1), quarters(400, 2));
        let mut trainer = Trainer::new(settings(), task(), model(normalised), train.len()).unwrap();
        while !trainer.is_done() {
            let step = trainer.step(&train);
            assert!(step.values.loss.is_finite());
        }
        let found = trainer.result(&train);
        let mut measure = Measure::new(&found, &task(), 64, 1);
        let at =
            |measure: &mut Measure, epsilon| measure.measure(&found, &task(), &test, epsilon, usize::MAX);
        let measured = at(&mut measure, 0.05);
        assert!(measured.clean() > 98.0 && measured.bounded() > 95.0, "{normalised}: {measured:?}");
        assert_eq!(at(&mut measure, 0.0).certified, measured.correct, "a box of no size");
        // Every point reaches another quarter at 0.65.
        assert_eq!(at(&mut measure, 0.65).certified, 0);
    }
}

#[test]
fn what_is_counted_as_certified_holds_at_sampled_points() {
    let (train, test) = (quarters(500, 1), quarters(200, 3));
    // Half trained, so that some hold and some do not.
    let short = Settings { epochs: 2.0, warmup: 0.0, ramp: 1.0, ..settings() };
    let mut trainer = Trainer::new(short, task(), model(true), train.len()).unwrap();
    while !trainer.is_done() {
        trainer.step(&train);
    }
    let found = trainer.result(&train);
    let mut measure = Measure::new(&found, &task(), 1, 1);
    let mut random = Random(5);
    let mut counts = [0; 2];
    for k in 0..test.len() as u32 {
        let one = test.subset(&[k]);
        let holds = measure.measure(&found, &task(), &one, 0.1, 1).certified == 1;
        counts[usize::from(holds)] += 1;
        for _ in 0..if holds { 200 } else { 0 } {
            let mut near = one.clone();
            for x in &mut near.inputs {
                *x = (*x + (0.2 * random.unit() - 0.1) as f32).clamp(0.0, 1.0);
            }
            assert_eq!(measure.measure(&found, &task(), &near, 0.0, 1).correct, 1, "input {k}");
        }
    }
    assert!(counts[0] > 5 && counts[1] > 5, "both happen: {counts:?}");
}

#[test]
fn a_run_goes_on_from_its_file_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let train = quarters(230, 1);
    let averages = [AverageName::None, AverageName::Ema, AverageName::Swa];
    let rules = [OptimizerName::Adam, OptimizerName::Nesterov, OptimizerName::Lamb];
    for ((average, optimizer), threads) in averages.into_iter().zip(rules).zip([1, 2, 1]) {
        let settings =
            Settings { average, optimizer, threads, kappa: [0.5, 0.25], epochs: 5.0, l1: 1e-5, ..settings() };
        let mut whole = Trainer::new(settings.clone(), task(), model(true), train.len()).unwrap();
        let file = folder.path().join("run.safetensors");
        let mut parted = None;
        while !whole.is_done() {
            if whole.steps() == 12 {
                whole.save(&file, train.len(), "digest").unwrap();
                let again =
                    Trainer::resume(&file, settings.clone(), task(), model(true), (train.len(), "digest"));
                parted = Some(again.unwrap());
            }
            whole.step(&train);
        }
        let mut parted = parted.unwrap();
        assert_eq!(parted.steps(), 12);
        while !parted.is_done() {
            parted.step(&train);
        }
        assert_eq!(parted.tensors(), whole.tensors(), "{average:?}");
        assert_eq!(parted.result(&train), whole.result(&train), "{average:?}");
        assert_ne!(whole.model().parameters, model(true).parameters, "it has learned");
    }
}

#[test]
fn files_of_other_runs_and_damaged_ones_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let train = quarters(100, 1);
    let file = folder.path().join("run.safetensors");
    let trainer = Trainer::new(settings(), task(), model(false), train.len()).unwrap();
    trainer.save(&file, train.len(), "digest").unwrap();
    let resume = |settings, model, data| {
        Trainer::resume(&file, settings, task(), model, data).map(|t| t.steps()).map_err(|e| e.to_string())
    };
    let refused = |settings, model, data, part: &str| {
        let message = resume(settings, model, data).unwrap_err();
        assert!(message.contains(part), "{message}");
        assert!(message.contains("run.safetensors"), "{message}");
    };
    assert_eq!(resume(settings(), model(false), (100, "digest")), Ok(0));
    assert_eq!(
        resume(Settings { epochs: 40.0, ..settings() }, model(false), (100, "digest")),
        Ok(0),
        "longer"
    );
    refused(settings(), model(false), (100, "other"), "it learned from 100 inputs");
    refused(settings(), model(false), (90, "digest"), "it learned from 100 inputs");
    refused(Settings { rate: 0.5, ..settings() }, model(false), (100, "digest"), "its settings");
    refused(Settings { threads: 2, ..settings() }, model(false), (100, "digest"), "1 threads, not 2");
    refused(settings(), model(true), (100, "digest"), "tensor");
    let bytes = std::fs::read(&file).unwrap();
    for keep in (0..bytes.len()).step_by(97) {
        std::fs::write(&file, &bytes[..keep]).unwrap();
        assert!(matches!(
            Trainer::resume(&file, settings(), task(), model(false), (100, "digest")),
            Err(CheckpointError::Content { .. })
        ));
    }
    std::fs::remove_file(&file).unwrap();
    refused(settings(), model(false), (100, "digest"), "cannot read");
    let missing = folder.path().join("no/such/folder");
    assert!(matches!(
        trainer.save(&missing, 100, "digest"),
        Err(CheckpointError::Io { action: "write", .. })
    ));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing half-written");
}

#[test]
fn a_step_is_the_optimizers_on_the_mixed_loss() {
    // Plain descent without limits: the change of the weights is the gradient of κ·clean + (1 − κ)·worst + λ·regularisers.
    let train = quarters(32, 4);
    let settings = Settings {
        optimizer: OptimizerName::Sgd,
        momentum: 0.0,
        rate: 1.0,
        clip: 0.0,
        batch: 32,
        kappa: [0.25, 0.75],
        warmup: 0.0,
        ramp: 4.0,
        rate_steps: vec![],
        ramp_shape: super::RampShape::Linear,
        ..settings()
    };
    let mut trainer = Trainer::new(settings, task(), model(false), train.len()).unwrap();
    trainer.step(&train);
    let before = trainer.model().clone();
    let step = trainer.step(&train);
    assert_eq!(step.epsilon, 0.0125, "a quarter of the ramp");
    assert_eq!(step.kappa, 0.375);
    // Orders do not matter to a batch that is all of the data.
    let mut g = Graph::new();
    let parameters = before.leaves(&mut g);
    let [lower, upper, x] = [(); 3].map(|()| g.leaf(&[2, 32]));
    let label = g.leaf(&[4, 32]);
    let logits = loss::forward(&mut g, &before, &parameters, x, None).logits;
    let input = loss::Interval::between(&mut g, lower, upper);
    let (last, hidden) = loss::propagate(&mut g, &before, &parameters, input, &[]);
    let margins = loss::margins(&mut g, &before, &parameters, last, label);
    let (clean, worst) = (loss::clean(&mut g, logits, label), loss::worst_case(&mut g, margins));
    let regularisers = loss::regularisers(&mut g, input, &hidden, loss::Weights::default());
    let [a, b, c] = [(clean, 0.375), (worst, 0.625), (regularisers, 0.75 * 0.5)].map(|(n, f)| g.scale(n, f));
    let sum = g.add(a, b);
    let total = g.add(sum, c);
    let gradients = g.gradient(total, &parameters);
    let which: Vec<u32> = (0..32).collect();
    let (mut points, mut targets) = (vec![0.0; 64], vec![0.0; 128]);
    train.gather(&which, &mut points);
    train.gather_targets(&which, &mut targets);
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let points = wide(&points);
    let moved = |by: f64| points.iter().map(|x| (x + by).clamp(0.0, 1.0)).collect::<Vec<f64>>();
    let mut leaves: Vec<Vec<f64>> = before.parameters.iter().map(|p| wide(&p.values)).collect();
    leaves.extend([moved(-0.0125), moved(0.0125), points.clone(), wide(&targets)]);
    let reference = Reference::new(&g, &leaves);
    assert!((reference.value(total)[0] - step.values.loss).abs() < 1e-5);
    for ((old, new), gradient) in before.parameters.iter().zip(&trainer.model().parameters).zip(&gradients) {
        for ((a, b), g) in old.values.iter().zip(&new.values).zip(reference.value(*gradient)) {
            let change = f64::from(a - b);
            assert!((change - g).abs() < 1e-5 * (1.0 + g.abs()), "{}: {change}, not {g}", old.name);
        }
    }
}

#[test]
fn a_folded_network_gives_the_same_outputs() {
    let train = quarters(300, 6);
    let layers = [Layer::Conv { channels: 3, kernel: 2, stride: 1, pad: 1 }, Layer::BatchNorm, Layer::Relu];
    let images =
        Model::new(&[1, 1, 2], &[&layers[..], &[dense(8), Layer::BatchNorm, Layer::Relu, dense(4)]].concat());
    let train = Set { shape: vec![1, 1, 2], ..train };
    let short = Settings { epochs: 2.0, ..settings() };
    let mut trainer = Trainer::new(short, task(), images.unwrap(), train.len()).unwrap();
    while !trainer.is_done() {
        trainer.step(&train);
    }
    let model = trainer.model();
    let folded = model.folded();
    assert!(folded.statistics.is_empty() && folded.layers.len() == model.layers.len() - 2);
    let logits = |model: &Model| -> Vec<f64> {
        let mut g = Graph::new();
        let parameters = model.leaves(&mut g);
        let fixed: Vec<loss::Normalised> = (0..model.statistics.len())
            .map(|k| {
                let [mean, variance] = [(); 2].map(|()| g.leaf(&[model.statistics[k].mean.len()]));
                loss::Normalised { mean, variance }
            })
            .collect();
        let x = g.leaf(&[1, 1, 2, 300]);
        let pass = loss::forward(&mut g, model, &parameters, x, Some(&fixed));
        let mut points = vec![0.0; 600];
        train.gather(&(0..300).collect::<Vec<u32>>(), &mut points);
        let wide = |x: &Vec<f32>| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let mut leaves: Vec<Vec<f64>> = model.parameters.iter().map(|p| wide(&p.values)).collect();
        leaves.extend(model.statistics.iter().flat_map(|s| [wide(&s.mean), wide(&s.variance)]));
        leaves.push(wide(&points));
        Reference::new(&g, &leaves).value(pass.logits).to_vec()
    };
    for (a, b) in logits(model).iter().zip(&logits(&folded)) {
        assert!((a - b).abs() < 1e-4 * (1.0 + a.abs()), "{a} and {b}");
    }
}

/// Points of a plane with their products: numbers to learn.
fn products(count: usize, seed: u64) -> Set {
    let mut random = Random(seed);
    let inputs: Vec<f32> = (0..2 * count).map(|_| random.unit() as f32).collect();
    let values = inputs.chunks_exact(2).flat_map(|x| [x[0] * x[1], x[0] - x[1]]).collect();
    let names = ["product", "difference"].map(String::from).into();
    Set { shape: vec![2], inputs, targets: Targets::Values { values, names } }
}

fn run(settings: &Settings, model: Model, train: &Set) -> Trainer {
    let mut trainer = Trainer::new(settings.clone(), task(), model, train.len()).unwrap();
    while !trainer.is_done() {
        let step = trainer.step(train);
        assert!(step.values.loss.is_finite(), "step {}: {:?}", step.number, step.values);
    }
    trainer
}

/// Near the 0.1 at which points reach another quarter.
const RADIUS: f32 = 0.085;

/// How many of `set` interval bounds show at `radius`, and how many an attack breaks.
fn held_and_broken(model: &Model, set: &Set, radius: f32) -> [usize; 2] {
    let task = Task { range: None, ..task() };
    let mut measure = Measure::new(model, &task, 64, 1);
    let held = measure.measure(model, &task, set, f64::from(radius), usize::MAX).certified;
    let (lanes, which) = (set.len(), (0..set.len() as u32).collect::<Vec<_>>());
    let (mut x, mut targets) = (vec![0.0; 2 * lanes], vec![0.0; 4 * lanes]);
    set.gather(&which, &mut x);
    set.gather_targets(&which, &mut targets);
    let (lower, upper) = super::input_ends(&task, &x, &[radius; 2], lanes);
    let mut attack = Attack::new(model, Objective::Margin, lanes, 1);
    let region = Region { lower: &lower, upper: &upper };
    let found = attack.auto_pgd(model, region, &targets, &AutoPgd::default(), &mut Random(1));
    [held, found.broken.iter().filter(|b| **b).count()]
}

/// Two classes (of four that there could be): a far input that tells them mostly, and a near one that tells them always, but is moved over.
fn near_and_far(count: usize, seed: u64) -> Set {
    let mut random = Random(seed);
    let (mut inputs, mut labels) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let class = random.below(2);
        let sign = 2.0 * class as f64 - 1.0;
        inputs.extend([0.4 * sign + 0.2 * random.normal(), 0.04 * sign].map(|x| x as f32));
        labels.push(class as u32);
    }
    let names = ["low", "high", "none", "neither"].map(String::from).into();
    Set { shape: vec![2], inputs, targets: Targets::Classes { labels, names } }
}

#[test]
fn attacked_points_teach_what_attacks_cannot_move() {
    let (train, test) = (near_and_far(500, 1), near_and_far(400, 2));
    let task = Task { range: None, ..task() };
    let broken = |method: Method, normalised: bool| {
        let settings = Settings { method, epsilon: 0.1, epochs: 20.0, ..settings() };
        let mut trainer = Trainer::new(settings, task.clone(), model(normalised), train.len()).unwrap();
        while !trainer.is_done() {
            trainer.step(&train);
        }
        held_and_broken(&trainer.result(&train), &test, 0.1)[1]
    };
    for normalised in [false, true] {
        let [clean, attacked] = [Method::Clean, Method::Pgd].map(|m| broken(m, normalised));
        // A far input within 0.1 of the other side is lost to anyone: Φ(−1.5) = 6.7 % of them.
        assert!(
            attacked < 60 && clean > 2 * attacked,
            "{normalised}: {clean} broken, {attacked} with attacks"
        );
    }
}

#[test]
fn boxes_hold_behind_bounds_of_a_backward_pass() {
    let (train, test) = (quarters(500, 1), quarters(400, 2));
    let all = |method: Method, fusion: bool, beta: [f64; 2]| Settings {
        method,
        fusion,
        beta,
        epsilon: f64::from(RADIUS),
        ..settings()
    };
    for normalised in [false, true] {
        // Without any of it many boxes do not hold.
        let clean = all(Method::Clean, true, [0.0; 2]);
        let clean = held_and_broken(&run(&clean, model(normalised), &train).result(&train), &test, RADIUS);
        for settings in [
            all(Method::CrownIbp, true, [1.0, 0.0]),
            all(Method::CrownIbp, false, [1.0, 0.0]),
            all(Method::CrownIbp, true, [1.0, 0.5]),
        ] {
            let trainer = run(&settings, model(normalised), &train);
            let [held, broken] = held_and_broken(&trainer.result(&train), &test, RADIUS);
            let name = format!("{:?}, {normalised}: {held} held, {broken} broken of 400", settings.method);
            assert!(held + broken <= 400, "{name}: what is certified is broken");
            assert!(held > 350 && held > clean[0] + 40, "{name}, without {clean:?}");
        }
    }
}

#[test]
fn numbers_are_learned_with_their_worst_errors() {
    let train = products(400, 3);
    let net = || Model::new(&[2], &[dense(24), Layer::Relu, dense(2)]).unwrap();
    // The largest squared error over boxes, by intervals: once trained for, once not.
    let worst = |method: Method| {
        let settings = Settings { method, epochs: 20.0, ..settings() };
        let trainer = run(&settings, net(), &train);
        let model = trainer.model();
        let mut g = Graph::new();
        let parameters = model.leaves(&mut g);
        let [lower, upper, x] = [(); 3].map(|()| g.leaf(&[2, 400]));
        let targets = g.leaf(&[2, 400]);
        let input = loss::Interval::between(&mut g, lower, upper);
        let boxes = loss::Boxes::new(&mut g, model, &parameters, input, &[]);
        let outputs = boxes.interval_outputs(&mut g);
        let worst = loss::worst_squared(&mut g, outputs, targets);
        let outputs = loss::forward(&mut g, model, &parameters, x, None).logits;
        let plain = loss::squared(&mut g, outputs, targets);
        let which: Vec<u32> = (0..400).collect();
        let [mut points, mut numbers] = [(); 2].map(|()| vec![0.0; 800]);
        train.gather(&which, &mut points);
        train.gather_targets(&which, &mut numbers);
        let (lower, upper) = super::input_ends(&task(), &points, &[0.05; 2], 400);
        let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
        let mut leaves: Vec<Vec<f64>> = model.parameters.iter().map(|p| wide(&p.values)).collect();
        leaves.extend([lower, upper, points, numbers].iter().map(|x| wide(x)));
        let reference = Reference::new(&g, &leaves);
        [reference.value(worst)[0], reference.value(plain)[0]]
    };
    let clean = worst(Method::Clean);
    assert!(clean[1] < 0.01, "squared error {}", clean[1]);
    for method in [Method::Ibp, Method::CrownIbp] {
        let found = worst(method);
        assert!(found[0] < 0.6 * clean[0], "{method:?}: {found:?}, without {clean:?}");
    }
    let attacked = worst(Method::Pgd);
    assert!(attacked[1] < 0.02, "{attacked:?}");
}

#[test]
fn attacked_boxes_end_at_the_range() {
    let x = [0.02, 0.5, 0.97, 0.1, 0.9, 1.0];
    let (lower, upper) = super::input_ends(&task(), &x, &[0.125, 0.25], 3);
    assert_eq!(lower, [0.0, 0.375, 0.97 - 0.125, 0.0, 0.9 - 0.25, 0.75]);
    assert_eq!(upper, [0.02 + 0.125, 0.625, 1.0, 0.1 + 0.25, 1.0, 1.0]);
    let (lower, upper) = super::input_ends(&Task { range: None, ..task() }, &x, &[0.125, 0.25], 3);
    assert_eq!([lower[3], upper[5]], [0.1 - 0.25, 1.25]);
}

/// Attacks and variations draw from the step's number, so that files hold no state of theirs.
#[test]
fn attacked_and_varied_runs_go_on_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let train = quarters(230, 1);
    for (method, kappa) in [(Method::Pgd, [0.5, 0.0]), (Method::CrownIbp, [0.0, 0.0])] {
        let settings = Settings { method, kappa, noise: 0.02, epochs: 6.0, warmup: 1.0, ..settings() };
        let whole = run(&settings, model(true), &train);
        let mut first = Trainer::new(settings.clone(), task(), model(true), train.len()).unwrap();
        for _ in 0..13 {
            first.step(&train);
        }
        let file = folder.path().join("run.safetensors");
        first.save(&file, train.len(), "digest").unwrap();
        let mut again =
            Trainer::resume(&file, settings.clone(), task(), model(true), (train.len(), "digest")).unwrap();
        while !again.is_done() {
            again.step(&train);
        }
        assert_eq!(again.tensors(), whole.tensors(), "{method:?}");
        let other = run(&Settings { noise: 0.0, ..settings }, model(true), &train);
        assert_ne!(other.tensors(), whole.tensors(), "noise changes what is learned");
    }
}

#[test]
fn variations_that_do_not_suit_the_inputs_are_refused() {
    let refused = |settings: Settings| {
        Trainer::new(settings, task(), model(false), 10).map(|_| ()).unwrap_err().to_string()
    };
    let moved = refused(Settings { shift: [1, 0], ..settings() });
    assert_eq!(moved, "`shift` is [1, 0]; it takes [0, 0], as inputs are no images");
    let mirrored = refused(Settings { flip: true, ..settings() });
    assert_eq!(mirrored, "`flip` is true; it takes false, as inputs are no images");
}

/// The first steps of a run, whose weights are known before each: what their losses are made of.
#[test]
fn losses_of_a_step_are_those_that_its_settings_say() {
    let train = quarters(32, 4);
    let base = Settings {
        batch: 32,
        kappa: [0.25, 0.25],
        regularise: 0.0,
        beta: [0.75, 0.25],
        warmup: 0.0,
        ramp: 4.0,
        ramp_shape: super::RampShape::Linear,
        ..settings()
    };
    let (mut points, mut targets) = (vec![0.0; 64], vec![0.0; 128]);
    let which: Vec<u32> = (0..32).collect();
    train.gather(&which, &mut points);
    train.gather_targets(&which, &mut targets);
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    for (method, fusion, slope) in [
        (Method::CrownIbp, true, SlopeName::Adaptive),
        (Method::CrownIbp, true, SlopeName::Same),
        (Method::CrownIbp, false, SlopeName::Adaptive),
        (Method::Pgd, false, SlopeName::Adaptive),
    ] {
        let settings = Settings { method, fusion, slope, ..base.clone() };
        let slope = settings.slope();
        let mut trainer = Trainer::new(settings, task(), model(false), train.len()).unwrap();
        for _ in 0..2 {
            trainer.step(&train);
        }
        let before = trainer.model().clone();
        let step = trainer.step(&train);
        let mut g = Graph::new();
        let parameters = before.leaves(&mut g);
        let [lower, upper, x] = [(); 3].map(|()| g.leaf(&[2, 32]));
        let label = g.leaf(&[4, 32]);
        let logits = loss::forward(&mut g, &before, &parameters, x, None).logits;
        let clean = loss::clean(&mut g, logits, label);
        let input = loss::Interval::between(&mut g, lower, upper);
        let boxes = loss::Boxes::new(&mut g, &before, &parameters, input, &[]);
        // Half of the ramp.
        let beta = g.constant(0.5, &[1]);
        let fused = boxes.fused_losses(&mut g, label, Some(beta), slope);
        let fused = g.mean(fused);
        let crown = boxes.margins(&mut g, label, slope);
        let interval = boxes.interval_margins(&mut g, label);
        let mixed = loss::mix(&mut g, beta, crown, interval);
        let mixed = loss::worst_case(&mut g, mixed);
        let mut leaves: Vec<Vec<f64>> = before.parameters.iter().map(|p| wide(&p.values)).collect();
        let moved = |by: f64| wide(&points).iter().map(|x| (x + by).clamp(0.0, 1.0)).collect::<Vec<f64>>();
        leaves.extend([moved(-0.025), moved(0.025), wide(&points), wide(&targets)]);
        let reference = Reference::new(&g, &leaves);
        let at = |node| reference.value(node)[0];
        let (found, found_clean) = (step.values.worst.unwrap(), step.values.clean.unwrap());
        assert!((found_clean - at(clean)).abs() < 1e-5);
        assert!((step.values.loss - 0.25 * found_clean - 0.75 * found).abs() < 1e-5);
        match method {
            Method::Pgd => {
                // A point of each box that is worse than its centre, and no worse than a bound.
                assert!(found > at(clean) + 1e-3 && found < at(mixed), "{found}, clean {}", at(clean));
            }
            _ => {
                let right = at(if fusion { fused } else { mixed });
                assert!((found - right).abs() < 1e-5, "{fusion}, {slope:?}: {found}, not {right}");
                assert!((at(fused) - at(mixed)).abs() > 1e-4, "both are the same here");
            }
        }
    }
}
