//! Tests of segments, gateways and public ports between two workers, in network namespaces; they need root. Vnodes are
//! namespaces too where a container adds nothing.

#![expect(
    clippy::print_stdout,
    reason = "measured times are read in what is printed"
)]

mod counted;
mod fabric;
mod leftovers;
mod names;
mod ports;
mod prober;
mod segments;
mod site;
mod spoof;

#[path = "../lxc/support.rs"]
#[allow(
    dead_code,
    reason = "this worker runs no containers, and needs a part of it"
)]
mod support;
