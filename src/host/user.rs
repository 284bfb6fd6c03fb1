//! Who runs this: for the journal.

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
