//! What the loaded library remembers (the script, how often it was initialised, power limits that
//! a program has set), and the one way in which every call is answered: wait while it is scripted
//! to hang, then its scripted error, then its reading.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsStr, OsString, c_void};
use std::fs;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use nvml_wrapper_sys::bindings::nvmlDevice_t;

use crate::script::{Gpu, Init, Script, error_of, hangs};
use crate::status::{Answer, Status};

/// The environment variable that names the script.
const SCRIPT_VARIABLE: &str = "HOSTLER_NVML_DOUBLE";

/// How often a call that hangs looks whether it still should.
const HANG_STEP: Duration = Duration::from_millis(50);

static LIBRARY: Mutex<Library> =
    Mutex::new(Library { path: None, loaded: None, limits_mw: BTreeMap::new(), initialised: 0 });

struct Library {
    /// Where the script is; settled at each initialisation.
    path: Option<PathBuf>,
    loaded: Option<Loaded>,
    /// The power limits set since the script was last read, by GPU.
    limits_mw: BTreeMap<usize, u32>,
    /// Initialisations that no shutdown has undone.
    initialised: u32,
}

/// The script as it was last read; a script that cannot be read answers an unknown error.
struct Loaded {
    stamp: Option<Stamp>,
    script: Answer<Arc<Script>>,
}

/// What tells one version of the script file from another without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl Library {
    /// The script as the file has it now.
    fn script(&mut self) -> Answer<Arc<Script>> {
        let path = self.path.as_ref().ok_or(Status::UNKNOWN)?;
        let stamp = fs::metadata(path).ok().map(|file| Stamp {
            modified: (file.mtime(), file.mtime_nsec()),
            size: file.size(),
            inode: file.ino(),
        });
        if let Some(loaded) = &self.loaded
            && loaded.stamp == stamp
        {
            return loaded.script.clone();
        }
        let read = fs::read(path).map_err(|error| error.to_string()).and_then(|text| Script::parse(&text));
        let note = with_suffix(path.as_os_str(), ".error");
        // The note only helps whoever writes a script; that it cannot be written changes nothing.
        let _ = match &read {
            Ok(_) => fs::remove_file(note),
            Err(problem) => fs::write(note, format!("{}: {problem}\n", path.display())),
        };
        let script = read.map(Arc::new).map_err(|_| Status::UNKNOWN);
        self.limits_mw.clear();
        self.loaded = Some(Loaded { stamp, script: script.clone() });
        script
    }
}

/// Initialises once more, unless the script has it fail.
pub(crate) fn initialise() -> Answer {
    let path = std::env::var_os(SCRIPT_VARIABLE).map_or_else(beside_library, |path| Some(path.into()));
    {
        let mut library = lock();
        if library.path != path {
            library.path = path;
            library.loaded = None;
        }
    }
    loop {
        let init = lock().script()?.init;
        match init {
            Init::Succeeds => break,
            Init::Fails(status) => return Err(status),
            Init::Hangs => thread::sleep(HANG_STEP),
        }
    }
    lock().initialised += 1;
    Ok(())
}

/// Undoes one initialisation.
pub(crate) fn shut_down() -> Answer {
    let mut library = lock();
    library.initialised = library.initialised.checked_sub(1).ok_or(Status::UNINITIALIZED)?;
    Ok(())
}

/// The script for a call, as the file has it now.
pub(crate) fn script() -> Answer<Arc<Script>> {
    let mut library = lock();
    if library.initialised == 0 {
        return Err(Status::UNINITIALIZED);
    }
    library.script()
}

/// Answers a call that is not about one GPU.
pub(crate) fn library_call<T>(call: &str, pick: impl FnOnce(&Script) -> Option<T>) -> Answer<T> {
    let script = once_released(|script| hangs(&script.hang, call))?;
    match error_of(&script.errors, call) {
        Some(status) => Err(status),
        None => pick(&script).ok_or(Status::NOT_SUPPORTED),
    }
}

/// Answers one reading of one GPU. A GPU that the script no longer has is lost.
pub(crate) fn gpu<T>(device: nvmlDevice_t, reading: &str, pick: impl FnOnce(&Gpu) -> Option<T>) -> Answer<T> {
    gpu_at(index_of(device)?, reading, pick)
}

/// As [`gpu`], by the place in the script.
pub(crate) fn gpu_at<T>(index: usize, reading: &str, pick: impl FnOnce(&Gpu) -> Option<T>) -> Answer<T> {
    let script = once_released(|script| script.gpus.get(index).is_some_and(|gpu| hangs(&gpu.hang, reading)))?;
    let gpu = script.gpus.get(index).ok_or(Status::GPU_IS_LOST)?;
    if gpu.lost {
        return Err(Status::GPU_IS_LOST);
    }
    match error_of(&gpu.errors, reading) {
        Some(status) => Err(status),
        None => pick(gpu).ok_or(Status::NOT_SUPPORTED),
    }
}

/// The place in the script of the GPU behind a handle. Handles are numbers from one, never
/// addresses.
pub(crate) fn index_of(device: nvmlDevice_t) -> Answer<usize> {
    device.addr().checked_sub(1).ok_or(Status::INVALID_ARGUMENT)
}

/// The handle of the GPU at a place in the script.
pub(crate) fn handle_of(index: usize) -> nvmlDevice_t {
    std::ptr::without_provenance_mut(index + 1)
}

/// The power limit that a program has set since the script was last read, in mW.
pub(crate) fn limit_set(index: usize) -> Option<u32> {
    lock().limits_mw.get(&index).copied()
}

/// Remembers a power limit that a program sets, in mW.
pub(crate) fn set_limit(index: usize, limit_mw: u32) {
    lock().limits_mw.insert(index, limit_mw);
}

/// The script, once it no longer has the call hang. The lock is free while waiting, so that other
/// calls go on.
fn once_released(hangs: impl Fn(&Script) -> bool) -> Answer<Arc<Script>> {
    loop {
        let script = script()?;
        if !hangs(&script) {
            return Ok(script);
        }
        thread::sleep(HANG_STEP);
    }
}

/// A panic while the lock was held leaves nothing half done, so a poisoned lock is as good.
fn lock() -> MutexGuard<'static, Library> {
    LIBRARY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The script of this copy of the library: its own path with `.json` after it.
fn beside_library() -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    let own_function: fn() -> Option<PathBuf> = beside_library;
    // SAFETY: `dladdr` only looks the address up; it fills the structure when it returns non-zero,
    // and zeroes are valid for it otherwise.
    let info = unsafe {
        libc::dladdr(own_function as *const c_void, info.as_mut_ptr());
        info.assume_init()
    };
    if info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the loader's own name of the library, which lives as long as the library is loaded.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(with_suffix(OsStr::from_bytes(name.to_bytes()), ".json").into())
}

fn with_suffix(path: &OsStr, suffix: &str) -> OsString {
    let mut longer = path.to_owned();
    longer.push(suffix);
    longer
}
