//! Where the trees of control groups are mounted, and which folder of them belongs to a process.
//!
//! Version 1 has one tree for each controller (or a few), version 2 one for all; a machine may have both. A container sees
//! a part of a tree, whose root its mount table names: paths are taken relative to that.

use std::io;
use std::path::{Component, Path, PathBuf};

use procfs_core::ProcessCGroups;
use procfs_core::process::MountInfo;

use crate::host::RootedFs;

/// A version of the kernel's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One tree for each controller.
    V1,
    /// One tree for all.
    V2,
}

impl Version {
    /// As it is named on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "cgroup v1",
            Self::V2 => "cgroup v2",
        }
    }
}

/// The mounted trees.
#[derive(Debug, Clone)]
pub struct Hierarchies {
    mounts: Vec<Mount>,
}

#[derive(Debug, Clone)]
struct Mount {
    /// The controllers of a tree of version 1; empty for version 2.
    controllers: Vec<String>,
    version: Version,
    /// The part of the tree that is mounted.
    root: PathBuf,
    /// Where, as on the machine.
    point: PathBuf,
}

impl Hierarchies {
    /// Reads the mount table of this process.
    pub fn read(fs: &RootedFs) -> io::Result<Self> {
        let table = fs.read("/proc/self/mountinfo")?;
        let mounts = table
            .lines()
            .filter(|line| line.contains("cgroup"))
            .filter_map(|line| MountInfo::from_line(line).ok())
            .filter_map(|mount| Mount::from(mount, fs))
            .collect();
        Ok(Self { mounts })
    }

    /// The folder in which `controller` counts for a process with these memberships, as on the machine. A controller that
    /// is in use by version 1 counts nothing in version 2.
    pub fn folder(&self, ProcessCGroups(groups): &ProcessCGroups, controller: &str) -> Option<(Version, PathBuf)> {
        let owns = |names: &[String]| names.iter().any(|name| name == controller);
        let (group, version) = if let Some(group) = groups.iter().find(|group| owns(&group.controllers)) {
            (group, Version::V1)
        } else {
            (groups.iter().find(|group| group.hierarchy == 0)?, Version::V2)
        };
        let folder = self
            .mounts
            .iter()
            .filter(|mount| mount.version == version && (version == Version::V2 || owns(&mount.controllers)))
            .find_map(|mount| mount.folder(Path::new(&group.pathname)))?;
        Some((version, folder))
    }
}

impl Mount {
    fn from(mount: MountInfo, fs: &RootedFs) -> Option<Self> {
        let (version, controllers) = match mount.fs_type.as_str() {
            "cgroup" => (Version::V1, mount.super_options.into_keys().collect()),
            "cgroup2" => (Version::V2, Vec::new()),
            _ => return None,
        };
        // The table speaks of this process's own root. Where the machine's tree is mounted below a moved root (hostler in a
        // container), its mount points carry that root in front.
        let moved = fs.path("/");
        let point = mount
            .mount_point
            .strip_prefix(&moved)
            .map_or_else(|_| mount.mount_point.clone(), |rest| Path::new("/").join(rest));
        Some(Self { controllers, version, root: mount.root.into(), point })
    }

    /// Where the group `path` lies below this mount point; `None` if it is not in the part that is mounted. In a cgroup
    /// namespace both paths may begin with `..`.
    fn folder(&self, path: &Path) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.root).ok()?;
        let reachable = below.components().all(|part| matches!(part, Component::Normal(_)));
        reachable.then(|| self.point.join(below))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use procfs_core::FromBufRead;

    use super::*;

    fn hierarchies(table: &str) -> Hierarchies {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        std::fs::write(root.path().join("proc/self/mountinfo"), table).unwrap();
        Hierarchies::read(&RootedFs::new(root.path())).unwrap()
    }

    fn groups(text: &str) -> ProcessCGroups {
        ProcessCGroups::from_buf_read(Cursor::new(text)).unwrap()
    }

    fn folder(of: &Hierarchies, text: &str, controller: &str) -> Option<(Version, PathBuf)> {
        of.folder(&groups(text), controller)
    }

    const V1: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /dev/memory rw - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    #[test]
    fn controllers_are_found_where_they_are_mounted() {
        let tree = hierarchies(V1);
        let text = "4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n0::/\n";
        assert_eq!(folder(&tree, text, "cpuacct"), Some((Version::V1, "/sys/fs/cgroup/cpu,cpuacct/docker/x".into())));
        assert_eq!(folder(&tree, text, "memory"), Some((Version::V1, "/dev/memory/docker/x".into())));
    }

    #[test]
    fn what_version_1_does_not_count_is_sought_in_version_2() {
        let text = "1:name=systemd:/x\n0::/system.slice/docker-x.scope\n";
        let tree = hierarchies("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
        assert_eq!(
            folder(&tree, text, "memory"),
            Some((Version::V2, "/sys/fs/cgroup/system.slice/docker-x.scope".into()))
        );
        assert_eq!(folder(&hierarchies(""), text, "memory"), None);
    }

    #[test]
    fn a_part_of_a_tree_shows_only_what_lies_below_it() {
        let inner = hierarchies("35 31 0:32 /docker/self /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
        assert_eq!(
            folder(&inner, "4:memory:/docker/self/docker/x\n", "memory"),
            Some((Version::V1, "/sys/fs/cgroup/memory/docker/x".into()))
        );
        assert_eq!(folder(&inner, "4:memory:/docker/other\n", "memory"), None);
    }

    #[test]
    fn a_cgroup_namespace_speaks_of_what_is_above_it() {
        let whole = hierarchies("30 23 0:26 /../.. /host/cgroup ro - cgroup2 cgroup2 rw\n");
        assert_eq!(
            folder(&whole, "0::/../../system.slice/docker-x.scope\n", "cpu"),
            Some((Version::V2, "/host/cgroup/system.slice/docker-x.scope".into()))
        );
        let own = hierarchies("30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
        assert_eq!(folder(&own, "0::/../docker-x.scope\n", "cpu"), None);
    }
}
