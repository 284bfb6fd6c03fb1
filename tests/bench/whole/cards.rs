//! Two GPUs that are not there: the double of NVIDIA's library, with readings that move as those of busy cards do.
//!
//! The double answers what a script says; here the script is rewritten every second, or says once that every reading
//! hangs.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The variable that names the double.
const DOUBLE_VARIABLE: &str = "HOSTLER_TEST_NVML";
/// Two cards as they stand in the double's own examples.
const TWO_CARDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/nvml-double/scripts/two-busy.json");

/// Puts the cards in place; returns the variables that lead hostler to them.
pub(crate) fn provide(folder: &Path, hung: bool) -> Result<Vec<(&'static str, PathBuf)>> {
    let library = std::env::var_os(DOUBLE_VARIABLE).with_context(|| {
        format!("{DOUBLE_VARIABLE} is not set: `tests/run --exec` provides the double of NVIDIA's library")
    })?;
    let text = std::fs::read(TWO_CARDS).with_context(|| format!("cannot read {TWO_CARDS}"))?;
    let mut script: Value = serde_json::from_slice(&text)?;
    let file = folder.join("cards.json");
    if hung {
        for card in script["gpus"].as_array_mut().into_iter().flatten() {
            card["hang"] = json!(["all"]);
        }
    }
    write(&file, &script)?;
    if !hung {
        let file = file.clone();
        thread::spawn(move || {
            for second in 0_u64.. {
                thread::sleep(Duration::from_secs(1));
                if write(&file, &moved(&script, second)).is_err() {
                    // The folder goes when the run ends.
                    break;
                }
            }
        });
    }
    Ok(vec![("HOSTLER_NVML_LIBRARY", library.into()), ("HOSTLER_NVML_DOUBLE", file)])
}

/// The readings a moment later: the first card works at a changing load, the second idles.
fn moved(script: &Value, second: u64) -> Value {
    let swing = |of: u64, step: u64| (second * step) % of;
    let mut script = script.clone();
    let busy = &mut script["gpus"][0];
    busy["utilization"] = json!({"gpu": 60 + swing(40, 7), "memory": 45 + swing(30, 11)});
    busy["temperature"] = json!(70 + swing(6, 1));
    busy["power_mw"] = json!(310_000 + swing(130_000, 17_939));
    let clock = 2520 + swing(7, 3) * 15;
    busy["clocks"] = json!({"graphics": clock, "sm": clock, "memory": 10251, "video": 1965});
    busy["memory"]["used"] = json!(23_900_000_000 + swing(9, 2) * 16_777_216);
    busy["pcie"]["tx_kbs"] = json!(700_000 + swing(200_000, 31_337));
    busy["pcie"]["rx_kbs"] = json!(1_100_000 + swing(200_000, 27_183));
    let idle = &mut script["gpus"][1];
    idle["temperature"] = json!(41 + swing(20, 1) / 19);
    idle["power_mw"] = json!(24_000 + swing(900, 211));
    script
}

/// Replaces the script in one step, so that no half of it is read.
fn write(file: &Path, script: &Value) -> Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(script)?)?;
    std::fs::rename(&new, file)?;
    Ok(())
}
