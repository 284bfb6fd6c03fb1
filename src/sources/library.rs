//! The models on disk: Ollama's manifests and blobs, the cache of Hugging Face, folders of GGUF and safetensors.
//!
//! Where they are looked for stands in [`roots`]; each kind of store is a file; [`scan`] puts them together, so that no byte
//! is counted twice. Files are looked at, not read: of a header or a manifest that did not change since the last look it is
//! known what it says ([`memory`]). Links are not followed out of a place, and a name that could be shown only after it
//! was stripped is left out, with a word.

mod files;
mod folder;
mod hugging_face;
mod last_use;
mod memory;
mod naming;
mod ollama;
mod roots;
mod scan;
mod secrets;
mod tuned;
mod weights;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::{mpsc, watch};

use super::roster::{self, Roster};
use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{
    Container, Event, Failure, LibraryPlace, LibrarySample, ModelStore, Sample, SourceId, Tuned, units,
};
use crate::host::{Clock, ModelHomes, Reader, RootedFs};
use memory::Memory;
use roots::Root;

pub use naming::{NamingConvention, NoConvention};
pub use tuned::Day;

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Library,
    interval: Some(Duration::from_mins(5)),
    heavy: true,
    timeout: Duration::from_mins(2),
    build: |context| Box::new(Library::new(context)),
};

/// What the config says about models on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibrarySettings {
    /// Folders of models beside the stores that are found by themselves; absolute paths.
    pub folders: Vec<String>,
    /// What names are to look like.
    pub naming: Option<NamingConvention>,
    /// Days after which a model that was fine-tuned is to be trained anew, where nothing else is said of it.
    pub retrain_days: u32,
    /// Models that were fine-tuned, by name.
    pub tuned: BTreeMap<String, Tuned>,
}

impl Default for LibrarySettings {
    fn default() -> Self {
        Self { folders: Vec::new(), naming: None, retrain_days: 90, tuned: BTreeMap::new() }
    }
}

struct Library {
    reader: Reader<Memory>,
    fs: RootedFs,
    homes: ModelHomes,
    settings: LibrarySettings,
    roster: watch::Receiver<Roster>,
    clock: Clock,
    events: mpsc::Sender<Event>,
    /// A look was had at all headers.
    looked: bool,
    /// Who else wants to know what is there.
    followers: watch::Sender<Option<Arc<LibrarySample>>>,
}

impl Library {
    fn new(context: &SourceContext) -> Self {
        Self {
            reader: context.ports.library.reader(Memory::default),
            fs: context.ports.fs.clone(),
            homes: ModelHomes::of_this_process(),
            settings: context.settings.library.clone(),
            roster: context.roster.subscribe(),
            clock: context.ports.clock,
            events: context.events.clone(),
            looked: false,
            followers: context.library.clone(),
        }
    }
}

impl Library {
    /// Looks at every place; with or without the headers that are not known yet.
    async fn look(&mut self, roots: Vec<Root>, headers_wait: bool) -> Result<LibrarySample, Failure> {
        let (fs, settings) = (self.fs.clone(), self.settings.clone());
        let look = move |memory: &mut Memory| {
            memory.headers_wait = headers_wait;
            scan::scan(&fs, &roots, &settings, memory)
        };
        let looked = self.reader.read(look).await;
        looked.map_err(|why| Failure::failed(format!("a folder of models does not answer: {why}")))
    }
}

/// Every place of models, looked at once: what these containers mount, what the config names, and what programs keep by
/// themselves. Blocks as long as the file systems do.
pub fn model_stores(fs: &RootedFs, folders: &[String], containers: &[Container]) -> Vec<LibraryPlace> {
    places(fs, &roots::roots(&ModelHomes::of_this_process(), folders, containers))
}

/// The models in these stores, and in what these containers mount, headers and all, looked at once. Blocks as long as the file
/// systems do.
pub fn stored_models(fs: &RootedFs, stores: &[(ModelStore, String)], containers: &[Container]) -> LibrarySample {
    let named = stores.iter().map(|(store, path)| roots::known(path, *store));
    let roots: Vec<Root> = named.chain(containers.iter().flat_map(roots::of_container)).collect();
    scan::scan(fs, &roots, &LibrarySettings::default(), &mut Memory::default())
}

/// One store of models, looked at once; `None` where it is gone.
pub fn model_store(fs: &RootedFs, store: ModelStore, path: &str) -> Option<LibraryPlace> {
    places(fs, &[roots::known(path, store)]).pop()
}

fn places(fs: &RootedFs, roots: &[Root]) -> Vec<LibraryPlace> {
    // What weights say of themselves is not asked.
    let mut memory = Memory::default();
    memory.headers_wait = true;
    scan::scan(fs, roots, &LibrarySettings::default(), &mut memory).places
}

impl Source for Library {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        Box::pin(async move {
            // Without an engine there are no containers that could hold models.
            let containers = roster::known(&mut self.roster).await.ok().map(|known| known.sample);
            let roots = roots::roots(&self.homes, &self.settings.folders, &roots::here(containers.as_deref()));
            if !self.looked {
                // The words of two hundred vocabularies take a while: what is known without them is not held back.
                let sample = self.look(roots.clone(), true).await?;
                let event = Event::Sampled {
                    detail: detail(&sample),
                    sample: Sample::Library(Arc::new(sample)),
                    at: self.clock.now(),
                };
                // Nobody may be there any more.
                let _gone = self.events.send(event).await;
            }
            let sample = self.look(roots, false).await?;
            self.looked = true;
            let (detail, sample) = (detail(&sample), Arc::new(sample));
            self.followers.send_replace(Some(Arc::clone(&sample)));
            Ok(Read { detail, sample: Sample::Library(sample) })
        })
    }
}

/// Such as `37 models, 412 GiB in 3 places, 1 of them closed to this user`.
fn detail(sample: &LibrarySample) -> String {
    let plural = |count: usize, thing: &str| format!("{count} {thing}{}", if count == 1 { "" } else { "s" });
    let closed = sample.places.iter().filter(|place| place.is_closed()).count();
    let closed = if closed > 0 { format!(", {closed} of them closed to this user") } else { String::new() };
    let (models, places) = (plural(sample.models.len(), "model"), plural(sample.places.len(), "place"));
    format!("{models}, {} in {places}{closed}", units::bytes(sample.total_bytes()))
}

#[cfg(test)]
mod tests;
