//! Images made for one test: imported, or committed from a container; removed when dropped.

use std::fs;
use std::process::Command;

use bollard::models::ContainerConfig;
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, CreateImageOptionsBuilder, RemoveImageOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use futures_util::StreamExt as _;

use super::{Container, Engine};

/// An image of the private engine. Dropping it removes it with all its names.
pub(crate) struct Image {
    engine: Engine,
    id: String,
}

impl Engine {
    /// An image with one layer, in which one file of so many bytes is filled with `fill`. The reference is taken away from
    /// an image that has it.
    #[track_caller]
    pub(crate) fn image(&self, reference: &str, fill: u8, bytes: usize) -> Image {
        self.image_with(reference, fill, bytes, &[])
    }

    /// The same with instructions of a Dockerfile, such as `LABEL …`.
    #[track_caller]
    pub(crate) fn image_with(&self, reference: &str, fill: u8, bytes: usize, instructions: &[&str]) -> Image {
        let (repository, tag) = reference.rsplit_once(':').unwrap();
        let changes = instructions.iter().map(ToString::to_string).collect();
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).changes(changes).build();
        self.block_on(async {
            let body = bollard::body_full(archive("content", fill, bytes).into());
            let mut progress = std::pin::pin!(self.docker().create_image(Some(options), Some(body), None));
            while let Some(step) = progress.next().await {
                step.expect("the engine imports the image");
            }
        });
        let id = self.block_on(self.docker().inspect_image(reference)).unwrap().id.unwrap();
        Image { engine: self.clone(), id }
    }

    /// An image like that of a container, with one more layer, in which one more file is filled with `fill`.
    #[track_caller]
    pub(crate) fn commit(&self, container: &Container, reference: &str, fill: u8, bytes: usize) -> Image {
        let options = UploadToContainerOptionsBuilder::new().path("/").build();
        let body = bollard::body_full(archive("more", fill, bytes).into());
        self.block_on(self.docker().upload_to_container(container.id(), Some(options), body)).unwrap();
        let (repository, tag) = reference.rsplit_once(':').unwrap();
        let options = CommitContainerOptionsBuilder::new().container(container.id()).repo(repository).tag(tag).build();
        let id = self.block_on(self.docker().commit_container(options, ContainerConfig::default())).unwrap().id;
        Image { engine: self.clone(), id }
    }

    /// Takes a name away from an image.
    #[track_caller]
    pub(crate) fn untag(&self, reference: &str) {
        let options = RemoveImageOptionsBuilder::new().noprune(true).build();
        self.block_on(self.docker().remove_image(reference, Some(options), None)).unwrap();
    }
}

impl Image {
    /// The full id, `sha256:…`.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let options = RemoveImageOptionsBuilder::new().force(true).build();
        // A test may have removed it already, or goes on to remove what is made from it.
        let _ = self.engine.block_on(self.engine.docker().remove_image(&self.id, Some(options), None));
    }
}

/// A tar archive of one file.
fn archive(name: &str, fill: u8, bytes: usize) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), vec![fill; bytes]).unwrap();
    let archive = Command::new("tar").arg("--create").arg("--directory").arg(folder.path()).arg(name).output().unwrap();
    assert!(archive.status.success(), "tar: {archive:?}");
    archive.stdout
}
