//! Tokens that Hugging Face's programs keep in plain text (`huggingface_hub`: `constants.py`).

use std::path::Path;

use super::files::shown;
use crate::domain::SecretFile;
use crate::host::{FileKind, RootedFs};

/// Their names below `HF_HOME`.
const NAMES: &[&str] = &["token", "stored_tokens"];

/// Those that lie in this folder.
pub(super) fn secrets(fs: &RootedFs, home: &Path) -> Vec<SecretFile> {
    let secret = |name: &&str| {
        let path = home.join(name);
        let facts = fs.facts(&path).ok().filter(|facts| facts.kind == FileKind::File)?;
        // Users who may not enter a folder before it cannot read it, whatever its own bits say.
        let entered =
            || path.ancestors().skip(1).all(|folder| fs.facts_behind(folder).is_ok_and(|it| it.mode & 0o001 != 0));
        Some(SecretFile { path: shown(&path), mode: facts.mode, others_can_read: facts.mode & 0o004 != 0 && entered() })
    };
    NAMES.iter().filter_map(secret).collect()
}
