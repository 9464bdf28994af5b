//! The log of a run: a line for each epoch, in CSV.

use std::fmt::Write as _;
use std::path::Path;

use certus_engine::file::{self, FileError};

/// Cap on a log, bytes.
const LIMIT_BYTES: u64 = 1 << 26;
const HEAD: &str = "epoch,step,epsilon,rate,kappa,loss,batch_clean,batch_certified,held_out_clean,held_out_certified,seconds";

/// What an epoch was. Shares are of 1; what was not measured is not a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Its number, from 1.
    pub epoch: u64,
    /// Steps done at its end.
    pub step: u64,
    /// Radius at its end.
    pub epsilon: f64,
    /// Step size at its end.
    pub rate: f64,
    /// Share of the clean loss at its end.
    pub kappa: f64,
    /// Mean loss over its steps.
    pub loss: f64,
    /// Share of its inputs of the right class, as they were trained on.
    pub batch_clean: f64,
    /// Share whose bounds showed it at the radius of their step.
    pub batch_certified: f64,
    /// Share of held-out inputs of the right class.
    pub held_out_clean: f64,
    /// Share whose interval bounds show it at the radius of tests, as `f32` estimates it.
    pub held_out_certified: f64,
    /// Seconds of training so far, over all parts of the run.
    pub seconds: f64,
}

/// The log as a file.
pub fn show(epochs: &[Epoch]) -> String {
    let mut text = format!("{HEAD}\n");
    for e in epochs {
        let (a, b) = (
            [e.epsilon, e.rate, e.kappa, e.loss, e.batch_clean, e.batch_certified],
            [e.held_out_clean, e.held_out_certified, e.seconds],
        );
        write!(text, "{},{}", e.epoch, e.step).expect("a string");
        for x in a.iter().chain(&b) {
            write!(text, ",{x}").expect("a string");
        }
        text.push('\n');
    }
    text
}

/// The epochs in a log, up to the step `last`; lines that are none are left out.
///
/// # Errors
/// [`FileError`].
pub fn read(path: &Path, last: u64) -> Result<Vec<Epoch>, FileError> {
    let bytes = file::read(path, LIMIT_BYTES)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(parse).filter(|e| e.step <= last).collect())
}

fn parse(line: &str) -> Option<Epoch> {
    let fields: Vec<&str> = line.split(',').collect();
    let (&[epoch, step], rest) = fields.split_first_chunk::<2>()?;
    let numbers: Vec<f64> = rest.iter().map(|f| f.parse().ok()).collect::<Option<_>>()?;
    let [
        epsilon,
        rate,
        kappa,
        loss,
        batch_clean,
        batch_certified,
        held_out_clean,
        held_out_certified,
        seconds,
    ] = numbers[..]
    else {
        return None;
    };
    Some(Epoch {
        epoch: epoch.parse().ok()?,
        step: step.parse().ok()?,
        epsilon,
        rate,
        kappa,
        loss,
        batch_clean,
        batch_certified,
        held_out_clean,
        held_out_certified,
        seconds,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_reads_back_up_to_a_step() {
        let epoch = |k: u64| Epoch {
            epoch: k,
            step: 10 * k,
            epsilon: 0.1 / k as f64,
            rate: 5e-4,
            kappa: 0.5,
            loss: 1.0 / 3.0,
            batch_clean: 0.9,
            batch_certified: f64::NAN,
            held_out_clean: 0.875,
            held_out_certified: 0.5,
            seconds: 12.25,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        std::fs::write(&path, show(&[epoch(1), epoch(2), epoch(3)])).unwrap();
        let read = read(&path, 20).unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", [epoch(1), epoch(2)]));
    }
}
