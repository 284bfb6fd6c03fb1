//! `hostler record` and `hostler history`: what is measured is kept, and told.

use jiff::Timestamp;
use serde::Serialize;

use super::args::{HistoryArgs, RecordArgs, RunArgs};
use super::{Exit, Stop, out, run};
use crate::domain::{SeriesKey, parse_since};
use crate::history::{Bucket, SampleReader};
use crate::host::{Clock, Lane, time_zone};
use crate::report;
use crate::runtime::{self, Setup};

/// Lines of a history where nobody says how wide they shall be.
const LINES: i64 = 100;
/// Widths that people know, seconds.
const WIDTHS: [i64; 14] = [10, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400, 604_800];

/// Records until it is told to end.
pub(super) fn record(setup: &Setup, args: &RecordArgs) -> Result<Exit, Stop> {
    if args.install {
        let (targets, dry_run, yes) = (args.whose.iter().cloned().collect(), args.dry_run, args.yes);
        let args = RunArgs { action: "recorder.install".to_owned(), targets, dry_run, yes, ..RunArgs::default() };
        return run::run(setup, &args);
    }
    if setup.read_only {
        return Err(Stop::new(Exit::Refused, "refused: read-only; a recorder writes to the state folder"));
    }
    if setup.demo {
        return Err(Stop::new(Exit::Usage, "a made-up box keeps no history"));
    }
    runtime::record(setup, args.listen).map(|()| Exit::Success).map_err(|error| Stop::failure(format!("{error:#}")))
}

/// One line of `hostler history --json`.
#[derive(Serialize)]
struct Line<'a> {
    series: &'a SeriesKey,
    #[serde(flatten)]
    bucket: &'a Bucket,
}

/// Prints a series, or which there are.
pub(super) fn print(setup: &Setup, args: &HistoryArgs) -> Result<Exit, Stop> {
    let (now, zone) = (Clock::start().now().wall, time_zone());
    let since =
        parse_since(&args.since, now, &zone).map_err(|why| Stop::new(Exit::Usage, format!("--since: {why}")))?;
    let asked = args.step.map(|step| step.as_secs().cast_signed());
    let step = asked.unwrap_or_else(|| width(now.as_second() - since.as_second()));
    let read = match (&args.series, setup.config.history.prometheus.is_some()) {
        (Some(wanted), true) => of_prometheus(setup, wanted, (since, now), step)?,
        _ => of_own(setup, args.series.as_ref(), (since, now), step)?,
    };
    let mut text = String::new();
    for (key, buckets) in read {
        if args.series.is_none() {
            text.push_str(&key.to_string());
            text.push('\n');
        }
        for bucket in &buckets {
            let line = if args.json {
                report::json(&Line { series: &key, bucket }, false).map_err(Stop::failure)?
            } else {
                let at = bucket.at.to_zoned_datetime(zone.clone()).strftime("%F %T");
                let Bucket { min, mean, max, count, .. } = bucket;
                format!("{at}  {key}  {mean:.6}  (least {min:.6}, most {max:.6}, of {count})\n")
            };
            text.push_str(&line);
        }
    }
    out::print(&text).map_err(Stop::failure)?;
    Ok(Exit::Success)
}

type Read = Vec<(SeriesKey, Vec<Bucket>)>;

/// The series of hostler's own file that are wanted; all of them by name where nothing is said.
fn of_own(setup: &Setup, wanted: Option<&SeriesKey>, time: (Timestamp, Timestamp), step: i64) -> Result<Read, Stop> {
    let Some(mut reader) = SampleReader::open(&setup.state_dir).map_err(Stop::failure)? else {
        let why = "nothing was recorded yet; `hostler record` records, and so does the screen while it is open";
        return Err(Stop::failure(why));
    };
    let known = reader.series().map_err(Stop::failure)?;
    let Some(wanted) = wanted else { return Ok(known.into_iter().map(|key| (key, Vec::new())).collect()) };
    let keys: Vec<SeriesKey> = known.into_iter().filter(|key| key.matches(wanted)).collect();
    if keys.is_empty() {
        return Err(Stop::failure(format!("no series `{wanted}` was recorded; `hostler history` lists all")));
    }
    let read = |key: SeriesKey| Ok((key.clone(), reader.read(&key, time, step).map_err(Stop::failure)?));
    keys.into_iter().map(read).collect()
}

/// The sum of the series that are wanted, from the server that the config names.
fn of_prometheus(setup: &Setup, wanted: &SeriesKey, time: (Timestamp, Timestamp), step: i64) -> Result<Read, Stop> {
    let asked = runtime::blocking(async {
        match setup.prometheus(&Lane::new("history")) {
            Some(mut prometheus) => prometheus.buckets(wanted, time, step).await,
            None => Ok(Vec::new()),
        }
    });
    let buckets = asked.map_err(Stop::failure)?.map_err(Stop::failure)?;
    Ok(vec![(wanted.clone(), buckets)])
}

/// The narrowest usual width that gives no more than [`LINES`] lines.
fn width(span: i64) -> i64 {
    WIDTHS.iter().copied().find(|width| span <= width * LINES).unwrap_or(WIDTHS[WIDTHS.len() - 1])
}
