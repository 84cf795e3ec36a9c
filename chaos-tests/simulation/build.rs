//! Lets the simulation's own `getrandom` be found by name; see `src/sim/entropy.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bin=sim=-Wl,--export-dynamic-symbol=getrandom");
}
