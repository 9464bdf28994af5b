//! Links the image without a runtime: it is never run, only linked.

fn main() {
    println!("cargo:rustc-link-arg-bins=--entry=_start");
    println!("cargo:rustc-link-arg-bins=--gc-sections");
    println!("cargo:rerun-if-changed=build.rs");
}
