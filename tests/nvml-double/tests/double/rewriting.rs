//! The script is read anew when it changes, and is named by the environment or lies beside the
//! library.

use std::env;
use std::process::Command;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use serde_json::json;

use crate::harness::{Double, init};

/// Set for the copy of this program that takes its script from the environment.
const INNER: &str = "NVML_DOUBLE_TEST_LIBRARY";

#[test]
fn readings_change_with_the_script() {
    let script = |celsius: u32| json!({ "gpus": [{ "temperature": celsius }] });
    let double = Double::new(&script(30));
    let nvml = double.init();
    let gpu = nvml.device_by_index(0).unwrap();
    for celsius in 30..90 {
        double.rewrite(&script(celsius));
        assert_eq!(gpu.temperature(TemperatureSensor::Gpu).unwrap(), celsius);
    }
}

#[test]
fn a_limit_that_was_set_lasts_until_the_script_changes() {
    let script = |limit_mw: u32| {
        json!({ "gpus": [{
            "limit_mw": limit_mw, "min_limit_mw": 100, "max_limit_mw": 900,
        }]})
    };
    let double = Double::new(&script(500));
    let nvml = double.init();
    let mut gpu = nvml.device_by_index(0).unwrap();
    gpu.set_power_management_limit(400).unwrap();
    assert_eq!(gpu.enforced_power_limit().unwrap(), 400);
    double.rewrite(&script(600));
    assert_eq!(gpu.enforced_power_limit().unwrap(), 600);
}

#[test]
fn gpus_come_and_go() {
    let double = Double::new(&json!({ "gpus": [] }));
    let nvml = double.init();
    for count in [8_u32, 0, 3] {
        double.rewrite(&json!({ "gpus": vec![json!({ "name": "card" }); count as usize] }));
        assert_eq!(nvml.device_count().unwrap(), count);
        for index in 0..count {
            assert_eq!(nvml.device_by_index(index).unwrap().name().unwrap(), "card");
        }
    }
}

/// The environment of a process is one for all its threads, so a second process is started for it.
#[test]
fn the_environment_names_the_script() {
    if let Some(library) = env::var_os(INNER) {
        assert_eq!(init(library.as_ref()).unwrap().device_count().unwrap(), 2);
        return;
    }
    let beside = Double::new(&json!({ "gpus": [{}] }));
    let named = Double::new(&json!({ "gpus": [{}, {}] }));
    let inner = Command::new(env::current_exe().unwrap())
        .args(["--exact", "rewriting::the_environment_names_the_script"])
        .env(INNER, beside.library())
        .env("HOSTLER_NVML_DOUBLE", named.script())
        .output()
        .unwrap();
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
    assert!(String::from_utf8_lossy(&inner.stdout).contains("1 passed"));
}
