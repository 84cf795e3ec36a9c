//! Images: built from recipes on this machine, brought to the cluster, looked at and changed.

mod build;
mod busybox;
mod change;
mod debian;
mod quota;
mod recipe;
mod root;
mod save;
mod show;
mod start;
mod unchanged;
mod upload;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use docklet_control::model::{Receipt, Visibility};
use docklet_control::name::Name;
use docklet_control::view::ImageView;

use crate::cli::Print;
use crate::client::connection::Connection;
use crate::client::output::{Format, line, print_receipt, remark};
use crate::client::watch::Shown;
use crate::exit::{Class, Failure};
use recipe::Found;
use unchanged::Inputs;
use upload::{Blob, Said};

/// Where images have a `--version`, it is theirs and not the program's.
#[derive(Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Build an image on this machine and upload it; needs root
    ///
    /// Recipes that come with docklet are busybox, debian, python3, ssh and jupyter; others are files of the same form.
    #[command(disable_version_flag = true)]
    Build {
        /// Name of a recipe, or a file
        recipe: String,
        /// Name in the cluster; the recipe's if absent
        #[arg(long)]
        name: Option<String>,
        /// Build also what was built before
        #[arg(long)]
        again: bool,
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        print: Print,
    },
    /// Bring a root file system or an OCI image layout
    ///
    /// FILE is a tar, plain or compressed with gzip, xz or zstd, or the directory of an OCI layout. A worker checks it
    /// and packs it anew.
    #[command(disable_version_flag = true)]
    Import {
        file: PathBuf,
        /// Name in the cluster; the file's if absent
        #[arg(long)]
        name: Option<String>,
        /// One line for people
        #[arg(long)]
        description: Option<String>,
        /// The first process and its arguments, if the image does not say so itself
        #[arg(long, num_args = 1.., allow_hyphen_values = true, value_name = "ARGUMENT")]
        init: Vec<String>,
        #[command(flatten)]
        version: Version,
        #[command(flatten)]
        print: Print,
    },
    /// Make an image of a vnode as it is now, standing still for the moment in which its own files are read; or of one
    /// of its snapshots
    #[command(disable_version_flag = true)]
    Save {
        /// VCLUSTER/host-0, or VCLUSTER/host-0@SNAPSHOT
        #[arg(value_name = "VNODE")]
        source: save::Source,
        /// Name in the cluster
        #[arg(required_unless_present = "cancel")]
        name: Option<String>,
        /// What you call this version
        #[arg(long = "version", value_name = "LABEL", default_value = "")]
        label: String,
        /// Do not wait for the image
        #[arg(long)]
        no_wait: bool,
        /// Do not make the one that is being made
        #[arg(long, conflicts_with_all = ["name", "no_wait"])]
        cancel: bool,
        #[command(flatten)]
        print: Print,
    },
    /// List images
    List {
        /// All versions of each
        #[arg(long)]
        versions: bool,
        #[command(flatten)]
        ask: Shown,
    },
    /// Show one image
    Show {
        /// NAME, or OWNER/NAME
        image: String,
        #[command(flatten)]
        print: Print,
    },
    /// Show how much images people have and may have, or set how much they may; setting is for admins
    ///
    /// Each version counts as it is packed, and once, however many names of theirs mean it.
    Quota(quota::Quota),
    #[command(flatten)]
    Change(change::Command),
}

// What is said of the version that is added.
#[derive(Args)]
pub struct Version {
    /// What you call this version
    #[arg(long = "version", value_name = "LABEL", default_value = "")]
    label: String,
    /// Only you see it, and whom you share it with
    #[arg(long, conflicts_with = "public")]
    private: bool,
    /// Everybody sees it; for admins, and what they add if nothing else is said
    #[arg(long)]
    public: bool,
}

impl Version {
    fn visibility(&self) -> Option<Visibility> {
        match (self.private, self.public) {
            (true, _) => Some(Visibility::Private),
            (_, true) => Some(Visibility::Public),
            (false, false) => None,
        }
    }

    /// Nothing in particular.
    pub fn plain() -> Self {
        Self {
            label: String::new(),
            private: false,
            public: false,
        }
    }
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let connection = Connection::open()?;
    match command {
        Command::Build {
            recipe,
            name,
            again,
            version,
            print,
        } => match build(&connection, &recipe, name, again, &version).await? {
            Some(receipt) => print_receipt(print.format, &receipt)?,
            None => match print.format {
                Format::Json | Format::Yaml => line("null"),
                Format::Table | Format::Csv => {}
            },
        },
        Command::Import {
            file,
            name,
            description,
            init,
            version,
            print,
        } => {
            let name = name.map_or_else(|| name_of(&file), Ok)?;
            let said = Said {
                description: description.as_deref(),
                label: &version.label,
                visibility: version.visibility(),
            };
            let receipt = upload::import(&connection, &name, &file, &init, &said).await?;
            print_receipt(print.format, &receipt)?;
        }
        Command::Save {
            source,
            name,
            label,
            no_wait,
            cancel: _,
            print,
        } => {
            let receipt = match name {
                Some(name) => save::save(&connection, &source, &name, &label, !no_wait).await?,
                None => save::cancel(&connection, &source.vnode).await?,
            };
            print_receipt(print.format, &receipt)?;
        }
        Command::List { versions, ask } => return show::list(&connection, versions, ask).await,
        Command::Show { image, print } => show::one(&connection, &image, print).await?,
        Command::Quota(quota) => quota::run(&connection, quota).await?,
        Command::Change(change) => change::run(&connection, change).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The name of a file up to its first dot.
fn name_of(file: &Path) -> anyhow::Result<String> {
    let name = file.file_name().map(|name| name.to_string_lossy());
    let name = name.as_deref().and_then(|name| name.split('.').next());
    let name = name.filter(|name| Name::parse("image", name).is_ok());
    let no_name = || Failure::new(Class::Invalid, "the file's name is no image's: give --name");
    Ok(name.ok_or_else(no_name)?.to_owned())
}

/// Builds and uploads; answers nothing if the image is there as it would be built.
pub async fn build(
    connection: &Connection,
    recipe: &str,
    name: Option<String>,
    again: bool,
    version: &Version,
) -> anyhow::Result<Option<Receipt>> {
    let found = Found::open(recipe)?;
    let name = name.unwrap_or_else(|| found.name.clone());
    // The masters would say the same, after minutes of building.
    Name::parse("image", &name)
        .map_err(|refusal| Failure::new(Class::Invalid, refusal.to_string()))?;
    let inputs = Inputs::of(found.fingerprint)?;
    if let Some(digest) = inputs.built().filter(|_| !again) {
        let images: Vec<ImageView> = connection.get("/images").await?;
        let same = |image: &ImageView| image.name == name && image.digest == digest;
        if images.iter().any(same) {
            remark(&format!("Nothing changed: {name} is sha256 {digest}"));
            return Ok(None);
        }
    }
    if !nix::unistd::geteuid().is_root() {
        let text = "building an image needs root, for owners of files and for chroot: use sudo";
        return Err(Failure::new(Class::Denied, text).into());
    }
    let work = tempdir()?;
    let blob = work.path().join("blob.tar.zst");
    let (recipe, packed) = {
        let (dir, blob) = (work.path().to_owned(), blob.clone());
        let build = move || {
            let packed = build::build(&found.recipe, &dir, &blob)?;
            Ok::<_, anyhow::Error>((found.recipe, packed))
        };
        tokio::task::spawn_blocking(build).await??
    };
    remark(&format!("Built {name}: sha256 {}", packed.digest));
    let blob = Blob {
        path: &blob,
        digest: packed.digest,
        spec: &recipe.spec(),
        environment: &recipe.environment,
    };
    let said = Said {
        description: Some(&recipe.description),
        label: &version.label,
        visibility: version.visibility(),
    };
    let receipt = upload::upload(connection, &name, &blob, &said).await?;
    inputs.remember(packed.digest)?;
    Ok(Some(receipt))
}

/// A directory of its own that goes away with the value. Not below /tmp: its name must not be guessed.
fn tempdir() -> anyhow::Result<tempfile::TempDir> {
    let base = Path::new("/var/tmp");
    tempfile::Builder::new()
        .prefix("docklet-image-")
        .tempdir_in(base)
        .with_context(|| format!("make a directory in {}", base.display()))
}

/// Path of an image that is called so. What could mean another path is refused here; whether it is one, the masters say.
fn path(image: &str) -> anyhow::Result<String> {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    match image.split_once('/') {
        None if plain(image) => Ok(format!("/images/{image}")),
        Some((owner, name)) if plain(owner) && plain(name) => {
            Ok(format!("/images/{name}?owner={owner}"))
        }
        None | Some(_) => {
            let text = image.escape_debug();
            let message = format!("\"{text}\" is no image's name: give NAME or OWNER/NAME");
            Err(Failure::new(Class::Invalid, message).into())
        }
    }
}
