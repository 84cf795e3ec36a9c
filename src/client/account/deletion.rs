//! Deleting an account.

use docklet_control::model::kept::KeptKind;
use docklet_control::view::account::UserView;
use docklet_control::view::kept::KeptView;
use reqwest::Method;
use serde_json::Value;

use super::super::connection::Connection;
use super::super::output::{instant, print_receipt, remark};
use super::path;
use crate::cli::Outcome;
use crate::exit::{Class, Failure};

/// Says until when it can be undone. With `--wait` and `--now` it waits until the account is gone.
pub(super) async fn delete(
    connection: &Connection,
    name: &str,
    (with_data, now): (bool, bool),
    outcome: Outcome,
) -> anyhow::Result<()> {
    let path = format!("{}?with_data={with_data}&now={now}", path(name)?);
    let receipt = connection
        .receipt(Method::DELETE, &path, &Value::Null)
        .await?;
    let kept: Vec<KeptView> = connection.get("/deleted").await?;
    let is_it = |kept: &&KeptView| kept.kind == KeptKind::Account && kept.name == name;
    let kept = kept.iter().find(is_it);
    if let Some(kept) = kept {
        let until = instant(kept.until);
        remark(&format!(
            "until {until} UTC it can be undone: docklet trash restore {name} --kind account"
        ));
    } else if let Some(limit) = outcome.wait.limit() {
        let gone = connection.until(receipt.index, async || {
            let users: Vec<UserView> = connection.list("/users").await?;
            let there = users.iter().any(|user| user.name == name);
            Ok((!there).then_some(()))
        });
        let late = |_| {
            let text = format!(
                "{name} is still being deleted: its workers have not said yet that nothing is left"
            );
            Failure::new(Class::Unavailable, text)
        };
        tokio::time::timeout(limit, gone).await.map_err(late)??;
    }
    print_receipt(outcome.print.format, &receipt)
}
