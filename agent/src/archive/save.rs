//! From a vnode to an image: its image below, its own layer upon it, packed as one.

use std::fs::File;
use std::path::Path;

use super::pack::{Packed, pack_tree};
use super::spool::Spool;
use super::stop::Stop;
use super::tree::Tree;
use super::{Limits, Unfit};

/// A save that has read all that it needs of the vnode, which may go on.
pub struct Taken(Tree, Stop);

/// The image that a vnode is made of, to be laid below.
pub struct Base(Tree, Stop);

impl Base {
    /// Reads the image's own blob; contents are kept in `dir`. All of it ends when it shall `stop`.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(blob: File, dir: &Path, limits: &Limits, stop: &Stop) -> Result<Self, Unfit> {
        let mut tree = Tree::new_until(Spool::new(dir)?, *limits, stop.clone());
        tree.lay(stop.until(blob), false)?;
        Ok(Self(tree, stop.clone()))
    }

    /// Takes the vnode's own layer, which must stand still meanwhile; its ids begin at `uid_base`.
    ///
    /// # Errors
    /// It cannot be read, or has no place in an image.
    pub fn take(self, upper: &Path, uid_base: u32) -> Result<Taken, Unfit> {
        let Self(mut tree, stop) = self;
        tree.lay_upper(upper, uid_base)?;
        Ok(Taken(tree, stop))
    }
}

impl Taken {
    /// Packs it into the new file `blob`.
    ///
    /// # Errors
    /// The blob cannot be written.
    pub fn pack(&self, blob: &Path) -> Result<Packed, Unfit> {
        pack_tree(&self.0, blob, &self.1)
    }
}
