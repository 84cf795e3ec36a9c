//! A state of 200,000 vnodes with a million entries behind it: restart, memory, snapshots.

use docklet_chaos_tests::report::Figure;

pub async fn figures() -> anyhow::Result<Vec<Figure>> {
    Ok(Vec::new())
}
