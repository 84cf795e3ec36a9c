//! The worker's GPUs through a library: a stand-in that is built here and loaded by its path; and the real one, where
//! there is a card.

#![expect(
    clippy::print_stdout,
    reason = "what a real card says is read in what is printed"
)]

mod stub;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use docklet_agent::gpu::{GpuSettings, Gpus, Sight};
use stub::{Stub, bad_card, card};

/// Looks until the cards are as wanted.
fn until(what: &str, gpus: &Gpus, holds: impl Fn(&Sight) -> bool) -> Arc<Sight> {
    let begun = Instant::now();
    loop {
        let sight = gpus.now();
        if holds(&sight) {
            return sight;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(40),
            "no {what}: {sight:#?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn watch(stub: &Stub) -> Gpus {
    Gpus::watch(stub.settings()).expect("a thread")
}

fn offered(sight: &Sight) -> Vec<String> {
    sight.offered().into_iter().map(|gpu| gpu.uuid).collect()
}

fn problem_of(sight: &Sight, uuid: &str) -> String {
    let card = sight.cards.iter().find(|card| card.gpu.uuid == uuid);
    card.and_then(|card| card.problem.clone())
        .unwrap_or_default()
}

#[test]
fn cards_are_found_with_what_is_used_of_them() {
    let stub = Stub::new();
    stub.say(&[card("GPU-b", 1), card("GPU-a", 0)]);
    let sight = until("cards", &watch(&stub), |sight| sight.cards.len() == 2);
    assert_eq!(offered(&sight), ["GPU-a", "GPU-b"]);
    let card = &sight.cards[1];
    assert_eq!((card.minor, card.gpu.memory_mib.0), (1, 40_960));
    assert_eq!(card.gpu.model, "NVIDIA A100-SXM4-40GB");
    let figures = card.figures;
    assert_eq!(
        (figures.used, figures.memory_bytes),
        (Some(0.25), Some(1 << 30))
    );
    assert_eq!(
        (figures.temperature_c, figures.power_mw),
        (Some(51), Some(97_500))
    );
    assert_eq!(sight.problem, None);
}

#[test]
fn a_machine_without_a_library_has_no_gpus_and_no_problem() {
    let settings = GpuSettings {
        library: Some("/nowhere/libnvidia-ml.so.1".into()),
        ..GpuSettings::none()
    };
    let gpus = Gpus::watch(settings).expect("a thread");
    until("answer", &gpus, |sight| *sight == Sight::default());
}

#[test]
fn a_file_that_is_no_library_and_a_library_that_fails_are_problems() {
    let stub = Stub::new();
    fs::write(stub.library(), "no library").expect("written");
    until("problem", &watch(&stub), |sight| {
        sight
            .problem
            .as_deref()
            .is_some_and(|p| p.contains("cannot be used"))
    });
    let stub = Stub::new();
    stub.say(&["init=9".to_owned()]);
    let gpus = watch(&stub);
    until("problem", &gpus, |sight| {
        sight
            .problem
            .as_deref()
            .is_some_and(|p| p.contains("driver is not loaded"))
    });
    // Whoever loads the driver later need not restart the agent.
    stub.say(&[card("GPU-a", 0)]);
    until("card", &gpus, |sight| {
        offered(sight) == ["GPU-a"] && sight.problem.is_none()
    });
}

#[test]
fn cards_that_vanish_fail_or_err_are_not_offered_and_say_why() {
    let stub = Stub::new();
    let all = ["GPU-a", "GPU-b", "GPU-c", "GPU-d", "GPU-e"];
    let lines: Vec<String> = all
        .into_iter()
        .zip(0..)
        .map(|(uuid, minor)| card(uuid, minor))
        .collect();
    stub.say(&lines);
    let gpus = watch(&stub);
    until("cards", &gpus, |sight| offered(sight) == all);
    stub.say(&[
        card("GPU-a", 0),
        bad_card("GPU-b", 1, "0|0|15|0"),
        bad_card("GPU-c", 2, "0|0|0|79"),
        bad_card("GPU-d", 3, "0|0|0|31"),
    ]);
    let sight = until("trouble", &gpus, |sight| {
        offered(sight) == ["GPU-a", "GPU-d"]
    });
    assert!(problem_of(&sight, "GPU-b").contains("not list"));
    assert!(
        sight
            .problem
            .as_deref()
            .is_some_and(|p| p.contains("GPU 1: ") && p.contains("fell off the bus")),
        "{sight:?}"
    );
    assert!(problem_of(&sight, "GPU-c").contains("error 79"));
    assert!(problem_of(&sight, "GPU-e").contains("not list"));
    stub.say(&[
        bad_card("GPU-a", 0, "3|0|0|0"),
        bad_card("GPU-d", 3, "0|1|0|0"),
    ]);
    let sight = until("more trouble", &gpus, |sight| offered(sight).is_empty());
    assert!(problem_of(&sight, "GPU-a").contains("3 memory errors"));
    assert!(problem_of(&sight, "GPU-d").contains("MIG"));
    // What was mended comes back after a while, but for what only people can mend.
    stub.say(&lines);
    let sight = until("cards again", &gpus, |sight| {
        offered(sight) == ["GPU-a", "GPU-b", "GPU-d", "GPU-e"]
    });
    assert!(problem_of(&sight, "GPU-c").contains("error 79"));
}

#[test]
fn names_that_could_be_more_than_names_come_no_further() {
    let stub = Stub::new();
    let long = "x".repeat(1 << 10);
    stub.say(&[
        card("GPU-a", 0),
        card("GPU-b\\nlxc.hook.start = /bin/evil", 1),
        "GPU-c|A100\\n<script>|2|1|0|0|0|0|0|0|0|0".to_owned(),
        // More than there is room for: the library says so, as NVIDIA's does.
        format!("GPU-d|{long}|3|1|0|0|0|0|0|0|0|0"),
        // The name ends where it says that it ends.
        "GPU-e\\0f|A100\\0B|4|1|0|0|0|0|0|0|0|0".to_owned(),
        card("../../dev/mem", 5),
        // As long as there is room for, to the last byte.
        format!("GPU-g|{}|6|1|0|0|0|0|0|0|0|0", &long[..95]),
        card("GPU-a", 7),
    ]);
    let sight = until("cards", &watch(&stub), |sight| !sight.cards.is_empty());
    assert_eq!(offered(&sight), ["GPU-e", "GPU-g"]);
    assert!(problem_of(&sight, "GPU-a").contains("same name"));
    assert!(problem_of(&sight, "GPU-c").contains("no name"));
    let text = format!("{:?} {:?}", sight.cards, sight.problem);
    let plain = text.chars().all(|c| !c.is_control());
    assert!(
        plain && !text.contains("<script>\"") && text.len() < 4_000,
        "{text}"
    );
    let models: Vec<&str> = sight
        .cards
        .iter()
        .map(|card| card.gpu.model.as_str())
        .collect();
    assert!(models.contains(&"unknown") && models.contains(&"A100"));
}

#[test]
fn a_library_that_hangs_holds_nobody_up() {
    let stub = Stub::new();
    stub.say(&[card("GPU-a", 0)]);
    let gpus = watch(&stub);
    until("card", &gpus, |sight| offered(sight) == ["GPU-a"]);
    stub.say(&["hang".to_owned(), card("GPU-a", 0)]);
    let sight = until("silence", &gpus, |sight| offered(sight).is_empty());
    assert!(problem_of(&sight, "GPU-a").contains("has not answered for"));
    stub.say(&[card("GPU-a", 0)]);
    until("card", &gpus, |sight| offered(sight) == ["GPU-a"]);
}

/// On a machine with a card: what the real driver says of it is taken. Elsewhere there is nothing to try.
#[test]
fn a_real_card_is_found_where_there_is_one() {
    if !std::path::Path::new("/dev/nvidiactl").exists() {
        println!("no GPU on this machine: nothing was tried");
        return;
    }
    let gpus = Gpus::watch(GpuSettings {
        library: Some(GpuSettings::LIBRARY.into()),
        ..GpuSettings::none()
    });
    let sight = until("card", &gpus.expect("a thread"), |sight| {
        !sight.cards.is_empty()
    });
    println!("{sight:#?}");
    assert_eq!(sight.problem, None);
    for card in &sight.cards {
        assert!(std::path::Path::new(&format!("/dev/nvidia{}", card.minor)).exists());
        assert!(card.gpu.memory_mib.0 > 0 && card.figures.memory_bytes.is_some());
        assert!(
            card.figures
                .temperature_c
                .is_some_and(|c| (1..120).contains(&c))
        );
    }
}
