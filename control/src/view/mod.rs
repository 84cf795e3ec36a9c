//! What people and programs are shown, as plain data: pages, API and command line all render these.

pub mod account;
pub mod allowance;
pub mod bean;
pub mod drain;
pub mod drill;
pub mod explain;
pub mod group;
pub mod home;
pub mod image;
mod lost;
pub mod master;
pub mod moves;
pub mod port;
pub mod quota;
pub mod rebalance;
pub mod snapshot;
pub mod state;
pub mod template;
pub mod vcluster;
pub mod worker;

pub use allowance::{AllowanceView, AllowedItem, GroupAllowanceView, MemberAllowance};
pub use bean::{BeansView, StatementView};
pub use drill::{DrillNotice, DrillView};
pub use explain::{Explanation, Holder, Lack, Verdict};
pub use group::PeopleView;
pub use home::HomeView;
pub use image::{ImageView, SaveView, VersionView};
pub use master::{GroupView, MasterRole, MasterView};
pub use port::PortView;
pub use quota::{QuotaView, QuotasView};
pub use snapshot::{RestoreView, ScheduleView, SnapshotView, SnapshotsView};
pub use state::StateView;
pub use template::TemplateView;
pub use vcluster::{GpuView, Phase, VclusterView, VnodeView};
pub use worker::WorkerView;
