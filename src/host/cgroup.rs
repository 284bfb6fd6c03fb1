//! Which control group, and so which container, a process belongs to, and what the kernel counts for it.
//!
//! [`Hierarchies`] knows where the trees of version 1 and 2 are mounted, [`Counters`] are the files of one container.

mod counters;
mod hierarchy;

pub use counters::{Counters, Handles};
pub use hierarchy::{Hierarchies, Version};

use std::io::{self, Cursor};

use procfs_core::{FromBufRead, ProcessCGroups};

use super::RootedFs;
use crate::domain::ContainerId;

/// The control groups of a process, one for each hierarchy (one in all under cgroup v2).
///
/// # Errors
/// When `/proc/PID/cgroup` cannot be read or understood.
pub fn memberships(fs: &RootedFs, pid: u32) -> io::Result<ProcessCGroups> {
    let text = fs.read(format!("/proc/{pid}/cgroup"))?;
    ProcessCGroups::from_buf_read(Cursor::new(text))
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}

/// The container that a process runs in; `None` for a process of the host, and for one that is gone.
pub fn container_of(fs: &RootedFs, pid: u32) -> Option<ContainerId> {
    let ProcessCGroups(groups) = memberships(fs, pid).ok()?;
    groups.iter().find_map(|group| container_in(&group.pathname))
}

/// The container id in a cgroup path: the last run of exactly 64 hexadecimal digits.
///
/// Seen forms: `/docker/<id>`, `/system.slice/docker-<id>.scope`, `…/libpod-<id>.scope`, `/kubepods/…/cri-containerd-<id>.scope`.
pub fn container_in(path: &str) -> Option<ContainerId> {
    path.rsplit(['/', '-', '.', ':'])
        .find(|part| part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(ContainerId::from)
}

/// The part of a cgroup path that is a container's own group, whatever groups it made for itself below that (a nested
/// engine, systemd, Podman's `container`). `None` if the path is not of this container.
pub fn own_group<'path>(path: &'path str, id: &ContainerId) -> Option<&'path str> {
    let begin = path.rfind(&*id.0)?;
    let end = path[begin..].find('/').map_or(path.len(), |end| begin + end);
    let own = &path[..end];
    (container_in(own).as_ref() == Some(id)).then_some(own)
}

/// The control group below its hierarchy's root of a container's first process: that of version 2, else that in which its
/// memory is counted. `None` if the process does not belong to this container, as with an engine on another machine.
pub fn path_of(fs: &RootedFs, id: &ContainerId, pid: u32) -> Option<String> {
    let ProcessCGroups(groups) = memberships(fs, pid).ok()?;
    groups
        .iter()
        .filter_map(|group| {
            let counts_memory = group.controllers.iter().any(|name| name == "memory");
            let preferred = (group.controllers.is_empty(), counts_memory);
            Some((preferred, own_group(&group.pathname, id)?))
        })
        .max()
        .map(|(_, path)| path.to_owned())
}

/// Memory as the docker command counts it: without the file cache that the kernel would drop first.
pub fn without_cache(usage_bytes: u64, inactive_file_bytes: u64) -> u64 {
    match usage_bytes.checked_sub(inactive_file_bytes) {
        None | Some(0) => usage_bytes,
        Some(bytes) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_found_in_every_form_of_path() {
        let id = "4f".repeat(32);
        for path in [
            format!("/docker/{id}"),
            format!("/system.slice/docker-{id}.scope"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope/container"),
            format!("/hostler-test-1/{id}"),
        ] {
            assert_eq!(container_in(&path), Some(ContainerId::from(id.as_str())), "{path}");
        }
        let id = ContainerId::from(id.as_str());
        for (path, own) in [
            (format!("/docker/{}", id.0), format!("/docker/{}", id.0)),
            (format!("/docker/{}/init", id.0), format!("/docker/{}", id.0)),
            (format!("/a.slice/libpod-{}.scope/container", id.0), format!("/a.slice/libpod-{}.scope", id.0)),
        ] {
            assert_eq!(own_group(&path, &id), Some(&*own));
        }
        let nested = format!("/docker/{}/docker/{}", id.0, "5e".repeat(32));
        assert_eq!(own_group(&nested, &id), Some(&*format!("/docker/{}", id.0)));
        assert_eq!(own_group("/docker/other", &id), None);
        assert_eq!(container_in("/user.slice/session-3.scope"), None);
        assert_eq!(container_in(&format!("/docker/{}0", id.0)), None);
    }
}
