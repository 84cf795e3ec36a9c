//! `docklet worker gpus`.

use std::process::ExitCode;

use docklet_control::meter::{HeldGpu, WorkerGpus};

use super::connection::Connection;
use super::output::{Rows, print, remark};
use super::usage::bytes;
use crate::cli::Print;

pub async fn list(connection: &Connection, format: Print) -> anyhow::Result<ExitCode> {
    let workers: Vec<WorkerGpus> = connection.get("/workers/gpus").await?;
    for worker in &workers {
        if let Some(problem) = &worker.problem {
            remark(&format!("Worker {}: {problem}.", worker.worker));
        }
    }
    print(format.format, &workers, |workers| rows(workers))?;
    Ok(ExitCode::SUCCESS)
}

fn rows(workers: &[WorkerGpus]) -> Rows {
    let mut rows = Rows::new(&[
        "worker", "gpu", "model", "memory", "in use", "used", "celsius", "watts", "vnode",
        "problem",
    ]);
    for worker in workers {
        for held in &worker.gpus {
            rows.add(row(&worker.worker, held));
        }
    }
    rows
}

fn row(worker: &str, held: &HeldGpu) -> [String; 10] {
    let now = &held.now;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let used_bytes = now.memory_bytes.map(|used| bytes(used as f64));
    [
        worker.to_owned(),
        now.gpu.uuid.clone(),
        now.gpu.model.clone(),
        bytes(f64::from(now.gpu.memory_mib.0) * 1_048_576.0),
        or_dash(used_bytes),
        or_dash(now.used.map(|part| format!("{:.0} %", part * 100.0))),
        or_dash(now.temperature_c.map(|celsius| celsius.to_string())),
        or_dash(now.power_w.map(|watts| format!("{watts:.0}"))),
        or_dash(held.holder.clone()),
        or_dash(now.problem.clone()),
    ]
}
