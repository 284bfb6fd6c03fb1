//! Whether the memory is sound (error correction, retired pages, remapped rows), and the readings
//! that are only reached by the number of a field.

use std::ffi::{c_int, c_uint, c_ulonglong};

use nvml_wrapper_sys::bindings::{self as nvml, nvmlDevice_t, nvmlReturn_t};

use crate::abi::{Out, answer, put, put_list};
use crate::device::readings;
use crate::library::gpu;
use crate::script::{Gpu, Page};
use crate::status::{Answer, Status};

readings! {
    nvmlDeviceGetRetiredPagesPendingStatus: nvml::nvmlEnableState_t =
        "retired_pages_pending", |gpu| gpu.retired_pages_pending.map(c_uint::from);
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetEccMode(
    device: nvmlDevice_t,
    current: Out<'_, nvml::nvmlEnableState_t>,
    pending: Out<'_, nvml::nvmlEnableState_t>,
) -> nvmlReturn_t {
    answer(|| {
        let (is_enabled, is_pending) = gpu(device, "ecc.enabled", |gpu| {
            let is_enabled = gpu.ecc.enabled?;
            Some((is_enabled, gpu.ecc.pending.unwrap_or(is_enabled)))
        })?;
        put(current, c_uint::from(is_enabled))?;
        put(pending, c_uint::from(is_pending))
    })
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetTotalEccErrors(
    device: nvmlDevice_t,
    error: nvml::nvmlMemoryErrorType_t,
    counter: nvml::nvmlEccCounterType_t,
    out: Out<'_, c_ulonglong>,
) -> nvmlReturn_t {
    let is_corrected = error == nvml::nvmlMemoryErrorType_enum_NVML_MEMORY_ERROR_TYPE_CORRECTED;
    let is_volatile = counter == nvml::nvmlEccCounterType_enum_NVML_VOLATILE_ECC;
    answer(|| {
        let count = match (is_volatile, is_corrected) {
            (true, true) => gpu(device, "ecc.corrected", |gpu| gpu.ecc.corrected),
            (true, false) => gpu(device, "ecc.uncorrected", |gpu| gpu.ecc.uncorrected),
            (false, true) => gpu(device, "ecc.aggregate_corrected", |gpu| gpu.ecc.aggregate_corrected),
            (false, false) => gpu(device, "ecc.aggregate_uncorrected", |gpu| gpu.ecc.aggregate_uncorrected),
        };
        put(out, count?)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetRetiredPages(
    device: nvmlDevice_t,
    cause: nvml::nvmlPageRetirementCause_t,
    count: Option<&mut c_uint>,
    addresses: *mut c_ulonglong,
) -> nvmlReturn_t {
    answer(|| {
        let pages = retired_pages(device, cause)?;
        let list: Vec<c_ulonglong> = pages.iter().map(|page| page.address).collect();
        // SAFETY: by the library's contract the array has room for `count` addresses.
        unsafe { put_list(addresses, count, &list) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetRetiredPages_v2(
    device: nvmlDevice_t,
    cause: nvml::nvmlPageRetirementCause_t,
    count: Option<&mut c_uint>,
    addresses: *mut c_ulonglong,
    timestamps: *mut c_ulonglong,
) -> nvmlReturn_t {
    answer(|| {
        let count = count.ok_or(Status::INVALID_ARGUMENT)?;
        let mut room = *count;
        let pages = retired_pages(device, cause)?;
        let list: Vec<c_ulonglong> = pages.iter().map(|page| page.address).collect();
        let times: Vec<c_ulonglong> = pages.iter().map(|page| page.timestamp).collect();
        // SAFETY: by the library's contract both arrays have room for `count` items.
        unsafe {
            put_list(addresses, Some(count), &list)?;
            put_list(timestamps, Some(&mut room), &times)
        }
    })
}

fn retired_pages(device: nvmlDevice_t, cause: nvml::nvmlPageRetirementCause_t) -> Answer<Vec<Page>> {
    use nvml::{
        nvmlPageRetirementCause_enum_NVML_PAGE_RETIREMENT_CAUSE_DOUBLE_BIT_ECC_ERROR as DOUBLE_BIT,
        nvmlPageRetirementCause_enum_NVML_PAGE_RETIREMENT_CAUSE_MULTIPLE_SINGLE_BIT_ECC_ERRORS as SINGLE_BIT,
    };
    let pages = gpu(device, "retired_pages", |gpu| gpu.retired_pages.clone())?;
    match cause {
        SINGLE_BIT => Ok(pages.single_bit),
        DOUBLE_BIT => Ok(pages.double_bit),
        _ => Err(Status::INVALID_ARGUMENT),
    }
}

#[unsafe(no_mangle)]
extern "C" fn nvmlDeviceGetRemappedRows(
    device: nvmlDevice_t,
    corrected: Out<'_, c_uint>,
    uncorrected: Out<'_, c_uint>,
    pending: Out<'_, c_uint>,
    failed: Out<'_, c_uint>,
) -> nvmlReturn_t {
    answer(|| {
        let rows = gpu(device, "remapped_rows", |gpu| gpu.remapped_rows)?;
        put(corrected, rows.corrected)?;
        put(uncorrected, rows.uncorrected)?;
        put(pending, c_uint::from(rows.pending))?;
        put(failed, c_uint::from(rows.failed))
    })
}

/// Every field answers for itself: the call succeeds though a field in it does not.
#[unsafe(no_mangle)]
unsafe extern "C" fn nvmlDeviceGetFieldValues(
    device: nvmlDevice_t,
    count: c_int,
    fields: *mut nvml::nvmlFieldValue_t,
) -> nvmlReturn_t {
    answer(|| {
        let count = usize::try_from(count).map_err(|_| Status::INVALID_ARGUMENT)?;
        if fields.is_null() || count == 0 {
            return Err(Status::INVALID_ARGUMENT);
        }
        gpu(device, "fields", |_| Some(()))?;
        // SAFETY: by the library's contract an array of `count` fields whose ids are filled in.
        let fields = unsafe { std::slice::from_raw_parts_mut(fields, count) };
        for field in fields {
            field.timestamp = crate::process::now_us().cast_signed();
            field.latencyUsec = 0;
            field.nvmlReturn = match field_value(device, field.fieldId) {
                Ok((kind, value)) => {
                    field.valueType = kind;
                    field.value = value;
                    nvml::nvmlReturn_enum_NVML_SUCCESS
                }
                Err(status) => status.code(),
            };
        }
        Ok(())
    })
}

fn field_value(device: nvmlDevice_t, id: c_uint) -> Answer<(nvml::nvmlValueType_t, nvml::nvmlValue_t)> {
    use nvml::field_id as field;
    let number = |reading: &str, pick: fn(&Gpu) -> Option<c_uint>| {
        let kind = nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_INT;
        gpu(device, reading, pick).map(|value| (kind, nvml::nvmlValue_t { uiVal: value }))
    };
    let rows = |pick| number("remapped_rows", pick);
    match id {
        field::NVML_FI_DEV_MEMORY_TEMP => number("memory_temperature", |gpu| gpu.memory_temperature),
        field::NVML_FI_DEV_REMAPPED_COR => rows(|gpu| Some(gpu.remapped_rows?.corrected)),
        field::NVML_FI_DEV_REMAPPED_UNC => rows(|gpu| Some(gpu.remapped_rows?.uncorrected)),
        field::NVML_FI_DEV_REMAPPED_PENDING => rows(|gpu| Some(gpu.remapped_rows?.pending.into())),
        field::NVML_FI_DEV_REMAPPED_FAILURE => rows(|gpu| Some(gpu.remapped_rows?.failed.into())),
        other => {
            let kind = nvml::nvmlValueType_enum_NVML_VALUE_TYPE_UNSIGNED_LONG_LONG;
            gpu(device, "fields", |gpu| gpu.fields.get(&other).copied())
                .map(|value| (kind, nvml::nvmlValue_t { ullVal: value }))
        }
    }
}
