//! What was read before and need not be read again: a file with the same place, inode, size and time says the same.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::ollama::Manifest;
use super::tuned::Sidecar;
use crate::domain::WeightsFormat;
use crate::host::weights::{self, Header, HubConfig, WeightsError};
use crate::host::{FileFacts, RootedFs};

/// What a look at the header of a file gave.
pub(super) struct HeaderRead {
    /// What it says, or why that is not known.
    pub(super) header: Result<Header, WeightsError>,
    /// The file system did not take the look for a use of the file.
    pub(super) unnoticed: bool,
}

/// What is known of files from the looks before.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) manifests: Known<Manifest>,
    headers: Known<HeaderRead>,
    configs: Known<Option<HubConfig>>,
    pub(super) sidecars: Known<Result<Sidecar, String>>,
    /// Headers that are not known are left for the next look.
    pub(super) headers_wait: bool,
}

impl Memory {
    /// Begins another look at everything.
    pub(super) fn begin(&mut self) {
        self.manifests.begin();
        self.headers.begin();
        self.configs.begin();
        self.sidecars.begin();
    }

    /// Ends it: what was not met is forgotten. How many files were read.
    pub(super) fn end(&mut self) -> usize {
        self.manifests.end() + self.headers.end() + self.configs.end() + self.sidecars.end()
    }

    /// The header of a file with weights.
    pub(super) fn header(
        &mut self,
        fs: &RootedFs,
        path: &Path,
        facts: &FileFacts,
        format: WeightsFormat,
    ) -> Arc<HeaderRead> {
        if self.headers_wait && !self.headers.knows(path, facts) {
            return Arc::new(HeaderRead { header: Err(WeightsError::Waiting), unnoticed: true });
        }
        self.headers.get(path, facts, || {
            let (header, unnoticed) = match weights::read(fs, path, format) {
                Ok((header, unnoticed)) => (Ok(header), unnoticed),
                Err(error) => (Err(error), true),
            };
            // What could not be opened now may be opened another time.
            let stays = !matches!(header, Err(WeightsError::Unread(_)));
            (HeaderRead { header, unnoticed }, stays)
        })
    }

    /// The `config.json` beside weights; `None` where it cannot be read.
    pub(super) fn config(&mut self, fs: &RootedFs, path: &Path, facts: &FileFacts) -> Arc<Option<HubConfig>> {
        self.configs.get(path, facts, || {
            let read = HubConfig::read(fs, path);
            let stays = !matches!(read, Err(WeightsError::Unread(_)));
            (read.ok(), stays)
        })
    }
}

/// What tells that a file is still the same.
type Stamp = ((u64, u64), u64, Option<Timestamp>);

fn stamp(facts: &FileFacts) -> Stamp {
    (facts.id, facts.size_bytes, facts.modified)
}

/// Files of one kind, by path.
pub(super) struct Known<T> {
    by_path: HashMap<PathBuf, Entry<T>>,
    read: usize,
}

struct Entry<T> {
    stamp: Stamp,
    met: bool,
    value: Arc<T>,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { by_path: HashMap::new(), read: 0 }
    }
}

impl<T> Known<T> {
    fn begin(&mut self) {
        self.read = 0;
        self.by_path.values_mut().for_each(|entry| entry.met = false);
    }

    fn end(&mut self) -> usize {
        self.by_path.retain(|_, entry| entry.met);
        self.read
    }

    fn knows(&self, path: &Path, facts: &FileFacts) -> bool {
        self.by_path.get(path).is_some_and(|entry| entry.stamp == stamp(facts))
    }

    /// What a file says: as it is known, else as `read` finds it, which also tells whether that will be true another time.
    pub(super) fn get(&mut self, path: &Path, facts: &FileFacts, read: impl FnOnce() -> (T, bool)) -> Arc<T> {
        let stamp = stamp(facts);
        if let Some(entry) = self.by_path.get_mut(path).filter(|entry| entry.stamp == stamp) {
            entry.met = true;
            return entry.value.clone();
        }
        self.read += 1;
        let (value, stays) = read();
        let value = Arc::new(value);
        if stays {
            self.by_path.insert(path.to_owned(), Entry { stamp, met: true, value: value.clone() });
        }
        value
    }
}
