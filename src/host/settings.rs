//! Files that the operator wrote for hostler itself: its config and themes. A moved root does not move them.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "ports are where files are opened")]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

/// The most that is read of such a file, bytes: far more than anybody writes by hand.
const MAX_BYTES: u64 = 1 << 20;

/// What is in the file, whatever its encoding.
///
/// # Errors
/// When it cannot be read, or is larger than any such file.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(bytes)
}

/// Writes a new file, its folder too where that is missing. What is there already stays as it is.
///
/// # Errors
/// When there is such a file already, or it cannot be written.
pub fn create(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::options().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
