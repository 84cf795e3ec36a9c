//! OCI layouts: sound ones come to their files and how they are run; what is not as its digest says is refused.

use docklet_agent::archive::import::Imported;
use sha2::{Digest as _, Sha256};
use tar::EntryType;

use crate::make::{Archive, file, link, tar};
use crate::{Place, import};

fn sha256(bytes: &[u8]) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    docklet_control::id::Digest(digest).to_string()
}

/// A layout that is being made: blobs by digest.
struct Layout {
    blobs: Vec<(String, Vec<u8>)>,
    platform: &'static str,
    config: String,
}

impl Layout {
    fn new() -> Self {
        Self {
            blobs: Vec::new(),
            platform: if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
            config: r#"{"Entrypoint":["start"],"Cmd":["-c","a b"],"Env":["PATH=/opt:/bin","X=1"],"WorkingDir":"/srv","StopSignal":"SIGINT"}"#
                .to_owned(),
        }
    }

    fn blob(&mut self, bytes: Vec<u8>) -> (String, usize) {
        let (digest, length) = (sha256(&bytes), bytes.len());
        self.blobs.push((digest.clone(), bytes));
        (format!("sha256:{digest}"), length)
    }

    /// The tar of it, after `change` of its index.
    fn pack(mut self, layers: &[Vec<u8>], change: impl Fn(String) -> String) -> Vec<u8> {
        let layers: Vec<String> = layers
            .iter()
            .map(|layer| {
                let (digest, size) = self.blob(layer.clone());
                descriptor("application/vnd.oci.image.layer.v1.tar", &digest, size, "")
            })
            .collect();
        let platform = self.platform;
        let config = format!(
            r#"{{"architecture":"{platform}","os":"linux","config":{},"rootfs":{{"type":"layers","diff_ids":[]}}}}"#,
            self.config
        );
        let (digest, size) = self.blob(config.into_bytes());
        let config = descriptor(
            "application/vnd.oci.image.config.v1+json",
            &digest,
            size,
            "",
        );
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{config},"layers":[{}]}}"#,
            layers.join(",")
        );
        let (digest, size) = self.blob(manifest.into_bytes());
        let other = descriptor(MANIFEST, &format!("sha256:{}", "0".repeat(64)), 1, "s390x");
        let own = descriptor(MANIFEST, &digest, size, platform);
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{other},{own}]}}"#);
        tar(|a| {
            file(a, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
            for (digest, bytes) in &self.blobs {
                long_file(a, &format!("blobs/sha256/{digest}"), bytes);
            }
            file(a, "index.json", change(index).as_bytes());
        })
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn descriptor(kind: &str, digest: &str, size: usize, platform: &str) -> String {
    let platform = match platform {
        "" => String::new(),
        arch => format!(r#","platform":{{"architecture":"{arch}","os":"linux"}}"#),
    };
    format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}{platform}}}"#)
}

fn long_file(archive: &mut Archive, name: &str, content: &[u8]) {
    file(archive, name, content);
}

fn base() -> Vec<u8> {
    tar(|a| {
        file(a, "bin/start", b"program");
        file(a, "etc/old", b"old");
        file(a, "etc/gone", b"gone");
        link(a, "srv", EntryType::Symlink, "/etc");
    })
}

fn change() -> Vec<u8> {
    tar(|a| {
        file(a, "etc/.wh.gone", b"");
        file(a, "etc/old", b"new");
        file(a, "srv/more", b"more");
    })
}

fn sound(place: &Place, upload: &[u8]) -> Imported {
    import(place, upload).expect("sound")
}

#[test]
fn layers_are_joined_and_the_configuration_says_how_it_is_run() {
    let place = Place::new();
    let upload = Layout::new().pack(&[base(), change()], |index| index);
    let imported = sound(&place, &upload);
    let spec = imported.spec.expect("told");
    assert_eq!(spec.init, ["/bin/start", "-c", "a b"]);
    assert_eq!(spec.stop_signal, "SIGINT");
    assert_eq!(imported.environment, ["PATH=/opt:/bin", "X=1"]);
    assert_eq!(imported.directory, "/srv");
    let root = place.store.rootfs(imported.packed.digest);
    let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
    assert_eq!(text("etc/old").as_deref(), Some("new"));
    assert_eq!(
        text("etc/more").as_deref(),
        Some("more"),
        "through a link, within"
    );
    assert_eq!(text("etc/gone"), None);
    assert!(!root.join("etc/.wh.gone").exists());
    // The same again comes to the same, compressed or not.
    let again = sound(&place, &crate::make::zstd(&upload));
    assert_eq!(again.packed, imported.packed);
}

#[test]
fn what_is_not_as_its_digest_says_is_refused() {
    let place = Place::new();
    let pack = |change: &dyn Fn(String) -> String| Layout::new().pack(&[base()], change);
    let mut flipped = pack(&|index| index);
    let at = flipped
        .windows(7)
        .position(|w| w == b"program")
        .expect("it is in it");
    flipped[at] ^= 1;
    let hex = "0".repeat(64);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a flipped bit in a layer", flipped, "other bytes"),
        (
            "another size",
            pack(&|index| index.replace("\"size\":", "\"size\":1")),
            "another size",
        ),
        (
            "a blob that is missing",
            pack(&|_| {
                let own = descriptor(MANIFEST, &format!("sha256:{hex}"), 1, "");
                format!(r#"{{"schemaVersion":2,"manifests":[{own}]}}"#)
            }),
            "is missing",
        ),
        (
            "a digest that is a path",
            pack(&|_| {
                let own = descriptor(MANIFEST, "sha256:../../../../etc/passwd", 1, "");
                format!(r#"{{"schemaVersion":2,"manifests":[{own}]}}"#)
            }),
            "no OCI image's",
        ),
        (
            "nothing for this machine",
            pack(&|index| {
                let index = index.replace("amd64", "mips");
                index.replace("arm64", "mips")
            }),
            "no image for Linux",
        ),
        ("no index", pack(&|_| String::new()), "no OCI image's"),
        (
            "deep JSON",
            pack(&|_| "[".repeat(100_000)),
            "no OCI image's",
        ),
    ];
    for (what, upload, cause) in cases {
        let refused = import(&place, &upload).expect_err(what);
        assert!(refused.contains(cause), "{what}: {refused}");
        place.check(what);
    }
}

#[test]
fn what_cannot_be_run_is_refused() {
    let place = Place::new();
    for (config, cause) in [
        (r#"{"Entrypoint":["missing"]}"#, "is not in it"),
        (r"{}", "neither an entrypoint nor a command"),
        (r#"{"Cmd":["start"],"User":"1000"}"#, "runs as user"),
    ] {
        let layout = Layout {
            config: config.to_owned(),
            ..Layout::new()
        };
        let refused = import(&place, &layout.pack(&[base()], |index| index)).expect_err(config);
        assert!(refused.contains(cause), "{config}: {refused}");
    }
}

#[test]
fn a_layer_takes_away_nothing_outside() {
    let place = Place::new();
    for name in [".wh...", "../.wh.victim", ".wh.", ".wh.."] {
        let layer = tar(|a| file(a, name, b""));
        let upload = Layout::new().pack(&[base(), layer], |index| index);
        // Whether it is refused or means nothing.
        let _ = import(&place, &upload);
        place.check(name);
    }
}
