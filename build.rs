//! How the program is linked (ADR 0056).

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // At a fixed address nothing of it has to be adjusted at each start: half of the memory that a start touches.
    println!("cargo::rustc-link-arg-bins=-no-pie");
}
