//! Lists and measurements as engines send them.

use serde_json::json;

use super::lists::Listed;
use super::*;
use crate::domain::{DockerNetwork, KeptImage};

fn at() -> Timestamp {
    Timestamp::from_second(1_795_500_000).unwrap()
}

fn of(json: &str) -> Measured {
    measured(&serde_json::from_str(json).unwrap(), at())
}

#[test]
fn both_shapes_of_the_disk_usage_say_the_same() {
    let old = of(include_str!("../../../../tests/all/fixtures/docker/df-1.41.json"));
    let new = of(include_str!("../../../../tests/all/fixtures/docker/df-1.53.json"));
    assert_eq!(old, new);
    assert_eq!(old.layers_bytes, Reading::Known(3_971_014));
    let mut written: Vec<u64> = old.containers.values().copied().collect();
    written.sort_unstable();
    assert_eq!(written, [0, 4096], "one wrote nothing, which the engine leaves out");
    assert_eq!(old.volumes, HashMap::from([("bed-vol".into(), 8192)]), "-1 is no size");
    let cache = *old.build_cache.known().unwrap();
    assert_eq!(cache, BuildCache { records: 3, size_bytes: 340, in_use_bytes: 40, shared_bytes: 7000 });
    assert_eq!(cache.reclaimable_bytes(), 300);
}

#[test]
fn sums_are_taken_where_no_items_are_told() {
    let sums = of(r#"{"BuildCacheUsage":{"TotalCount":3,"Reclaimable":300,"TotalSize":340}}"#);
    let cache = BuildCache { records: 3, size_bytes: 340, in_use_bytes: 40, shared_bytes: 0 };
    assert_eq!(sums.build_cache, Reading::Known(cache));
    assert_eq!(sums.layers_bytes, Reading::Unavailable(NOT_TOLD.into()));
}

#[test]
fn an_answer_of_another_kind_is_no_zero() {
    for other in ["{}", "null", "[]", r#"{"Images":null}"#] {
        let read = of(other);
        assert!(read.build_cache.known().is_none(), "{other}");
        assert!(read.volumes.is_empty() && read.containers.is_empty(), "{other}");
    }
    assert!(of("{}").layers_bytes.known().is_none());
    // An engine that holds no image says so by leaving the number out.
    assert_eq!(of(r#"{"Images":[],"BuildCache":null}"#).layers_bytes, Reading::Known(0));
}

fn containers() -> Vec<Listed> {
    list(json!([
        {"Id": "aa", "Names": ["/web"], "ImageID": "sha256:1", "State": "running", "Labels": {"com.docker.compose.project": "shop"},
         "Mounts": [{"Type": "volume", "Name": "data"}, {"Type": "bind", "Source": "/etc"}],
         "NetworkSettings": {"Networks": {"shop_default": {"NetworkID": "n1"}}}},
        {"Id": "bb", "Names": ["/old.hostler-20261112-030400-1a2b"], "ImageID": "sha256:1", "State": "exited", "Labels": null,
         "Mounts": [{"Type": "volume", "Name": "data"}], "NetworkSettings": {"Networks": {"shop_default": null}}},
        {"Id": 7, "Names": "no list"},
    ]))
}

#[test]
fn images_are_listed_with_names_users_and_what_keeps_them() {
    let listed = list(json!([
        {"Id": "sha256:1", "RepoTags": ["n8n:2", "n8n:1", "hostler-rollback/n8n:20261112-030400-1a2b"], "Size": 10, "Created": 1_795_000_000,
         "Labels": {"hostler.keep": ""}},
        {"Id": "sha256:2", "RepoTags": ["<none>:<none>"], "RepoDigests": ["ghcr.io/n8n@sha256:9"], "Size": 5, "Labels": {"hostler.keep": "False"}},
        {"Id": "sha256:3", "RepoTags": null, "RepoDigests": ["<none>@<none>"], "Size": -1, "Labels": null},
        // The same image once more, by another name.
        {"Id": "sha256:3", "RepoTags": ["late\u{1b}[31m:1"], "Size": -1},
    ]));
    let images = images_of(listed, &containers());
    let [first, second, third] = &images[..] else { panic!("{images:?}") };
    assert_eq!((first.name(), &first.references[..]), ("n8n:1", &["n8n:1".to_owned(), "n8n:2".to_owned()][..]));
    assert_eq!(first.kept, [KeptImage { container: "n8n".to_owned(), run: "20261112-030400-1a2b".to_owned() }]);
    assert_eq!(first.users, ["old.hostler-20261112-030400-1a2b".into(), "web".into()]);
    assert!(first.is_protected() && first.keep && !first.is_dangling());
    assert_eq!((second.name(), second.is_dangling(), second.keep), ("ghcr.io/n8n", true, false));
    assert!(second.is_reclaimable());
    assert_eq!((third.name(), third.size_bytes, third.created), ("late:1", 0, None));
}

#[test]
fn volumes_and_networks_are_listed_with_their_users() {
    let digits = "3f9a".repeat(16);
    let listed = list(json!([
        {"Name": "data", "Driver": "local", "CreatedAt": "2026-11-23T18:31:14Z", "Labels": {"com.docker.compose.project": "shop"}},
        {"Name": digits, "Driver": "local", "Labels": null},
        {"Name": "named", "Driver": "local", "Labels": {"com.docker.volume.anonymous": ""}},
    ]));
    let volumes = volumes_of(listed, &containers());
    assert_eq!(volumes.iter().map(|volume| volume.anonymous).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!((&*volumes[1].name, volumes[1].users.len(), volumes[1].project.as_deref()), ("data", 2, Some("shop")));
    assert_eq!(volumes[1].size_bytes, Reading::Unavailable(NOT_MEASURED.into()));

    let listed = list(json!([
        {"Id": "n1", "Name": "shop_default", "Driver": "bridge", "Created": "2026-11-23T18:31:14Z", "Labels": {}},
        {"Id": "n2", "Name": "left", "Driver": "bridge", "Labels": null},
        {"Id": "n3", "Name": "host", "Driver": "host"},
    ]));
    let networks = networks_of(listed, &containers());
    let users: Vec<usize> = networks.iter().map(|network| network.users.len()).collect();
    assert_eq!(users, [0, 0, 2], "the one that is down knows the name only");
    assert_eq!(networks.iter().map(|network| network.builtin).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(networks.iter().map(DockerNetwork::is_reclaimable).collect::<Vec<_>>(), [false, true, false]);

    let spaces: Vec<_> = containers().iter().filter_map(space_of).collect();
    assert_eq!(spaces.iter().map(|space| (space.up, space.keep)).collect::<Vec<_>>(), [(true, false), (false, true)]);
}

#[test]
fn what_was_measured_is_put_to_what_is_listed() {
    let volumes = list(json!([
        {"Name": "bed-vol", "Driver": "local", "CreatedAt": "2026-11-23T18:31:14Z"},
        {"Name": "far", "Driver": "nfs", "CreatedAt": "2026-11-23T18:31:14Z"},
        {"Name": "new", "Driver": "local", "CreatedAt": "2026-11-24T18:31:14Z"},
    ]));
    let mut disk = DockerDisk { volumes: volumes_of(volumes, &[]), ..DockerDisk::default() };
    of(include_str!("../../../../tests/all/fixtures/docker/df-1.41.json")).put_into(&mut disk);
    let sizes: Vec<String> = disk
        .volumes
        .iter()
        .map(|volume| match &volume.size_bytes {
            Reading::Known(bytes) => bytes.to_string(),
            Reading::Unavailable(why) => why.to_string(),
        })
        .collect();
    assert_eq!(sizes, ["8192", "the engine does not tell it for driver nfs", NOT_MEASURED]);
    assert_eq!(disk.measured, Some(at()));
}
