//! The store on disks that behave and on disks that do not.

mod crash;
mod damage;
mod golden;
mod history;
mod suite;
pub(crate) mod support;
mod trail;
