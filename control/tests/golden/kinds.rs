//! How many kinds of each thing the code can write, and which of them were seen.

use std::collections::{BTreeMap, BTreeSet};

use docklet_control::account::command::AccountCommand;
use docklet_control::account::event::AccountEvent;
use docklet_control::account::refusal::AccountRefusal;
use docklet_control::acme::command::AcmeCommand;
use docklet_control::acme::event::AcmeEvent;
use docklet_control::audit::command::AuditCommand;
use docklet_control::audit::event::AuditEvent;
use docklet_control::bean::command::BeanCommand;
use docklet_control::bean::event::BeanEvent;
use docklet_control::bean::refusal::BeanRefusal;
use docklet_control::certificate::command::CertificateCommand;
use docklet_control::certificate::event::CertificateEvent;
use docklet_control::certificate::refusal::CertificateRefusal;
use docklet_control::command::Command;
use docklet_control::drain::command::DrainCommand;
use docklet_control::drain::event::DrainEvent;
use docklet_control::drill::command::DrillCommand;
use docklet_control::drill::event::DrillEvent;
use docklet_control::drill::refusal::DrillRefusal;
use docklet_control::event::Event;
use docklet_control::group::command::GroupCommand;
use docklet_control::group::event::GroupEvent;
use docklet_control::identity::command::IdentityCommand;
use docklet_control::identity::event::IdentityEvent;
use docklet_control::identity::refusal::IdentityRefusal;
use docklet_control::idle::command::IdleCommand;
use docklet_control::idle::event::IdleEvent;
use docklet_control::image::command::ImageCommand;
use docklet_control::image::event::ImageEvent;
use docklet_control::limit::command::LimitCommand;
use docklet_control::limit::event::LimitEvent;
use docklet_control::limit::refusal::LimitRefusal;
use docklet_control::model::Outcome;
use docklet_control::moves::command::MoveCommand;
use docklet_control::moves::event::MoveEvent;
use docklet_control::moves::refusal::MoveRefusal;
use docklet_control::notice::bug::{BugCommand, BugEvent};
use docklet_control::notice::command::NoticeCommand;
use docklet_control::notice::event::NoticeEvent;
use docklet_control::notice::mail::{MailCommand, MailEvent};
use docklet_control::notice::refusal::NoticeRefusal;
use docklet_control::quota::command::QuotaCommand;
use docklet_control::quota::event::QuotaEvent;
use docklet_control::quota::refusal::QuotaRefusal;
use docklet_control::rebalance::command::RebalanceCommand;
use docklet_control::rebalance::event::RebalanceEvent;
use docklet_control::rebalance::refusal::RebalanceRefusal;
use docklet_control::rows::Table;
use docklet_control::schedule::command::ScheduleCommand;
use docklet_control::schedule::event::ScheduleEvent;
use docklet_control::service::command::ServiceCommand;
use docklet_control::service::event::ServiceEvent;
use docklet_control::setting::command::SettingCommand;
use docklet_control::snapshot::command::SnapshotCommand;
use docklet_control::snapshot::event::SnapshotEvent;
use docklet_control::snapshot::refusal::SnapshotRefusal;
use docklet_control::template::command::TemplateCommand;
use docklet_control::template::event::TemplateEvent;
use docklet_control::terminal::command::TerminalCommand;
use docklet_control::terminal::event::TerminalEvent;
use docklet_control::trash::command::TrashCommand;
use docklet_control::trash::event::TrashEvent;
use docklet_control::{Applied, Entry, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// No enumeration has more.
const KINDS_MAX: u8 = 120;

/// How many there are, by what they are kinds of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds(BTreeMap<String, usize>);

impl Kinds {
    /// Counts them by asking the decoder which numbers it knows.
    pub fn of_this_code() -> Self {
        let counts = [
            ("commands", count::<Command>()),
            ("drill-commands", count::<DrillCommand>()),
            ("image-commands", count::<ImageCommand>()),
            ("snapshot-commands", count::<SnapshotCommand>()),
            ("limit-commands", count::<LimitCommand>()),
            ("group-commands", count::<GroupCommand>()),
            ("schedule-commands", count::<ScheduleCommand>()),
            ("move-commands", count::<MoveCommand>()),
            ("drain-commands", count::<DrainCommand>()),
            ("rebalance-commands", count::<RebalanceCommand>()),
            ("quota-commands", count::<QuotaCommand>()),
            ("account-commands", count::<AccountCommand>()),
            ("template-commands", count::<TemplateCommand>()),
            ("audit-commands", count::<AuditCommand>()),
            ("setting-commands", count::<SettingCommand>()),
            ("trash-commands", count::<TrashCommand>()),
            ("idle-commands", count::<IdleCommand>()),
            ("notice-commands", count::<NoticeCommand>()),
            ("mail-commands", count::<MailCommand>()),
            ("bug-commands", count::<BugCommand>()),
            ("bean-commands", count::<BeanCommand>()),
            ("service-commands", count::<ServiceCommand>()),
            ("terminal-commands", count::<TerminalCommand>()),
            ("identity-commands", count::<IdentityCommand>()),
            ("acme-commands", count::<AcmeCommand>()),
            ("certificate-commands", count::<CertificateCommand>()),
            ("events", count::<Event>()),
            ("drill-events", count::<DrillEvent>()),
            ("image-events", count::<ImageEvent>()),
            ("snapshot-events", count::<SnapshotEvent>()),
            ("limit-events", count::<LimitEvent>()),
            ("group-events", count::<GroupEvent>()),
            ("schedule-events", count::<ScheduleEvent>()),
            ("move-events", count::<MoveEvent>()),
            ("drain-events", count::<DrainEvent>()),
            ("rebalance-events", count::<RebalanceEvent>()),
            ("quota-events", count::<QuotaEvent>()),
            ("account-events", count::<AccountEvent>()),
            ("template-events", count::<TemplateEvent>()),
            ("audit-events", count::<AuditEvent>()),
            ("trash-events", count::<TrashEvent>()),
            ("idle-events", count::<IdleEvent>()),
            ("notice-events", count::<NoticeEvent>()),
            ("mail-events", count::<MailEvent>()),
            ("bug-events", count::<BugEvent>()),
            ("bean-events", count::<BeanEvent>()),
            ("service-events", count::<ServiceEvent>()),
            ("terminal-events", count::<TerminalEvent>()),
            ("identity-events", count::<IdentityEvent>()),
            ("acme-events", count::<AcmeEvent>()),
            ("certificate-events", count::<CertificateEvent>()),
            ("refusals", count::<Refusal>()),
            ("drill-refusals", count::<DrillRefusal>()),
            ("snapshot-refusals", count::<SnapshotRefusal>()),
            ("limit-refusals", count::<LimitRefusal>()),
            ("move-refusals", count::<MoveRefusal>()),
            ("rebalance-refusals", count::<RebalanceRefusal>()),
            ("quota-refusals", count::<QuotaRefusal>()),
            ("account-refusals", count::<AccountRefusal>()),
            ("notice-refusals", count::<NoticeRefusal>()),
            ("bean-refusals", count::<BeanRefusal>()),
            ("identity-refusals", count::<IdentityRefusal>()),
            ("certificate-refusals", count::<CertificateRefusal>()),
            ("tables", Table::ALL.len()),
        ];
        Self(counts.map(|(of, count)| (of.to_owned(), count)).into())
    }

    pub fn write(&self) -> String {
        let counts = self.0.iter().map(|(of, count)| format!("{of}={count}"));
        counts.collect::<Vec<_>>().join(" ")
    }

    pub fn parse(text: &str) -> Self {
        let counts = text.split(' ').map(|part| {
            let (of, count) = part.split_once('=').expect("kinds are counted");
            (of.to_owned(), count.parse().expect("a count"))
        });
        Self(counts.collect())
    }
}

/// A number that is no kind gives another error than one whose fields are missing.
fn count<T: DeserializeOwned>() -> usize {
    let known = |number: &u8| {
        let read = postcard::from_bytes::<T>(&[*number]);
        !matches!(read, Err(postcard::Error::SerdeDeCustom))
    };
    let count = (0..KINDS_MAX).take_while(known).count();
    assert!(count > 1 && count < usize::from(KINDS_MAX), "{count} kinds");
    count
}

/// What was seen, by what it is a kind of.
#[derive(Clone, Debug, Default)]
pub struct Seen(BTreeMap<&'static str, BTreeSet<String>>);

impl Seen {
    pub fn entry(&mut self, entry: &Entry, applied: &Applied) {
        self.command(&entry.command);
        for event in &applied.change.events {
            self.one("events", &name(event));
            if let Event::Drill(drill) = event {
                self.one("drill-events", &name(drill));
            }
            if let Event::Image(image) = event {
                self.one("image-events", &name(image));
            }
            if let Event::Snapshot(snapshot) = event {
                self.one("snapshot-events", &name(snapshot));
            }
            if let Event::Limit(limit) = event {
                self.one("limit-events", &name(limit));
            }
            if let Event::Drain(drain) = event {
                self.one("drain-events", &name(drain));
            }
            if let Event::Rebalance(rebalance) = event {
                self.one("rebalance-events", &name(rebalance));
            }
            if let Event::Quota(quota) = event {
                self.one("quota-events", &name(quota));
            }
            if let Event::Account(account) = event {
                self.one("account-events", &name(account));
            }
            if let Event::Template(template) = event {
                self.one("template-events", &name(template));
            }
            if let Event::Terminal(terminal) = event {
                self.one("terminal-events", &name(terminal));
            }
            if let Event::Idle(idle) = event {
                self.one("idle-events", &name(idle));
            }
            if let Event::Trash(trashed) = event {
                self.one("trash-events", &name(trashed));
            }
            if let Event::Audit(audit) = event {
                self.one("audit-events", &name(audit));
            }
            if let Event::Notice(notice) = event {
                self.notice_event(notice);
            }
            if let Event::Identity(identity) = event {
                self.one("identity-events", &name(identity));
            }
            if let Event::Acme(acme) = event {
                self.one("acme-events", &name(acme));
            }
            if let Event::Certificate(certificate) = event {
                self.one("certificate-events", &name(certificate));
            }
            if let Event::Bean(bean) = event {
                self.one("bean-events", &name(bean));
            }
            if let Event::Service(service) = event {
                self.one("service-events", &name(service));
            }
            if let Event::Moved(moved) = event {
                self.one("move-events", &name(moved));
            }
            if let Event::Schedule(schedule) = event {
                self.one("schedule-events", &name(schedule));
            }
            if let Event::Group(group) = event {
                self.one("group-events", &name(group));
            }
        }
        if let Outcome::Refused(refusal) = &applied.receipt.outcome {
            self.one("refusals", refusal.code());
        }
    }

    pub fn command(&mut self, command: &Command) {
        self.one("commands", &name(command));
        if let Command::Drill(drill) = command {
            self.one("drill-commands", &name(drill));
        }
        if let Command::Image(image) = command {
            self.one("image-commands", &name(image));
        }
        if let Command::Snapshot(snapshot) = command {
            self.one("snapshot-commands", &name(snapshot));
        }
        if let Command::Limit(limit) = command {
            self.one("limit-commands", &name(limit));
        }
        if let Command::Drain(drain) = command {
            self.one("drain-commands", &name(drain));
        }
        if let Command::Rebalance(rebalance) = command {
            self.one("rebalance-commands", &name(rebalance));
        }
        if let Command::Quota(quota) = command {
            self.one("quota-commands", &name(quota));
        }
        if let Command::Account(account) = command {
            self.one("account-commands", &name(account));
        }
        if let Command::Template(template) = command {
            self.one("template-commands", &name(template));
        }
        if let Command::Terminal(terminal) = command {
            self.one("terminal-commands", &name(terminal));
        }
        if let Command::Setting(setting) = command {
            self.one("setting-commands", &name(setting));
        }
        if let Command::Idle(idle) = command {
            self.one("idle-commands", &name(idle));
        }
        if let Command::Trash(trashed) = command {
            self.one("trash-commands", &name(trashed));
        }
        if let Command::Audit(audit) = command {
            self.one("audit-commands", &name(audit));
        }
        if let Command::Notice(notice) = command {
            self.notice_command(notice);
        }
        if let Command::Identity(identity) = command {
            self.one("identity-commands", &name(identity));
        }
        if let Command::Acme(acme) = command {
            self.one("acme-commands", &name(acme));
        }
        if let Command::Certificate(certificate) = command {
            self.one("certificate-commands", &name(certificate));
        }
        if let Command::Bean(bean) = command {
            self.one("bean-commands", &name(bean));
        }
        if let Command::Service(service) = command {
            self.one("service-commands", &name(service));
        }
        if let Command::Move(moving) = command {
            self.one("move-commands", &name(moving));
        }
        if let Command::Schedule(schedule) = command {
            self.one("schedule-commands", &name(schedule));
        }
        if let Command::Group(group) = command {
            self.one("group-commands", &name(group));
        }
    }

    fn notice_command(&mut self, command: &NoticeCommand) {
        self.one("notice-commands", &name(command));
        if let NoticeCommand::Mail(mail) = command {
            self.one("mail-commands", &name(mail));
        }
        if let NoticeCommand::Bug(bug) = command {
            self.one("bug-commands", &name(bug));
        }
    }

    fn notice_event(&mut self, event: &NoticeEvent) {
        self.one("notice-events", &name(event));
        if let NoticeEvent::Mail(mail) = event {
            self.one("mail-events", &name(mail));
        }
        if let NoticeEvent::Bug(bug) = event {
            self.one("bug-events", &name(bug));
        }
    }

    pub fn table(&mut self, number: u8) {
        self.one("tables", &number.to_string());
    }

    fn one(&mut self, of: &'static str, name: &str) {
        self.0.entry(of).or_default().insert(name.to_owned());
    }

    pub fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// Of what not every kind was seen, with those that were. Not all refusals can be told in a story.
    pub fn missing(&self, kinds: &Kinds) -> Vec<String> {
        let told = kinds.0.iter().filter(|(of, _)| !of.ends_with("refusals"));
        let lacking = told.filter_map(|(of, count)| {
            let seen = self.0.get(of.as_str()).cloned().unwrap_or_default();
            (seen.len() != *count).then(|| format!("{count} {of}, seen are {seen:?}"))
        });
        lacking.collect()
    }
}

/// The name of an enumeration's variant, as JSON has it.
fn name<T: Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).expect("commands and events are plain data");
    let with_fields = || value.as_object().and_then(|fields| fields.keys().next());
    let name = value.as_str().or_else(|| Some(with_fields()?));
    name.expect("a variant has a name").to_owned()
}
