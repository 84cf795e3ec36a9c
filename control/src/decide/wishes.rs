//! What may be wished for beyond a vnode's size.

use super::{Decision, Ground, in_range};
use crate::amount::DiskMib;
use crate::event::{Event, VclusterRef, VnodeRef};
use crate::model::{DiskOvercommit, Gpu, GpuWish, Vcluster, Vnode, Wishes, WorkerCapacity};
use crate::refusal::Refusal;

/// Longest unique name of a GPU, in bytes: those of NVIDIA's driver have 40, of a part of one 80.
const UUID_BYTES_MAX: usize = 96;
/// Longest name of a product, in bytes.
const PRODUCT_BYTES_MAX: usize = 200;

/// Refuses what nobody can have.
pub(super) fn check(wishes: &Wishes) -> Result<(), Refusal> {
    check_disk(wishes.disk_mib)?;
    check_gpus(&wishes.gpus)
}

pub(super) fn check_disk(disk: DiskMib) -> Result<(), Refusal> {
    in_range("disk", disk.0, Wishes::DISK_MIB_RANGE, "MiB")
}

fn check_gpus(wish: &GpuWish) -> Result<(), Refusal> {
    let most = u64::from(GpuWish::COUNT_MAX);
    in_range("number of GPUs", wish.count.into(), 0..=most, "GPUs")?;
    let Some(model) = &wish.model else {
        return Ok(());
    };
    let malformed = |cause: &str| Refusal::Malformed {
        what: "GPU model".to_owned(),
        cause: cause.to_owned(),
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || " -_.+/()".contains(c);
    let some_word = model.chars().any(|c| c.is_ascii_alphanumeric());
    if model.len() > GpuWish::MODEL_BYTES_MAX || !some_word || !model.chars().all(allowed) {
        return Err(malformed(
            "use words of the product's name, as \"A100\" or \"RTX 4090\": 1 to 64 of letters, digits, spaces and -_.+/()",
        ));
    }
    if wish.count == 0 {
        return Err(malformed(
            "it goes with a number of GPUs, and none are wanted",
        ));
    }
    Ok(())
}

/// Refuses a worker's list of GPUs that could not be given away one by one.
pub(super) fn check_inventory(capacity: &WorkerCapacity) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    let sound = |gpu: &Gpu| {
        let named = (1..=UUID_BYTES_MAX).contains(&gpu.uuid.len()) && gpu.uuid.chars().all(allowed);
        let product =
            gpu.model.len() <= PRODUCT_BYTES_MAX && !gpu.model.chars().any(char::is_control);
        named && product
    };
    let gpus = &capacity.gpus;
    let again = |at: usize| gpus[..at].iter().any(|gpu| gpu.uuid == gpus[at].uuid);
    if gpus.iter().all(sound) && !(0..gpus.len()).any(again) {
        return Ok(());
    }
    Err(Refusal::Malformed {
        what: "a worker's list of GPUs".to_owned(),
        cause:
            "each needs a unique name of letters, digits and -_.:/, and a plain name of its product"
                .to_owned(),
    })
}

/// What a new vcluster wishes, if that is not the usual.
pub(super) fn of_vcluster(vcluster: &Vcluster, wishes: &Wishes) -> Option<Event> {
    (wishes != Wishes::usual()).then(|| Event::VclusterWished {
        about: VclusterRef::from(vcluster),
        wishes: wishes.clone(),
    })
}

/// What a new vnode wishes, if that is not the usual.
pub(super) fn of_vnode(vnode: &Vnode, wishes: &Wishes) -> Option<Event> {
    (wishes != Wishes::usual()).then(|| Event::VnodeWished {
        about: VnodeRef::from(vnode),
        wishes: wishes.clone(),
    })
}

/// Where no worker has made a disk yet it may become smaller.
pub(super) fn refuse_shrinking(
    ground: Ground<'_>,
    vcluster: &Vcluster,
    vnodes: &[&Vnode],
    disk_mib: DiskMib,
) -> Result<(), Refusal> {
    let state = ground.state;
    // One that is to be a copy must hold what is copied.
    let made = vnodes
        .iter()
        .filter(|vnode| vnode.placement.is_some() || state.snapshot_copies.contains_key(&vnode.id));
    let disks = made.map(|vnode| state.wishes_of(vnode.id).disk_mib);
    let has = disks.max().unwrap_or(disk_mib);
    if disk_mib >= has {
        return Ok(());
    }
    Err(Refusal::DiskShrinks {
        name: vcluster.name.to_string(),
        has_mib: has.0,
        given_mib: disk_mib.0,
    })
}

pub(super) fn set_disk_overcommit(
    ground: Ground<'_>,
    overcommit: DiskOvercommit,
) -> Result<Decision, Refusal> {
    let (least, most) = DiskOvercommit::PERCENT_RANGE.into_inner();
    let range = u64::from(least)..=u64::from(most);
    in_range(
        "disk overcommit",
        overcommit.percent.into(),
        range,
        "percent",
    )?;
    let same = ground.state.overcommit_of_disks() == overcommit;
    let event = (!same).then_some(Event::DiskOvercommitSet { overcommit });
    Ok(Decision::quiet(event.into_iter().collect()))
}
