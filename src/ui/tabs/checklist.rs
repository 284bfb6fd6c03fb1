//! Checklist tab, first slice: the routine by cadence. Duties that the sources can answer tick themselves, with evidence.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::super::Scene;
use super::super::canvas::{Canvas, Pieces, piece};
use super::super::command::Command;
use super::super::filter::{Fields, Value};
use super::super::list::{ListId, RowKey};
use super::super::popups::{Detail, Popup, of_duty};
use super::super::theme::Role;
use super::super::widgets::rule;
use super::super::widgets::table::{self, Column, TableRow};
use super::{Tab, TabId};
use crate::domain::{Cadence, CheckResult, DutyStanding};

/// The tab.
pub(super) struct Checklist;

const FIELDS: &[&str] = &["result", "cadence"];
/// From this width on, the selected duty stands beside the list.
const WIDE: u16 = 140;
/// Cells of the selected duty's column.
const SIDE: u16 = 48;

/// A row: a cadence's heading, or a duty.
enum Row {
    Cadence { word: &'static str, passed: usize, all: usize, due: String, closed: bool },
    Duty(Box<DutyStanding>),
}

fn rows(scene: &Scene<'_>) -> Vec<Row> {
    use strum::IntoEnumIterator;
    let list = scene.ui.list(ListId::Duties);
    let mut rows = Vec::new();
    for cadence in Cadence::iter() {
        let mine: Vec<&DutyStanding> =
            scene.state.routine.iter().filter(|standing| standing.spec.cadence == cadence).collect();
        let Some(first) = mine.first() else { continue };
        let word: &'static str = cadence.into();
        let passed = mine.iter().filter(|standing| standing.outcome.result == CheckResult::Pass).count();
        let due = match cadence {
            Cadence::Daily => "today".to_owned(),
            Cadence::Weekly => first.due.strftime("by %A").to_string(),
            Cadence::Monthly | Cadence::Quarterly => first.due.strftime("by %-d %b").to_string(),
        };
        let closed = list.closed.contains(&RowKey::Cadence(word));
        rows.push(Row::Cadence { word, passed, all: mine.len(), due, closed });
        if !closed {
            let duties = mine.into_iter().map(|standing| Row::Duty(Box::new(standing.clone())));
            rows.extend(duties.filter(|row| list.filter.as_ref().is_none_or(|filter| filter.passes(row))));
        }
    }
    rows
}

impl Fields for Row {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Cadence { word, .. } => Cow::Borrowed(word),
            Self::Duty(standing) => format!("{} {}", standing.spec.title, standing.outcome.evidence.join(" ")).into(),
        }
    }

    fn field(&self, name: &str) -> Option<Value<'_>> {
        let Self::Duty(standing) = self else { return None };
        match name {
            "result" => Some(Value::Text(standing.outcome.result.word().into())),
            "cadence" => {
                let word: &'static str = standing.spec.cadence.into();
                Some(Value::Text(word.into()))
            }
            _ => None,
        }
    }
}

impl TableRow for Row {
    fn key(&self) -> RowKey {
        match self {
            Self::Cadence { word, .. } => RowKey::Cadence(word),
            Self::Duty(standing) => RowKey::Duty(standing.spec.id.clone()),
        }
    }

    fn heading<'a>(&'a self, scene: &Scene<'a>) -> Option<Pieces<'a>> {
        let Self::Cadence { word, passed, all, due, closed } = self else { return None };
        let glyphs = scene.ui.glyphs();
        let filled = passed * 20 / all;
        let mut title = (*word).to_owned();
        title[..1].make_ascii_uppercase();
        Some(vec![
            piece(Role::Accent, format!("{} {title:<12}", if *closed { glyphs.closed } else { glyphs.open })),
            piece(Role::Ok, glyphs.meter.repeat(filled)),
            piece(Role::Track, glyphs.track.repeat(20 - filled)),
            piece(Role::Text, format!("  {passed} of {all}")),
            piece(Role::Muted, format!("   {due}")),
        ])
    }
}

fn role(result: CheckResult) -> Role {
    match result {
        CheckResult::Pass => Role::Ok,
        CheckResult::Fail => Role::Critical,
        CheckResult::Unknown | CheckResult::NotApplicable => Role::Muted,
    }
}

const COLUMNS: &[Column<Row>] = &[
    Column {
        id: "duty",
        title: "  duty",
        width: 36,
        grow: 4,
        right: false,
        drop: 0,
        cell: |row, scene| match row {
            Row::Duty(standing) => {
                let result = standing.outcome.result;
                let sign = scene.ui.glyphs().result(result);
                vec![piece(role(result), format!("  {sign} ")), piece(Role::Text, format!(" {}", standing.spec.title))]
            }
            Row::Cadence { .. } => Vec::new(),
        },
    },
    Column {
        id: "evidence",
        title: "evidence",
        width: 20,
        grow: 80,
        right: false,
        drop: 0,
        cell: |row, _| match row {
            Row::Duty(standing) => {
                let role = if standing.outcome.result == CheckResult::Fail { Role::Critical } else { Role::Muted };
                vec![piece(role, standing.outcome.evidence.join(", "))]
            }
            Row::Cadence { .. } => Vec::new(),
        },
    },
    Column {
        id: "how",
        title: "",
        width: 6,
        grow: 0,
        right: false,
        drop: 1,
        cell: |row, _| match row {
            Row::Duty(standing) if standing.outcome.result != CheckResult::Unknown => vec![piece(Role::Faint, "auto")],
            _ => Vec::new(),
        },
    },
];

impl Tab for Checklist {
    fn id(&self) -> TabId {
        TabId::Checklist
    }

    fn title(&self) -> &'static str {
        "Checklist"
    }

    fn command(&self) -> Command {
        Command::TabChecklist
    }

    fn badge(&self, scene: &Scene<'_>) -> Pieces<'static> {
        let daily: Vec<&DutyStanding> =
            scene.state.routine.iter().filter(|standing| standing.spec.cadence == Cadence::Daily).collect();
        if daily.is_empty() {
            return Vec::new();
        }
        let passed = daily.iter().filter(|standing| standing.outcome.result == CheckResult::Pass).count();
        vec![piece(Role::Muted, format!("{passed}/{}", daily.len()))]
    }

    fn panes(&self) -> &'static [ListId] {
        &[ListId::Duties]
    }

    fn hints(&self) -> &'static [Command] {
        &[Command::Open, Command::Filter, Command::Note]
    }

    fn rows(&self, _list: ListId, scene: &Scene<'_>) -> Vec<RowKey> {
        rows(scene).iter().map(TableRow::key).collect()
    }

    fn fields(&self, _list: ListId) -> &'static [&'static str] {
        FIELDS
    }

    fn open(&self, _scene: &Scene<'_>, selected: &RowKey) -> Option<Popup> {
        Some(Popup::Detail(Detail { of: selected.clone(), top: 0 }))
    }

    fn copy(&self, scene: &Scene<'_>, selected: &RowKey) -> Option<String> {
        let row = rows(scene).into_iter().find(|row| row.key() == *selected)?;
        Some(row.text().into_owned())
    }

    fn view(&self, canvas: &mut Canvas<'_>, area: Rect, scene: &Scene<'_>) {
        let rows = rows(scene);
        let minutes: u32 = scene
            .state
            .routine
            .iter()
            .filter(|standing| standing.spec.cadence == Cadence::Daily)
            .map(|standing| standing.spec.minutes)
            .sum();
        let wide = area.width >= WIDE;
        let list = Rect { width: if wide { area.width - SIDE - 2 } else { area.width }, ..area };
        rule::heading(canvas, list, "Routine", true, &[piece(Role::Muted, format!("daily {minutes} min"))]);
        let body = rule::body(list);
        if rows.is_empty() {
            canvas.put(
                body.x + 2,
                body.y + 1,
                body.width.saturating_sub(3),
                "the checks have not looked yet",
                Role::Muted,
            );
        } else {
            table::table(canvas, body, scene, ListId::Duties, COLUMNS, &rows);
        }
        if wide && let Some(standing) = selected(scene, &rows) {
            let side = Rect { x: area.right() - SIDE, width: SIDE, ..area };
            rule::heading(canvas, side, &standing.spec.title, false, &[]);
            let lines = of_duty(scene, standing, usize::from(SIDE) - 2);
            for (y, line) in (side.y + 1..side.bottom()).zip(&lines) {
                canvas.pieces(side.x + 2, y, side.width - 2, line);
            }
        }
    }
}

/// The duty under the cursor; on a cadence's heading its first.
fn selected<'a>(scene: &Scene<'_>, rows: &'a [Row]) -> Option<&'a DutyStanding> {
    let keys: Vec<RowKey> = rows.iter().map(TableRow::key).collect();
    let position = scene.ui.list(ListId::Duties).position(&keys)?;
    rows.iter().skip(position).find_map(|row| match row {
        Row::Duty(standing) => Some(&**standing),
        Row::Cadence { .. } => None,
    })
}
