//! What the quickstart found out, as plain numbers: the page and the tables show nothing else.

use crate::control::results::ArtifactFacts;

/// Everything.
#[derive(Clone, Debug)]
pub struct Results {
    /// Widths of the layers, the input first.
    pub widths: Vec<usize>,
    /// Weights and biases.
    pub parameters: usize,
    /// The run of training.
    pub training: TrainingFacts,
    /// How good the network is on the test recordings.
    pub evaluation: Evaluation,
    /// The same for each speaker left out in turn, if that was asked for.
    pub speakers: Vec<SpeakerResult>,
    /// The monitor on test recordings whose features are disturbed.
    pub noise: Vec<NoiseLevel>,
    /// The monitor on recordings with noise mixed into the sound.
    pub sound: Vec<SoundLevel>,
    /// The recordings that are there as sound, judged at [`super::recipe::RADIUS_DB`].
    pub recordings: Vec<RecordingResult>,
    /// The artifact.
    pub artifact: ArtifactFacts,
    /// Working memory of the monitor, bytes.
    pub memory_bytes: usize,
    /// Products of a weight with a value in one step, at most.
    pub multiply_adds: usize,
    /// Certified recordings and all recordings on the device, if the firmware ran.
    pub firmware: Option<(usize, usize)>,
    /// Wall time of everything, seconds.
    pub seconds: f64,
    /// Seed of training, attacks and noise.
    pub seed: u64,
}

/// The run of training.
#[derive(Clone, Debug)]
pub struct TrainingFacts {
    /// Recordings that were trained on.
    pub recordings: usize,
    /// Recordings held out of them.
    pub held_out: usize,
    /// Steps done, and steps asked for.
    pub steps: [u64; 2],
    /// Along the run.
    pub curve: Vec<CurvePoint>,
    /// Wall time, seconds.
    pub seconds: f64,
}

/// A moment of training. Shares in %, by estimates in `f32`: right class, and right class on the whole box by intervals with the last layer
/// elided.
#[derive(Clone, Debug, PartialEq)]
pub struct CurvePoint {
    /// Passes over the data.
    pub epoch: f64,
    /// Radius trained at, decibels.
    pub radius_db: f64,
    /// Loss of the last batch.
    pub loss: f64,
    /// On as many training recordings as are held out.
    pub train: [f64; 2],
    /// On those held out.
    pub held_out: [f64; 2],
}

/// How good a network is on a set. Counts of recordings.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Recordings.
    pub count: usize,
    /// Right without any disturbance.
    pub correct: usize,
    /// Right and certified at each radius.
    pub radii: Vec<RadiusResult>,
    /// Right, and recordings, of each digit.
    pub digits: Vec<GroupResult>,
    /// The same of each speaker.
    pub speakers: Vec<GroupResult>,
}

/// Counts at one radius.
#[derive(Clone, Debug, PartialEq)]
pub struct RadiusResult {
    /// Radius, decibels.
    pub radius_db: f64,
    /// Right recordings for which the attack found no counterexample: no method can certify more.
    pub unbroken: usize,
    /// Certified by each of [`super::run::METHODS`].
    pub certified: Vec<usize>,
    /// Certified by CROWN or proved by the verifier, and recordings that it left open, where it ran.
    pub verified: Option<(usize, usize)>,
}

/// A part of the test recordings.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupResult {
    /// Its name.
    pub name: String,
    /// Recordings.
    pub count: usize,
    /// Right.
    pub correct: usize,
    /// Right and certified by the artifact's method at [`super::recipe::RADIUS_DB`].
    pub certified: usize,
}

/// A network that never heard one speaker, on that speaker's recordings.
#[derive(Clone, Debug)]
pub struct SpeakerResult {
    /// The speaker.
    pub name: String,
    /// How good it is.
    pub evaluation: Evaluation,
}

/// The monitor at one level of noise on the features.
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseLevel {
    /// Half-width of the noise, which is the radius that the monitor is told, decibels.
    pub level_db: f64,
    /// Recordings.
    pub count: usize,
    /// Right.
    pub correct: usize,
    /// Certified.
    pub certified: usize,
    /// Answers other than without noise.
    pub changed: usize,
    /// Certified ones among those; a sound monitor leaves 0.
    pub changed_although_certified: usize,
}

/// The monitor at one level of noise in the sound, its radius as in the artifact.
#[derive(Clone, Debug, PartialEq)]
pub struct SoundLevel {
    /// Signal-to-noise ratio, decibels; infinite without noise.
    pub snr_db: f64,
    /// Recordings.
    pub count: usize,
    /// Right.
    pub correct: usize,
    /// Certified.
    pub certified: usize,
    /// Certified with an answer other than without noise: outside of what a certificate speaks of.
    pub changed_although_certified: usize,
    /// Recordings of which every feature stays within the radius.
    pub within: usize,
    /// Median over the recordings of how far their features move on average, decibels.
    pub moved_db: f64,
}

/// A recording that is there as sound.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingResult {
    /// Its file.
    pub name: String,
    /// What is said.
    pub digit: u32,
    /// Its features, `[FRAMES, BANDS]`.
    pub features: Vec<f32>,
    /// What the network hears.
    pub class: Option<u16>,
    /// Whether the monitor certifies the answer at [`super::recipe::RADIUS_DB`].
    pub certified: bool,
    /// Largest radius of a region proved around it, decibels; 0 if none was.
    pub region_db: f64,
}

impl Evaluation {
    /// The counts at the radius `radius_db`.
    pub fn at(&self, radius_db: f64) -> Option<&RadiusResult> {
        self.radii.iter().find(|r| r.radius_db == radius_db)
    }

    /// A count as a share.
    pub fn share(&self, count: usize) -> f64 {
        count as f64 / self.count.max(1) as f64
    }
}

impl RadiusResult {
    /// The most that anything certifies.
    pub fn best(&self) -> usize {
        let bounds = self.certified.iter().copied().max().unwrap_or(0);
        self.verified.map_or(bounds, |(verified, _)| verified.max(bounds))
    }
}
