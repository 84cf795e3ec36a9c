//! GPUs: what is used of each, of those of a vnode, and of all of the worker. Pure.

use docklet_control::id::VnodeId;
use docklet_control::meter::GpuNow;

use crate::gpu::Card;

/// Use, 1 for each GPU wholly in use, and bytes in use on them.
type Used = Option<(f32, u64)>;

/// A card as masters are told of it. Who has it is not known yet.
pub(super) fn now(card: &Card) -> GpuNow {
    let figures = card.figures;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliwatts of a card have six digits"
    )]
    let watts = |milliwatts: u32| (f64::from(milliwatts) / 1_000.0) as f32;
    GpuNow {
        gpu: card.gpu.clone(),
        problem: card.problem.clone(),
        vnode: None,
        used: figures.used,
        memory_bytes: figures.memory_bytes,
        temperature_c: figures.temperature_c,
        power_w: figures.power_mw.map(watts),
    }
}

/// Notes that a vnode has these cards; answers what is used of them, none if it has none.
pub(super) fn used_by(vnode: VnodeId, uuids: &[String], gpus: &mut [GpuNow]) -> Used {
    let mut used = None;
    for gpu in gpus.iter_mut().filter(|now| uuids.contains(&now.gpu.uuid)) {
        gpu.vnode = Some(vnode);
        used = plus(used, gpu);
    }
    used
}

/// What is used of all cards together.
pub(super) fn sum(gpus: &[GpuNow]) -> Used {
    gpus.iter().fold(None, plus)
}

fn plus(used: Used, gpu: &GpuNow) -> Used {
    if gpu.used.is_none() && gpu.memory_bytes.is_none() {
        return used;
    }
    let (part, bytes) = used.unwrap_or_default();
    let (more, more_bytes) = (gpu.used.unwrap_or(0.0), gpu.memory_bytes.unwrap_or(0));
    Some((part + more, bytes.saturating_add(more_bytes)))
}

#[cfg(test)]
mod tests {
    use docklet_control::amount::MemoryMib;
    use docklet_control::model::Gpu;

    use super::*;
    use crate::gpu::Figures;

    fn card(uuid: &str, figures: Figures) -> Card {
        Card {
            gpu: Gpu {
                uuid: uuid.to_owned(),
                model: "NVIDIA A100".to_owned(),
                memory_mib: MemoryMib(40_960),
            },
            minor: 0,
            problem: None,
            figures,
        }
    }

    #[test]
    fn a_vnode_uses_its_own_cards_and_the_worker_all() {
        let known = |used, memory_bytes| Figures {
            used: Some(used),
            memory_bytes: Some(memory_bytes),
            power_mw: Some(250_500),
            ..Figures::default()
        };
        let cards = [
            card("GPU-a", known(0.5, 10)),
            card("GPU-b", known(1.0, 20)),
            card("GPU-c", known(0.25, 30)),
            card("GPU-d", Figures::default()),
        ];
        let mut gpus: Vec<GpuNow> = cards.iter().map(now).collect();
        let own = ["GPU-a", "GPU-c", "GPU-gone"].map(str::to_owned);
        assert_eq!(used_by(VnodeId(7), &own, &mut gpus), Some((0.75, 40)));
        assert_eq!(used_by(VnodeId(8), &[], &mut gpus), None);
        assert_eq!(sum(&gpus), Some((1.75, 60)));
        let held: Vec<_> = gpus.iter().map(|now| now.vnode.map(|id| id.0)).collect();
        assert_eq!(held, [Some(7), None, Some(7), None]);
        assert_eq!(gpus[0].power_w, Some(250.5));
        assert_eq!(
            sum(&gpus[3..]),
            None,
            "a card that tells nothing uses nothing that is known"
        );
    }
}
