//! Meters of real containers, through the data port: what runs is measured, kept beyond the agent, and goes with the vnode.

use std::cell::Cell;

use docklet_agent::meter::Meter;
use docklet_control::meter::{Live, Measure, MeterQuestion, Series, Span, Subject, Usage};
use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::door::{Open, Socket, V7, text};
use crate::exec::run;
use crate::resize;
use crate::support::{in_own_network, round};
use docklet_control::model::VnodeWanted::{Removed, Running, Stopped};

/// More than a vnode uses in which nothing goes on, in thousandths of a core.
const AT_WORK_MILLI: f32 = 20.0;

async fn ask(socket: &mut Socket, question: &MeterQuestion) {
    let text = serde_json::to_string(question).expect("JSON");
    socket.send(Message::text(text)).await.expect("sent");
}

/// Looks each second until vnode 7's use is as wanted.
async fn wait_for(socket: &mut Socket, what: &str, wanted: impl Fn(Option<&Usage>) -> bool) {
    for _ in 0..20 {
        let live: Live = serde_json::from_value(text(socket).await).expect("live");
        let found = live.vnodes.iter().find(|(id, _)| *id == V7);
        if wanted(found.map(|(_, usage)| usage)) {
            return;
        }
    }
    panic!("no {what} within 20 looks");
}

fn is_above(usage: Option<&Usage>, measure: Measure, least: f32) -> bool {
    usage.and_then(|usage| usage.values.get(measure)) > Some(least)
}

fn history(of: Subject) -> MeterQuestion {
    MeterQuestion::History {
        of,
        span: Span::TenMinutes,
        measures: vec![Measure::CpuMilli, Measure::SentPackets],
    }
}

fn highest(series: &Series, measure: Measure) -> f32 {
    let column = &series.columns[&measure];
    column.iter().flatten().fold(0.0, |a, b| f32::max(a, *b))
}

#[test]
fn a_vnode_is_measured_while_it_runs_and_its_history_goes_with_it() {
    in_own_network(async {
        let open = Open::new().await;
        let mut live = open.socket("/meters").await;
        ask(&mut live, &MeterQuestion::Live).await;
        wait_for(&mut live, "init", |usage| {
            is_above(usage, Measure::Processes, 0.0) && is_above(usage, Measure::MemoryBytes, 0.0)
        })
        .await;

        // It may use so little of a core that it gets it on a busy machine too, and asks for an address that nobody has.
        let little = resize::wanted(&open.worker, resize::size(50, 48, 64));
        round(&open.host, &little).await;
        let mut busy = open.socket("/exec").await;
        let script = "ping -c 1 -W 1 10.64.0.99; while :; do :; done";
        let request = json!({"vnode": 7, "epoch": 10, "argv": ["sh", "-c", script]});
        let request = Message::text(request.to_string());
        busy.send(request).await.expect("sent");
        wait_for(&mut live, "packets", |usage| {
            is_above(usage, Measure::SentPackets, 0.0)
        })
        .await;
        wait_for(&mut live, "work", |usage| {
            is_above(usage, Measure::CpuMilli, AT_WORK_MILLI)
                && is_above(usage, Measure::Throttled, 0.0)
        })
        .await;
        drop(busy);

        let mut past = open.socket("/meters").await;
        ask(&mut past, &history(Subject::Vnodes(vec![V7]))).await;
        let series: Series = serde_json::from_value(text(&mut past).await).expect("a series");
        assert_eq!(series.times.len(), 600);
        assert!(highest(&series, Measure::CpuMilli) > AT_WORK_MILLI);
        assert!(highest(&series, Measure::SentPackets) > 0.0);
        ask(&mut past, &history(Subject::Worker)).await;
        let series: Series = serde_json::from_value(text(&mut past).await).expect("a series");
        assert!(
            highest(&series, Measure::CpuMilli) > AT_WORK_MILLI,
            "the worker has done that too"
        );

        let stopped = open.worker.assignment(vec![open.worker.vnode(7, Stopped)]);
        round(&open.host, &stopped).await;
        wait_for(&mut live, "rest", |usage| {
            usage.and_then(|usage| usage.values.get(Measure::Processes)) == Some(0.0)
        })
        .await;
        let running = open.worker.assignment(vec![open.worker.vnode(7, Running)]);
        round(&open.host, &running).await;
        wait_for(&mut live, "another init", |usage| {
            is_above(usage, Measure::Processes, 0.0)
        })
        .await;

        // Another agent, as after a kill: it finds what there was.
        let of = Subject::Vnodes(vec![V7]);
        let next = Meter::open(&open.worker.config, open.host.gpus().clone());
        next.look();
        let kept = next.history(&of, Span::TenMinutes, &[Measure::CpuMilli]);
        assert!(highest(&kept.expect("read"), Measure::CpuMilli) > AT_WORK_MILLI);

        let removed = open.worker.assignment(vec![open.worker.vnode(7, Removed)]);
        round(&open.host, &removed).await;
        wait_for(&mut live, "end", |usage| usage.is_none()).await;
        assert!(!open.worker.state("vnodes/v7").exists());
    });
}

/// Past the kernel's memory, so that each version of cgroups knows whose writes they are.
#[test]
fn what_is_written_to_the_disk_is_measured() {
    in_own_network(async {
        let open = Open::new().await;
        let mut live = open.socket("/meters").await;
        ask(&mut live, &MeterQuestion::Live).await;
        let before = Cell::new(None);
        wait_for(&mut live, "disk", |usage| {
            before.set(usage.and_then(|usage| usage.values.get(Measure::DiskBytes)));
            before.get().is_some()
        })
        .await;
        let before = before.get().expect("measured");
        let script = "dd if=/dev/urandom of=/root/large bs=1M count=8 oflag=direct";
        let ran = run(&mut open.socket("/exec").await, &["sh", "-c", script], b"").await;
        let told = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.last, json!({"exit": {"code": 0}}), "{told}");
        wait_for(&mut live, "larger disk", |usage| {
            is_above(usage, Measure::DiskBytes, before + 8_000_000.0)
        })
        .await;
        let mut past = open.socket("/meters").await;
        let question = MeterQuestion::History {
            of: Subject::Vnodes(vec![V7]),
            span: Span::TenMinutes,
            measures: vec![Measure::WrittenBytes],
        };
        ask(&mut past, &question).await;
        let series: Series = serde_json::from_value(text(&mut past).await).expect("a series");
        let most = highest(&series, Measure::WrittenBytes);
        assert!(most > 1_000_000.0, "{most} bytes in a second");
        open.end().await;
    });
}
