//! Images from recipes: a root file system is put together, packed the same way every time, and uploaded.

mod busybox;
mod debian;
mod pack;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Subcommand, ValueEnum};
use docklet_control::model::{ImageSpec, Receipt};
use docklet_control::name::Name;
use docklet_control::view::ImageView;
use reqwest::Method;
use tokio_util::io::ReaderStream;

use crate::cli::Print;
use crate::client::connection::Connection;
use crate::client::output::{Rows, print, print_receipt, remark};
use crate::exit::{Class, Failure};

#[derive(Subcommand)]
pub enum Command {
    /// Build an image on this machine and upload it; needs root
    Build {
        #[arg(value_enum)]
        recipe: Recipe,
        /// Name in the cluster; the recipe's if absent
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        print: Print,
    },
    /// List images
    List(Print),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Recipe {
    /// Debian's static busybox and nothing else: made in a second
    Busybox,
    /// Minimal Debian with openssh, python3 and iproute2
    Debian,
}

/// What a recipe makes beside the files.
pub struct Built {
    pub spec: ImageSpec,
    pub description: String,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Build {
            recipe,
            name,
            print,
        } => {
            let connection = Connection::open()?;
            let name = name.unwrap_or_else(|| format!("{recipe:?}").to_lowercase());
            // The masters would say the same, after minutes of building.
            Name::parse("image", &name)
                .map_err(|refusal| Failure::new(Class::Invalid, refusal.to_string()))?;
            let receipt = build(&connection, recipe, &name).await?;
            print_receipt(print.format, &receipt)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::List(format) => list(format).await,
    }
}

/// Builds and uploads.
pub async fn build(connection: &Connection, recipe: Recipe, name: &str) -> anyhow::Result<Receipt> {
    let work = tempdir()?;
    let (root, blob) = (work.path().join("rootfs"), work.path().join("blob.tar.zst"));
    let packed = {
        let blob = blob.clone();
        tokio::task::spawn_blocking(move || {
            let built = make(recipe, &root)?;
            Ok::<_, anyhow::Error>((built, pack::pack(&root, &blob)?))
        })
    };
    let (built, digest) = packed.await??;
    remark(&format!("Built {name}: sha256 {digest}"));
    upload(connection, name, &blob, &digest, &built).await
}

fn make(recipe: Recipe, root: &Path) -> anyhow::Result<Built> {
    match recipe {
        Recipe::Busybox => busybox::make(root),
        Recipe::Debian => debian::make(root),
    }
}

/// A directory of its own that goes away with the value. Not below /tmp: its name must not be guessed.
fn tempdir() -> anyhow::Result<tempfile::TempDir> {
    let base = Path::new("/var/tmp");
    tempfile::Builder::new()
        .prefix("docklet-image-")
        .tempdir_in(base)
        .with_context(|| format!("make a directory in {}", base.display()))
}

async fn upload(
    connection: &Connection,
    name: &str,
    blob: &Path,
    digest: &str,
    built: &Built,
) -> anyhow::Result<Receipt> {
    let spec = serde_json::to_string(&built.spec)?;
    let query = [
        ("digest", digest),
        ("spec", &spec),
        ("description", &built.description),
    ];
    let file = std::fs::File::open(blob).with_context(|| format!("read {}", blob.display()))?;
    let path = format!("/images/{name}");
    let prepare = |request: reqwest::RequestBuilder| match file.try_clone().and_then(rewind) {
        Ok(file) => {
            let stream = ReaderStream::new(tokio::fs::File::from_std(file));
            request
                .query(&query)
                .body(reqwest::Body::wrap_stream(stream))
        }
        Err(_) => request,
    };
    let response = connection.send(Method::PUT, &path, prepare).await?;
    let receipt: Receipt = response.json().await.context("read the answer")?;
    connection.saw(receipt.index);
    Ok(receipt)
}

fn rewind(mut file: std::fs::File) -> std::io::Result<std::fs::File> {
    use std::io::Seek;
    file.rewind()?;
    Ok(file)
}

async fn list(format: Print) -> anyhow::Result<ExitCode> {
    let images: Vec<ImageView> = Connection::open()?.get("/images").await?;
    print(format.format, &images, |images| {
        let mut rows = Rows::new(&["name", "size mib", "held by", "digest", "description"]);
        for image in images {
            rows.add([
                image.name.clone(),
                image.blob_bytes.div_ceil(1 << 20).to_string(),
                image.holders.join(","),
                image.digest.to_string()[..12].to_owned(),
                image.description.clone(),
            ]);
        }
        rows
    })?;
    Ok(ExitCode::SUCCESS)
}
