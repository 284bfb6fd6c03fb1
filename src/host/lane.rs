//! Threads that carry blocking calls, so that the async thread never waits for a file, a driver or a dead mount.
//!
//! A call that hangs in the kernel cannot be aborted: it keeps its lane, and whoever asks again is told so. The process can
//! end all the same, because nobody joins these threads. A call that panics costs its own answer, and nothing else.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::foreign;

/// The most that is kept of what a panic says, bytes.
const COMPLAINT_BYTES: usize = 200;

type Job = Box<dyn FnOnce() + Send>;

/// One named thread that runs jobs in order.
#[derive(Debug, Clone)]
pub struct Lane {
    jobs: UnboundedSender<Job>,
    name: &'static str,
}

/// Why a lane gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The call before this one has not come back.
    #[error("the previous call has not come back")]
    Busy,
    /// The call panicked.
    #[error("a fault of hostler's own on its thread `{lane}`: {complaint}")]
    Panicked {
        /// The lane's name.
        lane: &'static str,
        /// What the panic said.
        complaint: String,
    },
    /// There is no thread.
    #[error("its reader thread could not be started, or has ended")]
    Gone,
}

impl Lane {
    /// Starts a thread of this name.
    pub fn new(name: &'static str) -> Self {
        // Its blocking receiver parks at once; the standard library's spins first, which costs more than these jobs.
        let (jobs, mut queue) = unbounded_channel::<Job>();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(job) = queue.blocking_recv() {
                job();
            }
        });
        if let Err(error) = spawned {
            // Every read on this lane then says that its thread is gone.
            tracing::error!(lane = name, %error, "Could not start a thread.");
        }
        Self { jobs, name }
    }

    /// The thread's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Makes a reader with state of its own on this lane. `make` builds the state on the lane's thread at first use, and
    /// again after a call was given up.
    pub fn reader<S, M>(&self, make: M) -> Reader<S>
    where
        S: Send + 'static,
        M: Fn() -> S + Send + Sync + 'static,
    {
        Reader { lane: self.clone(), make: Arc::new(make), state: None, busy: Arc::default() }
    }
}

/// Reads on a lane with state that is kept between reads (open handles, previous counters).
pub struct Reader<S> {
    lane: Lane,
    make: Arc<dyn Fn() -> S + Send + Sync>,
    state: Option<S>,
    busy: Arc<AtomicBool>,
}

impl<S: Send + 'static> Reader<S> {
    /// Runs `read` on the lane. Dropping the future gives the call up: its state is lost with it, and until it comes back
    /// every further read is [`Unread::Busy`]. A call that panics loses the state too, and the next one starts anew.
    ///
    /// # Errors
    /// [`Unread::Busy`] while an earlier call hangs, [`Unread::Panicked`] when this one panicked, [`Unread::Gone`] when
    /// there is no thread.
    pub async fn read<T, F>(&mut self, read: F) -> Result<T, Unread>
    where
        T: Send + 'static,
        F: FnOnce(&mut S) -> T + Send + 'static,
    {
        if self.busy.swap(true, Ordering::AcqRel) {
            return Err(Unread::Busy);
        }
        let (answer, answered) = oneshot::channel();
        let (state, make, busy) = (self.state.take(), Arc::clone(&self.make), Arc::clone(&self.busy));
        let job: Job = Box::new(move || {
            // What a panic leaves half done is dropped with it: nobody sees it again.
            let done = catch_unwind(AssertUnwindSafe(move || {
                let mut state = state.unwrap_or_else(|| make());
                let value = read(&mut state);
                (state, value)
            }));
            busy.store(false, Ordering::Release);
            // Nobody may be waiting any more; the state then goes here.
            drop(answer.send(done));
        });
        // Without a thread the job is dropped, and its answer with it.
        drop(self.lane.jobs.send(job));
        match answered.await {
            Ok(Ok((state, value))) => {
                self.state = Some(state);
                Ok(value)
            }
            Ok(Err(panic)) => Err(Unread::Panicked { lane: self.lane.name, complaint: complaint(panic.as_ref()) }),
            Err(_) => {
                self.busy.store(false, Ordering::Release);
                Err(Unread::Gone)
            }
        }
    }
}

/// What a panic says, stripped: it may quote what was read.
fn complaint(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
    foreign::clean(text.unwrap_or("it panicked"), COMPLAINT_BYTES).into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt as _;

    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn state_is_made_once_and_kept() {
        let mut counter = Lane::new("test").reader(|| 0);
        let mut count = || block_on(counter.read(|count| std::mem::replace(count, *count + 1)));
        assert_eq!((count(), count(), count()), (Ok(0), Ok(1), Ok(2)));
    }

    #[test]
    fn a_call_that_panics_is_named_and_the_thread_lives_on() {
        let lane = Lane::new("test");
        let (mut reader, mut neighbour) = (lane.reader(|| 0), lane.reader(|| "neighbour"));
        assert_eq!(block_on(reader.read(|count| std::mem::replace(count, 7))), Ok(0));
        let answer = block_on(reader.read(|count| -> u32 { panic!("no {count}\u{1b}[2J in `x`") }));
        let error = answer.unwrap_err();
        assert_eq!(error.to_string(), "a fault of hostler's own on its thread `test`: no 7 in `x`");
        // What the call may have left half done is gone.
        assert_eq!(block_on(reader.read(|count| *count)), Ok(0));
        assert_eq!(block_on(neighbour.read(|name| *name)), Ok("neighbour"));
    }

    #[test]
    fn state_that_could_not_be_made_is_tried_again() {
        let tries = Arc::new(AtomicBool::new(false));
        let mut reader = Lane::new("test").reader(move || assert!(tries.swap(true, Ordering::AcqRel), "not yet"));
        let error = block_on(reader.read(|()| ())).unwrap_err();
        assert!(matches!(&error, Unread::Panicked { complaint, .. } if complaint == "not yet"), "{error}");
        assert_eq!(block_on(reader.read(|()| ())), Ok(()));
    }

    #[test]
    fn a_call_that_was_given_up_keeps_its_reader_busy_until_it_comes_back() {
        let mut reader = Lane::new("test").reader(|| ());
        let (go, gone) = mpsc::channel::<()>();
        let (say, said) = mpsc::channel();
        let wait = move |(): &mut ()| {
            let _released = gone.recv();
            say.send(()).unwrap();
        };
        assert_eq!(reader.read(wait).now_or_never(), None);
        assert_eq!(block_on(reader.read(|()| ())), Err(Unread::Busy));
        drop(go);
        said.recv().unwrap();
        while block_on(reader.read(|()| ())) == Err(Unread::Busy) {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_lane_without_a_thread_says_so_each_time() {
        let lane = Lane { jobs: unbounded_channel().0, name: "test" };
        let mut reader = lane.reader(|| ());
        for _ in 0..2 {
            assert_eq!(block_on(reader.read(|()| ())), Err(Unread::Gone));
        }
    }
}
