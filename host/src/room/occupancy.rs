//! Is somebody in the room? A class from four sensors, certified against their errors.

use certus_engine::certify::{Artifact, InputRange, OwnedSpec};
use certus_learn::data::{Set, Targets};
use certus_learn::train::{Method, RateShape, Settings};

use super::RoomError;
use super::data::{Recording, SENSORS, Sample};
use super::judge;
use super::levels::{Levels, at_each};
use super::train::{Recipe, Trained};

/// What the classes are called.
pub const CLASSES: [&str; 2] = ["empty", "occupied"];
/// Levels of error in the table.
pub const LEVELS: [f64; 6] = [0.25, 0.5, 1.0, 1.5, 2.0, 3.0];

/// The recipe of the example.
pub fn recipe(seed: u64) -> Recipe {
    let settings = Settings {
        method: Method::Ibp,
        epsilon: 1.0,
        epochs: 40.0,
        batch: 128,
        warmup: 1.0,
        ramp: 15.0,
        kappa: [0.25, 0.25],
        rate: 2e-3,
        rate_shape: RateShape::Cosine,
        // One thread: the same network on every machine with this processor's instructions.
        threads: 1,
        seed,
        ..Settings::default()
    };
    Recipe { hidden: vec![16, 16], settings, carry: None }
}

/// The samples of a recording, each with its class.
pub fn set(recording: &Recording) -> Set {
    Set {
        shape: vec![SENSORS.len()],
        inputs: recording.samples.concat(),
        targets: Targets::Classes {
            labels: recording.occupied.iter().map(|o| u32::from(*o)).collect(),
            names: CLASSES.map(str::to_owned).to_vec(),
        },
    }
}

/// Errors at level 1.
pub fn epsilon() -> Vec<f32> {
    SENSORS.iter().map(|s| s.epsilon).collect()
}

/// What the device carries.
pub fn artifact(trained: &Trained, notes: &[(&str, String)]) -> Artifact {
    let end = |k: usize| SENSORS.iter().map(|s| s.range[k]).collect();
    let range = InputRange { lower: end(0), upper: end(1) };
    judge::artifact(&trained.chain, (OwnedSpec::ArgMax, epsilon()), range, notes)
}

/// Counts over one recording at one level of error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples.
    pub samples: usize,
    /// Of the right class.
    pub correct: usize,
    /// Of the right class, and certified by the monitor's live bounds.
    pub certified: usize,
    /// Of the right class, and still so after the attack: no more can be certified.
    pub withstood: usize,
    /// Certified and broken: a certificate was wrong. There must be none.
    pub unsound: usize,
    /// Occupied, and said to be.
    pub found: usize,
    /// Occupied.
    pub occupied: usize,
}

impl Counts {
    /// A share of all samples, %.
    pub fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.samples.max(1) as f64
    }
}

/// Judges `recording` at `level`; with an attack if `attack` gives its seed.
///
/// # Errors
/// As [`judge::judge`].
pub fn measure(
    trained: &Trained,
    artifact: &Artifact,
    recording: &Recording,
    level: f64,
    attack: Option<u64>,
) -> Result<Counts, RoomError> {
    let set = set(recording);
    let scaled = judge::at_level(artifact, level);
    let judged = judge::judge(&scaled, recording.samples.iter().map(|s| &s[..]))?;
    let broken = match attack {
        Some(seed) => judge::broken(trained, &set, &scaled.settings.epsilon, seed),
        None => vec![false; set.len()],
    };
    let mut counts = Counts { samples: judged.len(), ..Counts::default() };
    for ((judged, occupied), broken) in judged.iter().zip(&recording.occupied).zip(broken) {
        let correct = judged.decision.class == Some(u16::from(*occupied));
        counts.correct += usize::from(correct);
        counts.certified += usize::from(correct && judged.is_certified());
        counts.withstood += usize::from(correct && !broken);
        counts.unsound += usize::from(correct && broken && judged.is_certified());
        counts.found += usize::from(*occupied && correct);
        counts.occupied += usize::from(*occupied);
    }
    Ok(counts)
}

/// What the monitor says, sample by sample, at level 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// When, seconds since 1970.
    pub seconds: Vec<i64>,
    /// The samples.
    pub samples: Vec<Sample>,
    /// Whether somebody was there.
    pub occupied: Vec<bool>,
    /// Whether the monitor says so.
    pub said: Vec<bool>,
    /// Whether that is certified.
    pub certified: Vec<bool>,
}

/// What the monitor of `artifact` says, sample by sample.
///
/// # Errors
/// As [`judge::judge`].
pub fn trace(artifact: &Artifact, recording: &Recording) -> Result<Trace, RoomError> {
    let judged = judge::judge(artifact, recording.samples.iter().map(|s| &s[..]))?;
    Ok(Trace {
        seconds: recording.seconds.clone(),
        samples: recording.samples.clone(),
        occupied: recording.occupied.clone(),
        said: judged.iter().map(|j| j.decision.class == Some(1)).collect(),
        certified: judged.iter().map(judge::Judged::is_certified).collect(),
    })
}

/// Everything that is measured on one recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The recording's name.
    pub name: String,
    /// At each of [`LEVELS`], with an attack.
    pub levels: Levels<Counts>,
    /// At level 1.
    pub trace: Trace,
}

/// Measures `recording` with a certified network and a plain one; `seed` is the attack's.
///
/// # Errors
/// As [`judge::judge`].
pub fn measure_all(
    recording: &Recording,
    certified: (&Trained, &Artifact),
    plain: (&Trained, &Artifact),
    seed: u64,
) -> Result<Measured, RoomError> {
    let at = |(trained, artifact)| {
        at_each(&LEVELS, |level| measure(trained, artifact, recording, level, Some(seed)))
    };
    Ok(Measured {
        name: recording.name.clone(),
        levels: Levels { certified: at(certified)?, plain: at(plain)? },
        trace: trace(certified.1, recording)?,
    })
}
