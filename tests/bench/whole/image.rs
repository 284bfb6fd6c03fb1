//! The image of the benchmark's containers: one static busybox with the names it answers to, as a tar archive.
//!
//! Made here from bytes, so that nothing is pulled and no archive tool is needed.

/// The names that the containers' commands use.
const APPLETS: [&str; 3] = ["sh", "sleep", "echo"];

/// Size of a tar header, and the unit to which contents are padded.
const BLOCK: usize = 512;

/// A root file system with `/bin/busybox` and its names, as `docker import` takes it.
pub(crate) fn root_file_system(busybox: &[u8]) -> Vec<u8> {
    let mut archive = Vec::with_capacity(busybox.len() + 8 * BLOCK);
    archive.extend(header("bin/", b'5', 0, ""));
    archive.extend(header("bin/busybox", b'0', busybox.len(), ""));
    archive.extend_from_slice(busybox);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    for applet in APPLETS {
        archive.extend(header(&format!("bin/{applet}"), b'2', 0, "busybox"));
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

/// One header in the `ustar` format; every entry belongs to root and may be executed.
fn header(name: &str, kind: u8, size: usize, target: &str) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &str| {
        block[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, name);
    put(100, "0000755");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, "00000000000");
    put(157, target);
    put(257, "ustar");
    put(263, "00");
    // The checksum is taken with its own field blank.
    put(148, "        ");
    block[156] = kind;
    let sum: u32 = block.iter().copied().map(u32::from).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}
