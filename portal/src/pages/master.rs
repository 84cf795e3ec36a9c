//! Masters, for admins.

use axum::extract::State;
use docklet_control::model::Master;
use docklet_control::permit;
use docklet_raft::{MemberStatus, RaftStatus};
use maud::{Markup, html};

use super::Page;
use crate::asker::Asker;
use crate::problem::Problem;
use crate::serve::Portal;

pub(crate) async fn list(State(portal): State<Portal>, asker: Asker) -> Result<Markup, Problem> {
    permit::admin(&asker.frozen.state, asker.actor(), "list masters")?;
    let body = html! {
        h1 { "Masters" }
        (table(&portal, &asker))
        p.hint { "Writes need a majority of the voters. A master is added with " code { "docklet token create --role master" } " here and " code { "docklet master join TOKEN" } " there." }
    };
    let live = Some("/live/masters".to_owned());
    Ok(Page {
        title: "Masters",
        asker: &asker,
        live,
        script: None,
    }
    .render(body))
}

pub(crate) fn fragments(portal: &Portal, asker: &Asker) -> Vec<(String, Markup)> {
    match permit::admin(&asker.frozen.state, asker.actor(), "list masters") {
        Ok(_) => vec![("masters".to_owned(), table(portal, asker))],
        Err(_) => Vec::new(),
    }
}

fn table(portal: &Portal, asker: &Asker) -> Markup {
    let raft = portal.master.status();
    let masters = &asker.frozen.state.masters;
    let leader = raft.leader.and_then(|id| masters.get(&id));
    html! {
        div #masters {
            dl.facts {
                div { dt { "Leader" } dd { (leader.map_or("election under way", |m| m.name.as_str())) } }
                div { dt { "Term" } dd { (raft.term) } }
                div { dt { "Served by" } dd { (portal.name) " (" (raft.role) ")" } }
            }
            table {
                thead { tr { th { "Master" } th { "Role" } th { "Lag" } th { "Last heard" } th { "Cluster address" } th { "Public address" } } }
                tbody { @for master in masters.values() { (row(&raft, master)) } }
            }
        }
    }
}

fn row(raft: &RaftStatus, master: &Master) -> Markup {
    let member = raft.members.iter().find(|member| member.id == master.id);
    let leads = raft.leader == Some(master.id);
    // Which milliseconds exactly matters to nobody, and would make every look a new fragment.
    let heard = member
        .and_then(|member| member.heard_ms_ago)
        .map(|ms| ms / 1_000);
    html! {
        tr data-master=(master.name) {
            td data-label="Master" { (master.name) }
            td data-label="Role" { (role(member, leads)) }
            td data-label="Lag" { (lag(raft, member, leads)) }
            td data-label="Last heard" {
                @match heard {
                    _ if leads => "leads",
                    Some(0) => "now",
                    Some(s) => { "for " (s) " s silent" }
                    None => "—",
                }
            }
            td data-label="Cluster address" { code { (master.cluster_addr) } }
            td data-label="Public address" { code { (master.public_addr) } }
        }
    }
}

fn role(member: Option<&MemberStatus>, leads: bool) -> &'static str {
    match member {
        _ if leads => "leader",
        Some(member) if member.voter => "voter",
        Some(_) => "learner",
        None => "not a member yet",
    }
}

/// Known by the leader only.
fn lag(raft: &RaftStatus, member: Option<&MemberStatus>, leads: bool) -> String {
    match member.and_then(|member| member.matched) {
        _ if leads => "—".to_owned(),
        Some(matched) => match raft.last_log.0.saturating_sub(matched.0) {
            0..=5 => "none".to_owned(),
            lag => format!("{lag} entries"),
        },
        None => "—".to_owned(),
    }
}
