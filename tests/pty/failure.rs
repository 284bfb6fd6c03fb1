//! Why a wait was in vain, with the screen as it stood.
//!
//! A test that fails on a machine far away has nothing else to tell what went wrong.

use std::fmt;

/// Why something did not happen, with the screen as it stood; `Debug` prints it readable.
pub(crate) struct Failure {
    pub(super) what: String,
    pub(super) screen: Option<String>,
}

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        let (what, screen) = (what.into(), None);
        Self { what, screen }
    }

    pub(super) fn because(what: &str, cause: &dyn fmt::Display) -> Self {
        Self::new(format!("{what}: {cause}"))
    }

    /// One line: what did not happen, and the first words on the screen.
    pub(crate) fn brief(&self) -> String {
        let screen = self.screen.iter().flat_map(|screen| screen.lines());
        let shown: Vec<_> = screen.map(str::trim).filter(|row| !row.is_empty()).take(2).collect();
        if shown.is_empty() {
            return self.what.clone();
        }
        format!("{}; the screen begins with: {}", self.what, shown.join(" / "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.screen {
            Some(screen) => write!(f, "; the screen:\n{RULE}\n{screen}\n{RULE}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Failure {}

/// Stands above and below a screen that is printed.
const RULE: &str = "----------------------------------------------------------------";
