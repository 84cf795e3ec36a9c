//! Prometheus: what the cluster is and what is in use, as text, for admins with a token. `docs/metrics.md` has the names.
//!
//! Each master tells of itself, and of the whole cluster as far as it knows it; so each may be scraped, and a query
//! takes the highest of what they agree on. Amounts that only grow are counters, as Prometheus wants them.

mod certificates;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use docklet_control::account::scope;
use docklet_control::meter::{GpuNow, Measure, Totals, Usage};
use docklet_control::model::{Vnode, Worker, WorkerStatus};
use docklet_control::view::vcluster::show_vnode;
use docklet_control::{gpus, place};

use crate::asker::Asker;
use crate::meters;
use crate::problem::Problem;
use crate::serve::Portal;

/// The text's own type.
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn show(State(portal): State<Portal>, asker: Asker) -> Result<Response, Problem> {
    let state = &asker.frozen.state;
    scope::check_scrape(state, asker.actor(), "read metrics")?;
    let mut text = Text::default();
    master(&mut text, &portal);
    certificates::public(&mut text, &portal);
    certificates::between(&mut text, &portal, state);
    population(&mut text, state);
    let workers = state.workers.values();
    let up = workers.filter(|worker| worker.status == WorkerStatus::Up);
    let live = meters::now_of_all(&portal, up).await;
    for worker in state.workers.values() {
        let usage = live.get(&worker.id).map(|live| &live.worker);
        of_worker(&mut text, state, worker, usage);
    }
    for (worker, told) in &live {
        let worker = state
            .workers
            .get(worker)
            .map(|worker| worker.name.to_string());
        for now in &told.gpus {
            of_gpu(&mut text, state, &worker.clone().unwrap_or_default(), now);
        }
        for (id, usage) in &told.vnodes {
            // Of two vclusters of one name one is in the trash.
            let vnode = state.vnodes.get(id);
            if let Some(vnode) = vnode.filter(|vnode| !state.is_trashed(vnode.vcluster)) {
                of_vnode(&mut text, &labels_of(state, vnode), vnode, usage);
            }
        }
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text.finish()).into_response())
}

fn master(text: &mut Text, portal: &Portal) {
    let status = portal.master.brief_status();
    let own = [("master", portal.name.to_string())];
    let leads = u8::from(status.leader == Some(status.id));
    text.gauge(
        "docklet_master_leader",
        "Whether this master leads.",
        &own,
        leads,
    );
    text.gauge(
        "docklet_master_term",
        "Term of this master.",
        &own,
        status.term,
    );
    text.gauge(
        "docklet_master_log_index",
        "Last entry on this master's disk.",
        &own,
        status.last_log,
    );
    text.gauge(
        "docklet_master_applied_index",
        "Last entry in this master's state.",
        &own,
        status.applied,
    );
    let (open, refused) = portal.holdings.connections();
    text.gauge(
        "docklet_master_connections",
        "Connections of clients that are open.",
        &own,
        open,
    );
    text.counter(
        "docklet_master_connections_refused_total",
        "Connections that were closed at once, as there were too many.",
        &own,
        refused,
    );
}

/// How many there are of everything.
fn population(text: &mut Text, state: &docklet_control::State) {
    text.gauge(
        "docklet_masters",
        "Masters of the cluster.",
        &[],
        state.masters.len(),
    );
    text.gauge("docklet_users", "Accounts.", &[], state.users.len());
    text.gauge(
        "docklet_vclusters",
        "Vclusters.",
        &[],
        state.vclusters.len() - state.trashed.len(),
    );
    text.gauge("docklet_images", "Images.", &[], state.images.len());
    let mut phases: BTreeMap<&str, u32> = BTreeMap::new();
    for vnode in state.vnodes.values() {
        *phases
            .entry(show_vnode(state, vnode).phase.word())
            .or_default() += 1;
    }
    for (phase, number) in phases {
        let labels = [("phase", phase.to_owned())];
        text.gauge("docklet_vnodes", "Vnodes, by phase.", &labels, number);
    }
}

fn of_worker(
    text: &mut Text,
    state: &docklet_control::State,
    worker: &Worker,
    usage: Option<&Usage>,
) {
    let labels = [("worker", worker.name.to_string())];
    let load = place::load(state, worker);
    let up = u8::from(worker.status == WorkerStatus::Up);
    let capacity = &worker.facts.capacity;
    text.gauge(
        "docklet_worker_up",
        "Whether the worker's agent is in touch.",
        &labels,
        up,
    );
    text.gauge(
        "docklet_worker_cpu_cores",
        "Cores that the worker offers.",
        &labels,
        f64::from(capacity.cpu_milli.0) / 1_000.0,
    );
    text.gauge(
        "docklet_worker_memory_offered_bytes",
        "Memory that the worker offers.",
        &labels,
        u64::from(capacity.memory_mib.0) << 20,
    );
    text.gauge(
        "docklet_worker_memory_promised_bytes",
        "Memory promised to vnodes of the worker.",
        &labels,
        load.memory_mib << 20,
    );
    text.gauge(
        "docklet_worker_disk_promised_bytes",
        "Disk promised to vnodes of the worker; sparse files, so it may be more than there is.",
        &labels,
        load.disk_mib << 20,
    );
    text.gauge(
        "docklet_worker_gpus",
        "GPUs that the worker offers.",
        &labels,
        capacity.gpus.len(),
    );
    text.gauge(
        "docklet_worker_gpus_given",
        "GPUs of the worker that are some vnode's.",
        &labels,
        gpus::given(state, worker),
    );
    if let Some(usage) = usage {
        used(text, "docklet_worker", &labels, usage);
    }
}

fn labels_of(state: &docklet_control::State, vnode: &Vnode) -> [(&'static str, String); 4] {
    let user = state
        .users
        .get(&vnode.owner)
        .map(|user| user.name.to_string());
    let vcluster = state.vclusters.get(&vnode.vcluster);
    let worker = vnode
        .placement
        .and_then(|placed| state.workers.get(&placed.worker));
    [
        ("user", user.unwrap_or_default()),
        (
            "vcluster",
            vcluster.map(|v| v.name.to_string()).unwrap_or_default(),
        ),
        ("vnode", vnode.hostname()),
        (
            "worker",
            worker.map(|w| w.name.to_string()).unwrap_or_default(),
        ),
    ]
}

/// One card of a worker. The vnode's labels are empty while nobody has it.
fn of_gpu(text: &mut Text, state: &docklet_control::State, worker: &str, now: &GpuNow) {
    let holder = now.vnode.and_then(|id| state.vnodes.get(&id));
    let [user, vcluster, vnode, _] = match holder {
        Some(vnode) => labels_of(state, vnode),
        None => ["user", "vcluster", "vnode", "worker"].map(|key| (key, String::new())),
    };
    let labels = [
        ("gpu", now.gpu.uuid.clone()),
        ("model", now.gpu.model.clone()),
        user,
        vcluster,
        vnode,
        ("worker", worker.to_owned()),
    ];
    let mut gauge = |name: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            text.gauge(&format!("docklet_gpu_{name}"), help, &labels, value);
        }
    };
    let offered = f64::from(u8::from(now.problem.is_none()));
    let size = u64::from(now.gpu.memory_mib.0) << 20;
    gauge(
        "offered",
        "Whether the card is well, and so offered to vnodes.",
        Some(offered),
    );
    gauge("size_bytes", "Memory that the card has.", Some(size as f64));
    gauge(
        "used_ratio",
        "Part of the last second in which the card worked.",
        now.used.map(f64::from),
    );
    let used = now.memory_bytes.map(|bytes| bytes as f64);
    gauge("memory_bytes", "Memory in use on the card.", used);
    gauge(
        "temperature_celsius",
        "Temperature of the card.",
        now.temperature_c.map(f64::from),
    );
    gauge(
        "power_watts",
        "Power that the card takes.",
        now.power_w.map(f64::from),
    );
}

fn of_vnode(text: &mut Text, labels: &[(&'static str, String)], vnode: &Vnode, usage: &Usage) {
    text.gauge(
        "docklet_vnode_cpu_limit_cores",
        "Cores that the vnode may use.",
        labels,
        f64::from(vnode.size.cpu_milli.0) / 1_000.0,
    );
    text.gauge(
        "docklet_vnode_memory_limit_bytes",
        "Memory that the vnode may use.",
        labels,
        u64::from(vnode.size.memory_mib.0) << 20,
    );
    used(text, "docklet_vnode", labels, usage);
}

/// What a worker and a vnode have in common.
fn used(text: &mut Text, noun: &str, labels: &[(&'static str, String)], usage: &Usage) {
    let gauges = [
        (
            Measure::MemoryBytes,
            "memory_bytes",
            "Memory in use, without droppable cache.",
        ),
        (Measure::DiskBytes, "disk_bytes", "Bytes on disk."),
        (Measure::Processes, "processes", "Processes and threads."),
        (
            Measure::CpuStall,
            "cpu_stall_ratio",
            "Part of the last second in which something waited for a CPU.",
        ),
        (
            Measure::MemoryStall,
            "memory_stall_ratio",
            "Part of the last second in which something waited for memory.",
        ),
        (
            Measure::IoStall,
            "io_stall_ratio",
            "Part of the last second in which something waited for a disk.",
        ),
        (
            Measure::Gpu,
            "gpu_ratio",
            "Use of GPUs: 1 is one GPU wholly in use.",
        ),
        (
            Measure::GpuMemoryBytes,
            "gpu_memory_bytes",
            "Memory in use on GPUs.",
        ),
    ];
    for (measure, name, help) in gauges {
        if let Some(value) = usage.values.get(measure) {
            text.gauge(&format!("{noun}_{name}"), help, labels, value);
        }
    }
    let Totals {
        cpu_us,
        throttled_us,
        received_bytes,
        sent_bytes,
        received_packets,
        sent_packets,
        read_bytes,
        written_bytes,
        reads,
        writes,
    } = usage.totals;
    text.counter(
        &format!("{noun}_cpu_seconds_total"),
        "CPU time used.",
        labels,
        seconds(cpu_us),
    );
    text.counter(
        &format!("{noun}_throttled_seconds_total"),
        "Time in which the CPU limit held something back.",
        labels,
        seconds(throttled_us),
    );
    let counters = [
        (
            "network_received_bytes_total",
            "Bytes received.",
            received_bytes,
        ),
        ("network_sent_bytes_total", "Bytes sent.", sent_bytes),
        (
            "network_received_packets_total",
            "Packets received.",
            received_packets,
        ),
        ("network_sent_packets_total", "Packets sent.", sent_packets),
        (
            "disk_read_bytes_total",
            "Bytes read from disks.",
            read_bytes,
        ),
        (
            "disk_written_bytes_total",
            "Bytes written to disks.",
            written_bytes,
        ),
        ("disk_reads_total", "Reads from disks.", reads),
        ("disk_writes_total", "Writes to disks.", writes),
    ];
    for (name, help, value) in counters {
        text.counter(&format!("{noun}_{name}"), help, labels, value);
    }
}

/// Microseconds as Prometheus' unit.
fn seconds(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}

/// The text, one family after the other whatever the order in which samples came.
#[derive(Default)]
struct Text {
    families: BTreeMap<String, String>,
}

impl Text {
    fn gauge(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, String)],
        value: impl std::fmt::Display,
    ) {
        self.sample("gauge", name, help, labels, &value);
    }

    fn counter(
        &mut self,
        name: &str,
        help: &str,
        labels: &[(&str, String)],
        value: impl std::fmt::Display,
    ) {
        self.sample("counter", name, help, labels, &value);
    }

    fn sample(
        &mut self,
        kind: &str,
        name: &str,
        help: &str,
        labels: &[(&str, String)],
        value: &dyn std::fmt::Display,
    ) {
        let family = self.families.entry(name.to_owned());
        let family =
            family.or_insert_with(|| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        let inner: Vec<String> = labels
            .iter()
            .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
            .collect();
        let inner = inner.join(",");
        let braces = if inner.is_empty() {
            inner
        } else {
            format!("{{{inner}}}")
        };
        // Writing to a string cannot fail.
        let _ = writeln!(family, "{name}{braces} {value}");
    }

    fn finish(self) -> String {
        self.families.into_values().collect()
    }
}

/// A label's value: names are plain, but a door never relies on that.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_a_family_stand_together_and_labels_cannot_break_out() {
        let mut text = Text::default();
        let evil = [("vnode", "a\"} 1\nfake 2".to_owned())];
        text.gauge("b", "Second.", &[], 1);
        text.counter("a", "First.", &evil, 2.5);
        text.gauge("b", "Second.", &evil, 3);
        let expected = "# HELP a First.\n# TYPE a counter\na{vnode=\"a\\\"} 1\\nfake 2\"} 2.5\n\
            # HELP b Second.\n# TYPE b gauge\nb 1\nb{vnode=\"a\\\"} 1\\nfake 2\"} 3\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn every_measured_name_is_documented() {
        let mut text = Text::default();
        let mut usage = Usage::default();
        for measure in Measure::ALL {
            usage.values.set(measure, 1.0);
        }
        for noun in ["docklet_worker", "docklet_vnode"] {
            used(&mut text, noun, &[], &usage);
        }
        let now = GpuNow {
            gpu: docklet_control::model::Gpu {
                uuid: "GPU-a".to_owned(),
                model: "A100".to_owned(),
                memory_mib: docklet_control::amount::MemoryMib(1),
            },
            problem: None,
            vnode: None,
            used: Some(1.0),
            memory_bytes: Some(1),
            temperature_c: Some(1),
            power_w: Some(1.0),
        };
        of_gpu(&mut text, &docklet_control::State::default(), "w1", &now);
        assert_eq!(
            text.families
                .keys()
                .filter(|name| name.starts_with("docklet_gpu_"))
                .count(),
            6
        );
        let documented = include_str!("../../docs/metrics.md");
        for name in text.families.keys() {
            let plain = name.replacen("docklet_worker", "docklet_NOUN", 1);
            let plain = plain.replacen("docklet_vnode", "docklet_NOUN", 1);
            assert!(documented.contains(&format!("`{plain}`")), "{name}");
        }
    }
}
