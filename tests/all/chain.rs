//! From a card to the model on it, in one snapshot: a scripted card, a real container, a real inference server with a real model.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::bed::{self, Ended, Home, faults};
use crate::gpu;

/// The process of the server on the machine that the program sees.
const PID: u32 = 4242;

#[test]
fn a_snapshot_names_card_container_engine_model_and_memory_in_one_chain() {
    let (Some(engine), Some(server)) = (bed::engine(), bed::llama()) else { return };
    let container = faults::steady(&engine);
    let mut script = gpu::ready("two-busy.json");
    script["gpus"][0]["compute"] = json!([{ "pid": PID, "memory": 5_000_000_000_u64 }]);
    script["gpus"][0]["graphics"] = json!([]);
    script["gpus"][1]["compute"] = json!([]);
    let Some(card) = gpu::Double::new(&script) else { return };

    // Only this server listens there, and it is the container's process that is on the card.
    let home = Home::new().docker(engine.endpoint());
    let root = home.path().join("root");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let address: SocketAddr = server.endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    let port = address.port();
    let mut table = String::from("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n");
    writeln!(
        table,
        "   0: 0100007F:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 {port} 1"
    )
    .unwrap();
    write("proc/net/tcp", &table);
    let process = |file: &str, text: &str| write(&format!("proc/{PID}/{file}"), text);
    process("comm", "llama-server\n");
    process("cmdline", "llama-server\0--ctx-size=4096\0--api-key\0geheim\0");
    process("stat", &format!("{PID} (llama-server) S 1 {}\n", ["0"; 48].join(" ")));
    process("cgroup", &format!("0::/docker/{}\n", container.id()));
    fs::create_dir_all(root.join(format!("proc/{PID}/fd"))).unwrap();
    symlink(format!("socket:[{port}]"), root.join(format!("proc/{PID}/fd/3"))).unwrap();

    let args = ["--rootfs", root.to_str().unwrap(), "snapshot", "--json"];
    let ended = Ended::of(home.command(&args).env("HOSTLER_NVML_LIBRARY", card.library()));
    assert_eq!(ended.code, 0, "{}", ended.err);
    let snapshot: serde_json::Value = serde_json::from_str(&ended.out).unwrap();
    let on_card = &snapshot["gpus"][0]["processes"][0];
    let model = snapshot["models"][0]["name"].as_str().unwrap();
    assert!(model.contains("SmolLM2"), "{model}");
    assert_eq!(
        [&on_card["pid"], &on_card["memory_used_bytes"], &on_card["container"], &on_card["engine"], &on_card["model"]],
        [&json!(PID), &json!(5_000_000_000_u64), &json!(container.name()), &json!("llama.cpp"), &json!(model)],
        "{on_card}"
    );
    let told = &snapshot["engines"][0];
    assert_eq!([&told["container"], &told["pid"]], [&json!(container.name()), &json!(PID)]);
    assert_eq!(told["options"][0], json!({ "name": "--ctx-size", "value": "4096" }));
    assert_eq!(told["options"][1], json!({ "name": "--api-key", "value": "***" }));
    assert!(!ended.out.contains("geheim"));
}
