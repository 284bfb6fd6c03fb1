//! What the made-up engine holds: images, volumes, networks, build cache.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::containers;
use crate::domain::{
    BuildCache, ContainerSpace, DockerDisk, DockerNetwork, DockerVolume, Image, ImageSeen, ImagesSeen, KeptImage,
    Reading,
};

const MIB: u64 = 1 << 20;

/// One made-up image.
struct Made {
    /// Its reference, or the repository that it came from where that is another image's now.
    name: &'static str,
    dangling: bool,
    /// MiB of all its layers, and of those that it shares with the image before it.
    mib: (u64, u64),
    /// Days since it was built.
    built: i64,
    /// Containers that were made from it.
    users: &'static [&'static str],
    /// The run that keeps it for roll back.
    kept: Option<&'static str>,
    /// Days since it was last seen in use; 0 where it never was.
    idle: i64,
}

const fn used(name: &'static str, mib: (u64, u64), built: i64, users: &'static [&'static str]) -> Made {
    Made { name, dangling: false, mib, built, users, kept: None, idle: 0 }
}

const fn unused(name: &'static str, mib: (u64, u64), built: i64, idle: i64) -> Made {
    Made { name, dangling: false, mib, built, users: &[], kept: None, idle }
}

const fn dangling(name: &'static str, mib: (u64, u64), built: i64, idle: i64) -> Made {
    Made { dangling: true, ..unused(name, mib, built, idle) }
}

/// The images in the order of their layers.
const IMAGES: &[Made] = &[
    unused("vllm/vllm-openai:v0.31.0", (18_330, 0), 121, 44),
    used("vllm/vllm-openai:v0.33.0", (20_480, 8_192), 32, &["agents-vllm-1"]),
    used("ollama/ollama:0.33.0", (6_656, 0), 29, &["ollama"]),
    dangling("ollama/ollama", (6_656, 4_506), 61, 29),
    dangling("ollama/ollama", (6_554, 4_506), 93, 61),
    used("ghcr.io/ggml-org/llama.cpp:server-b10488", (5_324, 0), 24, &["agents-embedder-1"]),
    unused("ghcr.io/open-webui/open-webui:0.11.4", (4_506, 0), 98, 71),
    used("n8nio/n8n:1.118.2", (1_126, 0), 12, &["agents-n8n-main-1", "agents-n8n-worker-1"]),
    Made { kept: Some(containers::KEPT_RUN), ..used("n8nio/n8n:1.117.1", (1_126, 512), 26, &[containers::KEPT_NAME]) },
    Made { kept: Some("20261013-061204-91fe"), ..unused("n8nio/n8n:1.116.0", (1_126, 512), 47, 31) },
    dangling("n8nio/n8n", (1_126, 512), 60, 47),
    used("langgenius/dify-api:1.13.3", (3_482, 0), 38, &["dify-api-1", "dify-worker-1"]),
    dangling("langgenius/dify-api", (3_482, 2_663), 70, 38),
    used("langgenius/dify-web:1.13.3", (614, 0), 38, &["dify-web-1"]),
    used("langgenius/dify-sandbox:0.2.14", (1_434, 0), 64, &["dify-sandbox-1"]),
    used("postgres:16.4", (441, 0), 80, &["agents-postgres-1"]),
    used("postgres:15.8-alpine", (256, 0), 82, &["dify-db-1"]),
    used("semitechnologies/weaviate:1.34.2", (809, 0), 27, &["dify-weaviate-1"]),
    used("qdrant/qdrant:v1.19.0", (287, 0), 33, &["agents-qdrant-1"]),
    dangling("qdrant/qdrant", (317, 0), 66, 33),
    used("nginx:1.29.2", (195, 0), 41, &["dify-nginx-1"]),
    used("migrate/migrate:v4.19.0", (61, 0), 77, &["migrate-scratch"]),
    dangling("", (309, 0), 9, 0),
    unused("flowiseai/flowise:2.2.8", (1_024, 0), 110, 52),
    unused("grafana/grafana:11.4.0", (636, 0), 130, 0),
    unused("prom/prometheus:v3.0.1", (287, 0), 131, 0),
    unused("node:22-slim", (236, 0), 45, 20),
    unused("python:3.12-slim", (123, 0), 36, 9),
    unused("redis:7.4.1", (113, 0), 88, 40),
    unused("curlimages/curl:8.11.0", (21, 0), 119, 3),
    unused("alpine:3.20", (8, 0), 76, 6),
];

/// A made-up volume: its name, MiB, who mounts it, the project that made it, days since it was made.
type MadeVolume = (&'static str, u64, &'static [&'static str], Option<&'static str>, i64);

const VOLUMES: &[MadeVolume] = &[
    ("ollama_models", 62_464, &["ollama"], None, 212),
    ("agents_vllm-cache", 29_082, &["agents-vllm-1"], Some("agents"), 160),
    ("agents_qdrant", 6_246, &["agents-qdrant-1"], Some("agents"), 160),
    ("dify_storage", 5_735, &["dify-api-1", "dify-worker-1"], Some("dify"), 97),
    ("dify_weaviate", 4_403, &["dify-weaviate-1"], Some("dify"), 97),
    ("agents_postgres", 3_277, &["agents-postgres-1"], Some("agents"), 160),
    ("dify_db", 2_867, &["dify-db-1"], Some("dify"), 97),
    ("agents_n8n", 922, &["agents-n8n-main-1", "agents-n8n-worker-1"], Some("agents"), 160),
    ("agents_embedder", 512, &["agents-embedder-1"], Some("agents"), 118),
    ("open-webui", 102, &[], None, 141),
    ("3f9a27c1d08be4456a1f92d7c3b05e8841d6f7a29be0c45d81f3a6e2b7950dc1", 5_018, &[], None, 122),
    ("b81c0f44e6d2739a5508cb1d47e9f2360a7d58e1c94b6f03d2a87e5510cf49aa", 204, &[], None, 62),
];

const NETWORKS: &[(&str, &str, Option<&str>, i64)] = &[
    ("agents_default", "bridge", Some("agents"), 160),
    ("bridge", "bridge", None, 212),
    ("dify_default", "bridge", Some("dify"), 97),
    ("dify_ssrf_proxy_network", "bridge", Some("dify"), 97),
    ("flowise_default", "bridge", Some("flowise"), 110),
    ("host", "host", None, 212),
    ("none", "null", None, 212),
];

/// What containers wrote, KiB; the others next to nothing.
const WRITTEN: &[(&str, u64)] = &[
    ("agents-vllm-1", 419_430),
    ("agents-n8n-worker-1", 314_572),
    ("dify-api-1", 251_658),
    ("dify-worker-1", 104_857),
    (containers::SCRATCH, 209_715),
];

fn ago(now: Timestamp, days: i64) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(days * 24)).unwrap_or(now)
}

/// The id of the image at this place.
fn id(index: usize) -> Arc<str> {
    let made = &IMAGES[index];
    if made.dangling {
        format!("sha256:{}", containers::id(&format!("{index} {} without a name", made.name)).0).into()
    } else {
        containers::image_id(made.name).into()
    }
}

fn image(index: usize, now: Timestamp) -> Image {
    let made = &IMAGES[index];
    Image {
        id: id(index),
        references: if made.dangling { Vec::new() } else { vec![made.name.to_owned()] },
        repository: (made.dangling && !made.name.is_empty()).then(|| made.name.to_owned()),
        kept: made
            .kept
            .iter()
            .map(|run| KeptImage { container: "agents-n8n-main-1".to_owned(), run: (*run).to_owned() })
            .collect(),
        size_bytes: made.mib.0 * MIB,
        shared_before_bytes: made.mib.1 * MIB,
        created: Some(ago(now, made.built)),
        users: made.users.iter().map(|name| (*name).into()).collect(),
        keep: false,
    }
}

pub(super) fn disk(now: Timestamp) -> DockerDisk {
    let images = (0..IMAGES.len()).map(|index| image(index, now)).collect();
    let mut disk = DockerDisk { images, measured: Some(now), ..DockerDisk::default() };
    disk.layers_bytes = Reading::Known(disk.union_bytes(|_| true));
    disk.volumes = VOLUMES
        .iter()
        .map(|(name, mib, users, project, days)| DockerVolume {
            name: (*name).into(),
            anonymous: name.len() == 64,
            driver: "local".to_owned(),
            size_bytes: Reading::Known(mib * MIB),
            users: users.iter().map(|name| (*name).into()).collect(),
            project: project.map(Into::into),
            keep: false,
            created: Some(ago(now, *days)),
        })
        .collect();
    disk.networks = NETWORKS.iter().map(|network| self::network(network, now)).collect();
    disk.containers = containers::all()
        .map(|(id, name, project)| ContainerSpace {
            id,
            written_bytes: Reading::Known(
                1_024 * WRITTEN.iter().find(|(written, _)| **written == *name).map_or(2_048, |(_, kib)| *kib),
            ),
            up: ![containers::SCRATCH, containers::KEPT_NAME].contains(&&*name),
            keep: *name == *containers::KEPT_NAME,
            project,
            name,
        })
        .collect();
    let cache = BuildCache { records: 57, size_bytes: 4_198 * MIB, in_use_bytes: 819 * MIB, shared_bytes: 2_150 * MIB };
    disk.build_cache = Reading::Known(cache);
    disk
}

fn network((name, driver, project, days): &(&str, &str, Option<&str>, i64), now: Timestamp) -> DockerNetwork {
    let members = containers::all().filter(|(_, _, of)| project.is_some() && of.as_deref() == *project);
    let mut users: Vec<Arc<str>> = match *name {
        "bridge" => vec!["ollama".into(), containers::SCRATCH.into()],
        name if name.ends_with("_default") => members.map(|(_, name, _)| name).collect(),
        name if name.starts_with("dify_ssrf") => vec!["dify-sandbox-1".into()],
        _ => Vec::new(),
    };
    users.sort();
    users.sort_by_key(|user| user.contains(".hostler-"));
    DockerNetwork {
        id: containers::id(name).0,
        name: (*name).into(),
        driver: (*driver).to_owned(),
        users,
        builtin: ["bridge", "host", "none"].contains(name),
        project: project.map(Into::into),
        keep: false,
        created: Some(ago(now, *days)),
    }
}

/// What hostler remembers of these images: it has been here for 75 days.
pub(super) fn seen(now: Timestamp) -> ImagesSeen {
    let first = |made: &Made| ago(now, made.built.min(75));
    let entry = |index: usize| {
        let made = &IMAGES[index];
        let before = (made.idle > 0).then(|| ago(now, made.idle));
        let used = if made.users.is_empty() { before } else { Some(now) };
        (id(index).to_string(), ImageSeen { first: first(made), used, last: now })
    };
    ImagesSeen::new((0..IMAGES.len()).map(entry))
}
