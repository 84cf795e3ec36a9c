//! What is wrong with a card, and for how long that counts. Pure: time is an input.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Card, Figures, Sight, names};
use docklet_control::amount::MemoryMib;
use docklet_control::model::Gpu;

/// A card that was not well is well again after so long without trouble: each change is an entry in the masters' log.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// Errors of programs, not of the card; NVIDIA's own plugin for Kubernetes ignores the same (`k8s-device-plugin`,
/// `internal/rm/health.go`). They say what they are in <https://docs.nvidia.com/deploy/xid-errors/>.
const XIDS_OF_PROGRAMS: [u64; 6] = [13, 31, 43, 45, 68, 109];

/// What one look found of one card.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Looked {
    pub uuid: String,
    pub model: String,
    pub memory_mib: u32,
    pub minor: u32,
    pub figures: Figures,
    /// Memory errors that could not be corrected since the driver was loaded.
    pub memory_errors: u64,
    /// Pages of its memory wait for being taken out of use.
    pub pages_pending: bool,
    /// It is cut into several.
    pub is_cut: bool,
    /// Errors that the driver told of since the last look, by NVIDIA's numbers.
    pub xids: Vec<u64>,
}

/// What is wrong now, as far as one look can tell.
fn trouble(looked: &Looked) -> Option<String> {
    if !names::is_model(&looked.model) {
        let model = names::shown(&looked.model);
        return Some(format!("its model \"{model}\" is no name"));
    }
    if looked.is_cut {
        let text =
            "MIG mode is on, and whole cards only are given: turn it off with `nvidia-smi -mig 0`";
        return Some(text.to_owned());
    }
    if looked.memory_errors > 0 {
        let count = looked.memory_errors;
        return Some(format!(
            "{count} memory errors that could not be corrected: reset the card"
        ));
    }
    looked
        .pages_pending
        .then(|| "pages of its memory are broken and still in use: reset the card".to_owned())
}

/// An error of the card itself among those that the driver told of.
fn fatal(xids: &[u64]) -> Option<u64> {
    let mut of_card = xids.iter().filter(|xid| !XIDS_OF_PROGRAMS.contains(xid));
    of_card.next().copied()
}

/// All cards that were ever seen by this agent.
#[derive(Default)]
pub(super) struct Records(BTreeMap<String, Record>);

struct Record {
    card: Card,
    /// An error of the card itself stays its problem until the agent starts anew: nobody else says that it was mended.
    broken: Option<String>,
    /// What was wrong last, and when.
    last: Option<(String, Instant)>,
}

impl Records {
    /// Takes what one look found of each card, or why it found nothing of it.
    pub fn take(&mut self, looks: Vec<Result<Looked, String>>, at: Instant) -> Sight {
        let mut problems = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for look in looks {
            match look {
                Err(problem) => problems.push(problem),
                Ok(looked) if !names::is_uuid(&looked.uuid) => {
                    let uuid = names::shown(&looked.uuid);
                    problems.push(format!("a GPU has the name \"{uuid}\", which is none"));
                }
                Ok(looked) if seen.contains(&looked.uuid) => {
                    problems.push(format!("two GPUs are called {}", looked.uuid));
                    self.spoil(&looked.uuid, "another card has the same name", at);
                }
                Ok(looked) => {
                    seen.push(looked.uuid.clone());
                    self.see(looked, at);
                }
            }
        }
        let gone: Vec<String> = self
            .0
            .keys()
            .filter(|uuid| !seen.contains(uuid))
            .cloned()
            .collect();
        for uuid in gone {
            self.spoil(&uuid, "the driver does not list it any more", at);
        }
        self.sight(&problems)
    }

    /// The driver tells nothing of any card.
    pub fn take_nothing(&mut self, problem: &str, at: Instant) -> Sight {
        for uuid in self.0.keys().cloned().collect::<Vec<_>>() {
            self.spoil(&uuid, problem, at);
        }
        self.sight(&[problem.to_owned()])
    }

    fn see(&mut self, looked: Looked, at: Instant) {
        let found = trouble(&looked);
        let fatal = fatal(&looked.xids);
        let record = self.0.entry(looked.uuid.clone()).or_insert_with(|| Record {
            card: card(&looked),
            broken: None,
            last: None,
        });
        if let Some(xid) = fatal {
            let text = format!(
                "the driver told of error {xid} (XID): see the kernel's log, mend the card, restart the agent"
            );
            record.broken.get_or_insert(text);
        }
        if let Some(found) = found {
            record.last = Some((found, at));
        }
        let recent = record
            .last
            .as_ref()
            .filter(|(_, when)| at.duration_since(*when) < GOOD_AFTER);
        let problem = record
            .broken
            .clone()
            .or_else(|| recent.map(|(text, _)| text.clone()));
        record.card = Card {
            problem,
            ..card(&looked)
        };
    }

    fn spoil(&mut self, uuid: &str, problem: &str, at: Instant) {
        if let Some(record) = self.0.get_mut(uuid) {
            record.last = Some((problem.to_owned(), at));
            record.card.figures = Figures::default();
            record.card.problem = Some(record.broken.clone().unwrap_or_else(|| problem.to_owned()));
        }
    }

    fn sight(&self, problems: &[String]) -> Sight {
        Sight {
            cards: self.0.values().map(|record| record.card.clone()).collect(),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
        }
    }
}

fn card(looked: &Looked) -> Card {
    let model = if names::is_model(&looked.model) {
        looked.model.clone()
    } else {
        "unknown".to_owned()
    };
    Card {
        gpu: Gpu {
            uuid: looked.uuid.clone(),
            model,
            memory_mib: MemoryMib(looked.memory_mib),
        },
        minor: looked.minor,
        problem: None,
        figures: looked.figures,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well(name: &str) -> Looked {
        Looked {
            uuid: format!("GPU-{name}"),
            model: "NVIDIA A100".to_owned(),
            memory_mib: 40_960,
            ..Looked::default()
        }
    }

    fn offered(sight: &Sight) -> Vec<String> {
        sight.offered().into_iter().map(|gpu| gpu.uuid).collect()
    }

    #[test]
    fn an_error_of_the_card_stays_and_one_of_a_program_is_none() {
        let (mut records, mut at) = (Records::default(), Instant::now());
        let program = Looked {
            xids: vec![31, 43],
            ..well("a")
        };
        let card = Looked {
            xids: vec![13, 79],
            ..well("b")
        };
        let sight = records.take(vec![Ok(program), Ok(card)], at);
        assert_eq!(offered(&sight), ["GPU-a"]);
        at += Duration::from_secs(86_400);
        let sight = records.take(vec![Ok(well("a")), Ok(well("b"))], at);
        assert_eq!(offered(&sight), ["GPU-a"]);
        let problem = sight.cards[1].problem.as_deref().unwrap_or_default();
        assert!(problem.contains("error 79"), "{problem}");
    }

    #[test]
    fn a_card_that_was_not_well_is_offered_again_after_a_while_without_trouble() {
        let (mut records, mut at) = (Records::default(), Instant::now());
        let bad = Looked {
            memory_errors: 2,
            ..well("a")
        };
        assert!(records.take(vec![Ok(bad)], at).offered().is_empty());
        at += GOOD_AFTER / 2;
        assert!(records.take(vec![Ok(well("a"))], at).offered().is_empty());
        at += GOOD_AFTER / 2;
        assert_eq!(offered(&records.take(vec![Ok(well("a"))], at)), ["GPU-a"]);
    }

    #[test]
    fn a_card_with_broken_pages_in_use_is_not_offered() {
        let bad = Looked {
            pages_pending: true,
            ..well("a")
        };
        let sight = Records::default().take(vec![Ok(bad), Ok(well("b"))], Instant::now());
        assert_eq!(offered(&sight), ["GPU-b"]);
        let problem = sight.cards[0].problem.as_deref().unwrap_or_default();
        assert!(problem.contains("pages of its memory"), "{problem}");
    }

    #[test]
    fn a_card_that_vanished_or_a_driver_that_fails_is_told_of_and_not_offered() {
        let (mut records, mut at) = (Records::default(), Instant::now());
        records.take(vec![Ok(well("a")), Ok(well("b"))], at);
        at += EVERY;
        let sight = records.take(vec![Ok(well("a")), Err("GPU 1: lost".to_owned())], at);
        assert_eq!(offered(&sight), ["GPU-a"]);
        assert_eq!(sight.cards.len(), 2);
        assert!(
            sight.cards[1]
                .problem
                .as_deref()
                .is_some_and(|p| p.contains("not list"))
        );
        assert_eq!(sight.problem.as_deref(), Some("GPU 1: lost"));
        let sight = records.take_nothing("the driver is not loaded", at + EVERY);
        assert!(sight.offered().is_empty());
        assert_eq!(
            sight.cards[0].problem.as_deref(),
            Some("the driver is not loaded")
        );
    }

    #[test]
    fn what_has_a_strange_or_the_same_name_or_is_cut_is_not_offered() {
        let at = Instant::now();
        let newline = Looked {
            uuid: "GPU-a\nlxc.hook.start = /x".to_owned(),
            ..well("a")
        };
        let model = Looked {
            model: "A100\nx".to_owned(),
            ..well("m")
        };
        let cut = Looked {
            is_cut: true,
            ..well("c")
        };
        let looks = [newline, model, cut, well("d"), well("d")];
        let sight = Records::default().take(looks.map(Ok).to_vec(), at);
        assert!(offered(&sight).is_empty());
        assert_eq!(sight.cards.len(), 3, "m, c and d");
        assert!(!format!("{sight:?}").contains('\n'));
    }

    const EVERY: Duration = super::super::EVERY;
}
