//! The worker's GPUs: what there is, whether it is well, what is used of it, and what a vnode sees of those it is given.
//!
//! The driver's library may hang for minutes when a card is sick. One thread alone calls it and publishes what it
//! finds; whoever wants to know reads that, and sees by its age that nothing came any more. No call of this module but
//! that thread's waits for a driver.

mod driver;
mod health;
mod names;
mod nvml;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docklet_control::model::{Gpu, WorkerFacts};
use tokio::sync::watch;

pub(crate) use driver::Given;

use crate::fault::AgentFault;

/// How often all cards are looked at.
const EVERY: Duration = Duration::from_secs(1);
/// A library that did not answer for so long hangs.
const ANSWER_MAX: Duration = Duration::from_secs(15);
/// An agent waits so long for the first answer before it tells the masters what it has.
const FIRST_MAX: Duration = Duration::from_secs(10);
/// Cards that are told of: as many as masters take.
const CARDS_MAX: u32 = 256;

/// Where the driver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GpuSettings {
    /// NVIDIA's management library, as dlopen(3) takes it; GPUs are not looked for if none.
    pub library: Option<PathBuf>,
    /// Where the cards' device nodes are.
    pub dev_dir: PathBuf,
    /// Where libraries and `nvidia-smi` are that vnodes get to see; wherever the machine's own loader finds them if none.
    pub driver_dir: Option<PathBuf>,
}

impl GpuSettings {
    /// The library's name where the driver is installed as usual.
    pub const LIBRARY: &str = "libnvidia-ml.so.1";
    /// Where device nodes usually are.
    pub const DEV_DIR: &str = "/dev";

    /// No GPUs, whatever there is.
    #[must_use]
    pub fn none() -> Self {
        Self {
            library: None,
            dev_dir: Self::DEV_DIR.into(),
            driver_dir: None,
        }
    }
}

/// What is used of a card; none where the driver does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// 1 is wholly in use.
    pub used: Option<f32>,
    pub memory_bytes: Option<u64>,
    pub temperature_c: Option<u32>,
    pub power_mw: Option<u32>,
}

/// One card as it was seen last.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub gpu: Gpu,
    /// The number in the name of its device node.
    pub minor: u32,
    /// Why no vnode can be given it; none if it is well.
    pub problem: Option<String>,
    pub figures: Figures,
}

/// All cards at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// By the driver's name of the card. One that vanished stays, with that as its problem, for as long as the agent runs.
    pub cards: Vec<Card>,
    /// What is wrong with the driver itself, or with cards that have no name.
    pub problem: Option<String>,
}

impl Sight {
    /// Cards that vnodes can be given.
    #[must_use]
    pub fn offered(&self) -> Vec<Gpu> {
        let well = self.cards.iter().filter(|card| card.problem.is_none());
        well.map(|card| card.gpu.clone()).collect()
    }

    /// The same cards, none of which can be given to anybody because of `problem`.
    fn spoiled(&self, problem: &str) -> Self {
        let spoil = |card: &Card| Card {
            problem: Some(problem.to_owned()),
            figures: Figures::default(),
            ..card.clone()
        };
        Self {
            cards: self.cards.iter().map(spoil).collect(),
            problem: Some(problem.to_owned()),
        }
    }
}

/// What the thread found, and when; none before it looked for the first time.
type Found = Option<(Instant, Arc<Sight>)>;

/// The cards of this worker. Clones are the same; with the last of them the thread ends.
#[derive(Clone)]
pub struct Gpus {
    settings: GpuSettings,
    found: watch::Receiver<Found>,
}

impl Gpus {
    /// Begins to look, on a thread of its own.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn watch(settings: GpuSettings) -> Result<Self, AgentFault> {
        let (tell, found) = watch::channel(None);
        match settings.library.clone() {
            Some(library) => {
                let thread = std::thread::Builder::new().name("gpus".to_owned());
                thread.spawn(move || nvml::look_always(&library, &tell))?;
            }
            None => {
                tell.send_replace(Some((Instant::now(), Arc::default())));
            }
        }
        Ok(Self { settings, found })
    }

    /// All cards as they were a moment ago. Never waits.
    #[must_use]
    pub fn now(&self) -> Arc<Sight> {
        let Some((at, sight)) = self.found.borrow().clone() else {
            let problem = "the GPU driver has not answered yet".to_owned();
            return Arc::new(Sight {
                cards: Vec::new(),
                problem: Some(problem),
            });
        };
        let silent = at.elapsed();
        if self.settings.library.is_none() || silent < ANSWER_MAX {
            return sight;
        }
        let problem = format!("the GPU driver has not answered for {} s", silent.as_secs());
        Arc::new(sight.spoiled(&problem))
    }

    /// Waits until there was a first look, or it takes too long.
    pub async fn first(&self) {
        let mut found = self.found.clone();
        let first = found.wait_for(Option::is_some);
        if tokio::time::timeout(FIRST_MAX, first).await.is_err() {
            tracing::warn!("the GPU driver does not answer: its GPUs are offered once it does");
        }
    }

    /// Keeps the worker's facts in step with the cards that are well. Never ends.
    pub async fn keep_told(&self, facts: &watch::Sender<WorkerFacts>) {
        let mut ticks = tokio::time::interval(EVERY);
        loop {
            ticks.tick().await;
            let offered = self.now().offered();
            facts.send_if_modified(|facts| {
                let changed = facts.capacity.gpus != offered;
                facts.capacity.gpus = offered;
                changed
            });
        }
    }

    /// What a vnode sees that is given these cards, in the root file system that is mounted for it.
    ///
    /// # Errors
    /// One of them is not here or not well, or has no device node.
    pub(crate) fn give(
        &self,
        uuids: &[String],
        rootfs: &std::path::Path,
    ) -> Result<Given, AgentFault> {
        if uuids.is_empty() {
            return Ok(Given::default());
        }
        driver::give(&self.settings, &self.now(), uuids, rootfs)
    }
}
