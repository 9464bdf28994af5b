//! What the examples of a room read and write.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

use certus::core::ArtifactView;
use certus::core::monitor::{memory_len, worst_case_interval_ops, worst_case_ops};
use certus::engine::certify::region::to_hex;
use certus::engine::certify::rust_module::rust_module;
use certus::engine::certify::{AlignedBytes, Artifact};
use certus::report::Page;
use certus::room::RoomError;
use certus::room::data::Room;
use certus::room::page::Device;
use certus::room::train::Trained;
use certus::training::load::DATA_VARIABLE;
use certus::training::onnx::to_onnx;
use certus::{output, progress};

use super::super::firmware::{self, Firmware};
use super::super::{Error, artifact_file};

/// What a network says about where it comes from.
pub const NOTICE: &str =
    "trained on the UCI occupancy detection data, L. Candanedo and V. Feldheim 2016, CC BY 4.0";

/// The folder of the recordings: that of the option, of `CERTUS_DATA` if they are there, or of the checkout around the current directory.
pub fn data_folder(option: Option<&Path>) -> Result<PathBuf, RoomError> {
    if let Some(folder) = option {
        return Ok(folder.to_owned());
    }
    if let Some(folder) = env::var_os(DATA_VARIABLE).map(PathBuf::from).filter(|folder| Room::is_in(folder)) {
        return Ok(folder);
    }
    let here = env::current_dir().unwrap_or_default();
    let inside = here.ancestors().map(|folder| folder.join("assets/occupancy")).find(|f| f.is_dir());
    inside.ok_or_else(|| RoomError::Missing(here.display().to_string()))
}

/// Writes network, artifact and module called `name` and the `samples` that go with them into `folder`, and names them.
pub fn write(
    (folder, name): (&Path, &str),
    trained: &Trained,
    artifact: &Artifact,
    samples: &str,
    out: &mut dyn Write,
) -> Result<Device, Error> {
    let path = |extension: &str| folder.join(format!("{name}.{extension}"));
    let refused = |source| Error::Emit { path: path("crts").display().to_string(), source };
    let aligned = AlignedBytes::from(&artifact.emit().map_err(refused)?[..]);
    let view =
        ArtifactView::new_checked(aligned.as_slice()).map_err(artifact_file::in_file(&path("crts")))?;
    let onnx = to_onnx(&trained.model, Some(&trained.normalise), Some(NOTICE)).to_bytes();
    let module = rust_module(&view, &format!("{name}.crts"));
    let work = [worst_case_ops(&view).total(), worst_case_interval_ops(&view)].map(|w| w.multiply_adds);
    writeln!(
        out,
        "\nartifact    {} B of flash, {} B of RAM; at most {} multiply-adds a step, {} more for its intervals\n",
        aligned.as_slice().len(),
        4 * memory_len(&view),
        work[0],
        work[1]
    )?;
    for (extension, bytes, what) in [
        ("onnx", &onnx[..], "the network, over the sensors' units"),
        ("crts", aligned.as_slice(), "what the device carries"),
        ("rs", module.as_bytes(), "a monitor sized for it, for firmware"),
        ("csv", samples.as_bytes(), "samples, for `certus monitor` and the firmware"),
    ] {
        output::write_atomic(&path(extension), bytes)?;
        writeln!(out, "wrote {:<32} {what}", path(extension).display().to_string())?;
    }
    Ok(Device {
        bytes: aligned.as_slice().len(),
        memory_bytes: 4 * memory_len(&view),
        multiply_adds: work,
        digest: to_hex(view.digest()),
        qemu: None,
    })
}

/// Writes the report into `folder`, and says that all is done.
pub fn write_report(folder: &Path, page: &Page, seconds: f64, out: &mut dyn Write) -> Result<(), Error> {
    let path = folder.join("report.html");
    output::write_atomic(&path, page.render().as_bytes())?;
    Ok(writeln!(out, "\ndone in {seconds:.1} s; open {}", path.display())?)
}

/// Runs the artifact in `folder` on a device: a Cortex-M4F in QEMU, over the samples that [`write`] wrote. Whether the device
/// certifies as many of them as `here`, if it ran; what it said goes to `device`.
pub fn run_firmware(
    folder: &Path,
    here: (usize, usize),
    device: &mut Device,
    out: &mut dyn Write,
) -> Result<Option<bool>, Error> {
    out.flush()?;
    let spinner = progress::spinner("building the firmware and running it in QEMU");
    let outcome = firmware::run(folder);
    drop(spinner);
    writeln!(out)?;
    Ok(match outcome {
        Firmware::Ran { certified, all } => {
            let same = (certified, all) == here;
            let words = if same { "as here" } else { "NOT as here" };
            writeln!(out, "firmware    Cortex-M4F in QEMU: {certified} of {all} samples certified, {words}")?;
            device.qemu = Some((certified, all));
            Some(same)
        }
        Firmware::Missing(command) => {
            writeln!(out, "firmware    not run; to run it: {command}")?;
            None
        }
        Firmware::Failed(line) => {
            writeln!(out, "firmware    failed: {line}")?;
            Some(false)
        }
    })
}

/// Rows of numbers under a header.
pub fn csv<'r>(header: &str, rows: impl Iterator<Item = &'r [f32]>) -> String {
    let mut text = format!("{header}\n");
    for row in rows {
        let cells: Vec<String> = row.iter().map(f32::to_string).collect();
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    text
}
