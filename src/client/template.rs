//! Templates: what vclusters of many people are made of.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use docklet_control::view::TemplateView;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::connection::Connection;
use super::name;
use super::output::{Rows, instant, print, print_receipt};
use super::recipe::Recipe;
use crate::cli::Print;
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// List the templates that you may make something of
    List(Print),
    /// Show one
    Show {
        template: String,
        #[command(flatten)]
        print: Print,
    },
    /// Publish one, in the place of your own of that name: for everybody, by operators; for a group, by its managers
    Publish(Publish),
    /// Take one back; what was made of it stays
    Withdraw {
        template: String,
        /// For good, without the time in which `docklet trash restore` undoes it
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Make a vcluster of one: for yourself, or one for each member of a group that you manage
    Clone(CloneOf),
}

#[derive(Args)]
#[command(allow_negative_numbers = true)]
pub struct Publish {
    template: String,
    /// For whom it is; everybody if absent
    #[arg(long)]
    group: Option<String>,
    /// One line for people
    #[arg(long, default_value = "")]
    description: String,
    #[command(flatten)]
    recipe: Recipe,
    #[command(flatten)]
    print: Print,
}

#[derive(Args)]
pub struct CloneOf {
    template: String,
    /// What the vcluster is called [default: as the template]
    #[arg(long = "as", value_name = "NAME")]
    name: Option<String>,
    /// One for each of its members; who has a vcluster of that name keeps it as it is
    #[arg(long)]
    group: Option<String>,
    /// For this member only; may be given several times
    #[arg(long, requires = "group")]
    user: Vec<String>,
    #[command(flatten)]
    print: Print,
}

/// What became of one member's.
#[derive(Deserialize, Serialize)]
struct Made {
    user: String,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::List(ask) => {
            let templates: Vec<TemplateView> = connection.get("/templates").await?;
            print(ask.format, &templates, |templates| table(templates))?;
        }
        Command::Show {
            template,
            print: ask,
        } => {
            let found: TemplateView = connection.get(&path(&template)?).await?;
            print(ask.format, &found, |found| {
                table(std::slice::from_ref(found))
            })?;
        }
        Command::Publish(publish) => {
            let body = json!({
                "description": publish.description,
                "group": publish.group,
                "recipe": publish.recipe.body(),
            });
            let path = path(&publish.template)?;
            let receipt = connection.receipt(Method::PUT, &path, &body).await?;
            print_receipt(publish.print.format, &receipt)?;
        }
        Command::Withdraw {
            template,
            now,
            print,
        } => {
            let path = format!("{}?now={now}", path(&template)?);
            let receipt = connection
                .receipt(Method::DELETE, &path, &Value::Null)
                .await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Clone(clone) => return run_clone(&connection, clone).await,
    }
    Ok(ExitCode::SUCCESS)
}

fn path(template: &str) -> anyhow::Result<String> {
    Ok(format!("/templates/{}", name("template", template)?))
}

fn table(templates: &[TemplateView]) -> Rows {
    let mut rows = Rows::new(&[
        "name",
        "for",
        "vnodes",
        "image",
        "CPU",
        "memory",
        "by",
        "published",
        "description",
    ]);
    for template in templates {
        let image = if template.usable {
            template.image.clone()
        } else {
            format!("{} (not yours to use)", template.image)
        };
        rows.add([
            template.name.clone(),
            template
                .group
                .clone()
                .unwrap_or_else(|| "everybody".to_owned()),
            template.vnodes.to_string(),
            image,
            template.size.cpu_milli.0.to_string(),
            template.size.memory_mib.0.to_string(),
            template.by.clone(),
            instant(template.published_at),
            template.description.clone(),
        ]);
    }
    rows
}

async fn run_clone(connection: &Connection, clone: CloneOf) -> anyhow::Result<ExitCode> {
    let path = path(&clone.template)?;
    let Some(group) = &clone.group else {
        let body = json!({"name": clone.name});
        let receipt = connection
            .receipt(Method::POST, &format!("{path}/clone"), &body)
            .await?;
        print_receipt(clone.print.format, &receipt)?;
        return Ok(ExitCode::SUCCESS);
    };
    let users = (!clone.user.is_empty()).then_some(&clone.user);
    let body = json!({"name": clone.name, "group": group, "users": users});
    let made: Vec<Made> = connection
        .change(Method::POST, &format!("{path}/clones"), &body)
        .await?;
    print(clone.print.format, &made, |made| {
        let mut rows = Rows::new(&["user", "result", "reason"]);
        for one in made {
            let reason = one.reason.clone().unwrap_or_default();
            rows.add([one.user.clone(), one.outcome.clone(), reason]);
        }
        rows
    })?;
    let refused = made.iter().filter(|one| one.outcome == "refused").count();
    if refused == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let message = format!(
        "{refused} of {} got none: the table says why; asking again makes what is missing and nothing twice",
        made.len()
    );
    Err(Failure::new(Class::Conflict, message).into())
}
