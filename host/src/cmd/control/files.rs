//! What the demonstration writes.

use std::io::Write;
use std::path::Path;

use certus::control::bundle::{self, NETWORK_NAME, PROPERTIES};
use certus::control::page;
use certus::control::results::Results;
use certus::engine::certify::rust_module::rust_module;
use certus::engine::certify::{AlignedBytes, CertificateFile};
use certus::engine::property::Witness;
use certus::output;
use certus_core::ArtifactView;

use super::super::{Error, artifact_file};

const ARTIFACT: &str = "surrogate.crts";
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

/// Writes results and inputs into `folder` and names what there is to look at.
pub fn write(
    folder: &Path,
    artifact: &[u8],
    certificates: &CertificateFile,
    witnesses: &[(String, Witness)],
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
        if what.is_empty() { Ok(()) } else { Ok(writeln!(out, "wrote {name:<44} {what}")?) }
    };
    put(ARTIFACT, artifact, "what the device carries")?;
    put("surrogate.rs", rust_module(&view, ARTIFACT).as_bytes(), "a monitor sized for it, for firmware")?;
    put("certificates.json", certificates.to_json().as_bytes(), "region certificates with their proofs")?;
    for (name, witness) in witnesses {
        put(
            &format!("witness_{name}.txt"),
            witness.to_string().as_bytes(),
            "a state that refutes the property",
        )?;
    }
    put(NETWORK_NAME, bundle::NETWORK, "")?;
    put("states.csv", bundle::STATES.as_bytes(), "")?;
    put("trajectory.csv", bundle::TRAJECTORY.as_bytes(), "")?;
    make_directory(&folder.join("properties"))?;
    for property in &PROPERTIES {
        put(&format!("properties/{}.vnnlib", property.name), property.text.as_bytes(), "")?;
    }
    Ok(writeln!(out, "  and the inputs: {NETWORK_NAME}, states.csv, trajectory.csv, properties/")?)
}
