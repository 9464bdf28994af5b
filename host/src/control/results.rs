//! What the demonstration found out, as plain numbers: the page and the table show nothing else.

/// Everything.
#[derive(Clone, Debug)]
pub struct Results {
    /// The network.
    pub network: NetworkFacts,
    /// One per property, in file order.
    pub verdicts: Vec<PropertyResult>,
    /// Certified regions.
    pub regions: RegionResults,
    /// The artifact.
    pub artifact: ArtifactFacts,
    /// The encounter, step by step, at noise level 1.
    pub steps: Vec<Step>,
    /// The monitor at growing noise, one entry per method of live bounds, loosest first.
    pub methods: Vec<MethodResult>,
    /// Index into `methods` of the one that the artifact asks for.
    pub shipped: usize,
    /// Certified steps and all steps of the encounter on the device, if the firmware ran.
    pub firmware: Option<(usize, usize)>,
    /// Wall time of everything, seconds.
    pub seconds: f64,
    /// Seed of the sampled noise.
    pub seed: u64,
}

/// Size of the network.
#[derive(Clone, Debug)]
pub struct NetworkFacts {
    /// Width of the input and of every layer with weights.
    pub widths: Vec<usize>,
    /// Weights and biases.
    pub parameters: usize,
}

/// What was found out about one property.
#[derive(Clone, Debug)]
pub struct PropertyResult {
    /// Name of its file.
    pub name: String,
    /// What it says.
    pub meaning: String,
    /// The answer.
    pub outcome: Outcome,
    /// Wall time, seconds.
    pub seconds: f64,
}

/// Answer with its evidence.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Proved, and the proof checked again.
    Holds {
        /// Subproblems that the proof consists of.
        leaves: usize,
        /// Size of the proof.
        proof_bytes: usize,
    },
    /// Refuted by a state.
    Violated {
        /// The state, `[inputs]`.
        state: Vec<f32>,
        /// Outputs there, `[outputs]`.
        outputs: Vec<f32>,
    },
    /// Neither within the budget.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// Boxes around recorded states.
#[derive(Clone, Debug)]
pub struct RegionResults {
    /// Recorded states that were tried.
    pub tried: usize,
    /// Proved half-width of the box around each state, in noise levels; 0 where none was proved.
    pub proved_level: Vec<f64>,
    /// Class of each state.
    pub class: Vec<u16>,
    /// Certified corridors along the encounter.
    pub corridors: usize,
    /// Wall time, seconds.
    pub seconds: f64,
}

/// What the artifact holds.
#[derive(Clone, Debug)]
pub struct ArtifactFacts {
    /// Name and bytes of each section; the rest (header, padding, digest) comes last.
    pub sections: Vec<(String, usize)>,
    /// All bytes.
    pub bytes: usize,
    /// Region certificates.
    pub regions: usize,
    /// SHA-256, hexadecimal.
    pub digest: String,
}

/// How the monitor answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Certified by a region that was proved before export.
    Region,
    /// Certified by bounds computed for the sample.
    Bounds,
    /// Not certified.
    Open,
    /// Outside the input range, or no answer.
    Refused,
}

impl Answer {
    /// Whether the answer is certified.
    pub fn is_certified(self) -> bool {
        matches!(self, Self::Region | Self::Bounds)
    }
}

/// One moment of the encounter.
#[derive(Clone, Debug)]
pub struct Step {
    /// Seconds since the start.
    pub time_s: f64,
    /// Own position, metres.
    pub own: (f64, f64),
    /// The intruder's position, metres.
    pub intruder: (f64, f64),
    /// Advisory; `None` if there is none.
    pub class: Option<u16>,
    /// Largest output minus the runner-up.
    pub margin: f64,
    /// Answer of the monitor at noise level 1.
    pub answer: Answer,
    /// Largest noise level at which the monitor certifies this state; 0 if none of those tried.
    pub certified_level: f64,
}

/// The monitor with one method of live bounds.
#[derive(Clone, Debug)]
pub struct MethodResult {
    /// The method.
    pub name: String,
    /// Levels ascending.
    pub levels: Vec<Level>,
    /// Working memory of the monitor, bytes.
    pub memory_bytes: usize,
    /// Products of a weight with a value in one step, at most.
    pub multiply_adds: usize,
}

/// The monitor at one noise level.
#[derive(Clone, Debug)]
pub struct Level {
    /// Half-width of the noise, in multiples of the nominal one.
    pub level: f64,
    /// Answer per step on the noisy measurement.
    pub answers: Vec<Answer>,
    /// Steps whose noisy measurement gives another advisory than the true state.
    pub changed: usize,
    /// Certified steps among those; a sound monitor leaves 0.
    pub changed_although_certified: usize,
}

impl Level {
    /// Share of the steps with this answer.
    pub fn share(&self, is: impl Fn(Answer) -> bool) -> f64 {
        self.answers.iter().filter(|a| is(**a)).count() as f64 / self.answers.len().max(1) as f64
    }
}

impl Results {
    /// How many properties hold, are violated, and are unknown.
    pub fn verdict_counts(&self) -> (usize, usize, usize) {
        let count = |is: fn(&Outcome) -> bool| self.verdicts.iter().filter(|v| is(&v.outcome)).count();
        (
            count(|o| matches!(o, Outcome::Holds { .. })),
            count(|o| matches!(o, Outcome::Violated { .. })),
            count(|o| matches!(o, Outcome::Unknown { .. })),
        )
    }

    /// The method that the artifact asks for.
    pub fn shipped(&self) -> Option<&MethodResult> {
        self.methods.get(self.shipped)
    }
}

impl MethodResult {
    /// Share of certified steps at the level nearest to 1.
    pub fn nominal_share(&self) -> f64 {
        let nearest =
            self.levels.iter().min_by(|a, b| (a.level - 1.0).abs().total_cmp(&(b.level - 1.0).abs()));
        nearest.map_or(0.0, |level| level.share(Answer::is_certified))
    }
}
