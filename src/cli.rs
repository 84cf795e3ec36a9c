//! The command line: noun, verb.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use docklet_control::model::ClusterVersion;
use tokio::runtime::{Builder, Runtime};

use crate::client::output::Format;
use crate::{client, dev, image, role};

const EXIT_CODES: &str = "\
Exit codes:
  1  something broke, or something was found to do
  2  the request is wrong in itself
  3  there is no such thing
  4  the state does not allow it now
  5  not logged in, or not allowed
  6  no master or no quorum answers
  7  --wait ran out of time; what was asked for stands
  8  this machine's master was removed from its cluster
  9  this program is too old to be a master of its cluster";

/// Private clusters on shared machines.
#[derive(Parser)]
#[command(name = "docklet", version, about, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// Which cluster is meant: a name that `context list` shows, else that of DOCKLET_CONTEXT, else the one that is used
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    #[command(subcommand)]
    command: Command,
}

// Of each command, here and below, clap learns only when it is called: all of them together took 2 of the 5 ms that the program
// takes to begin. What groups of arguments are for is no docstring, as it would stand for what the command is for.
#[derive(Subcommand)]
#[command(defer = true)]
enum Command {
    /// Three masters, two workers and a portal on this machine
    #[command(subcommand)]
    Dev(dev::Command),
    /// Log in to a cluster and remember it
    Login(client::login::Login),
    /// Clusters that one is logged in to, by names of one's own
    #[command(subcommand)]
    Context(client::contexts::Command),
    /// Show how the cluster is
    Status(Print),
    /// Vclusters
    #[command(subcommand)]
    Vc(client::vc::Command),
    /// Single vnodes: what one uses
    #[command(subcommand)]
    Vnode(client::vnode::Command),
    /// Run a program in a vnode
    Exec(client::exec::Exec),
    /// Copy files between this machine and a vnode
    Cp(client::files::copy::Copy),
    /// Log in to a vnode by ssh, through the cluster
    Ssh(client::ssh::Ssh),
    /// Files of vnodes: list, move, delete; `cp` copies them
    #[command(subcommand)]
    Files(client::files::Command),
    /// Tell why vnodes are where they are, or wait, and what would help
    Explain(client::explain::Explain),
    /// Tell what would come of something, without doing it
    #[command(subcommand)]
    WhatIf(client::what_if::Command),
    /// Even out how workers are loaded, by moving vnodes; for admins
    Rebalance(client::rebalance::Rebalance),
    /// Open a terminal in a vnode
    Shell(client::shell::Shell),
    /// Snapshots of vnodes: take, list, restore, delete, schedule
    #[command(subcommand)]
    Snapshot(client::snapshot::Command),
    /// Ports of vnodes: open to the outside, list, close
    #[command(subcommand)]
    Port(client::port::Command),
    /// Services of vnodes, which browsers open: add, list, share, remove
    #[command(subcommand)]
    Service(client::service::Command),
    /// Connect to ports of a vnode from here, through the cluster's public port
    PortForward(client::forward::PortForward),
    /// How much vnodes may send and receive
    #[command(subcommand)]
    Bandwidth(client::port::BandwidthCommand),
    /// Homes of people, `~/nfs` in their vnodes: what they may hold
    #[command(subcommand)]
    Home(client::home::Command),
    /// Masters: make, join, run, list
    #[command(subcommand)]
    Master(role::master::Command),
    /// Workers' agents: join, run
    #[command(subcommand)]
    Agent(role::agent::Command),
    /// Workers: list, how much disk may be promised
    #[command(subcommand)]
    Worker(client::machine::WorkerCommand),
    /// Invitations for machines
    #[command(subcommand, visible_alias = "join-token")]
    Token(client::machine::TokenCommand),
    /// Ask for an account, where a cluster lets strangers do so
    Register(client::account::Register),
    /// Accounts: yours, and for admins everybody's and requests for them
    #[command(subcommand)]
    User(client::account::Command),
    /// Logging in by an OpenID provider: set it, show it, let go of connections
    #[command(subcommand)]
    Oidc(client::identity::OidcCommand),
    /// Logging in by the PAM of the masters' machines; for admins
    #[command(subcommand)]
    Pam(client::identity::PamCommand),
    /// Where you are logged in: list, end
    #[command(subcommand)]
    Session(client::access::SessionCommand),
    /// Tokens for programs that work for you: make, list, revoke
    #[command(subcommand, visible_alias = "api-token")]
    AccessToken(client::access::TokenCommand),
    /// Groups of people: what they may have, and with whom images can be shared
    #[command(subcommand)]
    Group(client::group::Command),
    /// Notices: what you were told, and telling others something
    #[command(subcommand)]
    Notice(client::notice::Command),
    /// Mails: the server by which they go, and those that wait; for admins
    #[command(subcommand)]
    Mail(client::mail::Command),
    /// Certificates of the public listeners; for admins
    #[command(subcommand)]
    Tls(client::tls::Command),
    /// What you found wrong: tell it, and what was said to it
    #[command(subcommand)]
    Bug(client::bug::Command),
    /// How much people have and may have
    #[command(subcommand)]
    Quota(client::quota::Command),
    /// Beans: what vnodes cost, who has how many, and who gets some
    Beans(client::beans::Beans),
    /// Templates of vclusters: publish one, and make one of it for each member of a group
    #[command(subcommand)]
    Template(client::template::Command),
    /// Images: build, import, list, share, roll back, delete, …
    #[command(subcommand)]
    Image(image::Command),
    /// Write a backup of the cluster, or verify one
    Backup(client::backup::Command),
    /// Make a new cluster from a backup, with this machine as its first master
    Restore(role::anew::Restore),
    /// Look back: the state as it was, as far as you may see it, and what differs between two moments
    State(client::state::State),
    /// The audit trail: who asked for what from where, and what came of it; export and verify it
    #[command(subcommand)]
    Audit(client::audit::Command),
    /// Settings of the whole cluster: list, history, set, undo
    #[command(subcommand)]
    Setting(client::setting::Command),
    /// What was deleted: list, restore, delete for good
    #[command(subcommand)]
    Trash(client::trash::Command),
    /// Terminals that are shared by a link: list, revoke
    #[command(subcommand)]
    Share(client::share::Command),
    /// Tell how the cluster is, and what to do about what is not well; for operators and admins
    Doctor(client::health::Doctor),
    /// Follow what happens
    Events(client::events::Events),
    /// Break something on purpose, within bounds, and see what it costs
    #[command(subcommand)]
    Drill(client::drill::Command),
    /// Write a manual page for each command into a directory
    Man { directory: PathBuf },
    /// Print the document of the HTTP interface (OpenAPI), which masters also serve at /api/v1/openapi.json
    Api,
    /// Print a script by which a shell completes words; names come from the cluster: source <(docklet completion bash)
    Completion { shell: clap_complete::Shell },
}

// How data is printed.
#[derive(Args, Clone, Copy)]
pub struct Print {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

// Whether a command waits, and how long.
#[derive(Args, Clone, Copy)]
pub struct Wait {
    /// Wait until all is as wanted
    #[arg(long)]
    wait: bool,
    /// Seconds to wait at most
    #[arg(long, default_value_t = 120, requires = "wait")]
    timeout_s: u64,
}

impl Wait {
    /// How long to wait; none if the command ends at once.
    pub fn limit(self) -> Option<Duration> {
        self.wait.then(|| Duration::from_secs(self.timeout_s))
    }
}

// What a change prints: its receipt at once, or what came of it.
#[derive(Args, Clone, Copy)]
pub struct Outcome {
    #[command(flatten)]
    pub wait: Wait,
    #[command(flatten)]
    pub print: Print,
}

// Where a role keeps its files.
#[derive(Args, Clone)]
pub struct Dir {
    /// Directory of this master's or agent's files
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

/// For `token create`.
#[derive(Clone, Copy, ValueEnum)]
pub enum MachineRole {
    Master,
    Agent,
}

impl Cli {
    /// Whether this process is to stay and serve.
    pub fn is_daemon(&self) -> bool {
        matches!(
            self.command,
            Command::Master(role::master::Command::Run(_))
                | Command::Agent(role::agent::Command::Run(_))
        )
    }

    /// What runs the command. One that asks a master and is done with it is done sooner without threads.
    ///
    /// # Errors
    /// The machine has no room for it.
    pub fn runtime(&self) -> std::io::Result<Runtime> {
        let brief = matches!(
            self.command,
            Command::Status(_) | Command::Vc(_) | Command::Vnode(_) | Command::Exec(_)
        );
        if brief {
            Builder::new_current_thread().enable_all().build()
        } else {
            Runtime::new()
        }
    }
}

/// Runs the command.
pub async fn run(cli: Cli, knows: ClusterVersion) -> anyhow::Result<ExitCode> {
    client::context::choose(cli.context)?;
    match cli.command {
        Command::Context(command) => client::contexts::run(command),
        Command::Ssh(ask) => client::ssh::run(ask).await,
        Command::Dev(command) => dev::run(command).await,
        Command::Login(login) => client::login::run(login).await,
        Command::Status(print) => client::machine::status(print).await,
        Command::Vc(command) => client::vc::run(command).await,
        Command::Vnode(command) => client::vnode::run(command).await,
        Command::Exec(exec) => client::exec::run(exec).await,
        Command::Cp(copy) => client::files::copy::run(copy).await,
        Command::Files(command) => client::files::run(command).await,
        Command::Shell(shell) => client::shell::run(shell).await,
        Command::Snapshot(command) => client::snapshot::run(command).await,
        Command::Port(command) => client::port::run(command).await,
        Command::Service(command) => client::service::run(command).await,
        Command::PortForward(ask) => client::forward::run(ask).await,
        Command::Bandwidth(command) => client::port::bandwidth(command).await,
        Command::Home(command) => client::home::run(command).await,
        Command::Master(command) => role::master::run(command, knows).await,
        Command::Agent(command) => role::agent::run(command).await,
        Command::Worker(command) => client::machine::worker(command).await,
        Command::Token(command) => client::machine::token(command).await,
        Command::Register(ask) => client::account::register(ask).await,
        Command::User(command) => client::account::run(command).await,
        Command::Oidc(command) => client::identity::oidc(command).await,
        Command::Pam(command) => client::identity::pam(command).await,
        Command::Session(command) => client::access::session(command).await,
        Command::AccessToken(command) => client::access::token(command).await,
        Command::Group(command) => client::group::run(command).await,
        Command::Beans(beans) => client::beans::run(beans).await,
        Command::Template(command) => client::template::run(command).await,
        Command::Audit(command) => client::audit::run(command).await,
        Command::Trash(command) => client::trash::run(command).await,
        Command::Share(command) => client::share::run(command).await,
        Command::Setting(command) => client::setting::run(command).await,
        Command::Notice(command) => client::notice::run(command).await,
        Command::Mail(command) => client::mail::run(command).await,
        Command::Tls(command) => client::tls::run(command).await,
        Command::Bug(command) => client::bug::run(command).await,
        Command::Explain(explain) => client::explain::run(explain).await,
        Command::WhatIf(command) => client::what_if::run(command).await,
        Command::Quota(command) => client::quota::run(command).await,
        Command::Rebalance(ask) => client::rebalance::run(ask).await,
        Command::Image(command) => image::run(command).await,
        Command::Backup(command) => client::backup::run(command).await,
        Command::Restore(ask) => role::anew::restore(ask).await,
        Command::State(state) => client::state::run(state).await,
        Command::Doctor(ask) => client::health::run(ask).await,
        Command::Events(events) => client::events::run(events).await,
        Command::Drill(command) => client::drill::run(command).await,
        Command::Man { directory } => {
            std::fs::create_dir_all(&directory)?;
            clap_mangen::generate_to(Cli::command(), &directory)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Api => {
            client::output::line(docklet_portal::openapi_document().trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Command::Completion { shell } => {
            client::output::line(client::names::script(shell)?.trim_end());
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap finds names that are in use twice, and the like, only when a command is called.
    #[test]
    fn every_command_can_be_parsed() {
        Cli::command().debug_assert();
    }

    /// What a group of arguments says of itself would stand in the place of what the command says.
    #[test]
    fn commands_say_themselves_what_they_are_for() {
        fn differing(before: &clap::Command, built: &clap::Command, found: &mut Vec<String>) {
            for below in before.get_subcommands() {
                let name = below.get_name();
                let after = built.find_subcommand(name).expect("it is there");
                if below.get_about() != after.get_about() {
                    found.push(format!("{} {name}", before.get_name()));
                }
                differing(below, after, found);
            }
        }
        let mut built = Cli::command();
        built.build();
        let mut found = Vec::new();
        differing(&Cli::command(), &built, &mut found);
        assert_eq!(found, [""; 0]);
    }
}
