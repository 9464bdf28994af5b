//! The scripts of the verification competition, run as its harness runs them.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

#[test]
fn the_competition_s_scripts_answer_as_its_rules_say() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/vnncomp/test.sh");
    let run = Command::new(script).env("CERTUS", env!("CARGO_BIN_EXE_certus")).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success() && said.contains("all as expected"), "{said}");
}
