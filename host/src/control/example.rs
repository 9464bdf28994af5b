//! The bundled example, read.

use certus_engine::Chain;
use certus_engine::graph::{self, LoadError};

use super::bundle;
use crate::csv::{self, CsvError};

/// Network and data of the bundled example.
#[derive(Clone, Debug)]
pub struct Example {
    /// The network.
    pub chain: Chain,
    /// Recorded states, `[states][5]`.
    pub states: Vec<Vec<f32>>,
    /// The encounter's states, `[steps][5]`.
    pub trajectory: Vec<Vec<f32>>,
    /// The encounter's tracks, `[steps][7]`: time, own x, y, heading, intruder x, y, heading.
    pub track: Vec<Vec<f32>>,
}

/// Why the bundled example could not be read; a damaged build.
#[derive(Debug, thiserror::Error)]
pub enum ExampleError {
    /// The network.
    #[error("bundled example: {0}")]
    Load(#[from] LoadError),
    /// The data.
    #[error("bundled example: {0}")]
    Csv(#[from] CsvError),
}

impl Example {
    /// Reads what is in the program.
    ///
    /// # Errors
    /// [`ExampleError`], if the program was built from damaged files.
    pub fn load() -> Result<Self, ExampleError> {
        let features = bundle::FEATURES.len();
        Ok(Self {
            chain: graph::parse_onnx_bytes(bundle::NETWORK, bundle::NETWORK_NAME)?.to_chain()?,
            states: csv::parse_rows("states.csv", bundle::STATES, features)?,
            trajectory: csv::parse_rows("trajectory.csv", bundle::TRAJECTORY, features)?,
            track: csv::parse_rows("track.csv", bundle::TRACK, features + 2)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_example_is_whole() {
        let example = Example::load().unwrap();
        assert_eq!((example.chain.inputs(), example.chain.outputs()), (5, 5));
        assert_eq!((example.states.len(), example.trajectory.len(), example.track.len()), (300, 200, 200));
        let range = csv::parse_rows("range", include_str!("../../../assets/range.csv"), 5).unwrap();
        assert_eq!(range, [bundle::RANGE_LOWER.to_vec(), bundle::RANGE_UPPER.to_vec()]);
        let noise = csv::parse_rows("noise", include_str!("../../../assets/noise.csv"), 5).unwrap();
        assert_eq!(noise, [bundle::NOISE.to_vec()]);
        for state in example.states.iter().chain(&example.trajectory) {
            let ends = bundle::RANGE_LOWER.iter().zip(bundle::RANGE_UPPER);
            assert!(state.iter().zip(ends).all(|(x, (l, u))| (*l..=u).contains(x)), "{state:?}");
        }
    }

    #[test]
    fn states_of_the_encounter_are_those_of_its_tracks() {
        let example = Example::load().unwrap();
        for (state, track) in example.trajectory.iter().zip(&example.track) {
            let [_, x, y, heading, ix, iy, intruder_heading] = track[..] else { panic!("seven columns") };
            let range = (ix - x).hypot(iy - y);
            assert!((range - state[0]).abs() < 0.3, "{range} {}", state[0]);
            let turn = |angle: f32| (angle + 9.0 * std::f32::consts::PI) % (2.0 * std::f32::consts::PI);
            let near = |a: f32, b: f32| (turn(a) - turn(b)).abs() < 2e-3;
            assert!(near((iy - y).atan2(ix - x) - heading, state[1]), "{track:?}");
            assert!(near(intruder_heading - heading, state[2]), "{track:?}");
        }
    }
}
