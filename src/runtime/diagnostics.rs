//! hostler's own diagnostics: to a file a day below the state folder, never to the screen.

use std::io::{self, Write};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_appender::rolling::{Builder, RollingFileAppender, Rotation};
use tracing_subscriber::filter::LevelFilter;

use crate::history::StateDir;

/// Lines that may wait to be written. The room for all of them is taken at once, and the library's own choice takes 5 MiB.
const LINES: usize = 512;
/// Files that are kept.
const DAYS: usize = 7;

/// Begins to write. Without a state folder, nothing is. What is still to be written goes when the guard is dropped, which
/// waits for it up to about a second.
pub(super) fn begin(state_dir: &StateDir) -> Option<WorkerGuard> {
    state_dir.path()?;
    let files = Files { state_dir: state_dir.clone(), open: None };
    let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES).finish(files);
    let subscriber =
        tracing_subscriber::fmt().with_writer(writer).with_ansi(false).with_max_level(LevelFilter::WARN).finish();
    tracing::subscriber::set_global_default(subscriber).ok()?;
    Some(guard)
}

/// The files, opened with the first line on the thread that writes: a folder that hangs holds nobody else back, and where
/// nothing went wrong there is no file.
struct Files {
    state_dir: StateDir,
    open: Option<RollingFileAppender>,
}

impl Files {
    fn open(&mut self) -> io::Result<&mut RollingFileAppender> {
        let files = if let Some(files) = self.open.take() {
            files
        } else {
            let folder = self.state_dir.log_folder().map_err(io::Error::other)?;
            let builder = Builder::new().rotation(Rotation::DAILY).filename_prefix("hostler").filename_suffix("log");
            builder.max_log_files(DAYS).build(folder).map_err(io::Error::other)?
        };
        Ok(self.open.insert(files))
    }
}

impl Write for Files {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.open()?.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.open.as_mut().map_or(Ok(()), Write::flush)
    }
}
