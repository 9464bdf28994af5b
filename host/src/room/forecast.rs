//! How much CO₂ will there be in half an hour? A number from a window of samples, with an interval that holds under the sensors' errors.

use certus_engine::certify::{Artifact, InputRange, OwnedSpec};
use certus_learn::data::{Set, Targets};
use certus_learn::train::{Method, RateShape, Settings};

use super::RoomError;
use super::data::{CO2, Recording, SENSORS};
use super::judge;
use super::levels::{Levels, at_each};
use super::train::{Recipe, Trained};

/// Times of a window, oldest first.
pub const TIMES: usize = 4;
/// Minutes between them.
pub const STRIDE: usize = 5;
/// Minutes from the last of them to the predicted one.
pub const AHEAD: usize = 30;
/// Elements of a window, `[TIMES, SENSORS]`.
pub const INPUTS: usize = TIMES * SENSORS.len();
/// Element of a window that is the last CO₂.
pub const NOW: usize = (TIMES - 1) * SENSORS.len() + CO2;
/// What the specification is about: CO₂ that stays below this, ppm. The limit is Pettenkofer's, in use for air in rooms.
pub const LIMIT_PPM: f32 = 1000.0;
/// Levels of error in the table.
pub const LEVELS: [f64; 5] = [0.1, 0.25, 0.5, 1.0, 2.0];
/// How far a time may be off and still counts as so many minutes, seconds.
const SLACK_S: i64 = 30;

/// The recipe of the example.
pub fn recipe(seed: u64) -> Recipe {
    let settings = Settings {
        method: Method::Ibp,
        epsilon: 1.0,
        epochs: 80.0,
        batch: 128,
        warmup: 8.0,
        ramp: 32.0,
        kappa: [0.25, 0.25],
        rate: 2e-3,
        rate_shape: RateShape::Cosine,
        threads: 1,
        seed,
        ..Settings::default()
    };
    Recipe { hidden: vec![24, 24], settings, carry: Some(NOW) }
}

/// Windows of a recording, and what came after each.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Inputs `[windows, INPUTS]`, targets CO₂ [`AHEAD`] minutes later, ppm.
    pub set: Set,
    /// CO₂ now: the forecast of who expects no change, ppm.
    pub now: Vec<f32>,
    /// The times that are predicted, seconds since 1970.
    pub seconds: Vec<i64>,
}

impl Windows {
    /// What came, ppm.
    pub fn values(&self) -> &[f32] {
        match &self.set.targets {
            Targets::Values { values, .. } => values,
            Targets::Classes { .. } => unreachable!("targets are numbers"),
        }
    }
}

/// All windows of a recording without a gap, one a minute.
pub fn windows(recording: &Recording) -> Windows {
    let at = |index: usize, minutes: usize| -> Option<usize> {
        let wanted = recording.seconds[index] + 60 * minutes as i64;
        let later = recording.seconds.partition_point(|s| *s < wanted - SLACK_S);
        (later < recording.seconds.len() && recording.seconds[later] <= wanted + SLACK_S).then_some(later)
    };
    let (mut inputs, mut values, mut now, mut seconds) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for first in 0..recording.samples.len() {
        let places: Option<Vec<usize>> = (0..TIMES).map(|k| at(first, k * STRIDE)).collect();
        let target = at(first, (TIMES - 1) * STRIDE + AHEAD);
        let (Some(places), Some(target)) = (places, target) else { continue };
        places.iter().for_each(|k| inputs.extend(recording.samples[*k]));
        values.push(recording.samples[target][CO2]);
        now.push(recording.samples[places[TIMES - 1]][CO2]);
        seconds.push(recording.seconds[target]);
    }
    let targets = Targets::Values { values, names: vec!["CO2".to_owned()] };
    Windows { set: Set { shape: vec![INPUTS], inputs, targets }, now, seconds }
}

/// Errors at level 1: those of the sensors, each time on its own.
pub fn epsilon() -> Vec<f32> {
    SENSORS.map(|s| s.epsilon).repeat(TIMES)
}

/// What the device carries: it certifies that the forecast stays below [`LIMIT_PPM`], and bounds it in any case.
pub fn artifact(trained: &Trained, notes: &[(&str, String)]) -> Artifact {
    let end = |k: usize| SENSORS.map(|s| s.range[k]).repeat(TIMES);
    let range = InputRange { lower: end(0), upper: end(1) };
    let spec = OwnedSpec::Rows { coefficients: vec![-1.0], constants: vec![LIMIT_PPM] };
    judge::artifact(&trained.chain, (spec, epsilon()), range, notes)
}

/// Errors of the forecast over one recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Windows.
    pub windows: usize,
    /// Mean absolute error, ppm.
    pub error_ppm: f64,
    /// That of who expects no change, ppm.
    pub persistence_ppm: f64,
}

/// The forecast and its certified interval, window by window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// The times that are predicted, seconds since 1970.
    pub seconds: Vec<i64>,
    /// What came, ppm.
    pub came: Vec<f32>,
    /// What was forecast, ppm.
    pub forecast: Vec<f32>,
    /// What it can be under the sensors' errors, ppm.
    pub intervals: Vec<[f32; 2]>,
    /// Whether it certainly stays below [`LIMIT_PPM`].
    pub below: Vec<bool>,
}

/// What the monitor of `artifact` says, window by window.
///
/// # Errors
/// As [`judge::judge`].
pub fn trace(artifact: &Artifact, windows: &Windows) -> Result<Trace, RoomError> {
    let judged = judge::judge(artifact, (0..windows.set.len()).map(|k| windows.set.input(k)))?;
    Ok(Trace {
        seconds: windows.seconds.clone(),
        came: windows.values().to_vec(),
        forecast: judged.iter().map(|j| j.outputs.first().copied().unwrap_or(f32::NAN)).collect(),
        intervals: judged
            .iter()
            .map(|j| j.intervals.first().copied().unwrap_or([f32::NEG_INFINITY, f32::INFINITY]))
            .collect(),
        below: judged.iter().map(judge::Judged::is_certified).collect(),
    })
}

/// How the forecast does on exact inputs.
pub fn accuracy(trained: &Trained, windows: &Windows) -> Accuracy {
    let values = windows.values();
    let count = values.len().max(1) as f64;
    let off = |a: f32, b: f32| (f64::from(a) - f64::from(b)).abs();
    let network = |k: usize| trained.chain.eval_f32(windows.set.input(k))[0];
    Accuracy {
        windows: values.len(),
        error_ppm: values.iter().enumerate().map(|(k, y)| off(network(k), *y)).sum::<f64>() / count,
        persistence_ppm: values.iter().zip(&windows.now).map(|(y, now)| off(*now, *y)).sum::<f64>() / count,
    }
}

/// Intervals over one recording at one level of error.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Intervals {
    /// Windows.
    pub windows: usize,
    /// Mean width of the certified interval, ppm.
    pub width_ppm: f64,
    /// Mean width of what an attack reached, ppm: no certified interval is narrower.
    pub reached_ppm: f64,
    /// Windows whose interval lies below the limit.
    pub below: usize,
    /// Attacked outputs outside the certified interval. There must be none.
    pub unsound: usize,
}

/// Everything that is measured on one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The recording's name.
    pub name: String,
    /// On exact inputs, of the certified training and of the plain one.
    pub accuracy: [Accuracy; 2],
    /// At each of [`LEVELS`], the certified training with an attack, the plain one without.
    pub levels: Levels<Intervals>,
    /// At level 1.
    pub trace: Trace,
}

/// Measures `windows` of the recording `name` with a certified network and a plain one; `seed` is the attack's.
///
/// # Errors
/// As [`judge::judge`].
pub fn measure(
    name: &str,
    windows: &Windows,
    certified: (&Trained, &Artifact),
    plain: (&Trained, &Artifact),
    seed: u64,
) -> Result<Measured, RoomError> {
    let at = |(trained, artifact), seed| {
        at_each(&LEVELS, |level| intervals(trained, artifact, windows, level, seed))
    };
    Ok(Measured {
        name: name.to_owned(),
        accuracy: [certified, plain].map(|(trained, _)| accuracy(trained, windows)),
        levels: Levels { certified: at(certified, Some(seed))?, plain: at(plain, None)? },
        trace: trace(certified.1, windows)?,
    })
}

/// Judges the windows at `level`; with an attack if `attack` gives its seed.
///
/// # Errors
/// As [`judge::judge`].
pub fn intervals(
    trained: &Trained,
    artifact: &Artifact,
    windows: &Windows,
    level: f64,
    attack: Option<u64>,
) -> Result<Intervals, RoomError> {
    let set = &windows.set;
    let scaled = judge::at_level(artifact, level);
    let judged = judge::judge(&scaled, (0..set.len()).map(|k| set.input(k)))?;
    let reached = attack.map(|seed| judge::reached(trained, set, &scaled.settings.epsilon, seed));
    let mut found = Intervals { windows: judged.len(), ..Intervals::default() };
    let count = judged.len().max(1) as f64;
    for (index, judged) in judged.iter().enumerate() {
        let Some([lower, upper]) = judged.intervals.first().copied() else { continue };
        found.width_ppm += (f64::from(upper) - f64::from(lower)) / count;
        found.below += usize::from(judged.is_certified());
        if let Some([least, most]) = reached.as_ref().map(|r| r[index]) {
            found.reached_ppm += (f64::from(most) - f64::from(least)) / count;
            found.unsound += usize::from(!(lower <= least && most <= upper));
        }
    }
    Ok(found)
}
