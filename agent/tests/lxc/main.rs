//! Tests of a worker without any master, on real LXC; they need root.

mod containers;
mod door;
mod exec;
mod homes;
mod images;
mod meters;
mod support;
mod terminal;
