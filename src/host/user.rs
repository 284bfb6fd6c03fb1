//! Who runs this and where: for the journal, and for who is told of it elsewhere.

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

/// The name of this machine.
pub fn host_name() -> String {
    super::foreign::name(&rustix::system::uname().nodename().to_string_lossy())
}
