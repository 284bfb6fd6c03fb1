//! Which key means which command: data, not code. Help, palette and footer are drawn from the same table.
//!
//! `Esc` and `Ctrl-C` cannot be rebound: they always lead out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::command::{Command, Context};
use crate::domain::{ACTIONS, ActionSpec};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key with its modifiers, written `x`, `P`, `space`, `enter`, `S-tab`, `ctrl-x`, `f1`, `pgup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    code: KeyCode,
    ctrl: bool,
    alt: bool,
}

/// Why a key or a binding is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// Not the name of a key.
    #[error(
        "`{0}` is no key; write a character, or one of enter, esc, tab, S-tab, space, up, down, left, right, pgup, pgdn, home, end, del, bs, f1 to f12, with ctrl- or alt- before it"
    )]
    NoKey(String),
    /// Not the name of a command.
    #[error("there is no command `{0}`")]
    NoCommand(String),
    /// Two commands of one context want the same key.
    #[error("`{key}` is bound to both `{first}` and `{second}`")]
    Clash {
        /// The key.
        key: Key,
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A key that always leads out.
    #[error("`{0}` cannot be rebound: it always leads out")]
    Reserved(Key),
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        Self {
            code: if event.code == KeyCode::Tab && event.modifiers.contains(KeyModifiers::SHIFT) {
                KeyCode::BackTab
            } else {
                event.code
            },
            ctrl: event.modifiers.contains(KeyModifiers::CONTROL),
            alt: event.modifiers.contains(KeyModifiers::ALT),
        }
    }
}

impl Key {
    /// Whether it types a character, where text is typed.
    pub(super) fn is_text(self) -> bool {
        matches!(self.code, KeyCode::Char(_)) && !self.ctrl && !self.alt
    }
}

const NAMED: &[(&str, KeyCode)] = &[
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("S-tab", KeyCode::BackTab),
    ("space", KeyCode::Char(' ')),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pgup", KeyCode::PageUp),
    ("pgdn", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("del", KeyCode::Delete),
    ("bs", KeyCode::Backspace),
];

impl FromStr for Key {
    type Err = KeymapError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (mut ctrl, mut alt, mut rest) = (false, false, text);
        loop {
            if let Some(after) = rest.strip_prefix("ctrl-").filter(|after| !after.is_empty()) {
                (ctrl, rest) = (true, after);
            } else if let Some(after) = rest.strip_prefix("alt-").filter(|after| !after.is_empty()) {
                (alt, rest) = (true, after);
            } else {
                break;
            }
        }
        let error = || KeymapError::NoKey(text.to_owned());
        let mut characters = rest.chars();
        let code = if let (Some(only), None) = (characters.next(), characters.next()) {
            KeyCode::Char(only)
        } else {
            let named = NAMED.iter().find(|(name, _)| *name == rest).map(|(_, code)| *code);
            let number = rest.strip_prefix('f').and_then(|digits| digits.parse().ok());
            let function = number.filter(|number| (1..=12).contains(number)).map(KeyCode::F);
            named.or(function).ok_or_else(error)?
        };
        Ok(Self { code, ctrl, alt })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.ctrl { "ctrl-" } else { "" })?;
        f.write_str(if self.alt { "alt-" } else { "" })?;
        match (NAMED.iter().find(|(_, code)| *code == self.code), self.code) {
            (Some((name, _)), _) => f.write_str(name),
            (None, KeyCode::Char(character)) => write!(f, "{character}"),
            (None, KeyCode::F(number)) => write!(f, "f{number}"),
            (None, other) => write!(f, "{other}"),
        }
    }
}

/// The keys of each command, as they are without a config.
const DEFAULTS: &[(Command, &[&str])] = &[
    (Command::TabGpu, &["1"]),
    (Command::TabContainers, &["2"]),
    (Command::TabModels, &["3"]),
    (Command::TabLogs, &["4"]),
    (Command::TabChecklist, &["5"]),
    (Command::NextPane, &["tab"]),
    (Command::PreviousPane, &["S-tab"]),
    (Command::Down, &["j", "down"]),
    (Command::Up, &["k", "up"]),
    (Command::PageDown, &["pgdn", "ctrl-d"]),
    (Command::PageUp, &["pgup", "ctrl-u"]),
    (Command::Top, &["g", "home"]),
    (Command::Bottom, &["G", "end"]),
    (Command::Open, &["enter"]),
    (Command::Back, &["esc"]),
    (Command::Filter, &["/"]),
    (Command::Sort, &["s"]),
    (Command::SortMenu, &["S"]),
    (Command::Columns, &["C"]),
    (Command::Mark, &["space"]),
    (Command::Findings, &["a"]),
    (Command::Snooze, &["z"]),
    (Command::Accept, &["A"]),
    (Command::Acknowledge, &["Z"]),
    (Command::Palette, &[":"]),
    (Command::Help, &["?", "f1"]),
    (Command::Freeze, &["f"]),
    (Command::Copy, &["y"]),
    (Command::Mouse, &["m"]),
    (Command::RangeShorter, &["["]),
    (Command::RangeLonger, &["]"]),
    (Command::Note, &["N"]),
    (Command::Journal, &["J"]),
    (Command::Theme, &["T"]),
    (Command::Refresh, &["ctrl-r"]),
    (Command::Redraw, &["ctrl-l"]),
    (Command::Reload, &["f5"]),
    (Command::Quit, &["q"]),
    (Command::ContainerLogs, &["l"]),
    (Command::Inspect, &["i"]),
    (Command::StartStop, &["o"]),
    (Command::Shell, &["x"]),
    (Command::Views, &["v"]),
    (Command::LoadUnload, &["o"]),
    (Command::ReviewModels, &["R"]),
    (Command::NextError, &["e"]),
    (Command::PreviousError, &["E"]),
    (Command::Wrap, &["w"]),
];

/// The bindings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap(BTreeMap<Command, Vec<Key>>);

impl Keymap {
    /// The default bindings with `changes` (command name → keys) over them.
    ///
    /// # Errors
    /// The first change that names no command or no key, clashes, or touches a key that always leads out.
    pub fn with<'a>(changes: impl IntoIterator<Item = (&'a str, &'a [String])>) -> Result<Self, KeymapError> {
        Self::with_own(changes, &[])
    }

    /// The same with the operator's own actions beside hostler's.
    ///
    /// # Errors
    /// Those of [`Self::with`], and where an own action wants what is no key or means something else.
    pub fn with_own<'a>(
        changes: impl IntoIterator<Item = (&'a str, &'a [String])>,
        own: &[&'static ActionSpec],
    ) -> Result<Self, KeymapError> {
        let parse = |keys: &mut dyn Iterator<Item = &str>| keys.map(str::parse).collect::<Result<Vec<Key>, _>>();
        let mut bound = BTreeMap::new();
        for (command, keys) in DEFAULTS {
            bound.insert(*command, parse(&mut keys.iter().copied())?);
        }
        let actions = ACTIONS.iter().map(|spec| (Command::Act(spec.id), spec.key));
        for (command, key) in actions.chain(own.iter().map(|spec| (Command::Own(spec), spec.key))) {
            bound.insert(command, checked(parse(&mut key.into_iter())?)?);
        }
        for (name, keys) in changes {
            let command = Command::named(name).ok_or_else(|| KeymapError::NoCommand(name.to_owned()))?;
            let keys = checked(parse(&mut keys.iter().map(String::as_str))?)?;
            if command == Command::Back {
                return Err(KeymapError::Reserved(Key { code: KeyCode::Esc, ctrl: false, alt: false }));
            }
            bound.insert(command, keys);
        }
        let keymap = Self(bound);
        keymap.check_clashes()?;
        Ok(keymap)
    }

    /// What `key` means, most particular context first.
    pub fn command(&self, key: Key, contexts: &[Context]) -> Option<Command> {
        contexts.iter().find_map(|context| {
            self.0
                .iter()
                .find(|(command, keys)| command.context() == *context && keys.contains(&key))
                .map(|(command, _)| *command)
        })
    }

    /// The keys of a command, the one to show first.
    pub fn keys(&self, command: Command) -> &[Key] {
        self.0.get(&command).map_or(&[], Vec::as_slice)
    }

    /// The key to show for a command; empty if it has none.
    pub fn shown(&self, command: Command) -> String {
        self.keys(command).first().map(Key::to_string).unwrap_or_default()
    }

    /// Every command with its keys, in the order of [`Command`]; the operator's own actions last.
    pub fn iter(&self) -> impl Iterator<Item = (Command, &[Key])> {
        let own = self.0.keys().copied().filter(|command| command.is_own());
        Command::all().chain(own).map(|command| (command, self.keys(command)))
    }

    /// A key may mean one thing in a context, and nothing in a tab that it already means everywhere.
    fn check_clashes(&self) -> Result<(), KeymapError> {
        let bound: Vec<(Command, Key)> =
            self.0.iter().flat_map(|(command, keys)| keys.iter().map(|key| (*command, *key))).collect();
        for (index, (first, key)) in bound.iter().enumerate() {
            let meets = |other: &Command| {
                other.context() == first.context()
                    || first.context() == Context::Global
                    || other.context() == Context::Global
            };
            if let Some((second, _)) = bound[index + 1..].iter().find(|(other, same)| same == key && meets(other)) {
                return Err(KeymapError::Clash { key: *key, first: first.name(), second: second.name() });
            }
        }
        Ok(())
    }
}

/// Keys of which none always leads out.
fn checked(keys: Vec<Key>) -> Result<Vec<Key>, KeymapError> {
    match keys.iter().find(|key| is_reserved(**key)) {
        Some(reserved) => Err(KeymapError::Reserved(*reserved)),
        None => Ok(keys),
    }
}

/// `Esc` and `Ctrl-C` always lead out.
fn is_reserved(key: Key) -> bool {
    key.code == KeyCode::Esc || key == Key { code: KeyCode::Char('c'), ctrl: true, alt: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(name: &str, keys: &[&str]) -> Result<Keymap, KeymapError> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        Keymap::with([(name, keys.as_slice())])
    }

    #[test]
    fn every_command_has_a_default_key_and_none_clash() {
        let keymap = Keymap::with([]).unwrap();
        // An action may be rare enough for the palette alone.
        for (command, keys) in keymap.iter().filter(|(command, _)| command.action().is_none()) {
            assert!(!keys.is_empty(), "{command:?}");
        }
    }

    #[test]
    fn keys_are_written_as_they_are_read() {
        for text in ["x", "P", "space", "enter", "S-tab", "ctrl-x", "alt-ctrl-x", "f12", "-", "pgup"] {
            let key: Key = text.parse().unwrap();
            assert_eq!(key.to_string().parse::<Key>().unwrap(), key, "{text}");
        }
        for text in ["", "ctrl-", "f13", "entre"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_change_replaces_the_default() {
        let keymap = changed("freeze", &["F", "f9"]).unwrap();
        assert_eq!(keymap.command("F".parse().unwrap(), &[Context::Global]), Some(Command::Freeze));
        assert_eq!(keymap.command("f".parse().unwrap(), &[Context::Global]), None);
    }

    #[test]
    fn bad_changes_say_what_is_wrong() {
        assert_eq!(changed("fly", &["x"]).unwrap_err(), KeymapError::NoCommand("fly".into()));
        assert!(matches!(changed("freeze", &["q"]).unwrap_err(), KeymapError::Clash { .. }));
        assert!(matches!(changed("wrap", &["q"]).unwrap_err(), KeymapError::Clash { .. }));
        assert!(matches!(changed("quit", &["esc"]).unwrap_err(), KeymapError::Reserved(_)));
        assert!(matches!(changed("quit", &["ctrl-c"]).unwrap_err(), KeymapError::Reserved(_)));
        assert!(matches!(changed("back", &["b"]).unwrap_err(), KeymapError::Reserved(_)));
        // Two tabs may use one key for two things.
        assert!(changed("wrap", &["l"]).is_ok());
    }
}
