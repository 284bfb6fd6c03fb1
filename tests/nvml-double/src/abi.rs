//! The border to C: catches panics, turns answers into return codes, and writes values, texts and
//! lists to where the caller wants them.
//!
//! A single value goes through `Option<&mut MaybeUninit<T>>`, which to C is a pointer that may be
//! null; buffers with a length are the only raw pointers.

use std::ffi::{c_char, c_uint};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nvml_wrapper_sys::bindings::{nvmlReturn_enum_NVML_SUCCESS, nvmlReturn_t};

use crate::status::{Answer, Status};

/// Where a caller wants one value, or null.
pub(crate) type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// Runs the body of an exported function. A panic must not cross into C, so it becomes an
/// unknown error.
pub(crate) fn answer(body: impl FnOnce() -> Answer) -> nvmlReturn_t {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => nvmlReturn_enum_NVML_SUCCESS,
        Ok(Err(status)) => status.code(),
        Err(_) => Status::UNKNOWN.code(),
    }
}

/// Writes one value.
pub(crate) fn put<T>(out: Out<'_, T>, value: T) -> Answer {
    out.ok_or(Status::INVALID_ARGUMENT)?.write(value);
    Ok(())
}

/// Writes a text with its closing NUL; a buffer that is too short is refused.
///
/// # Safety
///
/// `out` is null or has room for `length` characters.
pub(crate) unsafe fn put_text(out: *mut c_char, length: c_uint, text: &str) -> Answer {
    if text.len() >= length as usize {
        return Err(Status::INSUFFICIENT_SIZE);
    }
    // SAFETY: the same condition as this function's.
    unsafe { put_text_cut(out, length, text) }
}

/// Writes a text with its closing NUL, cut to what the buffer holds.
///
/// # Safety
///
/// `out` is null or has room for `length` characters.
pub(crate) unsafe fn put_text_cut(out: *mut c_char, length: c_uint, text: &str) -> Answer {
    if out.is_null() || length == 0 {
        return Err(Status::INVALID_ARGUMENT);
    }
    let kept = text.len().min(length as usize - 1);
    // SAFETY: the caller's buffer holds `length` characters, and `kept` is at least one less.
    unsafe {
        out.copy_from_nonoverlapping(text.as_ptr().cast(), kept);
        out.add(kept).write(0);
    }
    Ok(())
}

/// Copies a text into a field of a structure, cut to what the field holds, and closed with NUL.
pub(crate) fn fill_text(field: &mut [c_char], text: &str) {
    field.fill(0);
    let kept = field.len().saturating_sub(1);
    for (to, from) in field[..kept].iter_mut().zip(text.bytes()) {
        *to = from.cast_signed();
    }
}

/// Writes a list the library's way: `count` holds the room on entry and the length on return, and
/// a list that does not fit answers `INSUFFICIENT_SIZE`, which is how callers ask for the length.
///
/// # Safety
///
/// `out` is null or has room for as many items as `count` says on entry.
pub(crate) unsafe fn put_list<T>(out: *mut T, count: Option<&mut c_uint>, list: &[T]) -> Answer
where
    T: Copy,
{
    let count = count.ok_or(Status::INVALID_ARGUMENT)?;
    let room = *count as usize;
    *count = c_uint::try_from(list.len()).map_err(|_| Status::UNKNOWN)?;
    if list.is_empty() {
        return Ok(());
    }
    if out.is_null() || room < list.len() {
        return Err(Status::INSUFFICIENT_SIZE);
    }
    // SAFETY: the caller's buffer has room for `room` items, which is enough for the list.
    unsafe { out.copy_from_nonoverlapping(list.as_ptr(), list.len()) };
    Ok(())
}
