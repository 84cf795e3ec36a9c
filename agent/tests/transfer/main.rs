//! Tests of vnodes' files on their way between two workers, over real mutual TLS; they need root.

#![expect(clippy::print_stdout, reason = "figures are read in what is printed")]

mod adopting;
mod ahead;
mod breaks;
mod cutter;
mod liars;
mod room;
mod rounds;
mod site;
mod strangers;

#[path = "../lxc/support.rs"]
#[allow(
    dead_code,
    reason = "this worker runs no containers, and needs a part of it"
)]
mod support;
