//! What people and programs are shown, as plain data: pages, API and command line all render these.

pub mod image;
pub mod master;
pub mod vcluster;
pub mod worker;

pub use image::ImageView;
pub use master::{GroupView, MasterRole, MasterView};
pub use vcluster::{Phase, VclusterView, VnodeView};
pub use worker::WorkerView;
