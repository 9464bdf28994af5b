//! What the quickstart writes.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use certus::digits::results::Results;
use certus::digits::{ABOUT, NOTICE, page};
use certus::engine::certify::rust_module::rust_module;
use certus::engine::certify::{AlignedBytes, CertificateFile};
use certus::learn::model::Model;
use certus::output;
use certus::training::onnx::to_onnx;
use certus_core::ArtifactView;

use super::super::{Error, artifact_file};

const ARTIFACT: &str = "digits.crts";
/// Name of the report.
pub const REPORT: &str = "report.html";

/// Where the artifact goes, for messages.
pub fn artifact(folder: &Path) -> String {
    folder.join(ARTIFACT).display().to_string()
}

/// Makes `folder` and those above it.
pub fn make_directory(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder)
        .map_err(|source| Error::Directory { path: folder.display().to_string(), source })
}

/// Writes the report into `folder`.
pub fn write_report(folder: &Path, results: &Results) -> Result<(), Error> {
    Ok(output::write_atomic(&folder.join(REPORT), page::page(results).render().as_bytes())?)
}

/// Writes network, artifact, certificates and the recordings' features `[recordings][640]` into `folder` and names them.
pub fn write(
    folder: &Path,
    (model, artifact): (&Model, &[u8]),
    certificates: &CertificateFile,
    heard: &[Vec<f32>],
    out: &mut dyn Write,
) -> Result<(), Error> {
    let aligned = AlignedBytes::from(artifact);
    let view = ArtifactView::new_checked(aligned.as_slice())
        .map_err(artifact_file::in_file(&folder.join(ARTIFACT)))?;
    writeln!(out)?;
    let mut put = |name: &str, bytes: &[u8], what: &str| -> Result<(), Error> {
        let path = folder.join(name);
        output::write_atomic(&path, bytes)?;
        let name = path.display().to_string();
        Ok(writeln!(out, "wrote {name:<44} {what}")?)
    };
    put("digits.onnx", &to_onnx(model, None, Some(NOTICE)).to_bytes(), "the network, for any runtime")?;
    put(ARTIFACT, artifact, "what the device carries")?;
    put("digits.rs", rust_module(&view, ARTIFACT).as_bytes(), "a monitor sized for it, for firmware")?;
    put("certificates.json", certificates.to_json().as_bytes(), "region certificates with their proofs")?;
    put("recordings.csv", csv(heard).as_bytes(), "features of the recordings that are there as sound")?;
    put("NOTICE.txt", format!("{NOTICE}\n\n{ABOUT}\n").as_bytes(), "licence of the data and of these weights")
}

/// One row of features per recording, under a header.
fn csv(rows: &[Vec<f32>]) -> String {
    let width = rows.first().map_or(0, Vec::len);
    let header: Vec<String> = (0..width).map(|k| format!("f{k}")).collect();
    let mut text = header.join(",");
    for row in rows {
        text.push('\n');
        for (k, value) in row.iter().enumerate() {
            let comma = if k > 0 { "," } else { "" };
            let _ = write!(text, "{comma}{value}");
        }
    }
    text.push('\n');
    text
}
