//! Tests of a worker without any master, on real LXC; they need root.

#![expect(
    clippy::print_stdout,
    reason = "steps, figures and the probe's report are read in what is printed"
)]

mod checkpoint;
mod config;
mod connect;
mod containers;
mod copies;
mod copy;
mod crash;
#[path = "../transfer/cutter.rs"]
mod cutter;
mod defences;
mod disk;
mod door;
mod exec;
mod files;
mod full;
mod gpu;
mod home_quota;
mod homes;
mod images;
mod in_place;
mod io;
mod isolation;
mod lease;
mod meters;
mod noise;
mod ready;
mod reboot;
mod resize;
mod save;
mod snapshot;
mod support;
mod terminal;
mod traced;
mod truth;
mod weak;
