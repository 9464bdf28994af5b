//! `certus demo occupancy`, `certus demo forecast`: a room's sensors, from recordings to a monitor on a device.

mod files;
pub mod forecast;
pub mod occupancy;

use std::io::Write;
use std::path::{Path, PathBuf};

use certus::engine::certify::Artifact;
use certus::progress;
use certus::room::RoomError;
use certus::room::data::Room;
use certus::room::judge::judge;
use certus::room::page::Device;
use certus::room::train::{Recipe, Trained, train};
use certus_learn::data::Set;

use super::Error;

#[derive(clap::Args)]
pub struct Args {
    /// Folder with the recordings (train, test1, test2; .csv or .csv.gz). Default: CERTUS_DATA or its folder occupancy, then assets/occupancy of the checkout.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Directory to write to; made if it is missing. Default: the name of the example.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of training and of the attacks.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Epochs of training, in the place of the example's own.
    #[arg(long, value_name = "N")]
    epochs: Option<f64>,
    /// Measure on the last day of the training file, learning from the days before: for choosing settings.
    #[arg(long)]
    held_out: bool,
    /// Leave out the firmware in QEMU.
    #[arg(long)]
    no_firmware: bool,
}

impl Args {
    fn room(&self) -> Result<Room, RoomError> {
        let room = Room::read(&files::data_folder(self.data.as_deref())?)?;
        let room = if self.held_out { room.held_out() } else { room };
        let empty = [&room.train].into_iter().chain(&room.tests).find(|r| r.samples.is_empty());
        empty.map_or(Ok(()), |r| Err(RoomError::Empty(r.name.clone())))?;
        Ok(room)
    }

    fn out(&self, default: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| PathBuf::from(default))
    }

    /// Runs the artifact on a device over `samples`, unless that is to be left out; false if it certifies others than this monitor, or fails.
    fn run_firmware(
        &self,
        folder: &Path,
        artifact: &Artifact,
        samples: &[&[f32]],
        device: &mut Device,
        out: &mut dyn Write,
    ) -> Result<bool, Error> {
        if self.no_firmware {
            return Ok(true);
        }
        let judged = judge(artifact, samples.iter().copied())?;
        let certified = judged.iter().filter(|j| j.is_certified()).count();
        Ok(files::run_firmware(folder, (certified, judged.len()), device, out)?.unwrap_or(true))
    }

    fn recipe(&self, of: fn(u64) -> Recipe) -> Recipe {
        let mut recipe = of(self.seed);
        if let Some(epochs) = self.epochs {
            // The phases of training keep their shares of it.
            let share = epochs / recipe.settings.epochs;
            recipe.settings.warmup *= share;
            recipe.settings.ramp *= share;
            recipe.settings.epochs = epochs;
        }
        recipe
    }
}

/// Trains with a bar called `what`.
fn train_with_bar(what: &str, set: &Set, epsilon: &[f32], recipe: &Recipe) -> Result<Trained, RoomError> {
    let mut bar = None;
    train(set, epsilon, recipe, &mut |done, total| {
        bar.get_or_insert_with(|| progress::bar(what, total)).at(done);
    })
}

/// A number as a cell.
fn cell(number: f64, decimals: usize) -> String {
    format!("{number:.decimals$}")
}
