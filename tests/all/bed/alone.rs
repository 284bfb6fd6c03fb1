//! A network of its own for a program under test, so that it asks nobody else's ports: it looks at every socket that
//! listens, and other tests' servers count what they are asked.

use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// What stands before a program and its arguments so that it starts in a network without anything in it; empty where
/// such a network cannot be made. The process id stays the same.
pub(crate) fn alone() -> &'static [&'static str] {
    const WAYS: [&[&str]; 2] =
        [&["unshare", "--net", "--"], &["unshare", "--user", "--map-current-user", "--net", "--"]];
    static WAY: LazyLock<&[&str]> = LazyLock::new(|| WAYS.into_iter().find(|way| works(way)).unwrap_or_default());
    *WAY
}

fn works(way: &[&str]) -> bool {
    let mut command = Command::new(way[0]);
    command.args(&way[1..]).arg("true").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
