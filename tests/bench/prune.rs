//! Measures how long the preview of a prune takes over 500 images, 200 containers and 100 volumes: `hostler run docker.prune
//! --dry-run`, from its start to its end.
//!
//! `tests/run --exec cargo bench --bench prune`: it needs a private engine, which it fills and leaves as it was. Nothing is
//! asserted; the aim of the design is one second.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's result is what it prints")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark starts processes and reads clocks; the gates are for the program"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bollard::models::{ContainerCreateBody, HostConfig, VolumeCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptions, CreateImageOptionsBuilder, RemoveContainerOptionsBuilder, RemoveImageOptions,
    RemoveVolumeOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use futures_util::{StreamExt, TryStreamExt, stream};

const IMAGES: usize = 500;
const CONTAINERS: usize = 200;
const VOLUMES: usize = 100;
/// Previews that are measured, after one that is not.
const ROUNDS: usize = 10;
/// Requests to the engine at the same time.
const PARALLEL: usize = 8;
/// Seconds that the engine may take for one of them.
const TIMEOUT_S: u64 = 120;
const REPOSITORY: &str = "hostler-bench-prune";

/// What was made, by name or id.
#[derive(Default)]
struct Made {
    images: Vec<String>,
    containers: Vec<String>,
    volumes: Vec<String>,
}

fn main() -> Result<()> {
    let variable = "HOSTLER_TEST_DOCKER";
    let endpoint = std::env::var(variable)
        .with_context(|| format!("{variable} is not set: start with `tests/run --exec cargo bench --bench prune`"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let docker = runtime.block_on(async {
        Docker::connect_with_unix(&endpoint, TIMEOUT_S, API_DEFAULT_VERSION)?.negotiate_version().await
    })?;
    let mut made = Made::default();
    let began = Instant::now();
    let filled = runtime.block_on(fill(&docker, &mut made));
    let times = filled.and_then(|()| {
        eprintln!("hostler: the engine is filled after {:.0?}", began.elapsed());
        measure(&endpoint)
    });
    runtime.block_on(clear(&docker, &made));
    let mut times = times?;
    times.sort_unstable();
    println!("| preview of a prune | images | containers | volumes | least | median | most |");
    println!("|---|---|---|---|---|---|---|");
    let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1e3);
    let (least, median, most) = (ms(times[0]), ms(times[ROUNDS / 2]), ms(times[ROUNDS - 1]));
    println!("| {ROUNDS} times | {IMAGES} | {CONTAINERS} | {VOLUMES} | {least} | {median} | {most} |");
    Ok(())
}

async fn fill(docker: &Docker, made: &mut Made) -> Result<()> {
    let images = stream::iter(0..IMAGES).map(|index| image(docker, index)).buffer_unordered(PARALLEL);
    made.images = images.try_collect().await?;
    let containers = stream::iter(0..CONTAINERS).map(|index| container(docker, &made.images[index]));
    made.containers = containers.buffer_unordered(PARALLEL).try_collect().await?;
    let volumes = stream::iter(0..VOLUMES)
        .map(|_| async { anyhow::Ok(docker.create_volume(VolumeCreateRequest::default()).await?.name) });
    made.volumes = volumes.buffer_unordered(PARALLEL).try_collect().await?;
    Ok(())
}

/// An image of one layer with one small file; every second one has no name.
async fn image(docker: &Docker, index: usize) -> Result<String> {
    let options = CreateImageOptionsBuilder::new().from_src("-");
    let options = if index.is_multiple_of(2) { options.repo(REPOSITORY).tag(&index.to_string()) } else { options };
    let body = bollard::body_full(archive(&index.to_string()).into());
    let steps = docker.create_image(Some(options.build()), Some(body), None).try_collect::<Vec<_>>().await?;
    let id = steps.into_iter().filter_map(|step| step.status).next_back();
    id.with_context(|| format!("image {index} has no id"))
}

async fn container(docker: &Docker, image: &str) -> Result<String> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(vec!["/none".to_owned()]),
        host_config: Some(HostConfig { network_mode: Some("none".to_owned()), ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    };
    Ok(docker.create_container(None::<CreateContainerOptions>, body).await?.id)
}

/// A tar archive of one file with this content.
fn archive(content: &str) -> Vec<u8> {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "content");
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{:011o}", content.len()));
    put(136, "00000000000");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    // The checksum is taken with its own field blank.
    put(148, "        ");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content.as_bytes());
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

/// The program of the test bed, else the one that cargo built.
fn hostler() -> PathBuf {
    std::env::var_os("HOSTLER_TEST_BIN").map_or_else(|| env!("CARGO_BIN_EXE_hostler").into(), PathBuf::from)
}

fn measure(endpoint: &str) -> Result<Vec<Duration>> {
    let folder = tempfile::tempdir()?;
    preview(endpoint, folder.path())?;
    (0..ROUNDS).map(|_| preview(endpoint, folder.path())).collect()
}

fn preview(endpoint: &str, state: &Path) -> Result<Duration> {
    let began = Instant::now();
    let output = Command::new(hostler())
        .args(["run", "docker.prune", "--dry-run", "--json", "--state-dir"])
        .arg(state)
        .env("DOCKER_HOST", endpoint)
        .output()?;
    let took = began.elapsed();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(text.contains("dangling-images"), "nothing is to be pruned: {text}");
    Ok(took)
}

async fn clear(docker: &Docker, made: &Made) {
    let force = || Some(RemoveContainerOptionsBuilder::new().force(true).build());
    // What cannot be removed goes with the engine.
    for container in &made.containers {
        drop(docker.remove_container(container, force()).await);
    }
    for volume in &made.volumes {
        drop(docker.remove_volume(volume, None::<RemoveVolumeOptions>).await);
    }
    for image in &made.images {
        drop(docker.remove_image(image, None::<RemoveImageOptions>, None).await);
    }
}
