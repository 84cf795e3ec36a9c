//! Limits of a vcluster's vnodes: what they may use now, and the form that changes it while they run.

use docklet_control::Command;
use docklet_control::amount::{CpuMilli, DiskMib, MemoryMib, VnodeSize};
use docklet_control::id::VclusterId;
use docklet_control::limit::command::LimitCommand;
use docklet_control::model::{Bandwidth, BandwidthWish, KbitPerS, SizeChange, Wishes};
use docklet_control::view::VclusterView;
use maud::{Markup, html};
use serde::Deserialize;

use crate::asker::Asker;
use crate::pages::amount::mbit;
use crate::pages::{by_command, csrf};
use crate::problem::Problem;

/// What each vnode may send and receive, in words.
pub(super) fn bandwidth(view: &VclusterView) -> String {
    let first = view.vnodes.first();
    let Bandwidth { sent, received } = first.map(|vnode| vnode.bandwidth).unwrap_or_default();
    let amount = |rate: Option<KbitPerS>| rate.map_or("no limit".to_owned(), |rate| mbit(rate.0));
    if sent == received {
        return match sent {
            Some(rate) => format!("{} each way", mbit(rate.0)),
            None => "no limit of bandwidth".to_owned(),
        };
    }
    format!("sending {}, receiving {}", amount(sent), amount(received))
}

/// The form, folded away: most look at a vcluster without changing it.
pub(super) fn section(asker: &Asker, view: &VclusterView, name: &str) -> Markup {
    let (size, disk) = (view.size, view.wishes.disk_mib.0);
    let whole = view.bandwidth.map(|rate| rate.0 / 1_000);
    let field = |id: &str, label: &str, field: &str, range: (u64, u64), now: u64| {
        html! {
            div.field {
                label for=(id) { (label) }
                input id=(id) name=(field) type="number" min=(range.0) max=(range.1) value=(now) required;
            }
        }
    };
    let wide =
        |range: std::ops::RangeInclusive<u32>| (u64::from(*range.start()), u64::from(*range.end()));
    let (cpu, memory) = (
        wide(VnodeSize::CPU_MILLI_RANGE),
        wide(VnodeSize::MEMORY_MIB_RANGE),
    );
    let disks = (disk, *Wishes::DISK_MIB_RANGE.end());
    html! {
        details #limits {
            summary { "Limits of each vnode" }
            form.stack method="post" action={"/vclusters/" (name) "/resize"} {
                (csrf(asker))
                div.row {
                    (field("resize-cpu", "CPU, thousandths of a core", "cpu_milli", cpu, size.cpu_milli.0.into()))
                    (field("resize-memory", "Memory, MiB", "memory_mib", memory, size.memory_mib.0.into()))
                    (field("resize-pids", "Processes", "pids_max", wide(VnodeSize::PIDS_RANGE), size.pids_max.into()))
                    (field("resize", "Disk, MiB", "disk_mib", disks, disk))
                    div.field {
                        label for="resize-bandwidth" { "Bandwidth, Mbit/s" }
                        input #resize-bandwidth name="bandwidth_mbit" type="number" min="1" max="400000" value=[whole] placeholder="as the site" aria-describedby="resize-hint";
                    }
                }
                p.hint #resize-hint {
                    "They hold at once, while the vnodes run. Disks only grow; memory that is in use is taken away when it is free; "
                    "without a bandwidth the site's setting holds."
                }
                div.actions { button.button.secondary type="submit" { "Change" } }
                (by_command(&format!("docklet vc resize {name} --memory-mib 1024 --wait")))
            }
        }
    }
}

/// The form's fields, as text; what is not in the form stays as it is.
#[derive(Deserialize)]
pub(super) struct Fields {
    cpu_milli: Option<String>,
    memory_mib: Option<String>,
    pids_max: Option<String>,
    disk_mib: Option<String>,
    bandwidth_mbit: Option<String>,
}

impl Fields {
    pub(super) fn command(&self, vcluster: VclusterId) -> Result<Command, Problem> {
        let change = SizeChange {
            cpu_milli: number("CPU", self.cpu_milli.as_ref())?.map(CpuMilli),
            memory_mib: number("memory", self.memory_mib.as_ref())?.map(MemoryMib),
            pids_max: number("process limit", self.pids_max.as_ref())?,
            disk_mib: number("disk", self.disk_mib.as_ref())?.map(DiskMib),
            bandwidth: bandwidth_wish(self.bandwidth_mbit.as_ref())?,
        };
        Ok(Command::Limit(LimitCommand::Resize { vcluster, change }))
    }
}

fn number<T: std::str::FromStr<Err: std::fmt::Display>>(
    what: &str,
    text: Option<&String>,
) -> Result<Option<T>, Problem> {
    let number = text.map(|text| text.trim().parse());
    number
        .transpose()
        .map_err(|error| Problem::malformed(what, error))
}

/// A field that is empty means the site's setting.
fn bandwidth_wish(text: Option<&String>) -> Result<Option<BandwidthWish>, Problem> {
    let wish = |mbit: u32| BandwidthWish::KbitPerS(KbitPerS(mbit.saturating_mul(1_000)));
    match text {
        None => Ok(None),
        Some(text) if text.trim().is_empty() => Ok(Some(BandwidthWish::Site)),
        Some(_) => Ok(number("bandwidth", text)?.map(wish)),
    }
}
