//! Where the container engine is: the same answer for the source and for whoever else asks the engine something.

use std::time::Duration;

use tokio::time::timeout;

use crate::domain::Failure;
use crate::host::{Candidate, DockerClient, Lane, RootedFs};

/// What finding the engine takes. Clones share it.
#[derive(Debug, Clone)]
pub struct Finder {
    fs: RootedFs,
    files: Lane,
    endpoint: Option<String>,
}

impl Finder {
    /// How long reading a few small files may take.
    const FILES_PATIENCE: Duration = Duration::from_secs(2);

    /// Reads files below `fs` on the thread `files`. `endpoint` is what the config names.
    pub fn new(fs: RootedFs, files: Lane, endpoint: Option<String>) -> Self {
        Self { fs, files, endpoint }
    }

    /// Finds the engine's endpoint.
    ///
    /// # Errors
    /// When there is none that can be spoken to, or the files that name it cannot be read in time.
    pub async fn discover(&self) -> Result<Candidate, Failure> {
        DockerClient::find(&self.fs, &self.files, self.endpoint.clone()).await
    }

    /// The machine's files.
    pub(super) fn fs(&self) -> &RootedFs {
        &self.fs
    }

    /// Runs a short reading of files away from the async thread; `None` if it does not come back in time.
    pub(super) async fn read<T: Send + 'static>(&self, read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let mut reader = self.files.reader(|| ());
        let reading = reader.read(move |()| read());
        timeout(Self::FILES_PATIENCE, reading).await.ok()?.ok()
    }
}
