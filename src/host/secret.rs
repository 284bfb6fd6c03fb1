//! Passwords and tokens: where they stand, and how they are carried. They are read when they are used, and shown nowhere.

use std::fmt;
use std::path::PathBuf;

use super::settings;

/// A password or a token. It can be used, and not be shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret stands: what the config says instead of the secret itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// In a file, alone on its one line.
    File(PathBuf),
    /// In a variable of the environment.
    Variable(String),
}

impl SecretRef {
    /// Reads it. Blocks: the file may lie on a mount that hangs.
    ///
    /// # Errors
    /// A clause that names the file or the variable, and never says what stands there.
    pub(super) fn read(&self) -> Result<Secret, String> {
        let text = match self {
            Self::File(path) => {
                let bytes = settings::read(path).map_err(|error| format!("{self} cannot be read: {}", error.kind()))?;
                String::from_utf8(bytes).map_err(|_| format!("{self} is no text"))?
            }
            Self::Variable(name) => std::env::var(name).map_err(|_| format!("{self} is not set"))?,
        };
        let text = text.trim();
        if text.is_empty() {
            return Err(format!("{self} is empty"));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{self} has more than one line"));
        }
        Ok(Secret(text.to_owned()))
    }
}

/// Where it stands: `/etc/hostler/token`, `the variable TOKEN`.
impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "the variable {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_and_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let reference = SecretRef::File(file.clone());
        for (text, read) in [
            (&b"tk_s3cret\n"[..], Ok(Secret("tk_s3cret".to_owned()))),
            (b"\n", Err("is empty")),
            (b"s3cret\nother", Err("has more than one line")),
            (b"s3cret\xff", Err("is no text")),
        ] {
            std::fs::write(&file, text).unwrap();
            let read = read.map_err(|why: &str| format!("{} {why}", file.display()));
            assert_eq!(reference.read(), read);
            assert!(!format!("{:?}", reference.read()).contains("s3cret"));
        }
        std::fs::remove_file(&file).unwrap();
        assert!(reference.read().unwrap_err().ends_with("cannot be read: entity not found"));
        let unset = SecretRef::Variable("HOSTLER_NO_SUCH_VARIABLE".to_owned());
        assert_eq!(unset.read(), Err("the variable HOSTLER_NO_SUCH_VARIABLE is not set".to_owned()));
    }
}
