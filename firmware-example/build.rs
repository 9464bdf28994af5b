//! Writes `memory.x` for the target and passes the linker scripts of its runtime crate.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// Cortex-M on an MPS2 board, budgeted as a part with 1 MiB of flash and 128 KiB of RAM. The stack
/// lies below all data: an overflow runs off the start of RAM and faults, it never reaches `.bss`.
const CORTEX_M: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 1M
  STACK : ORIGIN = 0x20000000, LENGTH = 16K
  RAM   : ORIGIN = 0x20004000, LENGTH = 112K
}
_stack_start = ORIGIN(STACK) + LENGTH(STACK);
_stack_end = ORIGIN(STACK);
";

/// RV32 on QEMU's `virt` board, the same budget.
const RISCV: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x80000000, LENGTH = 1M
  STACK : ORIGIN = 0x80200000, LENGTH = 16K
  RAM   : ORIGIN = 0x80204000, LENGTH = 112K
}
_stack_start = ORIGIN(STACK) + LENGTH(STACK);
_stack_end = ORIGIN(STACK);
REGION_ALIAS(\"REGION_TEXT\", FLASH);
REGION_ALIAS(\"REGION_RODATA\", FLASH);
REGION_ALIAS(\"REGION_DATA\", RAM);
REGION_ALIAS(\"REGION_BSS\", RAM);
REGION_ALIAS(\"REGION_HEAP\", RAM);
REGION_ALIAS(\"REGION_STACK\", STACK);
";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let target = env::var("TARGET").expect("cargo sets TARGET");
    let arm = target.starts_with("thumb");
    fs::write(out.join("memory.x"), if arm { CORTEX_M } else { RISCV }).expect("OUT_DIR is writable");
    println!("cargo:rustc-link-search={}", out.display());
    if arm {
        println!("cargo:rustc-link-arg-bins=--nmagic");
    } else {
        println!("cargo:rustc-link-arg-bins=-Tmemory.x");
    }
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    println!("cargo:rerun-if-changed=build.rs");
    embed(&out);
}

/// Names the exported module of the artifact and the samples that the programs run on: those of this folder, or those of the folder in
/// `CERTUS_ARTIFACT`: `surrogate.rs`, `surrogate.crts` and `trajectory.csv`, or `digits.rs`, `digits.crts` and `recordings.csv`, or those of a
/// room, `occupancy` or `forecast` with `.rs`, `.crts` and `.csv`.
fn embed(out: &Path) {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    println!("cargo:rerun-if-env-changed=CERTUS_ARTIFACT");
    let (module, states) = match env::var_os("CERTUS_ARTIFACT").map(|folder| here.join(folder)) {
        Some(folder) if folder.join("digits.rs").is_file() => {
            (folder.join("digits.rs"), folder.join("recordings.csv"))
        }
        Some(folder) if folder.join("occupancy.rs").is_file() => {
            (folder.join("occupancy.rs"), folder.join("occupancy.csv"))
        }
        Some(folder) if folder.join("forecast.rs").is_file() => {
            (folder.join("forecast.rs"), folder.join("forecast.csv"))
        }
        Some(folder) => (folder.join("surrogate.rs"), folder.join("trajectory.csv")),
        None => (here.join("artifact/surrogate.rs"), here.join("../assets/trajectory.csv")),
    };
    let module = module.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", module.display()));
    let source = format!("#[path = {module:?}]\npub mod surrogate;\n");
    fs::write(out.join("embedded.rs"), source).expect("OUT_DIR is writable");
    fs::write(out.join("trajectory.rs"), trajectory(&states)).expect("OUT_DIR is writable");
    println!("cargo:rerun-if-changed={}", states.display());
    let stream = here.join("motion/stream.csv");
    fs::write(out.join("stream.rs"), trajectory(&stream)).expect("OUT_DIR is writable");
    println!("cargo:rerun-if-changed={}", stream.display());
}

/// The states as a Rust expression: the device carries floats, not text.
fn trajectory(states: &Path) -> String {
    let text = fs::read_to_string(states).unwrap_or_else(|e| panic!("{}: {e}", states.display()));
    let rows = text.lines().skip(1).filter(|line| !line.is_empty()).map(|line| {
        let values = line.split(',').map(|v| v.trim().parse().expect("a number"));
        let bits: Vec<String> = values.map(|v: f32| format!("f32::from_bits({:#x})", v.to_bits())).collect();
        format!("[{}]", bits.join(", "))
    });
    format!("&[{}]", rows.collect::<Vec<_>>().join(",\n"))
}
