//! Threads that carry blocking calls, so that the async thread never waits for a file, a driver or a dead mount.
//!
//! A call that hangs in the kernel cannot be aborted: it keeps its lane, and whoever asks again is told since when. The
//! process can end all the same, because nobody joins these threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce() + Send>;

/// One named thread that runs jobs in order.
#[derive(Debug, Clone)]
pub struct Lane {
    jobs: UnboundedSender<Job>,
    name: &'static str,
}

/// Why a lane gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// The call before this one has not come back.
    #[error("the previous call has not come back")]
    Busy,
    /// The thread is gone (it panicked).
    #[error("its reader thread has ended")]
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
    /// every further read is [`Unread::Busy`].
    ///
    /// # Errors
    /// [`Unread::Busy`] while an earlier call hangs, [`Unread::Gone`] when the thread has ended.
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
            let mut state = state.unwrap_or_else(|| make());
            let value = read(&mut state);
            busy.store(false, Ordering::Release);
            // Nobody may be waiting any more; the state then goes here.
            drop(answer.send((state, value)));
        });
        self.lane.jobs.send(job).map_err(|_| Unread::Gone)?;
        let (state, value) = answered.await.map_err(|_| Unread::Gone)?;
        self.state = Some(state);
        Ok(value)
    }
}
