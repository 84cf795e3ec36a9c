//! A root file system in memory: names and what they are, contents in a spool. Layers are laid upon each other here, and
//! links are followed here; no path of an archive ever reaches the file system.

use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Bound;

use super::inside::Inside;
use super::read::{self, Item, Kind};
use super::spool::{Extent, Spool};
use super::stop::Stop;
use super::{Limits, Unfit, source};

/// As many links as Linux follows.
const LINKS_MAX: usize = 40;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// What there is at a path.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) meta: Meta,
    pub(super) kind: NodeKind,
    /// The layer that brought it.
    layer: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Meta {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: u64,
}

#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Dir,
    /// Names of one file share its number.
    File {
        number: u64,
        content: Extent,
    },
    Symlink(Vec<u8>),
}

/// The tree, and what is left of its limits.
pub(super) struct Tree {
    nodes: BTreeMap<Inside, Node>,
    root: Meta,
    spool: Spool,
    layers: usize,
    files: u64,
    bytes: u64,
    names_bytes: u64,
    limits: Limits,
    stop: Stop,
}

impl Tree {
    pub(super) fn new(spool: Spool, limits: Limits) -> Self {
        Self::new_until(spool, limits, Stop::default())
    }

    /// One into which nothing is taken any more once it shall stop.
    pub(super) fn new_until(spool: Spool, limits: Limits, stop: Stop) -> Self {
        Self {
            stop,
            nodes: BTreeMap::new(),
            root: Meta::of_nobody(),
            spool,
            layers: 0,
            files: 0,
            bytes: 0,
            names_bytes: 0,
            limits,
        }
    }

    /// Bytes that it may have when it is packed.
    pub(super) fn blob_bytes_max(&self) -> u64 {
        self.limits.blob_bytes_max
    }

    /// Fails if it shall stop.
    pub(super) fn check_stop(&self) -> Result<(), Unfit> {
        self.stop.check()
    }

    /// What there is now: contents are shared, not copied.
    pub(super) fn snapshot(&self) -> BTreeMap<Inside, Node> {
        self.nodes.clone()
    }

    pub(super) fn begin_layer(&mut self) {
        self.layers += 1;
    }

    pub(super) fn set_root(&mut self, root: Meta) {
        self.root = root;
    }

    /// Everything, parents before children.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (&Inside, &Node)> {
        self.nodes.iter()
    }

    /// Lays one more archive upon what there is. In a layer of an OCI image names may take away what is below.
    pub(super) fn lay(
        &mut self,
        archive: impl Read + Send + 'static,
        whiteouts: bool,
    ) -> Result<(), Unfit> {
        self.layers += 1;
        let limits = self.limits;
        let plain = source::open(archive, &limits)?;
        read::each(plain, &limits, |item, content| {
            self.take(item, content, whiteouts)
        })
    }

    fn take(&mut self, item: Item, content: &mut dyn Read, whiteouts: bool) -> Result<(), Unfit> {
        self.check_stop()?;
        let meta = Meta::of(&item);
        let Some(path) = item.path else {
            self.root = meta;
            return Ok(());
        };
        let parent = path.parent();
        let parent = parent
            .map(|parent| self.resolve(&parent))
            .transpose()?
            .flatten();
        if whiteouts && path.name().starts_with(WHITEOUT) {
            self.white_out(parent.as_ref(), path.name());
            return Ok(());
        }
        let place = Inside::join(parent.as_ref(), path.name());
        let kind = match item.kind {
            Kind::Dir => NodeKind::Dir,
            Kind::Symlink(target) => NodeKind::Symlink(target),
            Kind::File { bytes } => self.file(content, bytes)?,
            Kind::Hardlink(target) => return self.link(&target, place),
            Kind::LeftOut => return Ok(()),
        };
        self.ensure_dirs(place.parent().as_ref())?;
        self.put(place, meta, kind)
    }

    pub(super) fn file(&mut self, content: &mut dyn Read, bytes: u64) -> Result<NodeKind, Unfit> {
        self.bytes += bytes;
        if self.bytes > self.limits.bytes_max {
            let most = self.limits.bytes_max;
            return Err(Unfit::content(format!(
                "its files have more than {most} bytes"
            )));
        }
        self.files += 1;
        Ok(NodeKind::File {
            number: self.files,
            content: self.spool.keep(&mut self.stop.until(content), bytes)?,
        })
    }

    /// One more name of a file that there is.
    pub(super) fn link(&mut self, target: &Inside, place: Inside) -> Result<(), Unfit> {
        let dir = target.parent();
        let dir = dir.map(|dir| self.resolve(&dir)).transpose()?.flatten();
        let found = self.nodes.get(&Inside::join(dir.as_ref(), target.name()));
        let Some(node) = found
            .filter(|node| !matches!(node.kind, NodeKind::Dir))
            .cloned()
        else {
            let (place, target) = (place.shown(), target.shown());
            let text = format!("{place} is another name of {target}, and there is no such file");
            return Err(Unfit::content(text));
        };
        self.ensure_dirs(place.parent().as_ref())?;
        self.put(place, node.meta, node.kind)
    }

    pub(super) fn put(&mut self, place: Inside, meta: Meta, kind: NodeKind) -> Result<(), Unfit> {
        let stays = match (self.nodes.get(&place).map(|node| &node.kind), &kind) {
            (Some(NodeKind::Dir), NodeKind::Dir) | (None, _) => true,
            (Some(_), _) => false,
        };
        if !stays {
            self.remove(&place, usize::MAX);
        }
        let target_bytes = match &kind {
            NodeKind::Symlink(target) => target.len(),
            NodeKind::Dir | NodeKind::File { .. } => 0,
        };
        self.names_bytes += (place.as_bytes().len() + target_bytes) as u64;
        let layer = self.layers;
        self.nodes.insert(place, Node { meta, kind, layer });
        let too_many = self.nodes.len() as u64 > self.limits.entries_max;
        if too_many || self.names_bytes > self.limits.names_bytes_max {
            return Err(Unfit::content("it has more files than an image may have"));
        }
        Ok(())
    }

    /// Directories that no entry tells of are root's.
    fn ensure_dirs(&mut self, dir: Option<&Inside>) -> Result<(), Unfit> {
        let Some(dir) = dir else { return Ok(()) };
        match self.nodes.get(dir).map(|node| &node.kind) {
            Some(NodeKind::Dir) => Ok(()),
            // A layer may put a directory where a file was.
            Some(NodeKind::File { .. } | NodeKind::Symlink(_)) | None => {
                self.ensure_dirs(dir.parent().as_ref())?;
                self.put(dir.clone(), Meta::of_nobody(), NodeKind::Dir)
            }
        }
    }

    /// Takes away what lower layers have there: one name, or all in the directory.
    fn white_out(&mut self, dir: Option<&Inside>, name: &[u8]) {
        if name != OPAQUE {
            let gone = Inside::join(dir, &name[WHITEOUT.len()..]);
            return self.remove(&gone, self.layers);
        }
        let layer = self.layers;
        match dir {
            Some(dir) => {
                let below = self.below(dir);
                for path in below {
                    self.remove_if_below(&path, layer);
                }
            }
            None => self.nodes.retain(|_, node| node.layer >= layer),
        }
    }

    fn below(&self, dir: &Inside) -> Vec<Inside> {
        let prefix = [dir.as_bytes(), b"/"].concat();
        let after = self
            .nodes
            .range((Bound::Excluded(dir.clone()), Bound::Unbounded));
        // Between a directory and what is in it names may sort that only begin alike.
        let alike = after.take_while(|(path, _)| path.as_bytes().starts_with(dir.as_bytes()));
        let below = alike.filter(|(path, _)| path.as_bytes().starts_with(&prefix));
        below.map(|(path, _)| path.clone()).collect()
    }

    /// Removes a path and all below, as far as an earlier layer than `layer` brought it.
    pub(super) fn remove(&mut self, path: &Inside, layer: usize) {
        for below in self.below(path) {
            self.remove_if_below(&below, layer);
        }
        self.remove_if_below(path, layer);
    }

    fn remove_if_below(&mut self, path: &Inside, layer: usize) {
        if self.nodes.get(path).is_some_and(|node| node.layer < layer) {
            self.nodes.remove(path);
        }
    }

    /// Where a directory really is, following symbolic links as the vnode would: from its own root, never out of it.
    /// None for the root.
    fn resolve(&self, path: &Inside) -> Result<Option<Inside>, Unfit> {
        let mut todo: Vec<Vec<u8>> = path.parts().rev().map(<[u8]>::to_vec).collect();
        let (mut at, mut links) = (None, 0);
        while let Some(part) = todo.pop() {
            match &part[..] {
                b"" | b"." => continue,
                b".." => {
                    at = at.and_then(|at: Inside| at.parent());
                    continue;
                }
                _ => {}
            }
            let next = Inside::join(at.as_ref(), &part);
            if let Some(NodeKind::Symlink(target)) = self.nodes.get(&next).map(|n| &n.kind) {
                links += 1;
                if links > LINKS_MAX {
                    let text = format!("{} goes round in symbolic links", path.shown());
                    return Err(Unfit::content(text));
                }
                if target.starts_with(b"/") {
                    at = None;
                }
                todo.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
            } else {
                at = Some(next);
            }
        }
        // A link may make it longer than any path.
        at.map_or(Ok(None), |at| Inside::parse(at.as_bytes()))
    }

    /// The file that a path means to the vnode, if it is one: `/sbin/init`, links followed.
    pub(super) fn file_at(&self, path: &str) -> Option<Inside> {
        let path = Inside::parse(path.trim_start_matches('/').as_bytes()).ok()??;
        let found = self.resolve(&path).ok()??;
        let node = self.nodes.get(&found)?;
        matches!(node.kind, NodeKind::File { .. }).then_some(found)
    }

    pub(super) fn root(&self) -> &Meta {
        &self.root
    }
}

impl Meta {
    fn of(item: &Item) -> Self {
        Self {
            mode: item.mode,
            uid: item.uid,
            gid: item.gid,
            mtime: item.mtime,
        }
    }

    fn of_nobody() -> Self {
        Self {
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// A tar of files by name and content; a name that ends with a slash is a directory, one with an arrow a link.
    fn layer(entries: &[(&str, &str)]) -> std::io::Cursor<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(7);
            header.set_size(0);
            if let Some((name, target)) = name.split_once(" -> ") {
                header.set_entry_type(tar::EntryType::Symlink);
                archive
                    .append_link(&mut header, name, target)
                    .expect("a link");
            } else if name.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
                archive
                    .append_data(&mut header, name, std::io::empty())
                    .expect("a directory");
            } else {
                header.set_size(content.len() as u64);
                archive
                    .append_data(&mut header, name, content.as_bytes())
                    .expect("a file");
            }
        }
        std::io::Cursor::new(archive.into_inner().expect("an archive"))
    }

    fn tree(layers: &[&[(&str, &str)]]) -> Vec<String> {
        let spool = Spool::new(Path::new("/var/tmp")).expect("a spool");
        let mut tree = Tree::new(spool, Limits::default());
        for entries in layers {
            tree.lay(layer(entries), true).expect("sound");
        }
        let told = tree.nodes().map(|(path, node)| match &node.kind {
            NodeKind::Dir => format!("{}/", String::from_utf8_lossy(path.as_bytes())),
            NodeKind::Symlink(_) => String::from_utf8_lossy(path.as_bytes()).into_owned(),
            NodeKind::File { content, .. } => {
                let mut text = String::new();
                content.reader().read_to_string(&mut text).expect("kept");
                format!("{}={text}", String::from_utf8_lossy(path.as_bytes()))
            }
        });
        told.collect()
    }

    #[test]
    fn a_later_layer_covers_and_takes_away_what_is_below_and_not_its_own() {
        let below: &[(&str, &str)] = &[("a/x", "1"), ("a/y", "1"), ("a-b", "1"), ("c", "1")];
        assert_eq!(
            tree(&[below, &[("a/x", "2")]]),
            ["a/", "a-b=1", "a/x=2", "a/y=1", "c=1"]
        );
        assert_eq!(
            tree(&[below, &[("a/.wh.x", ""), (".wh.c", "")]]),
            ["a/", "a-b=1", "a/y=1"]
        );
        // Whichever comes first within a layer.
        let opaque: &[(&str, &str)] = &[("a/z", "2"), ("a/.wh..wh..opq", "")];
        assert_eq!(tree(&[below, opaque]), ["a/", "a-b=1", "a/z=2", "c=1"]);
        assert_eq!(tree(&[below, &[(".wh.a", "")]]), ["a-b=1", "c=1"]);
        assert_eq!(
            tree(&[below, &[("a", "2")]]),
            ["a=2", "a-b=1", "c=1"],
            "a file for a directory"
        );
        assert_eq!(
            tree(&[below, &[("c/d", "2")]]),
            ["a/", "a-b=1", "a/x=1", "a/y=1", "c/", "c/d=2"]
        );
    }

    #[test]
    fn links_are_followed_within_the_tree_only() {
        let usr: &[(&str, &str)] = &[
            ("usr/lib/", ""),
            ("lib -> usr/lib", ""),
            ("out -> ../../usr", ""),
        ];
        let told = tree(&[usr, &[("lib/x", "1"), ("out/y", "1")]]);
        assert_eq!(
            told,
            ["lib", "out", "usr/", "usr/lib/", "usr/lib/x=1", "usr/y=1"]
        );
        let spool = Spool::new(Path::new("/var/tmp")).expect("a spool");
        let mut round = Tree::new(spool, Limits::default());
        let entries = layer(&[("a -> b", ""), ("b -> a", ""), ("a/x", "1")]);
        let unfit = round.lay(entries, true).expect_err("no end");
        assert!(unfit.full_text().contains("goes round"), "{unfit}");
    }
}
