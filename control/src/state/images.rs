//! Images: what they are called, how they are run, who holds them.

use super::State;
use crate::id::{Digest, UserId, VnodeId};
use crate::model::{
    Image, ImageCopies, ImageQuota, ImageRun, ImageSave, ImageSaveBound, ImageTitle,
    UserImageQuota, Visibility,
};
use crate::name::Name;

impl State {
    #[must_use]
    pub fn image_named(&self, name: &Name) -> Option<&Image> {
        let (_, digest) = self.image_names.get(name)?;
        self.images.get(digest)
    }

    /// How many bytes of images whoever has no quota of their own may have.
    #[must_use]
    pub fn image_quota(&self) -> ImageQuota {
        self.image_quota.unwrap_or(ImageQuota::USUAL)
    }

    /// What everybody calls so, since version 3.
    #[must_use]
    pub fn public_image(&self, name: &Name) -> Option<&ImageTitle> {
        let owner = *self.lookup.public_images.get(name)?;
        self.image_titles.get(&(owner, name.clone()))
    }

    pub(crate) fn put_image(&mut self, image: Image) {
        self.images.insert(image.digest, image);
    }

    pub(crate) fn remove_image(&mut self, digest: &Digest) {
        self.images.remove(digest);
    }

    /// What an image's name means from now on.
    pub(crate) fn put_image_name(&mut self, row: (Name, Digest)) {
        self.image_names.insert(row.0.clone(), row);
    }

    pub(crate) fn remove_image_name(&mut self, name: &Name) {
        self.image_names.remove(name);
    }

    pub(crate) fn put_image_title(&mut self, title: ImageTitle) {
        self.remove_image_title(&title.key());
        if title.visibility == Visibility::Public {
            let (name, owner) = (title.name.clone(), title.owner);
            self.lookup.public_images.insert(name, owner);
        }
        self.image_titles.insert(title.key(), title);
    }

    pub(crate) fn remove_image_title(&mut self, key: &(UserId, Name)) {
        let Some(title) = self.image_titles.remove(key) else {
            return;
        };
        if self.lookup.public_images.get(&title.name) == Some(&title.owner) {
            self.lookup.public_images.remove(&title.name);
        }
    }

    pub(crate) fn put_image_run(&mut self, run: ImageRun) {
        self.image_runs.insert(run.digest, run);
    }

    pub(crate) fn remove_image_run(&mut self, digest: &Digest) {
        self.image_runs.remove(digest);
    }

    pub(crate) fn put_image_copies(&mut self, copies: ImageCopies) {
        self.image_copies.insert(copies.digest, copies);
    }

    pub(crate) fn remove_image_copies(&mut self, digest: &Digest) {
        self.image_copies.remove(digest);
    }

    pub(crate) fn put_image_save(&mut self, save: ImageSave) {
        self.image_saves.insert(save.vnode, save);
    }

    pub(crate) fn remove_image_save(&mut self, vnode: &VnodeId) {
        self.image_saves.remove(vnode);
    }

    pub(crate) fn put_image_save_bound(&mut self, bound: ImageSaveBound) {
        self.image_save_bounds.insert(bound.vnode, bound);
    }

    pub(crate) fn remove_image_save_bound(&mut self, vnode: &VnodeId) {
        self.image_save_bounds.remove(vnode);
    }

    pub(crate) fn put_image_quota_of(&mut self, own: UserImageQuota) {
        self.image_quotas.insert(own.user, own);
    }

    pub(crate) fn remove_image_quota_of(&mut self, user: &UserId) {
        self.image_quotas.remove(user);
    }
}
