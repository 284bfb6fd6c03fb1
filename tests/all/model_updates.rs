//! Newer revisions of models as hostler finds them: stores of Ollama and Hugging Face on disk, a double of both registries,
//! and what is said of each model as the registries move on.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hostler::domain::{Event, Failure, GpuSample, Sample, SourceId, Standing, StoredModel, UpdateMemory};
use hostler::host::{Ports, sha256};
use hostler::sources::{LibrarySettings, Remembered, Roster, SOURCES, Source, SourceContext, SourceSettings};
use hostler::store::State;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::bed::{Asked, RegistryDouble, Reply, registry_double};
use crate::make;
use crate::weights::Gguf;

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

/// A box with models, and the registries that it asks.
struct Bed {
    folder: TempDir,
    ports: Ports,
    runtime: Runtime,
    state: State,
    /// What registries answered, as a run remembers it for the next one.
    memory: UpdateMemory,
}

impl Bed {
    fn new(double: &RegistryDouble) -> Self {
        let mut ports = Ports::new("/");
        let mirror = format!("http://{}", double.host());
        let registries = ports.registries.docker_config(Path::new("/nonexistent"));
        ports.registries = registries.hugging_face(&mirror).patience(Duration::from_secs(1));
        Self {
            folder: tempfile::tempdir().unwrap(),
            ports,
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            state: make::state(),
            memory: UpdateMemory::default(),
        }
    }

    /// A model of Ollama with this manifest, as `pull` writes it.
    fn pulled(&self, host: &str, name: &str, manifest: &str) {
        let manifests = self.folder.path().join("ollama/manifests").join(host).join("library").join(name);
        fs::create_dir_all(&manifests).unwrap();
        fs::create_dir_all(self.folder.path().join("ollama/blobs")).unwrap();
        fs::write(manifests.join("latest"), manifest).unwrap();
    }

    /// A snapshot in the cache of Hugging Face.
    fn cached(&self, repository: &str, commit: &str) {
        let folder = self.folder.path().join("hub").join(format!("models--{}", repository.replace('/', "--")));
        let snapshot = folder.join("snapshots").join(commit);
        fs::create_dir_all(&snapshot).unwrap();
        fs::create_dir_all(folder.join("refs")).unwrap();
        fs::write(folder.join("refs/main"), commit).unwrap();
        Gguf::llama().write(&snapshot.join("model.gguf"));
    }

    /// Reads the library, then what is published, with everything that is known so old that it is asked for again.
    fn look(&mut self, check_updates: bool, watched: &[&str]) {
        let folders = ["ollama", "hub"].map(|name| self.folder.path().join(name).to_str().unwrap().to_owned()).into();
        let settings = SourceSettings {
            check_updates,
            watched_models: watched.iter().map(|family| family.parse().unwrap()).collect(),
            library: LibrarySettings { folders, ..LibrarySettings::default() },
            ..SourceSettings::default()
        };
        for asked in self.memory.models.values_mut() {
            asked.next = asked.at;
        }
        let updates = Arc::new(std::mem::take(&mut self.memory));
        let (events, _kept) = mpsc::channel(64);
        let remembered = Remembered { updates, ask_after: Some(Duration::ZERO) };
        let context = SourceContext::new(self.ports.clone(), Rc::new(settings), events).with_remembered(remembered);
        context.roster.send_replace(Roster { known: None, failure: Some(Failure::unsupported("no engine")) });
        for id in [SourceId::Library, SourceId::ModelUpdates] {
            let spec = SOURCES.iter().find(|spec| spec.id == id).unwrap();
            let mut source: Box<dyn Source> = (spec.build)(&context);
            let read = self.runtime.block_on(source.poll()).unwrap();
            if let Sample::ModelUpdates(sample) = &read.sample {
                self.memory = (*sample.memory).clone();
            }
            self.state.apply(Event::Sampled { sample: read.sample, detail: read.detail, at: self.ports.clock.now() });
        }
    }

    fn model(&self, name: &str) -> &StoredModel {
        let models = &self.state.library.get().unwrap().models;
        let found = models.iter().find(|model| model.name == name);
        found
            .unwrap_or_else(|| panic!("{name} is not among {:?}", models.iter().map(|it| &it.name).collect::<Vec<_>>()))
    }

    /// How a model stands: what is so, or why that is not known.
    fn standing(&self, name: &str) -> Result<Standing, String> {
        let update = self.state.model_update(self.model(name)).unwrap();
        update.standing.known().cloned().ok_or_else(|| update.standing.why().unwrap().to_string())
    }
}

/// A manifest that differs by its size.
fn manifest(size: u64) -> String {
    let (config, weights) = ("a".repeat(64), "b".repeat(64));
    format!(
        r#"{{"schemaVersion":2,"config":{{"digest":"sha256:{config}","size":9}},"layers":[{{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:{weights}","size":{size}}}]}}"#
    )
}

/// What a double says of each path, to be changed while it runs.
type Said = Arc<Mutex<Box<dyn Fn(&str) -> Reply + Send>>>;

fn saying(reply: impl Fn(&str) -> Reply + Send + 'static) -> (Said, RegistryDouble) {
    let said: Said = Arc::new(Mutex::new(Box::new(reply)));
    let saying = Arc::clone(&said);
    let double = registry_double(move |asked: &Asked| {
        let reply = saying.lock().unwrap();
        reply(&asked.path)
    });
    (said, double)
}

fn revision(commit: &str) -> Reply {
    Reply::new(200, format!(r#"{{"id":"org/small","sha":"{commit}","lastModified":"2026-11-01T00:00:00.000Z"}}"#))
}

#[test]
fn a_newer_revision_is_seen_without_a_download_and_gone_after_the_pull() {
    let (said, double) = saying(|path| match path {
        "/v2/library/qwen/manifests/latest" => Reply::new(200, manifest(1)),
        "/api/models/org/small/revision/main" => revision(FIRST),
        _ => Reply::new(404, ""),
    });
    let mut bed = Bed::new(&double);
    let host = double.host();
    bed.pulled(&host, "qwen", &manifest(1));
    bed.pulled(&host, "own", &manifest(7));
    bed.cached("org/small", FIRST);
    bed.look(true, &[]);
    let (qwen, own) = (format!("{host}/library/qwen:latest"), format!("{host}/library/own:latest"));
    assert_eq!(bed.standing(&qwen), Ok(Standing::Current));
    assert_eq!(bed.standing(&own), Ok(Standing::MadeHere));
    assert_eq!(bed.standing("org/small"), Ok(Standing::Current));

    *said.lock().unwrap() = Box::new(|path| match path {
        "/v2/library/qwen/manifests/latest" => Reply::new(200, manifest(2)),
        _ => revision(SECOND),
    });
    bed.look(true, &[]);
    let digest = sha256(manifest(2).as_bytes()).trim_start_matches("sha256:").to_owned();
    assert_eq!(bed.standing(&qwen), Ok(Standing::Newer { digest, published: None }));
    let published = Some("2026-11-01T00:00:00Z".parse().unwrap());
    assert_eq!(bed.standing("org/small"), Ok(Standing::Newer { digest: SECOND.to_owned(), published }));

    bed.pulled(&host, "qwen", &manifest(2));
    bed.look(true, &[]);
    assert_eq!(bed.standing(&qwen), Ok(Standing::Current));
    let asked = double.asked();
    assert!(asked.iter().all(|asked| !asked.path.contains("blobs") && !asked.path.contains("resolve")), "{asked:?}");
}

#[test]
fn what_cannot_be_told_says_why_and_hangs_nothing() {
    let (_said, double) = saying(|path| match path.split('/').nth(3).unwrap() {
        "denied" => Reply::new(401, ""),
        "html" => Reply::new(200, "<html>"),
        "large" => Reply::new(200, format!("{{\"layers\":[],\"x\":\"{}\"}}", "y".repeat(2 << 20))),
        "hung" => Reply::Silence,
        _ => Reply::new(403, ""),
    });
    let mut bed = Bed::new(&double);
    let host = double.host();
    for name in ["denied", "html", "large", "hung", "a b", "a%2f..%2fb"] {
        bed.pulled(&host, name, &manifest(1));
    }
    bed.cached("org/small", FIRST);
    bed.look(true, &[]);
    for (name, why) in [
        ("denied", "only to those whom it knows"),
        ("html", "it is no manifest"),
        ("large", "larger than 1 MiB"),
        ("hung", "no answer within 1 s"),
        ("a b", "characters that no registry knows"),
        ("a%2f..%2fb", "characters that no registry knows"),
    ] {
        let told = bed.standing(&format!("{host}/library/{name}:latest")).unwrap_err();
        assert!(told.contains(why), "{name}: {told}");
    }
    assert!(bed.standing("org/small").unwrap_err().contains("only to those whom it knows"));
    let asked = double.asked();
    assert!(asked.iter().all(|asked| !asked.path.contains('%') && !asked.path.contains(' ')), "{asked:?}");
    let detail = &bed.state.sources.get(SourceId::ModelUpdates).unwrap().detail;
    assert!(detail.starts_with("5 models from registries, 5 asked about; 5 without an answer"), "{detail}");
}

#[test]
fn nobody_is_asked_where_the_config_says_so() {
    let (_said, double) = saying(|_| Reply::new(404, ""));
    let mut bed = Bed::new(&double);
    bed.cached("org/small", FIRST);
    bed.look(false, &["hf:org/small"]);
    assert!(bed.standing("org/small").unwrap_err().contains("config"));
    assert!(bed.state.watched_families()[0].releases.why().unwrap().to_string().contains("config"));
    assert!(double.asked().is_empty());
}

#[test]
fn what_was_answered_is_not_asked_again_and_families_are_watched() {
    let (_said, double) = saying(|path| match path {
        "/api/models/org/small/revision/main" => revision(FIRST),
        path if path.starts_with("/api/models?author=org&") => {
            Reply::new(200, r#"[{"id":"org/Large-70B","createdAt":"2026-11-20T10:00:00.000Z"}]"#)
        }
        _ => Reply::new(404, ""),
    });
    let mut bed = Bed::new(&double);
    let cards = GpuSample { gpus: vec![make::gpu(0)], ..GpuSample::default() };
    let sample = Sample::Gpu(Arc::new(cards));
    bed.state.apply(Event::Sampled { sample, detail: String::new(), at: make::moment(0) });
    bed.look(true, &["hf-author:org", "hf:org/small"]);
    let families = bed.state.watched_families();
    let large = &families[0].releases.known().unwrap()[0];
    assert_eq!((large.release.name.as_str(), large.new, large.fits.get()), ("org/Large-70B", true, Some(false)));
    assert_eq!(large.page.as_deref(), Some("https://huggingface.co/org/Large-70B"));
    assert_eq!(families[1].releases.known().unwrap()[0].release.digest.as_deref(), Some(FIRST));
    let before = double.asked().len();
    assert_eq!(before, 2);

    // Another run remembers it.
    let memory = bed.memory.clone();
    bed.look(true, &["hf-author:org"]);
    assert_eq!(double.asked().len(), before + 1, "it was made old");
    bed.memory = memory;
    let next = bed.memory.models.values().map(|asked| asked.next).min().unwrap();
    assert!(next > bed.state.now.wall + jiff::SignedDuration::from_hours(5), "{next}");
}
