//! An OCI image layout: a directory, or the tar of one. Everything in it is named by its digest, and each digest is
//! checked before what it names is looked at.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use docklet_control::model::ImageSpec;
use oci_spec::image::{
    Arch, Config, Descriptor, DigestAlgorithm, ImageConfiguration, ImageIndex, ImageManifest,
    MediaType, Os,
};
use sha2::{Digest as _, Sha256};

use super::spool::{Extent, Spool};
use super::tree::Tree;
use super::{Limits, Unfit, read, source};

/// Longest index, manifest or configuration.
const JSON_BYTES_MAX: u64 = 4 << 20;
/// Layers of one image; Docker makes 127 at most.
const LAYERS_MAX: usize = 200;
/// Indices within indices.
const INDICES_MAX: usize = 3;

/// The files of a layout, by their paths in it.
pub(super) struct Layout(BTreeMap<Vec<u8>, Extent>);

/// How an image of this layout is run.
pub(super) struct Run {
    pub(super) spec: ImageSpec,
    pub(super) environment: Vec<String>,
    pub(super) directory: String,
    /// Who runs it, as its configuration says; empty for root.
    pub(super) user: String,
}

impl Layout {
    /// Takes an upload apart if it is the tar of a layout: its first entries say so.
    pub(super) fn of(upload: &Extent, dir: &Path, limits: &Limits) -> Result<Option<Self>, Unfit> {
        if !is_layout(upload, limits)? {
            return Ok(None);
        }
        let (mut spool, mut files, mut bytes) = (Spool::new(dir)?, BTreeMap::new(), 0);
        let plain = source::open(upload.reader(), limits)?;
        read::each(plain, limits, |item, content| {
            let (Some(path), read::Kind::File { bytes: length }) = (item.path, item.kind) else {
                return Ok(());
            };
            bytes += length;
            if bytes > limits.bytes_max {
                return Err(Unfit::content("its blobs are too large together"));
            }
            let extent = spool.keep(content, length)?;
            if files.insert(path.as_bytes().to_vec(), extent).is_some() {
                return Err(Unfit::content(format!("{} comes twice", path.shown())));
            }
            Ok(())
        })?;
        Ok(Some(Self(files)))
    }

    /// Joins the layers of the image for this machine in `tree`; answers how it is run.
    pub(super) fn lay(&self, tree: &mut Tree) -> Result<Run, Unfit> {
        let manifest = self.manifest()?;
        let config: ImageConfiguration = self.json(manifest.config())?;
        if *config.os() != Os::Linux || *config.architecture() != machine() {
            let text = format!(
                "it is for {} on {}, not for Linux on {}",
                config.os(),
                config.architecture(),
                machine()
            );
            return Err(Unfit::content(text));
        }
        let layers = manifest.layers();
        if layers.len() > LAYERS_MAX {
            return Err(Unfit::content(format!(
                "it has more than {LAYERS_MAX} layers"
            )));
        }
        for layer in layers {
            if !is_layer(layer.media_type()) {
                let text = format!(
                    "layers of the kind {} are not understood",
                    layer.media_type()
                );
                return Err(Unfit::content(text));
            }
            tree.lay(self.blob(layer)?.reader(), true)?;
        }
        run(config.config().as_ref(), tree)
    }

    fn manifest(&self) -> Result<ImageManifest, Unfit> {
        let index = self.0.get(&b"index.json"[..]);
        let index = index.ok_or_else(|| Unfit::content("the layout has no index.json"))?;
        let mut index: ImageIndex = parse(&small(index)?)?;
        for _ in 0..INDICES_MAX {
            let chosen = chosen(index.manifests())?;
            let kind = chosen.media_type();
            if is_index(kind) {
                index = self.json(chosen)?;
            } else if is_manifest(kind) {
                return self.json(chosen);
            } else {
                let text = format!("a manifest of the kind {kind} is not understood");
                return Err(Unfit::content(text));
            }
        }
        Err(Unfit::content("its indices are nested too deeply"))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, of: &Descriptor) -> Result<T, Unfit> {
        parse(&small(&self.blob(of)?)?)
    }

    /// The blob that is meant, after its size and digest were checked.
    fn blob(&self, of: &Descriptor) -> Result<Extent, Unfit> {
        let digest = of.digest();
        let named = |what: &str| Unfit::content(format!("blob {digest} {what}"));
        if *digest.algorithm() != DigestAlgorithm::Sha256 {
            return Err(named("is named by another digest than SHA-256"));
        }
        let path = format!("blobs/sha256/{}", digest.digest()).into_bytes();
        let extent = self.0.get(&path).ok_or_else(|| named("is missing"))?;
        if extent.bytes != of.size() {
            return Err(named("is of another size than was said"));
        }
        let found = sha256(extent.reader())?;
        if hex::encode(found) != digest.digest() {
            return Err(named("has other bytes than its digest says"));
        }
        Ok(extent.clone())
    }
}

const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Whether it is the tar of a layout. What begins with anything else than a layout's files is none, and is not read
/// further.
fn is_layout(upload: &Extent, limits: &Limits) -> Result<bool, Unfit> {
    let plain = source::open(upload.reader(), limits)?;
    let (mut found, mut other) = (false, false);
    let looked = read::each(plain, limits, |item, _| {
        let Some(path) = &item.path else {
            return Ok(());
        };
        let first = path.parts().next().unwrap_or_default();
        found |= path.as_bytes() == b"oci-layout";
        other |= !OF_LAYOUT.contains(&first);
        // An error is the way to stop looking.
        if found || other {
            return Err(Unfit::content("looked at enough"));
        }
        Ok(())
    });
    if found || other {
        return Ok(found && !other);
    }
    looked.map(|()| false)
}

/// What a layout has at its top; `docker save` adds the last two.
const OF_LAYOUT: [&[u8]; 5] = [
    b"oci-layout",
    b"index.json",
    b"blobs",
    b"manifest.json",
    b"repositories",
];

fn is_index(kind: &MediaType) -> bool {
    *kind == MediaType::ImageIndex || kind.as_ref() == DOCKER_LIST
}

fn is_manifest(kind: &MediaType) -> bool {
    *kind == MediaType::ImageManifest || kind.as_ref() == DOCKER_MANIFEST
}

fn is_layer(kind: &MediaType) -> bool {
    matches!(
        kind,
        MediaType::ImageLayer | MediaType::ImageLayerGzip | MediaType::ImageLayerZstd
    ) || kind.as_ref() == DOCKER_LAYER
}

/// The one for this machine; one that says nothing of a platform is taken if it is alone.
fn chosen(manifests: &[Descriptor]) -> Result<&Descriptor, Unfit> {
    let fits = |descriptor: &&Descriptor| {
        let platform = descriptor.platform().as_ref();
        platform.is_some_and(|p| *p.os() == Os::Linux && *p.architecture() == machine())
    };
    let alone = || match manifests {
        [only] if only.platform().is_none() => Some(only),
        _ => None,
    };
    let found = manifests.iter().find(fits).or_else(alone);
    found.ok_or_else(|| Unfit::content(format!("it has no image for Linux on {}", machine())))
}

fn machine() -> Arch {
    if cfg!(target_arch = "aarch64") {
        Arch::ARM64
    } else {
        Arch::Amd64
    }
}

/// A whole small file.
fn small(extent: &Extent) -> Result<Vec<u8>, Unfit> {
    if extent.bytes > JSON_BYTES_MAX {
        return Err(Unfit::content("a description in it is too long"));
    }
    let mut bytes = Vec::new();
    let read = extent.reader().read_to_end(&mut bytes);
    read.map_err(Unfit::machine("read a description"))?;
    Ok(bytes)
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Unfit> {
    serde_json::from_slice(bytes)
        .map_err(|error| Unfit::content(format!("a description in it is no OCI image's: {error}")))
}

fn sha256(mut content: impl Read) -> Result<[u8; 32], Unfit> {
    let (mut hasher, mut chunk) = (Sha256::new(), vec![0; 256 << 10]);
    loop {
        let length = content
            .read(&mut chunk)
            .map_err(Unfit::machine("read a blob"))?;
        if length == 0 {
            return Ok(hasher.finalize().into());
        }
        hasher.update(&chunk[..length]);
    }
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

fn run(config: Option<&Config>, tree: &Tree) -> Result<Run, Unfit> {
    let Some(config) = config else {
        return Err(Unfit::content("it says nothing of how it is run"));
    };
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let (mut init, environment) = (list(config.entrypoint()), list(config.env()));
    init.extend(list(config.cmd()));
    let Some(first) = init.first_mut() else {
        return Err(Unfit::content("it has neither an entrypoint nor a command"));
    };
    if !first.starts_with('/') {
        let path = environment.iter().find_map(|v| v.strip_prefix("PATH="));
        let found = path.unwrap_or(PATH).split(':').find_map(|dir| {
            let candidate = format!("{dir}/{first}");
            tree.file_at(&candidate).map(|_| candidate)
        });
        *first = found.ok_or_else(|| {
            Unfit::content(format!(
                "its command {} is not in it",
                super::shown(first.as_bytes())
            ))
        })?;
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let signal = text(config.stop_signal());
    Ok(Run {
        spec: ImageSpec {
            init,
            stop_signal: if signal.is_empty() {
                "SIGTERM".to_owned()
            } else {
                signal
            },
            stop_timeout_ms: 10_000,
        },
        environment,
        directory: text(config.working_dir()),
        user: text(config.user()),
    })
}
