//! Images as tables.

use std::process::ExitCode;

use docklet_control::view::ImageView;

use super::path;
use crate::cli::Print;
use crate::client::connection::Connection;
use crate::client::output::{Format, Rows, instant, print};
use crate::client::watch::{self, Shown};

pub async fn list(connection: &Connection, versions: bool, ask: Shown) -> anyhow::Result<ExitCode> {
    let look = async || connection.get::<Vec<ImageView>>("/images").await;
    let show = |format, images: &Vec<ImageView>| table(format, versions, images);
    watch::show(connection, ask, look, show).await
}

fn table(format: Format, versions: bool, images: &[ImageView]) -> anyhow::Result<()> {
    print(format, &images, |images| {
        if versions {
            return all_versions(images);
        }
        let mut rows = Rows::new(&[
            "name",
            "seen by",
            "size mib",
            "held by",
            "digest",
            "description",
        ]);
        for image in *images {
            rows.add([
                image.name.clone(),
                image.visibility.word().to_owned(),
                image.blob_bytes.div_ceil(1 << 20).to_string(),
                holders(image),
                short(&image.digest.to_string()),
                image.description.clone(),
            ]);
        }
        rows
    })
}

fn all_versions(images: &[ImageView]) -> Rows {
    let mut rows = Rows::new(&["name", "version", "digest", "added", "current"]);
    for image in images {
        for version in image.versions.iter().rev() {
            rows.add([
                image.name.clone(),
                version.label.clone(),
                short(&version.digest.to_string()),
                instant(version.added_at),
                if version.current { "yes" } else { "" }.to_owned(),
            ]);
        }
    }
    rows
}

/// Those that hold it, and in brackets those to which it is on its way.
fn holders(image: &ImageView) -> String {
    let coming = image.coming.iter().map(|worker| format!("({worker})"));
    let all: Vec<String> = image.holders.iter().cloned().chain(coming).collect();
    all.join(",")
}

fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

pub async fn one(connection: &Connection, image: &str, format: Print) -> anyhow::Result<()> {
    let view: ImageView = connection.get(&path(image)?).await?;
    print(format.format, &view, |view| {
        let mut rows = Rows::new(&["what", "value"]);
        let mut add = |what: &str, value: String| rows.add([what.to_owned(), value]);
        add("name", view.name.clone());
        add("description", view.description.clone());
        add("owner", view.owner.clone());
        add("seen by", view.visibility.word().to_owned());
        add("shared with", view.shared_with.join(", "));
        add("shared with groups", view.shared_with_groups.join(", "));
        add("digest", view.digest.to_string());
        add(
            "packed",
            format!("{} MiB", view.blob_bytes.div_ceil(1 << 20)),
        );
        add("held by", holders(view));
        add("starts", view.spec.init.join(" "));
        add("stops by", view.spec.stop_signal.clone());
        for variable in &view.environment {
            add("environment", variable.clone());
        }
        add("directory", view.directory.clone());
        add("used by", view.used_by.join(", "));
        for version in view.versions.iter().rev() {
            let now = if version.current { ", current" } else { "" };
            let digest = short(&version.digest.to_string());
            let label = if version.label.is_empty() { "" } else { " " };
            let text = format!(
                "{digest}{label}{} of {}{now}",
                version.label,
                instant(version.added_at)
            );
            add("version", text);
        }
        rows
    })
}
