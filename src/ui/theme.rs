//! Colours by meaning: widgets name a [`Role`], a theme says what it looks like, the terminal's depth says how much of that
//! is possible. No other file names a colour.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use strum::{EnumCount, IntoEnumIterator};

/// What a piece of the screen means.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Deserialize,
    strum::EnumCount,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Values and names.
    Text,
    /// What stands out without being an alarm: the subject of a finding, a selected row's name.
    Strong,
    /// Labels and everything that may be overlooked.
    Muted,
    /// Axes, units, absent values.
    Faint,
    /// The one accent: the focused pane, groups, the active tab.
    Accent,
    /// A key that can be pressed.
    Key,
    /// Rules between panes.
    Rule,
    /// The first and the last line.
    Bar,
    /// The selected row.
    Selection,
    /// It is as it should be.
    Ok,
    /// It wants somebody soon.
    Warning,
    /// It wants somebody now.
    Critical,
    /// The unfilled part of a meter.
    Track,
    /// Compute, processors, requests.
    Compute,
    /// Memory bandwidth, tokens.
    Bandwidth,
    /// Memory, disks.
    Memory,
    /// Power.
    Power,
    /// A popup's border.
    Popup,
    /// Where typed text goes.
    Input,
}

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None: bold, dim and reversed only.
    None,
    /// The sixteen that the user chose for the terminal.
    Ansi,
    /// The xterm cube.
    Indexed,
    /// Any.
    True,
}

impl Depth {
    /// What the environment promises (`NO_COLOR`, <https://no-color.org>; `COLORTERM`; `TERM`).
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        if set("NO_COLOR").is_some() {
            return Self::None;
        }
        let term = set("TERM").unwrap_or_default();
        match set("COLORTERM").as_deref() {
            Some("truecolor" | "24bit") => Self::True,
            _ if term.contains("direct") => Self::True,
            _ if term.contains("256") => Self::Indexed,
            _ if term.is_empty() || term == "dumb" => Self::None,
            _ => Self::Ansi,
        }
    }
}

/// The look of every role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// Its name.
    pub name: String,
    styles: [Style; Role::COUNT],
}

/// The themes that come with hostler: file name without ending, and the file.
pub const BUILTIN: &[(&str, &str)] = &[
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("high-contrast", include_str!("../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../themes/colour-blind.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
];

/// Why a theme cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// The file is no theme; the text names line and column.
    #[error("{0}")]
    Syntax(String),
    /// A colour that cannot be read.
    #[error(
        "role `{role}`: `{value}` is no colour; write #rrggbb, a number from 0 to 255, or a name such as `red` or `bright-blue`"
    )]
    Colour {
        /// Which role.
        role: &'static str,
        /// What was written.
        value: String,
    },
    /// A role that the theme does not mention.
    #[error("role `{0}` is missing")]
    Missing(&'static str),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    palette: BTreeMap<String, String>,
    roles: BTreeMap<Role, Look>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Look {
    Colour(String),
    Full(FullLook),
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FullLook {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    dim: bool,
    underlined: bool,
    reversed: bool,
}

impl Theme {
    /// A theme that comes with hostler.
    ///
    /// # Errors
    /// When there is none of that name (the text lists them).
    pub fn builtin(name: &str, depth: Depth) -> Result<Self, ThemeError> {
        let Some((name, text)) = BUILTIN.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
            return Err(ThemeError::Syntax(format!("there is no theme `{name}`; there are {}", names.join(", "))));
        };
        Self::parse(name, text, depth)
    }

    /// A theme from its file.
    ///
    /// # Errors
    /// When the file is no TOML, names an unknown role, leaves one out, or names a colour that is none.
    pub fn parse(name: &str, text: &str, depth: Depth) -> Result<Self, ThemeError> {
        let file: File = toml::from_str(text).map_err(|error| ThemeError::Syntax(error.to_string()))?;
        let mut styles = [Style::new(); Role::COUNT];
        for role in Role::iter() {
            let look = file.roles.get(&role).ok_or(ThemeError::Missing(role.into()))?;
            styles[role as usize] = style(look, &file.palette, role, depth)?;
        }
        Ok(Self { name: name.to_owned(), styles })
    }

    /// The look of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }
}

fn style(look: &Look, palette: &BTreeMap<String, String>, role: Role, depth: Depth) -> Result<Style, ThemeError> {
    let plain;
    let look = match look {
        Look::Colour(colour) => {
            plain = FullLook { fg: Some(colour.clone()), ..FullLook::default() };
            &plain
        }
        Look::Full(full) => full,
    };
    let colour = |value: &Option<String>| {
        value.as_ref().map(|value| parse_colour(palette.get(value).unwrap_or(value), role)).transpose()
    };
    let (fg, bg) = (colour(&look.fg)?, colour(&look.bg)?);
    let mut style = Style::new();
    if depth > Depth::None {
        style.fg = fg.map(|colour| reduce(colour, depth));
        style.bg = bg.map(|colour| reduce(colour, depth));
    }
    // Where a background cannot be shown, or sixteen colours would make it a block, the row is reversed instead.
    let background_lost = bg.is_some() && depth <= Depth::Ansi;
    if background_lost {
        style.bg = None;
        style.fg = None;
    }
    for (wanted, modifier) in [
        (look.bold, Modifier::BOLD),
        (
            look.dim || (depth == Depth::None && matches!(role, Role::Muted | Role::Faint | Role::Rule | Role::Track)),
            Modifier::DIM,
        ),
        (look.underlined, Modifier::UNDERLINED),
        (look.reversed || (background_lost && role == Role::Selection), Modifier::REVERSED),
        (
            depth == Depth::None && matches!(role, Role::Key | Role::Accent | Role::Critical | Role::Strong),
            Modifier::BOLD,
        ),
    ] {
        if wanted {
            style = style.add_modifier(modifier);
        }
    }
    Ok(style)
}

fn parse_colour(value: &str, role: Role) -> Result<Color, ThemeError> {
    let name: Cow<'_, str> = match value {
        "default" => return Ok(Color::Reset),
        // The names people write for what ratatui calls Gray and DarkGray.
        "white" => "gray".into(),
        "bright-white" => "white".into(),
        "bright-black" => "dark-gray".into(),
        _ => value.strip_prefix("bright-").map_or(value.into(), |name| format!("light-{name}").into()),
    };
    name.parse().map_err(|_| ThemeError::Colour { role: role.into(), value: value.to_owned() })
}

/// The nearest colour that the terminal can show.
fn reduce(colour: Color, depth: Depth) -> Color {
    match (colour, depth) {
        (Color::Rgb(r, g, b), Depth::Indexed) => Color::Indexed(nearest_indexed(r, g, b)),
        (Color::Rgb(r, g, b), Depth::Ansi) => nearest_ansi(r, g, b),
        _ => colour,
    }
}

/// The nearest of the xterm cube (16 to 231) and its greys (232 to 255).
fn nearest_indexed(r: u8, g: u8, b: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |value: u8| (0..6).min_by_key(|index| STEPS[*index].abs_diff(value)).unwrap_or(0);
    let (ri, gi, bi) = (step(r), step(g), step(b));
    let cube = [STEPS[ri], STEPS[gi], STEPS[bi]];
    let mean = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
    let grey_index = (mean.saturating_sub(3) / 10).min(23) as u8;
    let grey = 8 + 10 * grey_index;
    if distance([r, g, b], [grey; 3]) < distance([r, g, b], cube) {
        232 + grey_index
    } else {
        (16 + 36 * ri + 6 * gi + bi) as u8
    }
}

/// The nearest of the sixteen, by xterm's own values for them.
fn nearest_ansi(r: u8, g: u8, b: u8) -> Color {
    const ANSI: [(Color, [u8; 3]); 16] = [
        (Color::Black, [0, 0, 0]),
        (Color::Red, [205, 0, 0]),
        (Color::Green, [0, 205, 0]),
        (Color::Yellow, [205, 205, 0]),
        (Color::Blue, [0, 0, 238]),
        (Color::Magenta, [205, 0, 205]),
        (Color::Cyan, [0, 205, 205]),
        (Color::Gray, [229, 229, 229]),
        (Color::DarkGray, [127, 127, 127]),
        (Color::LightRed, [255, 0, 0]),
        (Color::LightGreen, [0, 255, 0]),
        (Color::LightYellow, [255, 255, 0]),
        (Color::LightBlue, [92, 92, 255]),
        (Color::LightMagenta, [255, 0, 255]),
        (Color::LightCyan, [0, 255, 255]),
        (Color::White, [255, 255, 255]),
    ];
    ANSI.into_iter().min_by_key(|(_, value)| distance([r, g, b], *value)).map_or(Color::Reset, |(colour, _)| colour)
}

/// Squared distance with the eye's weights (redmean: T. Riemersma, *Colour metric*).
fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    let mean_red = u32::midpoint(a[0].into(), b[0].into());
    let delta = |index: usize| u32::from(a[index].abs_diff(b[index])).pow(2);
    (((512 + mean_red) * delta(0)) >> 8) + 4 * delta(1) + (((767 - mean_red) * delta(2)) >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_theme_names_every_role_at_every_depth() {
        for (name, _) in BUILTIN {
            for depth in [Depth::None, Depth::Ansi, Depth::Indexed, Depth::True] {
                Theme::builtin(name, depth).unwrap_or_else(|error| panic!("{name} at {depth:?}: {error}"));
            }
        }
    }

    #[test]
    fn without_colours_a_theme_has_none() {
        for (name, _) in BUILTIN {
            let theme = Theme::builtin(name, Depth::None).unwrap();
            for role in Role::iter() {
                assert_eq!((theme.style(role).fg, theme.style(role).bg), (None, None), "{name}, {role:?}");
            }
            assert!(theme.style(Role::Selection).add_modifier.contains(Modifier::REVERSED));
        }
    }

    #[test]
    fn depth_follows_the_environment() {
        let detect = |pairs: &[(&str, &str)]| {
            Depth::detect(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(detect(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]), Depth::None);
        assert_eq!(detect(&[("NO_COLOR", ""), ("COLORTERM", "truecolor"), ("TERM", "xterm")]), Depth::True);
        assert_eq!(detect(&[("TERM", "xterm-256color")]), Depth::Indexed);
        assert_eq!(detect(&[("TERM", "linux")]), Depth::Ansi);
        assert_eq!(detect(&[("TERM", "dumb")]), Depth::None);
    }

    #[test]
    fn colours_reduce_to_near_ones() {
        assert_eq!(nearest_indexed(255, 0, 0), 196);
        assert_eq!(nearest_indexed(8, 8, 8), 232);
        assert_eq!(nearest_ansi(250, 250, 250), Color::White);
        assert_eq!(nearest_ansi(122, 162, 247), Color::LightBlue);
    }

    #[test]
    fn a_bad_theme_names_the_place() {
        let error = Theme::parse("x", "[roles]\ntext = \"#zzz\"", Depth::True).unwrap_err();
        assert!(error.to_string().contains("`text`"), "{error}");
        let error = Theme::parse("x", "[roles]\nblink = \"red\"", Depth::True).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
