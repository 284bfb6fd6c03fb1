//! Initialising, shutting down, versions, process names, counting and finding GPUs.

use std::ffi::{CStr, c_char, c_int, c_uint};

use nvml_wrapper_sys::bindings::{nvmlDevice_t, nvmlReturn_t};

use crate::abi::{Out, answer, put, put_text, put_text_cut};
use crate::library::{self, gpu_at, handle_of, library_call};
use crate::script::{Gpu, PciAddress};
use crate::status::{Answer, Status, sentence};

#[unsafe(no_mangle)]
extern "C" fn nvmlInit_v2() -> nvmlReturn_t {
    answer(library::initialise)
}

/// The flags only matter where there is no GPU, which here is no error anyway.
#[unsafe(no_mangle)]
extern "C" fn nvmlInitWithFlags(_flags: c_uint) -> nvmlReturn_t {
    answer(library::initialise)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlShutdown() -> nvmlReturn_t {
    answer(library::shut_down)
}

#[unsafe(no_mangle)]
extern "C" fn nvmlErrorString(result: nvmlReturn_t) -> *const c_char {
    sentence(result).as_ptr()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetDriverVersion(out: *mut c_char, length: c_uint) -> nvmlReturn_t {
    answer(|| {
        let version = library_call("driver", |script| script.driver.clone())?;
        // SAFETY: by the library's contract the buffer has `length` characters.
        unsafe { put_text(out, length, &version) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetNVMLVersion(out: *mut c_char, length: c_uint) -> nvmlReturn_t {
    answer(|| {
        let version = library_call("nvml", |script| script.nvml.clone())?;
        // SAFETY: by the library's contract the buffer has `length` characters.
        unsafe { put_text(out, length, &version) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlSystemGetCudaDriverVersion_v2(out: Out<'_, c_int>) -> nvmlReturn_t {
    answer(|| {
        let version = library_call("cuda", |script| script.cuda)?;
        put(out, version.major * 1000 + version.minor * 10)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlSystemGetProcessName(pid: c_uint, out: *mut c_char, length: c_uint) -> nvmlReturn_t {
    answer(|| {
        let name = library_call("processes", |script| {
            let names = script.processes.as_ref()?;
            Some(names.get(&pid).cloned())
        })?;
        let name = name.ok_or(Status::NOT_FOUND)?;
        // SAFETY: by the library's contract the buffer has `length` characters.
        unsafe { put_text_cut(out, length, &name) }
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetCount_v2(out: Out<'_, c_uint>) -> nvmlReturn_t {
    answer(|| {
        let count = library_call("count", |script| c_uint::try_from(script.gpus.len()).ok())?;
        put(out, count)
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetHandleByIndex_v2(index: c_uint, out: Out<'_, nvmlDevice_t>) -> nvmlReturn_t {
    answer(|| {
        let index = index as usize;
        if index >= library::script()?.gpus.len() {
            return Err(Status::INVALID_ARGUMENT);
        }
        put_handle(out, index)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByUUID(uuid: *const c_char, out: Out<'_, nvmlDevice_t>) -> nvmlReturn_t {
    answer(|| {
        // SAFETY: by the library's contract a text that ends with NUL.
        let uuid = unsafe { text_of(uuid) }?;
        put_handle(out, find(|gpu| gpu.uuid.as_deref() == Some(uuid))?)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetHandleByPciBusId_v2(
    bus_id: *const c_char,
    out: Out<'_, nvmlDevice_t>,
) -> nvmlReturn_t {
    answer(|| {
        // SAFETY: by the library's contract a text that ends with NUL.
        let bus_id = unsafe { text_of(bus_id) }?;
        let address = PciAddress::parse(bus_id).ok_or(Status::INVALID_ARGUMENT)?;
        put_handle(out, find(|gpu| gpu.pci == Some(address))?)
    })
}

/// Gives the handle of a GPU; a lost one has none, as `nvidia-smi` reports of real ones.
fn put_handle(out: Out<'_, nvmlDevice_t>, index: usize) -> Answer {
    put(out, gpu_at(index, "handle", |_| Some(handle_of(index)))?)
}

fn find(wanted: impl Fn(&Gpu) -> bool) -> Answer<usize> {
    let script = library::script()?;
    script.gpus.iter().position(wanted).ok_or(Status::NOT_FOUND)
}

/// # Safety
///
/// `text` is null or ends with NUL, and lives as long as the answer is used.
unsafe fn text_of<'a>(text: *const c_char) -> Answer<&'a str> {
    if text.is_null() {
        return Err(Status::INVALID_ARGUMENT);
    }
    // SAFETY: the same condition as this function's.
    let text = unsafe { CStr::from_ptr(text) };
    text.to_str().map_err(|_| Status::INVALID_ARGUMENT)
}
