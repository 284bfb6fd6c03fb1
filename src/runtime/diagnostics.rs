//! hostler's own diagnostics: to a file a day below the state folder, never to the screen.

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{Builder, Rotation};
use tracing_subscriber::filter::LevelFilter;

use crate::history::StateDir;

/// Lines that may wait to be written. The room for all of them is taken at once, and the library's own choice takes 5 MiB.
const LINES: usize = 512;
/// Files that are kept.
const DAYS: usize = 7;

/// Begins to write. Without a folder that can be written, nothing is. What is still to be written goes when the guard is
/// dropped.
pub(super) fn begin(state_dir: &StateDir) -> Option<WorkerGuard> {
    let folder = state_dir.log_folder().ok()?;
    let builder = Builder::new().rotation(Rotation::DAILY).filename_prefix("hostler").filename_suffix("log");
    let files = builder.max_log_files(DAYS).build(folder).ok()?;
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(files);
    let subscriber =
        tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_max_level(LevelFilter::WARN).finish();
    tracing::subscriber::set_global_default(subscriber).ok()?;
    Some(guard)
}
