//! Images as people see them.

use serde::{Deserialize, Serialize};

use crate::id::{Digest, LogIndex, UnixMs, WorkerId};
use crate::image::{catalog, copies};
use crate::model::image::{ImageTitle, Visibility};
use crate::model::{Image, ImageSpec, SaveSeen, User};
use crate::state::State;

/// One image as it is shown, under the name that means it to who looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ImageView {
    pub name: String,
    pub digest: Digest,
    pub blob_bytes: u64,
    pub spec: ImageSpec,
    pub description: String,
    pub registered_at: UnixMs,
    /// Names of workers that hold it.
    pub holders: Vec<String>,
    /// Names of workers that shall hold it and do not yet.
    #[serde(default)]
    pub coming: Vec<String>,
    /// Whose it is.
    #[serde(default)]
    pub owner: String,
    #[serde(default = "public")]
    pub visibility: Visibility,
    /// Names of people, for who may share it.
    #[serde(default)]
    pub shared_with: Vec<String>,
    /// Names of groups, for who may share it.
    #[serde(default)]
    pub shared_with_groups: Vec<String>,
    /// Whether who looks may change it.
    #[serde(default)]
    pub own: bool,
    /// Oldest first.
    #[serde(default)]
    pub versions: Vec<VersionView>,
    #[serde(default)]
    pub environment: Vec<String>,
    #[serde(default)]
    pub directory: String,
    /// Names of vnodes that are made of it, as far as who looks knows them; in lists, of their own.
    #[serde(default)]
    pub used_by: Vec<String>,
}

/// That of masters which tell of none.
fn public() -> Visibility {
    Visibility::Public
}

/// One version of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VersionView {
    pub digest: Digest,
    /// May be empty.
    pub label: String,
    pub added_at: UnixMs,
    /// Whether the name means it now.
    pub current: bool,
}

/// All images that `asker` may see, their own first.
#[must_use]
pub fn list(state: &State, asker: &User) -> Vec<ImageView> {
    if state.version() < copies::SINCE {
        return registered(state);
    }
    let used = catalog::used_by(state, asker);
    let titles = catalog::visible(state, asker).into_iter();
    let shown = titles.filter_map(|title| {
        let used_by = used.get(&title.current).cloned().unwrap_or_default();
        show(state, asker, title, used_by)
    });
    shown.collect()
}

/// One of them, by what `asker` calls it.
#[must_use]
pub fn named(state: &State, asker: &User, text: &str) -> Option<ImageView> {
    if state.version() < copies::SINCE {
        return registered(state).into_iter().find(|view| view.name == text);
    }
    let title = catalog::find(state, asker, text)?;
    let (used_by, _) = catalog::users_of(state, asker, title.current);
    show(state, asker, title, used_by)
}

fn registered(state: &State) -> Vec<ImageView> {
    let named = state.image_names.values();
    let named = named.filter_map(|(name, digest)| Some((name, state.images.get(digest)?)));
    named
        .map(|(name, image)| ImageView {
            name: name.to_string(),
            description: image.description.clone(),
            ..of_image(state, image)
        })
        .collect()
}

fn show(
    state: &State,
    asker: &User,
    title: &ImageTitle,
    used_by: Vec<String>,
) -> Option<ImageView> {
    let image = state.images.get(&title.current)?;
    let own = crate::permit::owns(asker, title.owner);
    let person = |id| state.users.get(id).map(|user| user.name.to_string());
    let shared_with = title.shared_with.iter().filter(|_| own);
    let groups = state.groups_of_image(title).filter(|_| own);
    let versions = title.versions.iter().map(|version| VersionView {
        digest: version.digest,
        label: version.label.clone(),
        added_at: version.added_at,
        current: version.digest == title.current,
    });
    let run = state.image_runs.get(&image.digest);
    Some(ImageView {
        name: catalog::called(state, asker, title),
        description: title.description.clone(),
        owner: person(&title.owner).unwrap_or_default(),
        visibility: title.visibility,
        shared_with: shared_with.filter_map(person).collect(),
        shared_with_groups: groups.map(|group| group.name.to_string()).collect(),
        own,
        versions: versions.collect(),
        environment: run.map(|run| run.environment.clone()).unwrap_or_default(),
        directory: run.map(|run| run.directory.clone()).unwrap_or_default(),
        used_by,
        ..of_image(state, image)
    })
}

fn of_image(state: &State, image: &Image) -> ImageView {
    let names = |ids: Vec<&WorkerId>| {
        let workers = ids.into_iter().filter_map(|id| state.workers.get(id));
        workers.map(|worker| worker.name.to_string()).collect()
    };
    let keepers = copies::keepers(state, image.digest);
    let coming = keepers.iter().filter(|id| !image.holders.contains(*id));
    ImageView {
        name: String::new(),
        digest: image.digest,
        blob_bytes: image.blob_bytes,
        spec: image.spec.clone(),
        description: String::new(),
        registered_at: image.registered_at,
        coming: names(coming.collect()),
        holders: names(image.holders.iter().collect()),
        owner: String::new(),
        visibility: Visibility::Public,
        shared_with: Vec::new(),
        shared_with_groups: Vec::new(),
        own: false,
        versions: Vec::new(),
        environment: Vec::new(),
        directory: String::new(),
        used_by: Vec::new(),
    }
}

/// A vnode of which an image is being made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SaveView {
    /// `vcluster/host-0`.
    pub vnode: String,
    /// What the image will be called.
    pub image: String,
    pub label: String,
    pub asked_at: UnixMs,
    /// The entry that asked.
    pub number: LogIndex,
    pub seen: SaveSeen,
}

/// Saves of vnodes that `asker` may see.
#[must_use]
pub fn saves(state: &State, asker: &User) -> Vec<SaveView> {
    let saves = state.image_saves.values();
    let shown = saves.filter_map(|save| {
        let vnode = state.vnodes.get(&save.vnode)?;
        let own = crate::permit::owns(asker, vnode.owner);
        let vcluster = state.vclusters.get(&vnode.vcluster).filter(|_| own)?;
        Some(SaveView {
            vnode: format!("{}/{}", vcluster.name, vnode.hostname()),
            image: save.name.to_string(),
            label: save.label.clone(),
            asked_at: save.asked_at,
            number: save.number,
            seen: save.seen.clone(),
        })
    });
    shown.collect()
}
