//! The NVIDIA driver's versions without asking the library: what the kernel has loaded, what lies on disk, and whether
//! there is a card at all.
//!
//! "On disk" is the version of the management library, because that is what decides whether the next GPU program
//! starts: library and loaded module must be of one version, and a package upgrade replaces the library at once, the
//! module only at the next boot. The maker ships every library under a name that ends in the driver's version and lets
//! `libnvidia-ml.so.1` point to it, so following that link tells the version without running anything.

use std::path::{Path, PathBuf};

use super::card::{Identity, product};
use crate::domain::{GpuDriver, Reading, Why};
use crate::host::{RootedFs, foreign};

/// The name by which programs ask for the management library.
pub(super) const LIBRARY: &str = "libnvidia-ml.so.1";

/// NVIDIA's vendor number on the PCI bus.
const VENDOR: &str = "0x10de";

/// The PCI class of everything that shows or computes pictures (PCI Code and ID Assignment: base class 03).
const DISPLAY_CLASS: &str = "0x03";

/// Where the library lies: Debian and Ubuntu, Fedora and SUSE, Arch, Debian's alternatives, NixOS.
const FOLDERS: &[&str] = &[
    #[cfg(target_arch = "x86_64")]
    "/usr/lib/x86_64-linux-gnu",
    #[cfg(target_arch = "aarch64")]
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    #[cfg(target_arch = "x86_64")]
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/run/opengl-driver/lib",
];

/// The most links that are followed from one name.
const LINKS_MAX: usize = 16;

/// The version of the module that the kernel has loaded.
pub(super) fn loaded(fs: &RootedFs) -> Reading<String> {
    let module = fs.read("/sys/module/nvidia/version").ok();
    let version =
        module.as_deref().map(str::trim).filter(|version| is_version(version)).map(str::to_owned).or_else(|| {
            let text = fs.read("/proc/driver/nvidia/version").ok()?;
            version_in(&text).map(str::to_owned)
        });
    match version {
        Some(version) => Reading::Known(version),
        None => Reading::Unavailable("the nvidia module is not loaded".into()),
    }
}

/// The driver's versions, loaded and on disk, where both are known and differ: no GPU program starts until a reboot.
pub fn mismatch(fs: &RootedFs) -> Option<(String, String)> {
    let driver = GpuDriver { loaded: loaded(fs), on_disk: on_disk(fs), ..GpuDriver::default() };
    driver.mismatch().map(|(loaded, on_disk)| (loaded.to_owned(), on_disk.to_owned()))
}

/// The version of the management library on disk.
pub(super) fn on_disk(fs: &RootedFs) -> Reading<String> {
    let found = FOLDERS.iter().find_map(|folder| version_behind(fs, Path::new(folder).join(LIBRARY)));
    match found {
        Some(version) => Reading::Known(version),
        None => Reading::Unavailable(Why::from("no libnvidia-ml.so.1 in the usual folders names its version")),
    }
}

/// How many NVIDIA cards the PCI bus has; `None` when it cannot be looked at.
pub(super) fn cards_on_bus(fs: &RootedFs) -> Option<usize> {
    const DEVICES: &str = "/sys/bus/pci/devices";
    let is_card = |device: &String| {
        let says = |file: &str, start: &str| {
            fs.read(format!("{DEVICES}/{device}/{file}")).is_ok_and(|text| text.starts_with(start))
        };
        says("vendor", VENDOR) && says("class", DISPLAY_CLASS)
    };
    Some(fs.list(DEVICES).ok()?.iter().filter(|device| is_card(device)).count())
}

/// What the kernel module knows of a card that does not answer NVML. NVML counts cards in the order of their PCI
/// addresses; where it counts others than the module does, nothing is said.
pub(super) fn identity(fs: &RootedFs, index: u32, count: usize) -> Option<Identity> {
    const CARDS: &str = "/proc/driver/nvidia/gpus";
    let addresses = fs.list(CARDS).ok().filter(|list| list.len() == count)?;
    let address = addresses.get(index as usize)?;
    let text = fs.read(format!("{CARDS}/{address}/information")).ok()?;
    let field = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        // A card that the module has not started shows question marks.
        Some(value.trim()).filter(|value| !value.is_empty() && !value.contains('?'))
    };
    let unknown = Identity::unknown(index);
    Some(Identity {
        uuid: field("GPU UUID").map_or(unknown.uuid, |uuid| foreign::name(uuid).into()),
        name: field("Model").map_or(unknown.name, product),
        // NVML writes the domain with eight digits, the kernel with four.
        pci: format!("{:0>16}", foreign::name(address)),
    })
}

/// The version in the name of the file to which `path` leads, if there is such a file.
fn version_behind(fs: &RootedFs, mut path: PathBuf) -> Option<String> {
    for _ in 0..LINKS_MAX {
        let name = path.file_name()?.to_str()?;
        if let Some(version) = name.strip_prefix("libnvidia-ml.so.")
            && is_version(version)
        {
            let version = version.to_owned();
            return fs.exists(&path).then_some(version);
        }
        let target = fs.read_link(&path).ok()?;
        // An absolute target replaces the whole path.
        path = path.parent()?.join(target);
    }
    None
}

/// The first word of the kernel's line that is a version.
fn version_in(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| line.starts_with("NVRM version"))?;
    line.split_whitespace().find(|word| is_version(word))
}

/// Numbers with dots between them, such as `580.95.05`.
fn is_version(word: &str) -> bool {
    word.contains('.') && word.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests write a tree of their own")]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_loaded_version_is_found_in_every_form() {
        for line in [
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\nGCC version:  gcc version 12.2.0\n",
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  535.183.01  Release Build  (dvs-builder@U22)\n",
        ] {
            let root = tempfile::tempdir().unwrap();
            put(root.path(), "proc/driver/nvidia/version", line);
            let fs = RootedFs::new(root.path());
            assert_eq!(loaded(&fs), Reading::Known("535.183.01".to_owned()));
            put(root.path(), "sys/module/nvidia/version", "580.95.05\n");
            assert_eq!(loaded(&fs), Reading::Known("580.95.05".to_owned()));
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(loaded(&RootedFs::new(empty.path())).why().is_some());
    }

    #[test]
    fn the_version_on_disk_is_the_one_that_the_link_leads_to() {
        let root = tempfile::tempdir().unwrap();
        let fs = RootedFs::new(root.path());
        let none = on_disk(&fs);
        assert!(none.why().is_some(), "{none:?}");

        // Debian: through two absolute links, which stay below the root.
        let current = "usr/lib64/nvidia/current";
        put(root.path(), &format!("{current}/libnvidia-ml.so.535.183.01"), "");
        symlink("libnvidia-ml.so.535.183.01", root.path().join(current).join(LIBRARY)).unwrap();
        put(root.path(), "etc/alternatives/other", "");
        let alternative = "etc/alternatives/nvidia--libnvidia-ml.so.1";
        symlink(format!("/{current}/{LIBRARY}"), root.path().join(alternative)).unwrap();
        let link = root.path().join("usr/lib64").join(LIBRARY);
        symlink(format!("/{alternative}"), &link).unwrap();
        assert_eq!(on_disk(&fs), Reading::Known("535.183.01".to_owned()));

        // An upgrade moves the link; a link to nothing tells nothing.
        fs::remove_file(&link).unwrap();
        symlink("libnvidia-ml.so.580.95.05", &link).unwrap();
        assert!(on_disk(&fs).why().is_some());
        put(root.path(), "usr/lib64/libnvidia-ml.so.580.95.05", "");
        assert_eq!(on_disk(&fs), Reading::Known("580.95.05".to_owned()));

        // A circle of links ends.
        fs::remove_file(&link).unwrap();
        symlink(LIBRARY, &link).unwrap();
        assert!(on_disk(&fs).why().is_some());
    }

    #[test]
    fn a_silent_card_is_named_by_the_kernel() {
        let root = tempfile::tempdir().unwrap();
        let information = |address: &str, uuid: &str| {
            let path = format!("proc/driver/nvidia/gpus/{address}/information");
            let text = format!("Model: \t\t NVIDIA GeForce RTX 4090\nIRQ:   \t\t 155\nGPU UUID: \t {uuid}\n");
            put(root.path(), &path, &text);
        };
        information("0000:01:00.0", "GPU-????????-????-????-????-????????????");
        information("0000:41:00.0", "GPU-b24e9a07-51cf-4f86-a3d8-90c6e1f7245b");
        let fs = RootedFs::new(root.path());
        let second = identity(&fs, 1, 2).unwrap();
        assert_eq!(&*second.uuid, "GPU-b24e9a07-51cf-4f86-a3d8-90c6e1f7245b");
        assert_eq!((&*second.name, &*second.pci), ("RTX 4090", "00000000:41:00.0"));
        assert_eq!(&*identity(&fs, 0, 2).unwrap().uuid, "gpu0");
        assert_eq!(identity(&fs, 0, 3), None, "NVML counts another card");
    }

    #[test]
    fn only_nvidia_cards_count() {
        let root = tempfile::tempdir().unwrap();
        let fs = RootedFs::new(root.path());
        assert_eq!(cards_on_bus(&fs), None);
        for (device, vendor, class) in [
            ("0000:00:02.0", "0x8086\n", "0x030000\n"),
            ("0000:01:00.0", "0x10de\n", "0x030000\n"),
            ("0000:01:00.1", "0x10de\n", "0x040300\n"),
            ("0000:41:00.0", "0x10de\n", "0x030200\n"),
        ] {
            put(root.path(), &format!("sys/bus/pci/devices/{device}/vendor"), vendor);
            put(root.path(), &format!("sys/bus/pci/devices/{device}/class"), class);
        }
        assert_eq!(cards_on_bus(&fs), Some(2));
    }
}
