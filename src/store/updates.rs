//! How the image of each container stands: worked out when one of the things changes that it follows from, so that no face
//! does it again.

use super::State;
use crate::domain::{ContainerId, ImageUpdate};

impl State {
    /// How the image of a container stands; `None` as long as nobody has looked.
    pub fn image_update(&self, id: &ContainerId) -> Option<&ImageUpdate> {
        self.image_updates.get(id)
    }

    /// Compares every container's image with what is known of it.
    pub(super) fn compare_images(&mut self) {
        let (Some(docker), Some(sample)) = (self.docker.get(), self.updates.get()) else { return };
        let now = self.now.wall;
        let standing = |container: &crate::domain::Container| {
            Some((container.id.clone(), ImageUpdate::of(container, sample, &self.update_policy, now)?))
        };
        self.image_updates = docker.containers.iter().filter_map(|container| standing(container)).collect();
    }
}
