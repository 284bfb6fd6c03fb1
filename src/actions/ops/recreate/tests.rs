use super::*;

fn image() -> Value {
    json!({"Config": {
        "Env": ["PATH=/bin", "MODE=old"], "Cmd": ["serve"], "Entrypoint": ["/entry"], "WorkingDir": "/app",
        "Labels": {"version": "1", "vendor": "x"}, "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/data": {}},
        "Healthcheck": {"Test": ["CMD", "old"]}, "User": "app"
    }})
}

fn container() -> Value {
    json!({
        "Id": "0123456789abcdef",
        "Config": {
            "Hostname": "0123456789ab", "Image": "app:1", "User": "app",
            "Env": ["PATH=/bin", "MODE=old", "KEY=mine"], "Cmd": ["serve"], "Entrypoint": ["/entry"], "WorkingDir": "/app",
            "Labels": {"version": "1", "vendor": "x", "mine": "yes"},
            "ExposedPorts": {"80/tcp": {}, "81/tcp": {}}, "Volumes": {"/data": {}},
            "Healthcheck": {"Test": ["CMD", "old"]}
        },
        "HostConfig": {
            "NetworkMode": "agents_default", "Binds": ["named:/named"], "Links": ["/db:/app/database"],
            "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
            "DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}],
            "Devices": [{"PathOnHost": "/dev/x", "PathInContainer": "/dev/x", "CgroupPermissions": ""}],
            "Memory": 1024, "SomethingNew": {"kept": true}
        },
        "Mounts": [
            {"Type": "volume", "Name": "named", "Destination": "/named", "RW": true},
            {"Type": "volume", "Name": "f00d", "Destination": "/data", "RW": true},
            {"Type": "bind", "Source": "/host", "Destination": "/bound", "RW": true}
        ],
        "NetworkSettings": {"Networks": {
            "agents_default": {"Aliases": ["app", "0123456789ab"], "IPAddress": "172.20.0.5", "MacAddress": "02:42:ac"},
            "proxy": {"IPAMConfig": {"IPv4Address": "10.9.0.7"}, "Aliases": null}
        }}
    })
}

#[test]
fn values_of_the_old_image_are_left_to_the_new_one() {
    let recipe = Recipe::of(&container(), Some(&image()), "app:2", "r1");
    let body = &recipe.body;
    assert_eq!(body["Image"], "app:2");
    assert_eq!(body["Env"], json!(["KEY=mine"]));
    assert_eq!(body["Labels"], json!({"mine": "yes", RUN_LABEL: "r1"}));
    assert_eq!(body["ExposedPorts"], json!({"81/tcp": {}}));
    for inherited in ["Cmd", "Entrypoint", "WorkingDir", "User", "Healthcheck", "Hostname"] {
        assert!(body.get(inherited).is_none(), "{inherited}: {}", body[inherited]);
    }
}

#[test]
fn what_somebody_set_stays() {
    let mut own = container();
    own["Config"]["Entrypoint"] = json!(["/mine"]);
    own["Config"]["Hostname"] = json!("mail");
    own["Config"]["User"] = json!("root");
    let body = Recipe::of(&own, Some(&image()), "app:2", "r1").body;
    // With an entry point of its own, the command belongs to it.
    assert_eq!((&body["Entrypoint"], &body["Cmd"]), (&json!(["/mine"]), &json!(["serve"])));
    assert_eq!((&body["Hostname"], &body["User"]), (&json!("mail"), &json!("root")));
    let host = &body["HostConfig"];
    assert_eq!(host["Memory"], 1024);
    assert_eq!(host["DeviceRequests"][0]["Driver"], "nvidia");
    assert_eq!(host["SomethingNew"], json!({"kept": true}), "what is not known here comes through");
    assert_eq!(host["Links"], json!(["db:database"]));
    assert_eq!(host["Devices"][0]["CgroupPermissions"], "rwm");
}

#[test]
fn an_unnamed_volume_is_carried_over_once() {
    let body = Recipe::of(&container(), Some(&image()), "app:2", "r1").body;
    assert_eq!(body["HostConfig"]["Binds"], json!(["named:/named", "f00d:/data"]));
}

#[test]
fn networks_keep_what_was_set_and_lose_what_the_engine_chose() {
    let recipe = Recipe::of(&container(), None, "app:2", "r1");
    let first = &recipe.body["NetworkingConfig"]["EndpointsConfig"];
    assert_eq!(*first, json!({"agents_default": {"Aliases": ["app"]}}));
    assert_eq!(recipe.networks, [("proxy".to_owned(), json!({"IPAMConfig": {"IPv4Address": "10.9.0.7"}}))]);
}

#[test]
fn a_container_in_another_ones_network_joins_none() {
    let mut guest = container();
    guest["HostConfig"]["NetworkMode"] = json!("container:abc");
    guest["Config"]["Hostname"] = json!("borrowed");
    let recipe = Recipe::of(&guest, None, "app:2", "r1");
    assert_eq!(recipe.body["NetworkingConfig"]["EndpointsConfig"], json!({}));
    assert!(recipe.networks.is_empty() && recipe.body.get("Hostname").is_none());
}
