//! The models on disk as `hostler snapshot` tells them: a real model, what a container mounts, and what a user may not read.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;

use hostler::domain::{MemoryNeed, WeightsFormat, kv_bits};
use hostler::host::{RootedFs, weights};
use serde_json::{Value, json};

use crate::bed::{self, Ended, Home};
use crate::weights::Gguf;

/// What `snapshot` says of the library.
fn library(home: &Home) -> Value {
    let (_, json) = home.json(&["snapshot", "--json"]);
    let source = json["sources"].as_array().unwrap().iter().find(|source| source["id"] == "models.library").unwrap();
    assert_eq!(source["status"], "fresh", "{source}");
    json["library"].clone()
}

fn place<'a>(library: &'a Value, path: &str) -> &'a Value {
    let places = library["places"].as_array().unwrap();
    places.iter().find(|place| place["path"] == path).unwrap_or_else(|| panic!("{path} is not among {places:#?}"))
}

#[test]
fn a_real_model_is_measured() {
    let Some(model) = bed::part("HOSTLER_TEST_MODEL", "a real model") else { return };
    let (folder, name) = (model.parent().unwrap(), model.file_name().unwrap().to_str().unwrap());
    let home = Home::with(&format!("[models]\nfolders = [\"{}\"]\n", folder.display())).alone();
    let library = library(&home);
    let found = library["models"].as_array().unwrap().iter().find(|found| found["name"] == name).unwrap();
    let weights = &found["weights"];
    assert_eq!((&weights["architecture"], &weights["quantization"]), (&json!("llama"), &json!("Q4_1")));
    let parameters = weights["parameters"].as_u64().unwrap();
    assert!((134_400_000..134_600_000).contains(&parameters), "{parameters}");
    // The header of this model is 1.8 % of its file.
    let of_file = fs::metadata(&model).unwrap().size() as f64 * 8.0 / parameters as f64;
    let bits = weights["bits_per_weight"].as_f64().unwrap();
    assert!((bits / (of_file * 0.982) - 1.0).abs() < 0.01, "{bits} of {of_file}");
    let shape = &weights["shape"];
    assert_eq!((&shape["block_count"], &shape["head_count_kv"]), (&json!(30), &json!(3)));
    assert_eq!((&shape["context_length"], &shape["key_length"]), (&json!(8192), &json!(64)));
    assert_eq!(found["damage"], Value::Null);
}

#[test]
fn what_a_container_mounts_is_found() {
    let Some(engine) = bed::engine() else { return };
    let models = tempfile::tempdir().unwrap();
    fs::create_dir_all(models.path().join("models/manifests")).unwrap();
    fs::create_dir_all(models.path().join("models/blobs")).unwrap();
    fs::write(models.path().join(format!("models/blobs/sha256-{}", "a".repeat(64))), [1; 5000]).unwrap();
    let mount = format!("{}:/root/.ollama", models.path().display());
    let container = engine.run("ollama", |spec| {
        spec.with(|body| body.host_config.get_or_insert_default().binds = Some(vec![mount.clone()]))
    });
    let home = Home::with("").docker(engine.endpoint()).alone();
    let library = library(&home);
    let place = place(&library, models.path().join("models").to_str().unwrap());
    assert_eq!(place["because"], json!(format!("the container {} has it at /root/.ollama", container.name())));
    assert_eq!((&place["store"], &place["orphans"]["count"]), (&json!("ollama"), &json!(1)));
    assert!(place["volume"].is_string(), "{place}");
}

#[test]
fn a_folder_without_rights_says_so_and_spoils_nothing() {
    if !rustix::process::geteuid().is_root() {
        return bed::left_out("only root can run it as somebody else");
    }
    let home = Home::new().alone();
    let (open, closed) = (home.path().join("open"), home.path().join("closed"));
    let mode = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for folder in [&open, &closed, &home.state(), &open.join("inner")] {
        fs::create_dir_all(folder).unwrap();
        mode(folder, 0o777);
    }
    let model = Gguf::llama().tensor("t", &[256], 0, 1024);
    model.write(&open.join("mine.gguf"));
    model.write(&open.join("theirs.gguf"));
    mode(&open.join("theirs.gguf"), 0o600);
    [home.path(), &closed, &open.join("inner")]
        .iter()
        .zip([0o755, 0o700, 0o700])
        .for_each(|(path, bits)| mode(path, bits));
    let config = home.path().join("config.toml");
    fs::write(&config, format!("[models]\nfolders = [\"{}\", \"{}\"]\n", open.display(), closed.display())).unwrap();
    fs::copy(bed::hostler(), home.path().join("hostler")).unwrap();

    let of_home = home.command(&[]);
    let user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"];
    let mut words = bed::alone().iter().chain(&user);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg(home.path().join("hostler"));
    command.args(["snapshot", "--json", "--config"]).arg(&config).arg("--state-dir").arg(home.state()).env_clear();
    command.envs(of_home.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ended = Ended::of(&mut command);
    let json: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.err));
    let library = &json["library"];
    let problems = |path: &std::path::Path| place(library, path.to_str().unwrap())["problems"].clone();
    let denied = |path: &std::path::Path| {
        json!({
            "kind": "denied", "path": path, "what": "this user may not read it",
            "remedy": "start hostler as root, or as a user who may read it",
        })
    };
    assert_eq!(problems(&closed), json!([denied(&closed)]));
    assert_eq!(problems(&open), json!([denied(&open.join("inner")), denied(&open.join("theirs.gguf"))]));
    let names: Vec<_> = library["models"].as_array().unwrap().iter().map(|model| &model["name"]).collect();
    assert_eq!(names, [&json!("mine.gguf"), &json!("theirs.gguf")]);
    assert!(library["models"][1]["weights"]["unavailable"].is_string());
    // Hostler is no owner of the file, so its look counts as one.
    let told = library["models"][0]["last_used"]["unavailable"].as_str().unwrap();
    assert!(told.contains("hostler's own look") || told.contains("keeps no time"), "{told}");
    let detail = json["sources"].as_array().unwrap().iter().find(|it| it["id"] == "models.library").unwrap();
    assert!(detail["detail"].as_str().unwrap().ends_with("1 of them closed to this user"), "{detail}");
}

/// Memory that is really in use by a process, bytes.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn the_cache_of_a_real_server_takes_what_the_shape_says() {
    let Some(model) = bed::weights() else { return };
    let (header, _) = weights::read(&RootedFs::new("/"), &model, WeightsFormat::Gguf).unwrap();
    let shape = weights::join(&[&header], None).unwrap().shape.unwrap();
    let of = |tokens: u32| Some(resident(bed::llama_of(&model, tokens, 1)?.pid()));
    let (Some(small), Some(large)) = (of(2_048), of(8_192)) else { return };
    let need = |tokens| MemoryNeed::of(0, &shape, tokens, 1, kv_bits(None)).kv_bytes;
    let (estimate, measured) = (need(8_192) - need(2_048), large - small);
    let error = (estimate as f64 / measured as f64 - 1.0).abs();
    assert!(error < 0.10, "estimated {estimate}, allocated {measured}");
}
