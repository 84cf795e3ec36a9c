//! Accounts: asking for one, and what their people and admins do with them.

mod deletion;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use docklet_control::id::LogIndex;
use docklet_control::model::Role;
use docklet_control::model::account::{Profile, Standing};
use docklet_control::view::account::{ApplicationView, UserView};
use reqwest::Method;
use serde_json::{Value, json};

use super::connection::{Connection, http_client, refusal, unreachable};
use super::login::{password, read_certificate, refuse_no_server};
use super::name;
use super::operation;
use super::output::{Rows, instant, print, print_receipt, remark};
use crate::cli::{Outcome, Print};
use crate::exit::{Class, Failure};

/// Ask for an account, where a cluster lets strangers do so.
#[derive(Args)]
pub struct Register {
    /// A master's public address, as https://host:port; may be given several times
    #[arg(long = "server", required = true)]
    servers: Vec<String>,
    /// File with the cluster's authority certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// What you would be called
    #[arg(long)]
    user: String,
    /// File with the password; asked for if absent
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    #[arg(long)]
    real_name: String,
    #[arg(long)]
    mail: String,
    /// Where you belong
    #[arg(long, default_value = "")]
    affiliation: String,
    /// What you want it for
    #[arg(long)]
    reason: String,
}

pub async fn register(ask: Register) -> anyhow::Result<ExitCode> {
    let ca_pem = ask.ca.as_deref().map(read_certificate).transpose()?;
    for server in &ask.servers {
        refuse_no_server(server)?;
    }
    let body = json!({
        "name": ask.user,
        "password": password(ask.password_file.as_deref())?,
        "real_name": ask.real_name,
        "mail": ask.mail,
        "affiliation": ask.affiliation,
        "reason": ask.reason,
    });
    let client = http_client(ca_pem.as_deref())?;
    let mut last = Failure::new(
        Class::Invalid,
        "no server was given: name one with --server",
    );
    let address = operation::address(&Method::POST, "/register");
    for server in &ask.servers {
        let request = client.post(format!("{server}{address}"));
        match request.json(&body).send().await {
            Ok(response) if response.status().is_success() => {
                remark("Your request is noted. An admin decides; log in to see how it stands.");
                return Ok(ExitCode::SUCCESS);
            }
            // Whether it was taken is not known: the name says so to whoever asks again.
            Ok(response) => return Err(refusal(response).await.into()),
            Err(error) => last = unreachable(server, &error),
        }
    }
    Err(last.into())
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Registration {
    Open,
    Closed,
}

/// Each may do all that those before it may.
#[derive(Clone, Copy, ValueEnum)]
pub enum RoleWord {
    /// Uses their own vclusters
    User,
    /// Looks after masters and workers, and enters nobody's vnodes
    Operator,
    /// Sees and changes everything
    Admin,
}

impl From<RoleWord> for Role {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::User => Self::User,
            RoleWord::Operator => Self::Operator,
            RoleWord::Admin => Self::Admin,
        }
    }
}

#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Make an account; for admins
    Create {
        name: String,
        /// File with the password; asked for if absent
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Let it see and change everything
        #[arg(long)]
        admin: bool,
        /// Let it look after masters and workers
        #[arg(long, conflicts_with = "admin")]
        operator: bool,
        #[command(flatten)]
        print: Print,
    },
    /// Say what somebody may do beyond using their own things; it holds at once; for admins
    Role {
        name: String,
        role: RoleWord,
        #[command(flatten)]
        print: Print,
    },
    /// List accounts; without being an admin, your own
    List(Print),
    /// Show one account; your own if none is named
    Show {
        name: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Whether strangers may ask for accounts: show, or set; setting is for admins
    Registration {
        set: Option<Registration>,
        #[command(flatten)]
        print: Print,
    },
    /// List requests for accounts; for admins
    Requests(Print),
    /// Grant a request for an account; for admins
    Approve {
        /// Its number, as `docklet user requests` shows it
        request: LogIndex,
        /// Another name than they asked for
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Decline a request for an account; for admins
    Decline {
        request: LogIndex,
        /// Why; it is told to them
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        print: Print,
    },
    /// Lock an account: its logins and tokens end, what runs goes on; for admins
    Lock {
        name: String,
        /// Why; it is told to them
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        print: Print,
    },
    /// Unlock an account; for admins
    Unlock {
        name: String,
        #[command(flatten)]
        print: Print,
    },
    /// Delete an account, for admins; for a while `docklet trash restore` undoes it. Its home stays on the disks; the name is free
    /// when it is gone for good
    Delete {
        name: String,
        /// Delete its vclusters, with disks and snapshots, and its images, too
        #[arg(long)]
        with_data: bool,
        /// For good, without the time in which `docklet trash restore` undoes it
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        outcome: Outcome,
    },
    /// Change a password: your own, or for admins that of NAME. All logins and tokens of it end
    Passwd {
        name: Option<String>,
        /// File with the new password; asked for if absent
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// File with your own current password; asked for if absent
        #[arg(long, value_name = "FILE")]
        current_password_file: Option<PathBuf>,
        /// What your device shows, if you have a second factor
        #[arg(long, value_name = "CODE")]
        totp_code: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Say who you are; what is not given stays
    Profile {
        #[arg(long)]
        real_name: Option<String>,
        #[arg(long)]
        mail: Option<String>,
        /// Where you belong
        #[arg(long)]
        affiliation: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// Say by what the name and password of somebody are checked; their logins end; for admins
    Way(super::identity::Way),
    /// Second factors: codes that a device shows
    #[command(subcommand)]
    Factor(super::access::FactorCommand),
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Create {
            name,
            password_file,
            admin,
            operator,
            print,
        } => {
            let password = password(password_file.as_deref())?;
            let role = match (admin, operator) {
                (true, _) => Role::Admin,
                (false, true) => Role::Operator,
                (false, false) => Role::User,
            };
            let body = json!({"name": name, "password": password, "role": role});
            print_receipt(
                print.format,
                &connection.receipt(Method::POST, "/users", &body).await?,
            )?;
        }
        Command::Role { name, role, print } => {
            let body = json!({"role": Role::from(role)});
            let at = format!("{}/role", path(&name)?);
            print_receipt(
                print.format,
                &connection.receipt(Method::PUT, &at, &body).await?,
            )?;
        }
        Command::List(print) => list(&connection, print).await?,
        Command::Show { name, print } => {
            let name = name.unwrap_or_else(|| connection.context.user.clone());
            show(&connection, &name, print).await?;
        }
        Command::Registration { set, print } => registration(&connection, set, print).await?,
        Command::Requests(print) => requests(&connection, print).await?,
        Command::Approve {
            request,
            name,
            print,
        } => {
            let path = format!("/applications/{request}/approve");
            let body = json!({"name": name});
            print_receipt(
                print.format,
                &connection.receipt(Method::POST, &path, &body).await?,
            )?;
        }
        Command::Decline {
            request,
            reason,
            print,
        } => {
            let path = format!("/applications/{request}/decline");
            let body = json!({"reason": reason});
            print_receipt(
                print.format,
                &connection.receipt(Method::POST, &path, &body).await?,
            )?;
        }
        Command::Lock {
            name,
            reason,
            print,
        } => {
            let path = format!("{}/lock", path(&name)?);
            let body = json!({"reason": reason});
            print_receipt(
                print.format,
                &connection.receipt(Method::POST, &path, &body).await?,
            )?;
        }
        Command::Unlock { name, print } => {
            let path = format!("{}/unlock", path(&name)?);
            print_receipt(
                print.format,
                &connection
                    .receipt(Method::POST, &path, &Value::Null)
                    .await?,
            )?;
        }
        Command::Delete {
            name,
            with_data,
            now,
            outcome,
        } => deletion::delete(&connection, &name, (with_data, now), outcome).await?,
        Command::Passwd {
            name,
            password_file,
            current_password_file,
            totp_code,
            print,
        } => {
            let own = name
                .as_ref()
                .is_none_or(|name| *name == connection.context.user);
            let current = if own {
                if current_password_file.is_none() {
                    remark("Your current password, then the new one.");
                }
                Some(password(current_password_file.as_deref())?)
            } else {
                None
            };
            let name = name.unwrap_or_else(|| connection.context.user.clone());
            let body = json!({
                "password": password(password_file.as_deref())?,
                "current": current,
                "code": totp_code,
            });
            let path = format!("{}/password", path(&name)?);
            print_receipt(
                print.format,
                &connection.receipt(Method::PUT, &path, &body).await?,
            )?;
            if own {
                remark("All your logins have ended, this one included: log in again.");
            }
        }
        Command::Profile {
            real_name,
            mail,
            affiliation,
            print,
        } => {
            let path = path(&connection.context.user)?;
            let now: UserView = connection.get(&path).await?;
            let profile = Profile {
                real_name: real_name.unwrap_or(now.profile.real_name),
                mail: mail.unwrap_or(now.profile.mail),
                affiliation: affiliation.unwrap_or(now.profile.affiliation),
            };
            let path = format!("{path}/profile");
            print_receipt(
                print.format,
                &connection.receipt(Method::PUT, &path, &profile).await?,
            )?;
        }
        Command::Way(way) => super::identity::set_way(&connection, way).await?,
        Command::Factor(command) => super::access::factor(&connection, command).await?,
    }
    Ok(ExitCode::SUCCESS)
}

pub fn path(user: &str) -> anyhow::Result<String> {
    Ok(format!("/users/{}", name("user", user)?))
}

async fn list(connection: &Connection, format: Print) -> anyhow::Result<()> {
    let users: Vec<UserView> = connection.list("/users").await?;
    print(format.format, &users, |users| {
        let mut rows = Rows::new(&[
            "name",
            "role",
            "state",
            "factor",
            "mail",
            "vclusters",
            "images",
        ]);
        for user in users {
            rows.add([
                user.name.clone(),
                role(user).to_owned(),
                user.standing.word().to_owned(),
                if user.second_factor { "yes" } else { "-" }.to_owned(),
                user.profile.mail.clone(),
                user.vclusters.to_string(),
                user.images.to_string(),
            ]);
        }
        rows
    })
}

fn role(user: &UserView) -> &'static str {
    user.role.word()
}

async fn show(connection: &Connection, name: &str, format: Print) -> anyhow::Result<()> {
    let user: UserView = connection.get(&path(name)?).await?;
    print(format.format, &user, |user| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        add("name", user.name.clone());
        add("role", role(user).to_owned());
        let state = user.standing.word();
        add(
            "state",
            match user.standing {
                Standing::Locked => format!("{state}: {}", user.reason),
                Standing::Active | Standing::Leaving | Standing::Deleted => state.to_owned(),
            },
        );
        add("logs in by", user.way.word().to_owned());
        for identity in &user.identities {
            let of = format!("{} of {}", identity.subject, identity.provider);
            add("connected", of);
        }
        add("real name", user.profile.real_name.clone());
        add("mail", user.profile.mail.clone());
        add("affiliation", user.profile.affiliation.clone());
        let left = user.recovery_codes_left;
        add(
            "second factor",
            left.map_or_else(
                || "none".to_owned(),
                |left| format!("on, {left} recovery codes left"),
            ),
        );
        add("vclusters", user.vclusters.to_string());
        add("images", user.images.to_string());
        add("logins and tokens", user.logins.to_string());
        add("made", instant(user.created_at));
        rows
    })
}

async fn registration(
    connection: &Connection,
    set: Option<Registration>,
    format: Print,
) -> anyhow::Result<()> {
    let Some(set) = set else {
        let now: Value = connection.get("/registration").await?;
        return print(format.format, &now, |now| {
            let mut rows = Rows::new(&["registration"]);
            let word = if now["open"] == true {
                "open"
            } else {
                "closed"
            };
            rows.add([word.to_owned()]);
            rows
        });
    };
    let open = matches!(set, Registration::Open);
    let body = json!({"open": open});
    print_receipt(
        format.format,
        &connection
            .receipt(Method::PUT, "/registration", &body)
            .await?,
    )
}

async fn requests(connection: &Connection, format: Print) -> anyhow::Result<()> {
    let requests: Vec<ApplicationView> = connection.get("/applications").await?;
    print(format.format, &requests, |requests| {
        let mut rows = Rows::new(&[
            "request", "name", "who", "mail", "what for", "since", "declined",
        ]);
        for request in requests {
            rows.add([
                request.id.to_string(),
                request.name.clone(),
                request.profile.real_name.clone(),
                request.profile.mail.clone(),
                request.reason.clone(),
                instant(request.asked_at),
                request.declined.clone().unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        rows
    })
}
