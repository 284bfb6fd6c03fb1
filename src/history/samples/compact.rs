//! Rows of minutes become blocks, finer sketches become coarser ones, and what is too old goes.

use std::collections::BTreeMap;
use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::block::{self, Point};
use super::{KEPT, SIXTH, SKETCH_TIERS, TIERS, Tier, WINDOW, floor, recent};
use crate::domain::Sketch;

/// The end of the rows that were made blocks.
const COMPACTED: &str = "compacted";
/// What is older was let go.
const LET_GO: &str = "let-go";
/// The most that the end of what is kept moves in one turn, seconds: a clock that is wrong for an hour must not cost the
/// history of a year.
const MOST_LET_GO: i64 = 26 * 3_600;

/// Series that are held in memory at once: two hours of all would take more than the rest of a recorder.
const AT_ONCE: u32 = 256;

/// What a turn found for one series: values by their second.
type Found = BTreeMap<u32, Vec<(i64, f32)>>;

/// Does what is due at `now`, seconds since the epoch, all of it or nothing.
pub(super) fn compact(connection: &mut Connection, now: i64) -> rusqlite::Result<()> {
    let end = floor(now, WINDOW);
    let is_due = "SELECT EXISTS (SELECT 1 FROM recent WHERE minute < ?1)";
    if !connection.query_row(is_due, [end / 60], |row| row.get(0))? {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    let most: u32 = transaction.query_row("SELECT coalesce(max(id), 0) FROM series", [], |row| row.get(0))?;
    for first in (0..=most).step_by(AT_ONCE as usize) {
        for (series, values) in found(&transaction, end, first..first.saturating_add(AT_ONCE))? {
            for tier in TIERS {
                for (start, points) in by_block(tier, &values) {
                    add_points(&transaction, series, tier, start, &points)?;
                }
            }
        }
    }
    merge_sketches(&transaction, end)?;
    transaction.execute("DELETE FROM recent WHERE minute < ?1", [end / 60])?;
    let_go(&transaction, now)?;
    // A clock that was set back does not undo what was merged.
    let before = fact(&transaction, COMPACTED)?.unwrap_or(end);
    set_fact(&transaction, COMPACTED, end.max(before))?;
    transaction.commit()
}

/// The values of these series in all rows before `end`.
fn found(transaction: &Transaction<'_>, end: i64, numbers: Range<u32>) -> rusqlite::Result<Found> {
    let mut found = Found::new();
    let mut statement = transaction.prepare_cached("SELECT minute, data FROM recent WHERE minute < ?1 ORDER BY id")?;
    let mut rows = statement.query([end / 60])?;
    while let Some(row) = rows.next()? {
        let begin = row.get::<_, i64>(0)? * 60;
        // A row has them in order.
        let all = recent::iter(row.get_ref(1)?.as_blob()?);
        let its = all.skip_while(|(series, _)| *series < numbers.start).take_while(|(series, _)| *series < numbers.end);
        for (series, minute) in its {
            let seconds = (0..).map(|sixth| begin + sixth * SIXTH);
            let values = seconds.zip(minute).filter(|(_, value)| !value.is_nan());
            found.entry(series).or_default().extend(values);
        }
    }
    Ok(found)
}

/// The points of each block of a tier, by the slot within it.
fn by_block(tier: Tier, values: &[(i64, f32)]) -> BTreeMap<i64, BTreeMap<usize, Point>> {
    let mut blocks: BTreeMap<i64, BTreeMap<usize, Point>> = BTreeMap::new();
    for (second, value) in values {
        let start = floor(*second, tier.block());
        let slot = ((second - start) / tier.slot) as usize;
        let point = Point::of(f64::from(*value));
        let slots = blocks.entry(start).or_default();
        slots.entry(slot).and_modify(|before| *before = before.and(point)).or_insert(point);
    }
    blocks
}

/// Puts points into a block, together with what is there.
fn add_points(
    transaction: &Transaction<'_>,
    series: u32,
    tier: Tier,
    start: i64,
    points: &BTreeMap<usize, Point>,
) -> rusqlite::Result<()> {
    let before: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT data FROM block WHERE series = ?1 AND tier = ?2 AND start = ?3")?
        .query_row(params![series, tier.number, start], |row| row.get(0))
        .optional()?;
    let mut slots = before
        .and_then(|bytes| block::decode(&bytes, tier.slots.into()))
        .unwrap_or_else(|| vec![None; tier.slots.into()]);
    for (slot, point) in points {
        if let Some(slot) = slots.get_mut(*slot) {
            *slot = Some(slot.map_or(*point, |before| before.and(*point)));
        }
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO block (series, tier, start, data) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![series, tier.number, start, block::encode(&slots, tier.fineness)])?;
    Ok(())
}

/// Takes the sketch of the minute that begins at `start`. One that comes late goes into the coarser tiers at once.
pub(super) fn take_sketch(
    transaction: &Transaction<'_>,
    series: u32,
    start: i64,
    sketch: &Sketch,
) -> rusqlite::Result<()> {
    let is_late = fact(transaction, COMPACTED)?.is_some_and(|end| start < end);
    let tiers = if is_late { &SKETCH_TIERS[..] } else { &SKETCH_TIERS[..1] };
    tiers.iter().try_for_each(|tier| add_sketch(transaction, series, tier.number, floor(start, tier.slot), sketch))
}

/// Puts a sketch into the slot of a tier that begins at `start`, together with what is there.
fn add_sketch(
    transaction: &Transaction<'_>,
    series: u32,
    tier: i64,
    start: i64,
    sketch: &Sketch,
) -> rusqlite::Result<()> {
    let before: Option<Vec<u8>> = transaction
        .prepare_cached("SELECT data FROM sketch WHERE series = ?1 AND tier = ?2 AND start = ?3")?
        .query_row(params![series, tier, start], |row| row.get(0))
        .optional()?;
    let mut sum = sketch.clone();
    if let Some(before) = before.and_then(|bytes| Sketch::from_bytes(&bytes)) {
        sum.merge(&before);
    }
    transaction
        .prepare_cached("INSERT OR REPLACE INTO sketch (series, tier, start, data) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![series, tier, start, sum.to_bytes()])?;
    Ok(())
}

/// Puts the sketches of minutes that came since the last turn into the coarser ones.
fn merge_sketches(transaction: &Transaction<'_>, end: i64) -> rusqlite::Result<()> {
    let from = fact(transaction, COMPACTED)?.unwrap_or(i64::MIN);
    let mut sums: BTreeMap<(i64, u32, i64), Sketch> = BTreeMap::new();
    let mut statement = transaction
        .prepare_cached("SELECT series, start, data FROM sketch WHERE tier = ?1 AND start >= ?2 AND start < ?3")?;
    let mut rows = statement.query(params![SKETCH_TIERS[0].number, from, end])?;
    while let Some(row) = rows.next()? {
        let (series, start): (u32, i64) = (row.get(0)?, row.get(1)?);
        let Some(sketch) = Sketch::from_bytes(row.get_ref(2)?.as_blob()?) else { continue };
        for tier in &SKETCH_TIERS[1..] {
            sums.entry((tier.number, series, floor(start, tier.slot))).or_default().merge(&sketch);
        }
    }
    for ((tier, series, start), sketch) in sums {
        add_sketch(transaction, series, tier, start, &sketch)?;
    }
    Ok(())
}

/// Lets go what is too old, a day and a little at most.
fn let_go(transaction: &Transaction<'_>, now: i64) -> rusqlite::Result<()> {
    let until = fact(transaction, LET_GO)?.map_or(now, |before| now.min(before + MOST_LET_GO)).max(0);
    for tier in TIERS {
        let before = until - tier.kept.as_secs().cast_signed() - tier.block();
        transaction.execute("DELETE FROM block WHERE tier = ?1 AND start < ?2", params![tier.number, before])?;
    }
    for tier in SKETCH_TIERS {
        let before = until - tier.kept.as_secs().cast_signed();
        transaction.execute("DELETE FROM sketch WHERE tier = ?1 AND start < ?2", params![tier.number, before])?;
    }
    transaction.execute("DELETE FROM mark WHERE at < ?1", [until - KEPT.as_secs().cast_signed()])?;
    set_fact(transaction, LET_GO, until)
}

/// The end of what the coarser tiers hold, seconds since the epoch; `None` before the first turn.
pub(super) fn compacted(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    fact(connection, COMPACTED)
}

/// When it was decided last what is too old; `None` before the first turn.
pub(super) fn let_go_at(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    fact(connection, LET_GO)
}

fn fact(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    let mut statement = connection.prepare_cached("SELECT value FROM fact WHERE name = ?1")?;
    statement.query_row([name], |row| row.get(0)).optional()
}

fn set_fact(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("INSERT OR REPLACE INTO fact (name, value) VALUES (?1, ?2)")?;
    statement.execute(params![name, value]).map(drop)
}
