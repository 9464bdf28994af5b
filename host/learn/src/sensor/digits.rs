//! Spoken digits: recordings of six speakers as [`logmel`](super::logmel) features, in a folder of files.
//!
//! The folder is data, never part of the program: features and labels as IDX, the speaker of each row, and some of the test recordings as
//! sound. `assets/digits` in the repository is one.

use super::logmel::{BANDS, FEATURES, FRAMES};
use crate::data::{Array, DataError, Set, Targets, idx, wav};
use std::path::{Path, PathBuf};

/// The speakers, in the order of their numbers.
pub const SPEAKERS: [&str; 6] = ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"];

/// A recording as sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// Name of its file.
    pub name: String,
    /// What is said.
    pub digit: u32,
    /// Who says it.
    pub speaker: String,
    /// Its row in the test set.
    pub row: usize,
    /// Samples in `[−1, 1]`, 8000 a second.
    pub samples: Vec<f32>,
}

/// Rows of features, each with its digit and its speaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// Inputs `[1, FRAMES, BANDS]`, targets the ten digits.
    pub set: Set,
    /// Number of each row's speaker, see [`SPEAKERS`].
    pub speakers: Vec<u32>,
}

/// Both parts of the split by take: the first five takes of each digit and speaker are the test set.
///
/// # Errors
/// [`DataError`] if a file cannot be read or does not fit the others.
pub fn read(folder: &Path) -> Result<[Rows; 2], DataError> {
    Ok([part(folder, "train")?, part(folder, "test")?])
}

/// The split that leaves `speaker` out: every row of the others, and every row of that one.
///
/// # Errors
/// As [`read`].
///
/// # Panics
/// If there is no such speaker.
pub fn without_speaker(folder: &Path, speaker: usize) -> Result<[Rows; 2], DataError> {
    assert!(speaker < SPEAKERS.len(), "one of {} speakers", SPEAKERS.len());
    let [mut all, test] = read(folder)?;
    all.set.inputs.extend(&test.set.inputs);
    if let (Targets::Classes { labels, .. }, Targets::Classes { labels: more, .. }) =
        (&mut all.set.targets, &test.set.targets)
    {
        labels.extend(more);
    }
    all.speakers.extend(&test.speakers);
    let of = |this: bool| -> Rows {
        let is = |k: &u32| (all.speakers[*k as usize] as usize == speaker) == this;
        let which: Vec<u32> = (0..all.speakers.len() as u32).filter(is).collect();
        let speakers = which.iter().map(|k| all.speakers[*k as usize]).collect();
        Rows { set: all.set.subset(&which), speakers }
    };
    Ok([of(false), of(true)])
}

/// The test recordings that the folder holds as sound, in the order of its list.
///
/// # Errors
/// [`DataError`] if the list or a recording cannot be read, or is of another rate.
pub fn recordings(folder: &Path) -> Result<Vec<Recording>, DataError> {
    let list = folder.join("recordings.csv");
    let wrong = |what: String| DataError::Format { path: list.clone(), what };
    let mut reader = csv::Reader::from_path(&list).map_err(|e| wrong(e.to_string()))?;
    let mut recordings = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|e| wrong(e.to_string()))?;
        let fields = (record.get(0), record.get(1), record.get(2), record.get(3));
        let (Some(file), Some(digit), Some(speaker), Some(row)) = fields else {
            return Err(wrong(format!("line {}: file, digit, speaker and row are needed", line + 2)));
        };
        let number = |text: &str| {
            text.parse::<u32>().map_err(|_| wrong(format!("line {}: `{text}` is no number", line + 2)))
        };
        recordings.push(Recording {
            name: file.to_owned(),
            digit: number(digit)?,
            speaker: speaker.to_owned(),
            row: number(row)? as usize,
            samples: sound(&folder.join("recordings").join(file))?,
        });
    }
    Ok(recordings)
}

/// The samples of a recording.
///
/// # Errors
/// [`DataError`] if it cannot be read, or has another rate or several channels.
pub fn sound(path: &Path) -> Result<Vec<f32>, DataError> {
    let sound = wav::read(path)?;
    if sound.rate as usize != super::logmel::RATE || sound.samples.shape[0] != 1 {
        let (rate, channels) = (sound.rate, sound.samples.shape[0]);
        let what = format!("{channels} channels at {rate} Hz; one channel at 8000 Hz is read: resample it");
        return Err(DataError::Format { path: path.to_owned(), what });
    }
    Ok(sound.samples.values)
}

fn part(folder: &Path, name: &str) -> Result<Rows, DataError> {
    let path = |kind: &str| folder.join(format!("{name}-{kind}-ubyte.gz"));
    let features = idx::read(&path("logmel-idx3"))?;
    let &[count, FRAMES, BANDS] = features.shape.as_slice() else {
        let what = format!("shape {:?}; [rows, {FRAMES}, {BANDS}] is needed", features.shape);
        return Err(DataError::Format { path: path("logmel-idx3"), what });
    };
    debug_assert_eq!(features.values.len(), count * FEATURES);
    let labels = numbers(path("labels-idx1"), count, 10)?;
    let speakers = numbers(path("speakers-idx1"), count, SPEAKERS.len())?;
    let names = (0..10).map(|digit: u8| digit.to_string()).collect();
    let set = Set {
        shape: vec![1, FRAMES, BANDS],
        inputs: features.values,
        targets: Targets::Classes { labels, names },
    };
    Ok(Rows { set, speakers })
}

/// `count` numbers below `limit`.
fn numbers(path: PathBuf, count: usize, limit: usize) -> Result<Vec<u32>, DataError> {
    let Array { shape, values } = idx::read(&path)?;
    let fail = |what: String| Err(DataError::Format { path: path.clone(), what });
    if shape != [count] {
        return fail(format!("shape {shape:?}; one number for each of {count} rows is needed"));
    }
    if let Some(row) = values.iter().position(|x| !(0.0..limit as f32).contains(x)) {
        return fail(format!("row {row} is {}; numbers below {limit} are needed", values[row]));
    }
    Ok(values.iter().map(|x| *x as u32).collect())
}

#[cfg(test)]
mod tests {
    use super::super::logmel::LogMel;
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/digits")
    }

    fn labels(set: &Set) -> &[u32] {
        match &set.targets {
            Targets::Classes { labels, .. } => labels,
            Targets::Values { .. } => panic!("digits are classes"),
        }
    }

    /// The shipped features were computed by NumPy (`numpy.fft.rfft` in f64) and rounded to bytes.
    #[test]
    fn features_of_the_recordings_are_those_that_numpy_computed() {
        let [_, test] = read(&folder()).unwrap();
        let recordings = recordings(&folder()).unwrap();
        assert_eq!(recordings.len(), 30);
        let logmel = LogMel::new();
        for recording in &recordings {
            let features: Vec<f32> = logmel.features(&recording.samples).iter().map(|x| x.round()).collect();
            assert_eq!(features, test.set.input(recording.row), "{}", recording.name);
            assert_eq!(labels(&test.set)[recording.row], recording.digit);
            assert_eq!(SPEAKERS[test.speakers[recording.row] as usize], recording.speaker);
        }
    }

    #[test]
    fn both_splits_hold_every_digit_of_every_speaker_once() {
        let [train, test] = read(&folder()).unwrap();
        assert_eq!((train.set.len(), test.set.len()), (2700, 300));
        for speaker in 0..6 {
            for digit in 0..10 {
                let count = |rows: &Rows| {
                    let both = labels(&rows.set).iter().zip(&rows.speakers);
                    both.filter(|row| *row == (&digit, &(speaker as u32))).count()
                };
                assert_eq!((count(&train), count(&test)), (45, 5), "{digit} of {speaker}");
            }
            let [others, left_out] = without_speaker(&folder(), speaker).unwrap();
            assert_eq!((others.set.len(), left_out.set.len()), (2500, 500));
            assert!(left_out.speakers.iter().all(|s| *s as usize == speaker));
            assert!(others.speakers.iter().all(|s| *s as usize != speaker));
        }
    }

    #[test]
    fn a_folder_without_data_is_named() {
        let error = read(Path::new("/nowhere/digits")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/digits/train-logmel-idx3-ubyte.gz: "), "{error}");
    }
}
