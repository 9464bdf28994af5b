//! The bundled example: a small collision-avoidance network with recorded flights and properties.
//!
//! Everything is in the program itself, so the demonstration runs in any directory. `assets/README.md` says
//! where it comes from and what it means.

/// The network, ONNX.
pub const NETWORK: &[u8] = include_bytes!("../../../assets/surrogate.onnx");
/// Name of the network's file.
pub const NETWORK_NAME: &str = "surrogate.onnx";
/// Recorded states: range m, bearing rad, heading rad, own speed m/s, intruder speed m/s.
pub const STATES: &str = include_str!("../../../assets/states.csv");
/// States of one encounter, [`STEP_S`] apart.
pub const TRAJECTORY: &str = include_str!("../../../assets/trajectory.csv");
/// Both tracks of that encounter: time, own x, y, heading, intruder x, y, heading.
pub const TRACK: &str = include_str!("../../../assets/track.csv");
/// Seconds between two states of the encounter.
pub const STEP_S: f64 = 0.4;

/// Features of a state, with the unit and decimals to print them with.
pub const FEATURES: [(&str, &str, usize); 5] = [
    ("range", "m", 1),
    ("bearing", "rad", 4),
    ("relative heading", "rad", 4),
    ("own speed", "m/s", 2),
    ("intruder speed", "m/s", 2),
];
/// Smallest value of each feature in training, raw units; angles with a little room beyond π for rounding.
pub const RANGE_LOWER: [f32; 5] = [150.0, -3.15, -3.15, 25.0, 20.0];
/// Largest value of each feature, likewise.
pub const RANGE_UPPER: [f32; 5] = [5000.0, 3.15, 3.15, 60.0, 80.0];
/// Sensor noise of level 1: half-width per feature, raw units.
pub const NOISE: [f32; 5] = [10.0, 0.005, 0.005, 0.25, 0.25];

/// Advisories in the order of the outputs: name, and colour class in the report.
pub const ADVISORIES: [(&str, &str); 5] = [
    ("clear of conflict", "c-clear"),
    ("weak left", "c-weak-left"),
    ("weak right", "c-weak-right"),
    ("strong left", "c-strong-left"),
    ("strong right", "c-strong-right"),
];

/// A property: name of its file, and its text.
#[derive(Clone, Copy, Debug)]
pub struct BundledProperty {
    /// File name without extension.
    pub name: &'static str,
    /// VNN-LIB.
    pub text: &'static str,
}

macro_rules! property {
    ($name:literal) => {
        BundledProperty {
            name: $name,
            text: include_str!(concat!("../../../assets/properties/", $name, ".vnnlib")),
        }
    };
}

/// Properties of the network; the last one is wrong on purpose.
pub const PROPERTIES: [BundledProperty; 8] = [
    property!("1_falling_behind_is_clear"),
    property!("2_opening_ahead_is_clear"),
    property!("3_head_on_is_not_clear"),
    property!("4_head_on_goes_right"),
    property!("5_converging_from_left_no_left"),
    property!("6_far_and_slow_is_clear"),
    property!("7_passing_abeam_left_is_clear"),
    property!("8_beyond_3000_m_is_clear"),
];

impl BundledProperty {
    /// What it says, from the first comment of its file.
    pub fn meaning(&self) -> &'static str {
        self.text.lines().next().map_or("", |line| line.trim_start_matches(';').trim())
    }
}
