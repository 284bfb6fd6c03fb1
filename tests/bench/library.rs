//! Measures how long a look at 200 models takes that are 2 TB by their size: the first one, and one at which nothing changed.
//! A third of them each are Ollama's, Hugging Face's and files in a folder. The weights are holes; the headers are whole, with
//! the vocabulary of a model of today, 4 MiB of words.
//!
//! `cargo bench --bench library`. Nothing is asserted; the aim of the design is 300 ms until they are told,
//! which is before their headers are read.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's result is what it prints")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark writes files and reads clocks")]
#![allow(clippy::unwrap_used, reason = "a benchmark stops at the first surprise")]

#[path = "../all/weights.rs"]
mod weights;

use std::fs::{self, File};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostler::domain::{Failure, LibrarySample, Sample, SourceId};
use hostler::host::Ports;
use hostler::sources::{LibrarySettings, Roster, SOURCES, Source, SourceContext, SourceSettings};
use serde_json::json;
use weights::{Gguf, safetensors, sparse};

const MODELS: usize = 200;
/// Bytes of each model.
const SIZE: u64 = 10_000_000_000;
/// Words of a vocabulary, and as many merges of words.
const WORDS: u32 = 151_000;
const ROUNDS: usize = 5;

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let began = Instant::now();
    fill(folder.path())?;
    eprintln!("hostler: the models are made after {:.0?}", began.elapsed());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut listed, mut cold, mut warm, mut again) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        forget(folder.path())?;
        let (told, first, sample, _) = runtime.block_on(look(folder.path()))?;
        ensure!(sample.models.len() == MODELS, "{} models: {:?}", sample.models.len(), sample.places);
        ensure!(sample.models.iter().all(|model| model.weights.known().is_some()), "not every header was read");
        let (_, second, _, third) = runtime.block_on(look(folder.path()))?;
        if round > 0 {
            listed.push(told);
            cold.push(first);
            warm.push(second);
            again.push(third);
        }
    }
    println!("| look at {MODELS} models of {} TB | least | median | most |", MODELS as u64 * SIZE / 1_000_000_000_000);
    println!("|---|---|---|---|");
    for (name, mut times) in [
        ("names and sizes", listed),
        ("first, headers on disk", cold),
        ("first, headers cached", warm),
        ("nothing changed", again),
    ] {
        times.sort_unstable();
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        println!("| {name} | {} | {} | {} |", ms(times[0]), ms(times[times.len() / 2]), ms(times[times.len() - 1]));
    }
    Ok(())
}

/// A first look with a new source, and a second one: how long it took to tell names and sizes, how long each look took, and
/// what the first one saw.
async fn look(folder: &Path) -> Result<(Duration, Duration, LibrarySample, Duration)> {
    let folders = ["ollama", "hub", "files"].map(|name| folder.join(name).to_string_lossy().into_owned()).into();
    let settings = SourceSettings {
        library: LibrarySettings { folders, ..LibrarySettings::default() },
        ..SourceSettings::default()
    };
    // The store is nobody's here, but must be there.
    let (events, mut told) = tokio::sync::mpsc::channel(64);
    let context = SourceContext::new(Ports::new("/"), Rc::new(settings), events);
    context.roster.send_replace(Roster { known: None, failure: Some(Failure::unsupported("no engine")) });
    let spec = SOURCES.iter().find(|spec| spec.id == SourceId::Library).context("there is no such source")?;
    let mut source = (spec.build)(&context);
    let began = Instant::now();
    let listed = async {
        let event = told.recv().await;
        (began.elapsed(), event.is_some())
    };
    let (polled, (listed, is_told)) = tokio::join!(poll(source.as_mut()), listed);
    ensure!(is_told, "nothing was told before the headers were read");
    let (first, sample) = polled?;
    let (second, again) = poll(source.as_mut()).await?;
    ensure!(again.files_read == 0, "{} files were read again", again.files_read);
    Ok((listed, first, sample, second))
}

async fn poll(source: &mut dyn Source) -> Result<(Duration, LibrarySample)> {
    let began = Instant::now();
    let read = source.poll().await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    let took = began.elapsed();
    let Sample::Library(sample) = read.sample else { anyhow::bail!("another sample") };
    Ok((took, (*sample).clone()))
}

/// Writes the models.
fn fill(folder: &Path) -> Result<()> {
    let model = Gguf::llama().words(WORDS).words(WORDS);
    // Half a million tensors' worth of one matrix: 4.5 bits a weight.
    let model = model.tensor("t", &[256, SIZE / 144], 12, SIZE / 144 * 144);
    for index in 0..MODELS {
        match index % 3 {
            0 => ollama(&folder.join("ollama"), index, &model)?,
            1 => hub(&folder.join("hub"), index)?,
            _ => {
                fs::create_dir_all(folder.join("files"))?;
                model.write(&folder.join(format!("files/model-{index}.gguf")));
            }
        }
    }
    Ok(())
}

fn ollama(folder: &Path, index: usize, model: &Gguf) -> Result<()> {
    let blobs = folder.join("blobs");
    fs::create_dir_all(&blobs)?;
    let digest = |part: usize| format!("{:064x}", index * 8 + part);
    model.write(&blobs.join(format!("sha256-{}", digest(0))));
    let size = fs::metadata(blobs.join(format!("sha256-{}", digest(0))))?.len();
    let mut layers = vec![json!({
        "mediaType": "application/vnd.ollama.image.model", "digest": format!("sha256:{}", digest(0)), "size": size,
    })];
    for part in 1..5 {
        fs::write(blobs.join(format!("sha256-{}", digest(part))), "text")?;
        let digest = format!("sha256:{}", digest(part));
        layers.push(json!({"mediaType": "application/vnd.ollama.image.template", "digest": digest, "size": 4}));
    }
    let tags = folder.join(format!("manifests/registry.ollama.ai/library/model-{index}"));
    fs::create_dir_all(&tags)?;
    Ok(fs::write(tags.join("latest"), json!({"schemaVersion": 2, "layers": layers}).to_string())?)
}

/// A repository of four parts with two hundred tensors each.
fn hub(folder: &Path, index: usize) -> Result<()> {
    let repository = folder.join(format!("models--org--model-{index}"));
    let snapshot = repository.join("snapshots").join("a".repeat(40));
    fs::create_dir_all(&snapshot)?;
    fs::create_dir_all(repository.join("blobs"))?;
    let link = |blob: &str, name: &str| std::os::unix::fs::symlink(format!("../../blobs/{blob}"), snapshot.join(name));
    let bytes = SIZE / 4 / 200 / 2 * 2;
    let tensor = |number: u64| {
        let (begin, end) = (number * bytes, (number + 1) * bytes);
        format!(
            r#""model.layers.{number}.weight":{{"dtype":"BF16","shape":[{}],"data_offsets":[{begin},{end}]}}"#,
            bytes / 2
        )
    };
    let header = safetensors(&format!("{{{}}}", (0..200).map(tensor).collect::<Vec<_>>().join(",")));
    for part in 1..=4 {
        sparse(&repository.join(format!("blobs/{part}")), &header, header.len() as u64 + 200 * bytes);
        link(&part.to_string(), &format!("model-{part:05}-of-00004.safetensors"))?;
    }
    let config =
        json!({"model_type": "qwen3", "num_hidden_layers": 64, "num_attention_heads": 64, "hidden_size": 5120});
    fs::write(repository.join("blobs/config"), config.to_string())?;
    Ok(link("config", "config.json")?)
}

/// Has the system forget what it knows of the files' content.
fn forget(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            forget(&path)?;
        } else if !path.is_symlink() {
            let file = File::open(&path)?;
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}
