//! Xid numbers in words, and which of them mean broken hardware.
//!
//! Names: `src/common/sdk/nvidia/inc/nverror.h` of NVIDIA/open-gpu-kernel-modules 595.45.04, put into words.
//! Classes follow NVIDIA's *Xid Errors* catalogue: hardware, driver or application.

use serde::Serialize;

/// What an Xid calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum XidClass {
    /// The card needs a reset, a reboot or replacement.
    Hardware,
    /// A program failed or was stopped; the card is fine unless it repeats.
    Application,
}

const XIDS: &[(u64, XidClass, &str)] = {
    use XidClass::{Application, Hardware};
    &[
        (13, Application, "a program's kernel failed (graphics engine exception)"),
        (31, Application, "a program touched memory it may not (MMU fault)"),
        (32, Application, "a program's command buffer was invalid"),
        (43, Application, "a program's channel was reset"),
        (45, Application, "a program was stopped and cleaned up"),
        (48, Hardware, "an uncorrectable memory error (double bit ECC)"),
        (61, Hardware, "the power controller stopped (PMU breakpoint)"),
        (62, Hardware, "the power controller halted"),
        (63, Hardware, "a memory row is being replaced (reset pending)"),
        (64, Hardware, "a memory row could not be replaced"),
        (74, Hardware, "an NVLink error"),
        (79, Hardware, "it has fallen off the bus"),
        (92, Hardware, "too many correctable memory errors"),
        (94, Application, "a memory error, contained to one program"),
        (95, Hardware, "a memory error that was not contained"),
        (119, Hardware, "the GPU system processor does not answer"),
        (120, Hardware, "the GPU system processor failed"),
        (121, Hardware, "a chip-to-chip link error"),
        (140, Hardware, "an unrecovered ECC error"),
        (143, Hardware, "the GPU could not be initialised"),
        (154, Hardware, "the driver asks for a recovery action"),
        (156, Hardware, "a memory resource was retired"),
        (157, Hardware, "a memory resource could not be retired"),
        (158, Hardware, "a fatal time-out"),
        (167, Hardware, "a fatal PCIe time-out"),
        (171, Hardware, "an uncorrectable DRAM error"),
        (172, Hardware, "an uncorrectable SRAM error"),
        (175, Hardware, "a memory subsystem error"),
    ]
};

/// What a number means in words; an unknown number is said to be one.
pub fn xid_name(code: u64) -> &'static str {
    XIDS.iter()
        .find(|(known, ..)| *known == code)
        .map_or("not in our list: look it up in NVIDIA's Xid catalogue", |(.., name)| name)
}

/// Whether a number means hardware. A number not in the list counts as the program's, so that it warns and does not alarm.
pub fn xid_class(code: u64) -> XidClass {
    XIDS.iter().find(|(known, ..)| *known == code).map_or(XidClass::Application, |(_, class, _)| *class)
}
