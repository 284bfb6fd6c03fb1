use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::memory::Memory;
use super::roots::Root;
use super::scan::scan;
use super::*;
use crate::domain::{LibraryPlace, LibraryProblemKind, ModelStore, Naming, StoredModel};
use crate::host::sha256;
use crate::made_weights::{Gguf, safetensors, sparse};

/// A made-up machine with places of models.
struct Box {
    root: tempfile::TempDir,
    roots: Vec<Root>,
    settings: LibrarySettings,
    memory: Memory,
}

impl Box {
    fn new(path: &str, store: ModelStore) -> Self {
        let root = tempfile::tempdir().unwrap();
        let place = Root { path: path.into(), store, because: "a test".to_owned(), named: true, home: None };
        fs::create_dir_all(root.path().join(path.trim_start_matches('/'))).unwrap();
        Self { root, roots: vec![place], settings: LibrarySettings::default(), memory: Memory::default() }
    }

    /// A path below the place, its folders made.
    fn path(&self, below: &str) -> PathBuf {
        let place = self.roots[0].path.strip_prefix("/").unwrap();
        let path = self.root.path().join(place).join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, below: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(below), bytes).unwrap();
    }

    fn link(&self, below: &str, target: &str) {
        symlink(target, self.path(below)).unwrap();
    }

    fn look(&mut self) -> LibrarySample {
        scan(&RootedFs::new(self.root.path()), &self.roots, &self.settings, &mut self.memory)
    }

    /// Adds a blob to Ollama's, and gives its digest.
    fn blob(&self, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        self.write(&format!("blobs/{}", digest.replace(':', "-")), bytes);
        digest
    }

    /// Writes a manifest of Ollama over a blob with weights.
    fn manifest(&self, name: &str, weights: &str, size: usize) {
        let config = self.blob(b"{}");
        let manifest = json!({
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": weights, "size": size}],
        });
        self.write(&format!("manifests/registry.ollama.ai/library/{name}"), manifest.to_string());
    }
}

fn ollama() -> Box {
    let it = Box::new("/srv/ollama", ModelStore::Ollama);
    fs::create_dir_all(it.path("blobs/x").parent().unwrap()).unwrap();
    it
}

fn weights() -> Vec<u8> {
    let mut bytes = Gguf::llama().tensor("t", &[256, 64], 12, 64 * 144).header();
    bytes.resize(bytes.len() + 64 * 144, 1);
    bytes
}

fn named<'a>(sample: &'a LibrarySample, name: &str) -> &'a StoredModel {
    let names: Vec<&str> = sample.models.iter().map(|model| model.name.as_str()).collect();
    sample.models.iter().find(|model| model.name == name).unwrap_or_else(|| panic!("no {name} among {names:?}"))
}

fn told(place: &LibraryPlace) -> Vec<(LibraryProblemKind, &str)> {
    place.problems.iter().map(|problem| (problem.kind, problem.what.as_str())).collect()
}

fn ending<'a>(place: &'a LibraryPlace, path: &str) -> &'a str {
    &place.problems.iter().find(|problem| problem.path.ends_with(path)).unwrap_or_else(|| panic!("{place:?}")).what
}

#[test]
fn a_model_of_ollama_is_its_manifest_and_its_blobs() {
    let mut it = ollama();
    let bytes = weights();
    let digest = it.blob(&bytes);
    it.manifest("llama3.1/8b", &digest, bytes.len());
    it.write(
        "manifests/hf.co/ada/mine/Q4",
        fs::read(it.path("manifests/registry.ollama.ai/library/llama3.1/8b")).unwrap(),
    );
    let sample = it.look();
    let model = named(&sample, "llama3.1:8b");
    let manifest = fs::read(it.path("manifests/registry.ollama.ai/library/llama3.1/8b")).unwrap();
    assert_eq!(model.digest.as_deref(), sha256(&manifest).strip_prefix("sha256:"));
    assert_eq!((model.size_bytes, model.family.as_deref()), (bytes.len() as u64 + 2, Some("llama")));
    let weights = model.weights.known().unwrap();
    assert_eq!((weights.parameters.get(), weights.quantization.as_deref()), (Some(16_384), Some("Q4_K_M")));
    assert_eq!(weights.bits_per_weight.get(), Some(4.5));
    assert_eq!((&model.also_named, model.blobs.len()), (&vec!["hf.co/ada/mine:Q4".to_owned()], 2));
    let place = &sample.places[0];
    assert_eq!((told(place), place.orphans.known().unwrap().count), (vec![], 0));
    assert_eq!(place.path, "/srv/ollama");
}

#[test]
fn two_tags_on_one_digest_own_nothing_but_their_manifests() {
    let mut it = ollama();
    let bytes = weights();
    let digest = it.blob(&bytes);
    it.manifest("a/1", &digest, bytes.len());
    let alone = named(&it.look(), "a:1").own_bytes;
    it.manifest("a/2", &digest, bytes.len());
    let sample = it.look();
    let shared = named(&sample, "a:1");
    assert!(alone >= bytes.len() as u64 && shared.own_bytes < 4096, "{alone}, {}", shared.own_bytes);
    assert_eq!(shared.also_named, ["a:2"]);
    assert!(sample.total_bytes() < 2 * alone);
}

#[test]
fn a_manifest_without_its_blob_is_broken() {
    let mut it = ollama();
    it.manifest("gone/1", &sha256(b"gone"), 4);
    let digest = it.blob(b"GGUF");
    it.manifest("short/1", &digest, 4000);
    let sample = it.look();
    let damage = |name: &str| named(&sample, name).damage.clone().unwrap();
    assert!(damage("gone:1").ends_with("is not there"), "{}", damage("gone:1"));
    assert!(damage("short:1").ends_with("has 4 bytes instead of 4000"), "{}", damage("short:1"));
    assert!(named(&sample, "gone:1").weights.why().is_some());
}

#[test]
fn what_no_manifest_names_is_an_orphan_unless_it_is_a_download() {
    let mut it = ollama();
    it.blob(&[7; 5000]);
    it.write(&format!("blobs/sha256-{}-partial", "a".repeat(64)), [1; 3000]);
    it.write(&format!("blobs/sha256-{}-partial-0", "a".repeat(64)), "{}");
    it.write("blobs/notes.txt", "mine");
    let sample = it.look();
    let place = &sample.places[0];
    assert_eq!(place.orphans.known().map(|it| (it.count, it.bytes >= 4096)), Some((1, true)));
    assert_eq!((place.partial.count, place.partial.bytes >= 3000), (2, true));

    // What a manifest names that cannot be read is not known, and so is what nothing names.
    it.write("manifests/registry.ollama.ai/library/bad/1", "<html>");
    let sample = it.look();
    assert_eq!(told(&sample.places[0]), [(LibraryProblemKind::Broken, "it is no manifest")]);
    assert!(sample.places[0].orphans.why().is_some());
}

#[test]
fn names_with_escapes_and_digests_that_lead_away_are_left_out() {
    let mut it = ollama();
    let secret = it.root.path().join("srv/secret");
    fs::write(&secret, "GGUF").unwrap();
    it.manifest("a\u{1b}]52;c;ZXZpbA==\u{7}b/1", &sha256(b"x"), 1);
    let away = json!({"layers": [{"digest": "sha256:../../secret", "size": 4, "mediaType": "application/vnd.ollama.image.model"}]});
    it.write("manifests/registry.ollama.ai/library/away/1", away.to_string());
    it.link("manifests/registry.ollama.ai/library/link/1", "../away/1");
    it.link(&format!("blobs/sha256-{}", "b".repeat(64)), "../../secret");
    let sample = it.look();
    assert!(sample.models.is_empty(), "{:?}", sample.models);
    let place = &sample.places[0];
    assert_eq!(ending(place, "away/1"), "it names a blob by what is no digest");
    assert_eq!(ending(place, "link/1"), "it is a link, and is not followed");
    assert_eq!(ending(place, "library/ab"), "its name has characters that a name should not have");
    assert!(place.problems.iter().all(|it| !it.path.contains('\u{1b}')));
}

#[test]
fn blobs_that_are_a_link_make_nothing_broken() {
    let mut it = Box::new("/srv/ollama", ModelStore::Ollama);
    fs::create_dir(it.root.path().join("srv/elsewhere")).unwrap();
    it.link("blobs", "../elsewhere");
    it.write(
        "manifests/registry.ollama.ai/library/a/1",
        json!({"layers": [{"digest": sha256(b"x"), "size": 1}]}).to_string(),
    );
    let sample = it.look();
    assert_eq!(named(&sample, "a:1").damage, None);
    assert_eq!(ending(&sample.places[0], "/blobs"), "it is no folder; a link is not followed");
}

#[test]
fn links_of_a_folder_are_other_names() {
    let mut it = Box::new("/models", ModelStore::Folder);
    it.write("qwen/v2.gguf", weights());
    it.link("active.gguf", "also.gguf");
    it.link("also.gguf", "./qwen/v2.gguf");
    it.link("one.gguf", "two.gguf");
    it.link("two.gguf", "one.gguf");
    it.link("self.gguf", "self.gguf");
    it.link("away.gguf", "../etc/shadow");
    it.link("gone.gguf", "qwen/v1.gguf");
    it.link("folder", "/models");
    let sample = it.look();
    let names: Vec<_> = sample.models.iter().map(|model| (model.name.as_str(), model.alias_of.as_deref())).collect();
    let real = Some("qwen/v2.gguf");
    assert_eq!(names, [("active.gguf", real), ("also.gguf", real), ("qwen/v2.gguf", None)]);
    assert_eq!(named(&sample, "qwen/v2.gguf").also_named, ["active.gguf", "also.gguf"]);
    assert!(named(&sample, "qwen/v2.gguf").own_bytes > 9000 && named(&sample, "active.gguf").own_bytes == 0);
    let place = &sample.places[0];
    for looping in ["/one.gguf", "/two.gguf", "/self.gguf"] {
        assert_eq!(ending(place, looping), "it is a link that leads round in a loop");
    }
    assert_eq!(ending(place, "away.gguf"), "it is a link out of this folder, and is not followed");
    assert_eq!(ending(place, "gone.gguf"), "it is a link to no model of this folder");
}

#[test]
fn parts_and_folders_are_one_model_each() {
    let mut it = Box::new("/models", ModelStore::Folder);
    let first = Gguf::llama().number("split.count", 2).tensor("a", &[256, 64], 12, 64 * 144);
    first.write(&it.path("big-00001-of-00002.gguf"));
    Gguf::new("llama").tensor("b", &[256, 64], 12, 64 * 144).write(&it.path("big-00002-of-00002.gguf"));
    Gguf::llama().tensor("a", &[256], 0, 1024).write(&it.path("half-00001-of-00003.gguf"));
    let tensor = |bytes: u64| {
        safetensors(&format!(r#"{{"t":{{"dtype":"BF16","shape":[{}],"data_offsets":[0,{bytes}]}}}}"#, bytes / 2))
    };
    sparse(&it.path("hub/model-00001-of-00002.safetensors"), &tensor(2000), 4000);
    sparse(&it.path("hub/model-00002-of-00002.safetensors"), &tensor(4000), 6000);
    sparse(&it.path("hub/consolidated.safetensors"), &tensor(6000), 8000);
    it.write(
        "hub/config.json",
        r#"{"model_type":"qwen3","num_hidden_layers":2,"num_attention_heads":4,"hidden_size":64}"#,
    );
    sparse(&it.path("loras/a.safetensors"), &tensor(20), 400);
    sparse(&it.path("loras/b.safetensors"), &tensor(40), 60);
    it.write("loras/c.gguf.part", [0; 100]);
    let sample = it.look();
    let parameters = |name: &str| named(&sample, name).weights.known().unwrap().parameters.get();
    assert_eq!(parameters("big.gguf"), Some(2 * 16_384));
    assert_eq!(named(&sample, "half.gguf").damage.as_deref(), Some("1 of its 3 files are there"));
    assert_eq!((parameters("hub"), parameters("loras/a.safetensors")), (Some(3000), Some(10)));
    assert_eq!(named(&sample, "hub").family.as_deref(), Some("qwen3"));
    let cut = named(&sample, "loras/b.safetensors").damage.clone().unwrap();
    assert!(cut.contains("is cut short"), "{cut}");
    assert_eq!((sample.models.len(), sample.places[0].partial.count), (5, 1));
}

#[test]
fn a_snapshot_of_the_hub_is_what_its_links_lead_to() {
    let mut it = Box::new("/cache/hub", ModelStore::HuggingFace);
    let tensor = |bytes: u64| {
        let json = format!(r#"{{"t":{{"dtype":"BF16","shape":[{}],"data_offsets":[0,{bytes}]}}}}"#, bytes / 2);
        let mut file = safetensors(&json);
        file.resize(file.len() + bytes as usize, 1);
        file
    };
    let repository = "models--Qwen--Qwen3-8B";
    let (old, new) = ("a".repeat(40), "b".repeat(40));
    it.write(&format!("{repository}/refs/main"), format!("{new}\n"));
    it.write(&format!("{repository}/blobs/w1"), tensor(20_000));
    it.write(&format!("{repository}/blobs/w2"), tensor(40_000));
    it.write(&format!("{repository}/blobs/c"), r#"{"model_type":"qwen3"}"#);
    it.write(&format!("{repository}/blobs/unused"), [1; 9000]);
    it.write(&format!("{repository}/blobs/x.incomplete"), [1; 3000]);
    for (commit, weights) in [(&old, "w1"), (&new, "w2")] {
        it.link(&format!("{repository}/snapshots/{commit}/model.safetensors"), &format!("../../blobs/{weights}"));
        it.link(&format!("{repository}/snapshots/{commit}/config.json"), "../../blobs/c");
    }
    it.link(&format!("{repository}/snapshots/{new}/shadow"), "../../../../../etc/shadow");
    it.link(&format!("{repository}/snapshots/{new}/README.md"), "../../blobs/none");
    it.link(&format!("models--x--broken/snapshots/{old}/model.safetensors"), "../../blobs/none");
    it.write("datasets--x--y/blobs/z", [1; 5000]);
    let sample = it.look();
    let current = named(&sample, "Qwen/Qwen3-8B");
    assert_eq!((current.digest.as_deref(), current.family.as_deref()), (Some(new.as_str()), Some("qwen3")));
    assert_eq!(current.weights.known().unwrap().parameters.get(), Some(20_000));
    assert_eq!(current.damage, None, "nobody needs its README");
    let before = named(&sample, "Qwen/Qwen3-8B@aaaaaaaaaaaa");
    assert!(before.own_bytes >= 20_000 && before.own_bytes < 30_000, "{}", before.own_bytes);
    let broken = named(&sample, "x/broken").damage.as_deref();
    assert_eq!(broken, Some("its file model.safetensors has no blob"));
    let place = &sample.places[0];
    assert_eq!((place.orphans.known().unwrap().count, place.partial.count), (1, 1));
    assert_eq!(ending(place, "shadow"), "it is a link that leads to no blob of its repository");
    assert!(sample.total_bytes() > 20_000 + 40_000 + 9000 + 3000 + 5000);
}

#[test]
fn only_what_changed_is_read_again() {
    let mut it = Box::new("/models", ModelStore::Folder);
    for name in ["a", "b", "c"] {
        it.write(&format!("{name}.gguf"), weights());
    }
    assert_eq!(it.look().files_read, 3);
    assert_eq!(it.look().files_read, 0);
    let mut longer = weights();
    longer.push(0);
    it.write("b.gguf", longer);
    let sample = it.look();
    assert_eq!((sample.files_read, sample.models.len()), (1, 3));
    fs::remove_file(it.path("c.gguf")).unwrap();
    let sample = it.look();
    assert_eq!((sample.files_read, sample.models.len()), (0, 2));
}

#[test]
fn a_file_in_two_places_is_counted_once_and_owned_by_nobody() {
    let mut it = Box::new("/models", ModelStore::Folder);
    it.write("a.gguf", weights());
    let alone = it.look().total_bytes();
    let other = it.root.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::hard_link(it.path("a.gguf"), other.join("a.gguf")).unwrap();
    // A name that lies in no place keeps the bytes as well.
    assert_eq!(named(&it.look(), "a.gguf").own_bytes, 0);
    it.roots.push(Root { path: "/other".into(), ..it.roots[0].clone() });
    // The same folder by another way is no other place.
    symlink("other", it.root.path().join("again")).unwrap();
    it.roots.push(Root { path: "/again".into(), ..it.roots[0].clone() });
    let sample = it.look();
    assert_eq!((sample.places.len(), sample.models.len(), sample.total_bytes()), (2, 2, alone));
    assert!(sample.models.iter().all(|model| model.own_bytes == 0));
}

#[test]
fn a_store_within_a_folder_is_a_place_of_its_own() {
    let mut it = ollama();
    let bytes = weights();
    let digest = it.blob(&bytes);
    it.manifest("a/1", &digest, bytes.len());
    it.roots.insert(0, Root { path: "/srv".into(), store: ModelStore::Folder, ..it.roots[0].clone() });
    // A folder of the config that looks like a store is one.
    it.roots[1].store = ModelStore::Folder;
    let sample = it.look();
    let places: Vec<_> = sample.places.iter().map(|place| (place.path.as_str(), place.store)).collect();
    assert_eq!(places, [("/srv", ModelStore::Folder), ("/srv/ollama", ModelStore::Ollama)]);
    assert_eq!(sample.places[0].total_bytes, 0);
    named(&sample, "a:1");
}

#[test]
fn what_the_config_names_must_be_there() {
    let mut it = Box::new("/models", ModelStore::Folder);
    it.roots.push(Root { path: "/gone".into(), ..it.roots[0].clone() });
    it.roots.push(Root { path: "/habit".into(), named: false, ..it.roots[0].clone() });
    let sample = it.look();
    let places: Vec<_> = sample.places.iter().map(|place| (place.path.as_str(), told(place))).collect();
    let gone = vec![(LibraryProblemKind::Broken, "a test, and it is not there")];
    assert_eq!(places, [("/gone", gone), ("/models", vec![])]);
}

#[test]
fn names_and_origins_are_told_by_config_and_sidecar() {
    let mut it = Box::new("/models", ModelStore::Folder);
    it.settings.naming = Some("^(?<family>[a-z0-9.]+)-(?<size>[0-9.]+b)-(?<version>v[0-9]+)$".parse().unwrap());
    let tuned = Tuned { base: Some("llama3.1:8b".to_owned()), retrain_days: 30, ..Tuned::default() };
    it.settings.tuned.insert("final.gguf".to_owned(), tuned.clone());
    for name in ["support-8b-v3.gguf", "final.gguf", "bad-8b-v1.gguf"] {
        it.write(name, weights());
    }
    it.write("support-8b-v3.gguf.hostler.toml", "base = \"qwen3\"\ntrained_at = 2026-10-01\n");
    it.write("bad-8b-v1.gguf.hostler.toml", "base = \"qwen3\"\ntrained = 2026-10-01\n");
    it.link("latest.gguf", "support-8b-v3.gguf");
    let sample = it.look();
    let support = named(&sample, "support-8b-v3.gguf");
    assert_eq!(support.version.as_deref(), Some("v3"));
    let origin = support.tuned.as_ref().unwrap();
    assert_eq!((origin.base.as_deref(), origin.retrain_days), (Some("qwen3"), 90));
    assert_eq!(origin.retrain_due().map(|day| day.to_string()).as_deref(), Some("2026-12-30"));
    let last = named(&sample, "final.gguf");
    assert_eq!((&last.naming, &last.tuned), (&Some(Naming::Breaks), &Some(tuned)));
    assert_eq!(named(&sample, "latest.gguf").naming, None);
    let what = ending(&sample.places[0], "bad-8b-v1.gguf.hostler.toml");
    assert!(what.starts_with("line 2: unknown field `trained`"), "{what}");
}

#[test]
fn tokens_are_told_by_who_can_read_them() {
    let mut it = Box::new("/cache/hf/hub", ModelStore::HuggingFace);
    it.roots[0].home = Some("/cache/hf".into());
    let home = it.root.path().join("cache/hf");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for folder in [it.root.path(), &it.root.path().join("cache"), &home] {
        mode(folder, 0o755);
    }
    fs::write(home.join("token"), "hf_x").unwrap();
    mode(&home.join("token"), 0o644);
    fs::write(home.join("stored_tokens"), "hf_x").unwrap();
    mode(&home.join("stored_tokens"), 0o600);
    let open = |it: &mut Box| -> Vec<(String, bool)> {
        let place = it.look().places.remove(0);
        place.secrets.into_iter().map(|secret| (secret.path, secret.others_can_read)).collect()
    };
    let (token, stored) = ("/cache/hf/token".to_owned(), "/cache/hf/stored_tokens".to_owned());
    assert_eq!(open(&mut it), [(token.clone(), true), (stored.clone(), false)]);
    mode(&it.root.path().join("cache"), 0o700);
    assert_eq!(open(&mut it), [(token, false), (stored, false)]);
}

#[test]
fn names_and_sizes_do_not_wait_for_headers() {
    let mut it = Box::new("/models", ModelStore::Folder);
    it.write("a.gguf", weights());
    it.memory.headers_wait = true;
    let sample = it.look();
    let model = named(&sample, "a.gguf");
    assert!(sample.reads_on && model.own_bytes > 9000 && model.damage.is_none());
    assert_eq!(model.weights.why().unwrap().to_string(), "a.gguf: is not read yet");
    it.memory.headers_wait = false;
    assert_eq!(it.look().files_read, 1);
    // What is known by now is told at once.
    it.memory.headers_wait = true;
    assert!(named(&it.look(), "a.gguf").weights.known().is_some());
}
