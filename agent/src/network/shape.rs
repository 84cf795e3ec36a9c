//! Limits of what a vnode sends and receives, on its end in the worker's namespace, where it cannot reach them.
//!
//! What it receives leaves through `dkh7`: a token bucket there is enough. What it sends comes in there, where the
//! kernel has no queue: it is turned to `dku7`, which has one, and goes on from there as if it had just come. So both
//! ways are slowed, not cut. Other ways are not everywhere: policing is an option of the kernel, and so is the filter
//! that takes all.

use docklet_control::assignment::AssignedVnode;
use docklet_control::id::VnodeId;
use docklet_control::model::{Bandwidth, KbitPerS};

use super::names::{self, host_device, upload_device};
use crate::command::run;
use crate::fault::AgentFault;

/// What may pass at once at least: the largest packet that the kernel hands over, 64 KiB.
const BURST_BYTES_MIN: u64 = 65_536;
/// What may pass at once otherwise, in fractions of a second: no less than the clock's ticks of a slow kernel.
const BURST_PER_S: u64 = 100;

/// Limits vnodes that were plugged in just now: nothing limits them yet.
///
/// # Errors
/// iproute2 or tc fail.
pub fn begin(vnodes: &[AssignedVnode]) -> Result<(), AgentFault> {
    let mut links = String::new();
    let mut queues = String::new();
    for vnode in vnodes {
        let (host, upload) = (host_device(vnode.id), upload_device(vnode.id));
        if let Some(rate) = vnode.bandwidth.received {
            queues += &bucket(&host, rate);
        }
        if let Some(rate) = vnode.bandwidth.sent {
            links += &add(&upload);
            queues += &turn(&host, &upload, rate);
        }
    }
    if !links.is_empty() {
        run("ip", &["-batch", "-"], &links)?;
    }
    if queues.is_empty() {
        return Ok(());
    }
    tc(&queues)?;
    let limited = vnodes.iter().flat_map(|vnode| {
        let Bandwidth { sent, received } = vnode.bandwidth;
        let received = received.map(|rate| (host_device(vnode.id), rate));
        received
            .into_iter()
            .chain(sent.map(|rate| (upload_device(vnode.id), rate)))
    });
    let limited: Vec<(String, KbitPerS)> = limited.collect();
    let named = limited
        .iter()
        .map(|(device, rate)| (device.as_str(), *rate));
    check(&named.collect::<Vec<_>>())
}

/// Limits a vnode that is plugged in, or lifts its limits.
///
/// # Errors
/// iproute2 or tc fail.
pub fn limit(id: VnodeId, bandwidth: Bandwidth) -> Result<(), AgentFault> {
    let (host, upload) = (host_device(id), upload_device(id));
    let present = names::devices()?;
    if !present.contains(&host) {
        // It stands still: its next start brings the limits.
        return Ok(());
    }
    receive(&host, bandwidth.received)?;
    match bandwidth.sent {
        Some(rate) => send(&host, &upload, rate, present.contains(&upload)),
        None if present.contains(&upload) => lift(&host, &upload),
        None => Ok(()),
    }
}

fn receive(host: &str, rate: Option<KbitPerS>) -> Result<(), AgentFault> {
    let shaped = run("tc", &["qdisc", "show", "dev", host, "root"], "")?.contains("qdisc tbf");
    match rate {
        Some(rate) => {
            tc(&bucket(host, rate))?;
            check(&[(host, rate)])
        }
        None if shaped => tc(&format!("qdisc del dev {host} root\n")),
        None => Ok(()),
    }
}

fn send(host: &str, upload: &str, rate: KbitPerS, made: bool) -> Result<(), AgentFault> {
    if !made {
        run("ip", &["-batch", "-"], &add(upload))?;
    }
    tc(&turn(host, upload, rate))?;
    check(&[(upload, rate)])
}

/// The device that what a vnode sends is turned to.
fn add(upload: &str) -> String {
    format!("link add {upload} type ifb\nlink set {upload} up\n")
}

/// Turns what a vnode sends to that device. The bucket stands before anything comes to it.
fn turn(host: &str, upload: &str, rate: KbitPerS) -> String {
    format!(
        "\
{}qdisc replace dev {host} ingress
filter replace dev {host} parent ffff: protocol all prio 1 handle 800::1 u32 match u32 0 0 \
action mirred egress redirect dev {upload}
",
        bucket(upload, rate)
    )
}

/// Makes sure that the kernel has the rates that were asked for.
fn check(wanted: &[(&str, KbitPerS)]) -> Result<(), AgentFault> {
    if wanted.is_empty() {
        return Ok(());
    }
    let told = run("tc", &["-j", "qdisc", "show"], "")?;
    let told: Vec<serde_json::Value> = serde_json::from_str(&told)?;
    for (device, rate) in wanted {
        let here = |queue: &&serde_json::Value| {
            queue["dev"].as_str() == Some(device) && queue["kind"].as_str() == Some("tbf")
        };
        let found = told.iter().find(here);
        let found = found.and_then(|queue| queue["options"]["rate"].as_u64());
        if found != Some(bytes_per_s(*rate)) {
            return Err(AgentFault::Limit {
                key: format!("bandwidth of {device} in bytes/s"),
                wanted: bytes_per_s(*rate).to_string(),
                found: found.map_or("none".to_owned(), |found| found.to_string()),
            });
        }
    }
    Ok(())
}

fn bytes_per_s(rate: KbitPerS) -> u64 {
    u64::from(rate.0) * 1_000 / 8
}

fn lift(host: &str, upload: &str) -> Result<(), AgentFault> {
    tc(&format!("qdisc del dev {host} ingress\n"))?;
    run("ip", &["link", "del", upload], "").map(|_| ())
}

/// A token bucket of this rate.
fn bucket(device: &str, rate: KbitPerS) -> String {
    let burst = BURST_BYTES_MIN.max(bytes_per_s(rate) / BURST_PER_S);
    format!(
        "qdisc replace dev {device} root tbf rate {rate}kbit burst {burst} latency 50ms\n",
        rate = rate.0
    )
}

fn tc(commands: &str) -> Result<(), AgentFault> {
    run("tc", &["-batch", "-"], commands).map(|_| ())
}
