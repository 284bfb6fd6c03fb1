//! Event sets, and the Xids of the script delivered through them: each once, to the first waiting
//! set in which its GPU is registered.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{c_uint, c_ulonglong};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nvml_wrapper_sys::bindings::{self as nvml, nvmlDevice_t, nvmlEventSet_t, nvmlReturn_t};

use crate::abi::{Out, answer, put};
use crate::device::readings;
use crate::library::{gpu, handle_of, index_of, library_call, script};
use crate::script::{Events, Xid};
use crate::status::{Answer, Status};

/// How often a wait looks at the script.
const WAIT_STEP: Duration = Duration::from_millis(20);

static EVENTS: Mutex<State> = Mutex::new(State { last_set: 0, sets: BTreeMap::new(), delivered: BTreeSet::new() });

struct State {
    /// The number of the newest set; a set's handle is its number, never an address.
    last_set: usize,
    /// The GPUs whose Xids each set wants.
    sets: BTreeMap<usize, BTreeSet<usize>>,
    /// The Xids that were delivered, by `seq`.
    delivered: BTreeSet<u64>,
}

readings! {
    nvmlDeviceGetSupportedEventTypes: c_ulonglong = "events", |gpu| Some(gpu.events.0);
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetCreate(out: Out<'_, nvmlEventSet_t>) -> nvmlReturn_t {
    answer(|| {
        library_call("event_set", |_| Some(()))?;
        let mut state = lock();
        state.last_set += 1;
        let set = state.last_set;
        state.sets.insert(set, BTreeSet::new());
        put(out, std::ptr::without_provenance_mut(set))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetFree(set: nvmlEventSet_t) -> nvmlReturn_t {
    answer(|| {
        let freed = lock().sets.remove(&set.addr());
        freed.map(drop).ok_or(Status::INVALID_ARGUMENT)
    })
}

/// All requested types must be supported, as with the real library.
#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceRegisterEvents(device: nvmlDevice_t, types: c_ulonglong, set: nvmlEventSet_t) -> nvmlReturn_t {
    answer(|| {
        let supported = gpu(device, "events", |gpu| Some(gpu.events.0))?;
        if types & !supported != 0 {
            return Err(Status::NOT_SUPPORTED);
        }
        let mut state = lock();
        let gpus = state.sets.get_mut(&set.addr());
        let gpus = gpus.ok_or(Status::INVALID_ARGUMENT)?;
        if types & Events::XID != 0 {
            gpus.insert(index_of(device)?);
        }
        Ok(())
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlEventSetWait_v2(
    set: nvmlEventSet_t,
    out: Out<'_, nvml::nvmlEventData_t>,
    timeout_ms: c_uint,
) -> nvmlReturn_t {
    answer(|| {
        let end = Instant::now() + Duration::from_millis(timeout_ms.into());
        loop {
            library_call("event_wait", |_| Some(()))?;
            if let Some(xid) = next_xid(set)? {
                return put(
                    out,
                    nvml::nvmlEventData_t {
                        device: handle_of(xid.gpu),
                        eventType: Events::XID,
                        eventData: xid.code,
                        gpuInstanceId: c_uint::MAX,
                        computeInstanceId: c_uint::MAX,
                    },
                );
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Status::TIMEOUT);
            }
            thread::sleep(left.min(WAIT_STEP));
        }
    })
}

/// Takes the next Xid for a set, if there is one.
fn next_xid(set: nvmlEventSet_t) -> Answer<Option<Xid>> {
    let script = script()?;
    let mut state = lock();
    let gpus = state.sets.get(&set.addr());
    let gpus = gpus.ok_or(Status::INVALID_ARGUMENT)?;
    let wanted = |xid: &&Xid| gpus.contains(&xid.gpu) && !state.delivered.contains(&xid.seq);
    let next = script.xids.iter().find(wanted).copied();
    if let Some(xid) = next {
        state.delivered.insert(xid.seq);
    }
    Ok(next)
}

/// A panic while the lock was held leaves nothing half done, so a poisoned lock is as good.
fn lock() -> MutexGuard<'static, State> {
    EVENTS.lock().unwrap_or_else(PoisonError::into_inner)
}
