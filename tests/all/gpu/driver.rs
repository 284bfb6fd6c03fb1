//! The driver: loaded and on disk, missing, mismatched, replaced while it runs.

use super::*;

#[test]
fn a_driver_of_another_version_is_said_with_both() {
    let Some(double) = Double::new(&ready("mismatch.json")) else {
        return;
    };
    let mut source = double.source();
    let failure = source.failure();
    assert_eq!(failure.kind, FailureKind::Failed);
    assert_eq!(failure.what, "driver/library version mismatch");

    double.file(
        "proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.16  Release Build\n",
    );
    double.file("usr/lib64/libnvidia-ml.so.580.95.05", "");
    symlink("libnvidia-ml.so.580.95.05", double.root().join("usr/lib64/libnvidia-ml.so.1")).unwrap();
    let failure = source.failure();
    assert_eq!(failure.what, "driver/library version mismatch: 570.86.16 is loaded, 580.95.05 is on disk");
    assert_eq!(failure.remedy.as_deref(), Some("reboot, or unload and reload the nvidia modules"));

    // After the reload, without a restart of hostler.
    double.rewrite(&ready("two-busy.json"));
    let sample = source.sample();
    assert_eq!(sample.driver.on_disk, Reading::Known("580.95.05".to_owned()));
    assert_eq!(sample.driver.mismatch(), None);
}

#[test]
fn a_driver_replaced_on_disk_is_seen_while_it_runs() {
    let mut script = ready("two-busy.json");
    script["driver"] = json!("570.86.16");
    let Some(double) = Double::new(&script) else {
        return;
    };
    double.file("usr/lib64/libnvidia-ml.so.580.95.05", "");
    symlink("libnvidia-ml.so.580.95.05", double.root().join("usr/lib64/libnvidia-ml.so.1")).unwrap();
    let sample = double.source().sample();
    assert_eq!(sample.driver.mismatch(), Some(("570.86.16", "580.95.05")));
}

#[test]
fn a_driver_that_is_not_loaded_says_how_to_load_it() {
    let Some(double) = Double::new(&json!({ "init": "driver-not-loaded" })) else {
        return;
    };
    let mut source = double.source();
    let failure = source.failure();
    assert_eq!(failure.kind, FailureKind::Failed);
    assert_eq!(failure.what, "the NVIDIA driver is not loaded");
    assert!(failure.remedy.unwrap().contains("sudo modprobe nvidia"));

    double.file("sys/module/nvidia/version", "580.95.05\n");
    let failure = source.failure();
    assert!(failure.what.contains("580.95.05 is loaded"), "{failure:?}");

    double.rewrite(&json!({ "init": "no-permission" }));
    let failure = source.failure();
    assert_eq!(failure.kind, FailureKind::Denied);
    assert!(failure.remedy.unwrap().contains("/dev/nvidiactl"));

    double.rewrite(&json!({ "init": "unknown" }));
    let failure = source.failure();
    assert_eq!(failure.kind, FailureKind::Failed);
    assert!(failure.remedy.unwrap().contains("dmesg"));

    double.rewrite(&ready("two-busy.json"));
    assert_eq!(source.sample().gpus.len(), 2, "a driver that comes back is seen");
}

#[test]
fn a_driver_without_a_card_is_no_fault() {
    let Some(double) = Double::new(&json!({ "driver": "580.95.05", "gpus": [] })) else {
        return;
    };
    let mut source = double.source();
    let failure = Failure::unsupported("the NVIDIA driver 580.95.05 serves no card");
    assert_eq!(source.failure(), failure);
    assert_eq!(source.failure(), failure, "the library is opened anew");
    double.rewrite(&ready("two-busy.json"));
    assert_eq!(source.sample().gpus.len(), 2);
}

#[test]
fn a_library_that_stops_working_is_opened_again() {
    let script = ready("two-busy.json");
    let Some(double) = Double::new(&script) else {
        return;
    };
    let mut source = double.source();
    let before = source.sample();
    let mut broken = script.clone();
    broken["errors"] = json!({ "count": "uninitialized" });
    double.rewrite(&broken);
    let failure = source.failure();
    assert_eq!(failure.kind, FailureKind::Failed);

    // The driver that comes back has lost a card on the way.
    let mut one_less = script.clone();
    one_less["gpus"].as_array_mut().unwrap().pop();
    double.rewrite(&one_less);
    let sample = wait_until(DEADLINE, "the library is open again", || source.read().ok());
    assert_eq!(sample.0.gpus[0], before.gpus[0]);
    assert_lost(&sample.0.gpus[1]);
    assert_eq!(&*sample.0.gpus[1].uuid, SECOND);

    // Xids still come.
    one_less["xids"] = json!([{ "gpu": 0, "code": 13, "seq": 1 }]);
    double.rewrite(&one_less);
    assert_eq!(source.xid().code, 13);
}

#[test]
fn a_missing_library_means_no_driver() {
    let root = tempfile::tempdir().unwrap();
    let here = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    if here.iter().any(|folder| Path::new(folder).join("libnvidia-ml.so.1").exists()) {
        bed::left_out("this machine has NVIDIA's library");
        return;
    }
    let failure = Reader::new(None, root.path()).failure();
    assert_eq!(failure, Failure::unsupported("libnvidia-ml.so.1 not found: no NVIDIA driver is installed"));

    // With the module in the kernel, only the library is missing.
    let module = root.path().join("sys/module/nvidia");
    fs::create_dir_all(&module).unwrap();
    fs::write(module.join("version"), "580.95.05\n").unwrap();
    let failure = Reader::new(None, root.path()).failure();
    assert_eq!(failure.kind, FailureKind::Failed);
    assert!(failure.what.contains("580.95.05 is loaded"), "{failure:?}");
}

#[test]
fn a_library_that_is_named_must_be_there() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("libnvidia-ml.so.1");
    let mut source = Reader::new(Some(&path), root.path());
    let failure = source.failure();
    assert_eq!(failure.kind, FailureKind::Failed);
    assert_eq!(failure.what, format!("{} not found", path.display()));
    assert!(failure.remedy.unwrap().contains("HOSTLER_NVML_LIBRARY"));

    fs::write(&path, "no library\n").unwrap();
    let failure = source.failure();
    assert_eq!(failure.kind, FailureKind::Failed);
    assert!(failure.what.contains("cannot be loaded"), "{failure:?}");
}
