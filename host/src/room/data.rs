//! A room's sensors, once a minute for two weeks: the UCI occupancy data (Candanedo and Feldheim 2016).
//!
//! Five numbers are recorded. The humidity ratio is computed from temperature and humidity, so it is no sensor of its own and is left out:
//! boxes around it would allow errors that cannot happen.

use std::path::{Path, PathBuf};

use certus_learn::data::{DataError, table};

use super::RoomError;

/// A sensor: how it is called, what it can show, how far it can be off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sensor {
    /// Its column in the files.
    pub name: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Smallest and largest value that it shows.
    pub range: [f32; 2],
    /// Its error at level 1, either way.
    pub epsilon: f32,
}

/// The sensors, in the order of a sample. Errors are of the size that data sheets of such sensors name.
pub const SENSORS: [Sensor; 4] = [
    Sensor { name: "Temperature", unit: "°C", range: [-10.0, 60.0], epsilon: 0.5 },
    Sensor { name: "Humidity", unit: "%", range: [0.0, 100.0], epsilon: 2.0 },
    Sensor { name: "Light", unit: "lux", range: [0.0, 5000.0], epsilon: 20.0 },
    Sensor { name: "CO2", unit: "ppm", range: [0.0, 5000.0], epsilon: 30.0 },
];
/// Place of the light sensor.
pub const LIGHT: usize = 2;
/// Place of the CO₂ sensor.
pub const CO2: usize = 3;

/// One value of each sensor.
pub type Sample = [f32; SENSORS.len()];

/// One file: a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What it is called in tables.
    pub name: String,
    /// When each sample was taken, seconds since 1970 by the clock of the file; not decreasing.
    pub seconds: Vec<i64>,
    /// The samples.
    pub samples: Vec<Sample>,
    /// Whether somebody was in the room.
    pub occupied: Vec<bool>,
}

/// All recordings of the room.
#[derive(Clone, Debug, PartialEq)]
pub struct Room {
    /// What is learned from.
    pub train: Recording,
    /// What is measured: the days before and after it.
    pub tests: Vec<Recording>,
}

/// Seconds of the training file's end on which recipes are chosen.
const HELD_OUT_S: i64 = 24 * 3600;

impl Room {
    /// Reads the three files in `folder`, or in `occupancy` inside it.
    ///
    /// # Errors
    /// [`RoomError::Missing`] or [`RoomError::Data`].
    pub fn read(folder: &Path) -> Result<Self, RoomError> {
        let folder = holder(folder).ok_or_else(|| RoomError::Missing(folder.display().to_string()))?;
        let file = |name: &str| {
            recording_in(&folder, name).ok_or_else(|| RoomError::Missing(folder.display().to_string()))
        };
        let read = |name: &str, file_name: &str| -> Result<Recording, RoomError> {
            Ok(Recording::read(name, &file(file_name)?)?)
        };
        Ok(Self {
            train: read("train", "train")?,
            tests: vec![read("test 1", "test1")?, read("test 2", "test2")?],
        })
    }

    /// Whether [`Room::read`] would find a training file in `folder`.
    pub fn is_in(folder: &Path) -> bool {
        holder(folder).is_some()
    }

    /// The training file alone: its last day is measured, what lies before is learned from.
    pub fn held_out(&self) -> Self {
        let all = &self.train;
        let end = all.seconds.last().copied().unwrap_or(0) - HELD_OUT_S;
        let at = all.seconds.partition_point(|s| *s <= end);
        Self {
            train: all.part("train, first days", 0..at),
            tests: vec![all.part("train, last day", at..all.samples.len())],
        }
    }
}

/// `folder`, or `occupancy` inside it: the one that holds a training file.
fn holder(folder: &Path) -> Option<PathBuf> {
    let folders = [folder.join("occupancy"), folder.to_owned()];
    folders.into_iter().find(|folder| recording_in(folder, "train").is_some())
}

/// The file of the recording `name` in `folder`.
fn recording_in(folder: &Path, name: &str) -> Option<PathBuf> {
    ["csv.gz", "csv"]
        .map(|ending| folder.join(format!("{name}.{ending}")))
        .into_iter()
        .find(|path| path.is_file())
}

impl Recording {
    /// Reads a table with the columns of [`SENSORS`], `date` and `Occupancy`.
    ///
    /// # Errors
    /// [`DataError`] that names the line of what is no number, no date, or not 0 or 1, and of a time before that of the line above.
    pub fn read(name: &str, path: &Path) -> Result<Self, DataError> {
        let table = table::read(path)?;
        let columns: Result<Vec<usize>, _> = SENSORS.iter().map(|s| table.column(path, s.name)).collect();
        let (date, label) = (table.column(path, "date")?, table.column(path, "Occupancy")?);
        let values = table.numbers(path, &columns?)?.values;
        let samples = values.chunks_exact(SENSORS.len());
        let samples = samples.map(|row| row.try_into().expect("one value of each sensor")).collect();
        let wrong = |line: usize, what: String| DataError::Format {
            path: path.to_owned(),
            what: format!("line {}, {what}", line + 2),
        };
        let (mut seconds, mut occupied) = (Vec::new(), Vec::new());
        for (index, line) in table.lines.iter().enumerate() {
            let time = parse_time(&line[date]);
            let time = time.ok_or_else(|| {
                wrong(index, format!("column `date`: `{}` is no date like 2015-02-04 17:51:00", line[date]))
            })?;
            if seconds.last().is_some_and(|last| *last > time) {
                return Err(wrong(index, format!("column `date`: {} is before the line above", line[date])));
            }
            seconds.push(time);
            occupied.push(match line[label].as_str() {
                "0" => false,
                "1" => true,
                other => return Err(wrong(index, format!("column `Occupancy`: `{other}` is not 0 or 1"))),
            });
        }
        Ok(Self { name: name.to_owned(), seconds, samples, occupied })
    }

    /// The samples `which` under another name.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn part(&self, name: &str, which: std::ops::Range<usize>) -> Self {
        Self {
            name: name.to_owned(),
            seconds: self.seconds[which.clone()].to_vec(),
            samples: self.samples[which.clone()].to_vec(),
            occupied: self.occupied[which].to_vec(),
        }
    }
}

/// Seconds since 1970 of `YYYY-MM-DD hh:mm:ss`.
fn parse_time(text: &str) -> Option<i64> {
    let parts: Option<Vec<i64>> = text.split(['-', ' ', ':']).map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, second] = parts?[..] else { return None };
    let fits = (1970..3000).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    // Years begin in March: the leap day is then the last of a year.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    fits.then_some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of `date -u -d … +%s`.
    #[test]
    fn times_are_seconds_since_1970() {
        for (text, seconds) in [
            ("1970-01-01 00:00:00", 0),
            ("2015-02-04 17:51:59", 1_423_072_319),
            ("2016-02-29 12:00:00", 1_456_747_200),
            ("2016-03-01 00:00:00", 1_456_790_400),
        ] {
            assert_eq!(parse_time(text), Some(seconds), "{text}");
        }
        for text in ["", "2015-02-04", "2015-13-04 17:51:59", "2015-02-04 24:00:00", "a-b-c d:e:f"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_recording_is_named_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("r.csv");
        let head = "id,date,Temperature,Humidity,Light,CO2,HumidityRatio,Occupancy\n1,2015-02-04 17:51:00,23,27,426,721,0.004,1\n";
        let read = |line: &str| {
            std::fs::write(&path, format!("{head}{line}\n")).expect("written");
            Recording::read("r", &path).map_err(|e| e.to_string())
        };
        let good = read("2,2015-02-04 17:52:00,22.5,26,420,714,0.004,0").expect("a recording");
        assert_eq!(good.samples, [[23.0, 27.0, 426.0, 721.0], [22.5, 26.0, 420.0, 714.0]]);
        assert_eq!((good.occupied[..].to_vec(), good.seconds[1] - good.seconds[0]), (vec![true, false], 60));
        for (line, what) in [
            ("2,2015-02-04 17:52:00,22.5,26,420,nan,0.004,0", "CO2"),
            ("2,yesterday,22.5,26,420,714,0.004,0", "yesterday"),
            ("2,2015-02-04 17:50:00,22.5,26,420,714,0.004,0", "before the line above"),
            ("2,2015-02-04 17:52:00,22.5,26,420,714,0.004,2", "not 0 or 1"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains("line 3") && error.contains(what), "{error}");
        }
    }
}
