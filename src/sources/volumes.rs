//! Every real file system once: bind mounts and overlays of the same device folded into the shortest mount point.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use procfs_core::FromBufRead;
use procfs_core::process::{MountInfo, MountInfos};

use super::{Read, Source, SourceContext, SourceSpec};
use crate::domain::{Failure, Sample, SourceId, Volume};
use crate::host::foreign;
use crate::host::{Reader, RootedFs, statvfs};

pub(super) const SPEC: SourceSpec = SourceSpec {
    id: SourceId::Volumes,
    interval: Some(Duration::from_secs(10)),
    heavy: false,
    timeout: Duration::from_secs(5),
    build: |context| Box::new(Volumes::new(context)),
};

/// File systems that hold nothing an operator could free.
const NOT_REAL: &[&str] = &[
    "autofs",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "fuse.lxcfs",
    "fuse.portal",
    "fuse.gvfsd-fuse",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "udf",
    "virtiofs",
];

struct Volumes {
    reader: Reader<()>,
    fs: RootedFs,
}

impl Volumes {
    fn new(context: &SourceContext) -> Self {
        Self { reader: context.ports.volumes.reader(|| ()), fs: context.ports.fs.clone() }
    }
}

impl Source for Volumes {
    fn poll(&mut self) -> LocalBoxFuture<'_, Result<Read, Failure>> {
        let fs = self.fs.clone();
        Box::pin(async move {
            let volumes = self
                .reader
                .read(move |()| read(&fs))
                .await
                .map_err(|why| Failure::failed(format!("a mounted file system does not answer: {why}")))??;
            let plural = if volumes.len() == 1 { "system" } else { "systems" };
            let detail = format!("{} file {plural}", volumes.len());
            Ok(Read { sample: Sample::Volumes(Arc::new(volumes)), detail })
        })
    }
}

/// Reads the mount table of this process and asks each real file system for its size.
fn read(fs: &RootedFs) -> Result<Vec<Volume>, Failure> {
    let mounts = mounts(fs)?;
    let mut volumes: Vec<Volume> = real_mounts(&mounts).into_iter().filter_map(|mount| volume(fs, mount)).collect();
    volumes.sort_by(|a, b| a.mount.cmp(&b.mount));
    Ok(volumes)
}

/// The mount table of this process.
pub(super) fn mounts(fs: &RootedFs) -> Result<Vec<MountInfo>, Failure> {
    const TABLE: &str = "/proc/self/mountinfo";
    let text = fs.read(TABLE).map_err(|error| Failure::failed(format!("{TABLE}: {error}")))?;
    let MountInfos(mounts) =
        MountInfos::from_buf_read(Cursor::new(text)).map_err(|error| Failure::failed(format!("{TABLE}: {error}")))?;
    Ok(mounts)
}

/// The mount that a file of this path and device (`major:minor`) lies on, and the mount point under which its file system is
/// known as a volume. The path decides, unless it leads through links to another device.
pub(super) fn mounted<'a>(mounts: &'a [MountInfo], path: &Path, device: &str) -> Option<(&'a MountInfo, &'a Path)> {
    // Of two on one point the later one covers the other.
    let around = mounts.iter().filter(|mount| path.starts_with(&mount.mount_point));
    let by_path = around.max_by_key(|mount| mount.mount_point.as_os_str().len());
    let by_device = || mounts.iter().find(|mount| mount.majmin == device);
    let mount = by_path.filter(|mount| mount.majmin == device).or_else(by_device).or(by_path)?;
    let known = real_mounts(mounts).into_iter().find(|real| real.majmin == mount.majmin).unwrap_or(mount);
    Some((mount, &known.mount_point))
}

/// One mount for each real device: the shortest mount point, and never one of a single file.
fn real_mounts(mounts: &[MountInfo]) -> Vec<&MountInfo> {
    let mut by_device: BTreeMap<&str, &MountInfo> = BTreeMap::new();
    for mount in mounts.iter().filter(|mount| is_real(mount)) {
        let shown = by_device.entry(&mount.majmin).or_insert(mount);
        if mount.mount_point.as_os_str().len() < shown.mount_point.as_os_str().len() {
            *shown = mount;
        }
    }
    by_device.into_values().collect()
}

fn is_real(mount: &MountInfo) -> bool {
    let point = mount.mount_point.to_string_lossy();
    !NOT_REAL.contains(&mount.fs_type.as_str())
        && point != "/boot/efi"
        && point != "/efi"
        && !point.starts_with("/snap/")
}

/// Size and free space of one mount; `None` if it cannot be asked (a mount that this user may not enter) or has no size.
fn volume(fs: &RootedFs, mount: &MountInfo) -> Option<Volume> {
    let space = statvfs(fs, &mount.mount_point).ok().filter(|space| space.size_bytes > 0)?;
    Some(Volume {
        mount: foreign::name(&mount.mount_point.to_string_lossy()),
        device: foreign::name(mount.mount_source.as_deref().unwrap_or("none")),
        filesystem: foreign::name(&mount.fs_type),
        size_bytes: space.size_bytes,
        free_bytes: space.free_bytes,
        inodes: space.inodes,
        inodes_free: space.inodes_free,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / /proc rw shared:2 - proc proc rw
30 22 254:1 /etc/hosts /etc/hosts rw shared:1 - ext4 /dev/vda1 rw
31 22 254:1 /var/lib/docker /var/lib/docker rw shared:1 - ext4 /dev/vda1 rw
32 22 0:40 / /var/lib/docker/overlay2/x/merged rw shared:9 - overlay overlay rw
33 22 7:1 / /snap/core/1 ro shared:9 - squashfs /dev/loop1 ro
34 22 259:1 / /boot/efi rw shared:9 - vfat /dev/nvme0n1p1 rw
35 22 259:4 / /models rw shared:9 - xfs /dev/nvme0n1p4 rw
36 22 0:55 / /backup rw shared:9 - nfs4 nas:/backup rw
";

    #[test]
    fn each_real_file_system_is_named_once() {
        let MountInfos(mounts) = MountInfos::from_buf_read(Cursor::new(TABLE)).unwrap();
        let mut points: Vec<_> =
            real_mounts(&mounts).into_iter().map(|mount| mount.mount_point.display().to_string()).collect();
        points.sort();
        assert_eq!(points, ["/", "/backup", "/models"]);
    }

    #[test]
    fn a_path_lies_on_the_nearest_mount_and_is_told_by_the_name_of_the_volume() {
        let MountInfos(mounts) = MountInfos::from_buf_read(Cursor::new(TABLE)).unwrap();
        let of = |path: &str, device: &str| {
            mounted(&mounts, Path::new(path), device).map(|(_, volume)| volume.display().to_string())
        };
        assert_eq!(of("/models/qwen3", "259:4"), Some("/models".to_owned()));
        assert_eq!(of("/var/lib/docker/volumes/x", "254:1"), Some("/".to_owned()));
        assert_eq!(of("/srv/a-link", "259:4"), Some("/models".to_owned()));
        assert_eq!(of("/models/a-subvolume", "0:99"), Some("/models".to_owned()));
        assert_eq!(of("relative", "0:99"), None);
    }
}
