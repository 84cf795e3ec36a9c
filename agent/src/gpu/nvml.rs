//! The thread that calls NVIDIA's library: opens it, looks at all cards, again and again, whatever it answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{EccCounter, MemoryError, TemperatureSensor};
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, EventSet, Nvml};
use tokio::sync::watch;

use super::health::{Looked, Records};
use super::{CARDS_MAX, EVERY, Figures, Found, Sight};

/// A library that is not there, or fails as a whole, is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// Errors of one card that are taken in at one look.
const EVENTS_MAX: usize = 64;

/// Looks until nobody listens any more.
pub(super) fn look_always(library: &Path, tell: &watch::Sender<Found>) {
    let mut records = Records::default();
    let mut said = Said::default();
    while !tell.is_closed() {
        let problem = match Nvml::builder().lib_path(library.as_os_str()).init() {
            Ok(nvml) => look_through(&nvml, tell, &mut records, &mut said),
            Err(error) if is_absent(library, &error) => None,
            Err(error) => Some(format!("the GPU driver cannot be used: {error}")),
        };
        let sight = match problem {
            Some(problem) => records.take_nothing(&problem, Instant::now()),
            None => records.take(Vec::new(), Instant::now()),
        };
        said.publish(tell, sight);
        std::thread::sleep(AGAIN);
    }
}

/// A machine without a driver has no library, which is no fault. A file that is there and is no library is one.
fn is_absent(library: &Path, error: &NvmlError) -> bool {
    let there = library.is_absolute() && library.exists();
    matches!(error, NvmlError::LibloadingError(_)) && !there
}

/// Looks for as long as the library answers; tells why it does not.
fn look_through(
    nvml: &Nvml,
    tell: &watch::Sender<Found>,
    records: &mut Records,
    said: &mut Said,
) -> Option<String> {
    let mut events = BTreeMap::new();
    while !tell.is_closed() {
        let count = match nvml.device_count() {
            Ok(count) => count.min(CARDS_MAX),
            Err(error) => return Some(format!("the GPU driver does not count its GPUs: {error}")),
        };
        let looks: Vec<_> = (0..count)
            .map(|index| {
                look_at(nvml, index, &mut events).map_err(|error| format!("GPU {index}: {error}"))
            })
            .collect();
        // Whoever comes back is listened to anew.
        events.retain(|uuid, _| looks.iter().flatten().any(|looked| looked.uuid == *uuid));
        let whole_fails = count > 0 && looks.iter().all(Result::is_err);
        said.publish(tell, records.take(looks, Instant::now()));
        if whole_fails {
            return Some("the GPU driver answers for none of its GPUs".to_owned());
        }
        std::thread::sleep(EVERY);
    }
    None
}

/// What cannot be asked of this card is not known, and no fault; what can must be answered.
fn known<T>(answer: Result<T, NvmlError>) -> Result<Option<T>, NvmlError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(
            NvmlError::NotSupported
            | NvmlError::FunctionNotFound
            | NvmlError::FailedToLoadSymbol(_),
        ) => Ok(None),
        Err(error) => Err(error),
    }
}

fn look_at<'n>(
    nvml: &'n Nvml,
    index: u32,
    events: &mut BTreeMap<String, Option<EventSet<'n>>>,
) -> Result<Looked, NvmlError> {
    let card = nvml.device_by_index(index)?;
    let uuid = card.uuid()?;
    let memory = card.memory_info()?;
    let mib = memory.total >> 20;
    let (uncorrected, volatile) = (MemoryError::Uncorrected, EccCounter::Volatile);
    let set = events
        .entry(uuid.clone())
        .or_insert_with(|| listen(nvml, &card));
    Ok(Looked {
        model: card.name()?,
        memory_mib: u32::try_from(mib).unwrap_or(u32::MAX),
        minor: card.minor_number()?,
        memory_errors: known(card.total_ecc_errors(uncorrected, volatile))?.unwrap_or(0),
        pages_pending: known(card.are_pages_pending_retired())?.unwrap_or(false),
        is_cut: known(card.mig_mode())?.is_some_and(|mode| mode.current != 0),
        xids: set.as_ref().map(happened).unwrap_or_default(),
        figures: Figures {
            used: card.utilization_rates().ok().map(|rates| part(rates.gpu)),
            memory_bytes: Some(memory.used),
            temperature_c: card.temperature(TemperatureSensor::Gpu).ok(),
            power_mw: card.power_usage().ok(),
        },
        uuid,
    })
}

/// A part of the whole, of percent.
fn part(percent: u32) -> f32 {
    f32::from(u16::try_from(percent.min(100)).unwrap_or(100)) / 100.0
}

/// Errors of a card are told to whoever asked for them beforehand; a card that tells none is believed.
fn listen<'n>(nvml: &'n Nvml, card: &Device<'n>) -> Option<EventSet<'n>> {
    let wanted = EventTypes::CRITICAL_XID_ERROR;
    let tells = card
        .supported_event_types()
        .is_ok_and(|types| types.contains(wanted));
    let set = tells.then(|| nvml.create_event_set().ok()).flatten()?;
    card.register_events(wanted, set).ok()
}

/// Errors since the last time.
fn happened(set: &EventSet<'_>) -> Vec<u64> {
    let events = (0..EVENTS_MAX).map_while(|_| set.wait(1).ok());
    let xid = |error| match error {
        XidError::Value(xid) => xid,
        // Something happened, and the driver does not know what: its own number for that.
        XidError::Unknown => 999,
    };
    events
        .filter_map(|event| event.event_data.map(xid))
        .collect()
}

/// What was said of the cards in the log: each change once.
#[derive(Default)]
struct Said(Option<BTreeMap<String, Option<String>>>);

impl Said {
    fn publish(&mut self, tell: &watch::Sender<Found>, sight: Sight) {
        self.say(&sight);
        tell.send_replace(Some((Instant::now(), Arc::new(sight))));
    }

    fn say(&mut self, sight: &Sight) {
        let of_cards = sight
            .cards
            .iter()
            .map(|card| (card.gpu.uuid.clone(), card.problem.clone()));
        let of_driver = sight
            .problem
            .iter()
            .map(|problem| (String::new(), Some(problem.clone())));
        let now: BTreeMap<_, _> = of_cards.chain(of_driver).collect();
        if self.0.as_ref() == Some(&now) {
            return;
        }
        let before = self.0.replace(now.clone()).unwrap_or_default();
        if now.is_empty() {
            tracing::info!("no GPUs on this machine");
        }
        for (gpu, problem) in &now {
            if before.get(gpu) == Some(problem) {
                continue;
            }
            match problem {
                Some(problem) if gpu.is_empty() => tracing::warn!(problem, "GPUs"),
                Some(problem) => tracing::warn!(gpu, problem, "GPU is not offered"),
                None => tracing::info!(gpu, "GPU is offered"),
            }
        }
    }
}
