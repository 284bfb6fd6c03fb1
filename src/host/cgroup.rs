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

/// The control group below its hierarchy's root of a container's first process: that of version 2, else that in which its
/// memory is counted. `None` if the process does not belong to this container, as with an engine on another machine.
pub fn path_of(fs: &RootedFs, id: &ContainerId, pid: u32) -> Option<String> {
    let ProcessCGroups(groups) = memberships(fs, pid).ok()?;
    groups
        .into_iter()
        .filter(|group| container_in(&group.pathname).as_ref() == Some(id))
        .max_by_key(|group| {
            let counts_memory = group.controllers.iter().any(|name| name == "memory");
            (group.controllers.is_empty(), counts_memory)
        })
        .map(|group| group.pathname)
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
        assert_eq!(container_in("/user.slice/session-3.scope"), None);
        assert_eq!(container_in(&format!("/docker/{id}0")), None);
    }
}
