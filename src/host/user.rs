//! Who runs this and where: for the journal, for who is told of it elsewhere, and for services.

use std::path::PathBuf;

/// The login name of the person at the keyboard: whoever called `sudo`, else `USER`, else the numeric id.
pub fn login_name() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .map_or_else(
            || format!("uid {}", rustix::process::getuid().as_raw()),
            |name| super::foreign::clean(&name, 64).into_owned(),
        )
}

/// Whether it is root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Where this user's programs keep their config (XDG Base Directory Specification); `None` without a home folder.
pub fn config_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))
}

/// The name of this machine.
pub fn host_name() -> String {
    super::foreign::name(&rustix::system::uname().nodename().to_string_lossy())
}
