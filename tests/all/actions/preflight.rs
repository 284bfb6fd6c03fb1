//! What stands against an update is said before anything is done.

use std::fs;
use std::path::Path;
use std::process::Command;

use bollard::models::DeviceRequest;
use serde_json::json;

use super::interrupted::killed_at;
use super::service::{Service, Version};
use crate::bed::{self, Ended, Spec};
use crate::gpu::Double;

#[test]
fn an_interrupted_run_comes_first() {
    let Some(service) = Service::start() else { return };
    let name = service.container.name();
    service.publish("2", Version::Good);
    let id = killed_at(&service, "began", 6);
    let refused = service.home.run(&["run", "container.update", name, "--yes"]);
    refused.refused(4, &format!("hostler run --finish {id}"));
    let (_, back) = service.home.json(&["undo", &id, "--json"]);
    assert_eq!(back["outcome"], "rolled-back", "{back}");
    let (code, done) = super::run(&service.home, &["container.update", name]);
    assert_eq!(code, 0, "{done}");
}

/// It cannot start without a card; to be looked at, it need not.
fn asks_for_gpus(spec: Spec) -> Spec {
    spec.does_not_start().with(|body| {
        let request = DeviceRequest { count: Some(-1), ..DeviceRequest::default() };
        let request = DeviceRequest { capabilities: Some(vec![vec!["gpu".to_owned()]]), ..request };
        body.host_config.get_or_insert_default().device_requests = Some(vec![request]);
    })
}

#[test]
fn a_gpu_container_is_not_made_again_while_the_driver_differs() {
    let Some(engine) = bed::engine() else { return };
    let gpu = engine.run("gpu", asks_for_gpus);
    let home = super::home(&engine);
    let root = home.path().join("root");
    let module = root.join("sys/module/nvidia");
    fs::create_dir_all(&module).unwrap();
    fs::write(module.join("version"), "535.183.01\n").unwrap();
    let libraries = root.join("usr/lib");
    fs::create_dir_all(&libraries).unwrap();
    fs::write(libraries.join("libnvidia-ml.so.550.54.15"), "").unwrap();
    std::os::unix::fs::symlink("libnvidia-ml.so.550.54.15", libraries.join("libnvidia-ml.so.1")).unwrap();
    let rooted = ["--rootfs", root.to_str().unwrap(), "run", "container.update", gpu.name(), "--dry-run"];
    home.run(&rooted).refused(4, "driver 535.183.01 is loaded and 550.54.15 is on disk");
}

#[test]
fn what_an_image_asks_of_the_driver_is_read_before_it_is_pulled() {
    let (Some(engine), Some(registry)) = (bed::engine(), bed::registry()) else { return };
    let Some(double) = Double::new(&json!({ "driver": "535.183.01", "cuda": "12.2" })) else { return };
    let reference = registry.reference("bed/cuda", "stable");
    registry.push_changed(&engine, "bed/cuda", "stable", "1", &[]);
    let gpu = engine.run("cuda", |spec| asks_for_gpus(spec).with(|body| body.image = Some(reference.clone())));
    let home = super::home(&engine);
    let planned = |action: &str, args: &[&str]| {
        let state = home.state();
        let mut all = vec!["run", action, gpu.name(), "--dry-run", "--state-dir", state.to_str().unwrap()];
        all.extend(args);
        Ended::of(home.command(&all).env("HOSTLER_NVML_LIBRARY", double.library()))
    };
    let publish = |tag: &str, asks: &str| registry.push_changed(&engine, "bed/cuda", tag, asks, &[asks]);

    publish("stable", "ENV NVIDIA_REQUIRE_CUDA=cuda>=12.8");
    for action in ["container.update", "container.trial"] {
        planned(action, &[]).refused(4, "bed/cuda:stable asks for CUDA 12.8, and driver 535.183.01 gives CUDA 12.2");
    }
    publish("stable", "ENV NVIDIA_REQUIRE_CUDA=\"cuda>=12.8 brand=tesla,driver>=535,driver<536\"");
    let doubtful = planned("container.update", &[]);
    assert!(doubtful.code == 0 && doubtful.out.contains("depends on the card"), "{} {}", doubtful.out, doubtful.err);
    publish("older", "ENV CUDA_VERSION=12.1.1");
    let fine = planned("container.update", &["--to", "older"]);
    assert!(fine.code == 0 && !fine.out.contains("CUDA"), "{} {}", fine.out, fine.err);
    engine.forget_image(&reference);
}

#[test]
fn a_full_disk_is_told_before_the_pull() {
    let Some(service) = Service::start() else { return };
    service.publish("2", Version::Good);
    let info = service.engine.block_on(service.engine.docker().info()).unwrap();
    let root = service.home.path().join("root");
    let place = root.join(Path::new(&info.docker_root_dir.unwrap()).strip_prefix("/").unwrap());
    fs::create_dir_all(&place).unwrap();
    // The file system of the engine as seen below another root, with less room than an image needs.
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&place).status().unwrap();
    assert!(mounted.success(), "the bed has mounts of its own");
    let rooted = ["--rootfs", root.to_str().unwrap(), "run", "container.update", service.container.name(), "--dry-run"];
    let ended = service.home.run(&rooted);
    Command::new("umount").arg(&place).status().unwrap();
    ended.refused(4, "docker.prune");
}
