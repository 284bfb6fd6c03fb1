//! Loads the built library the way hostler does, through `nvml-wrapper`, and asks it what its
//! scripts say.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

/// Fails unless an answer is this error of the wrapper; its errors cannot be compared with `==`.
macro_rules! assert_fails {
    ($answer:expr, $error:ident) => {
        match $answer {
            Err(nvml_wrapper::error::NvmlError::$error) => {}
            Err(error) => panic!("{error:?} instead of {}", stringify!($error)),
            Ok(_) => panic!("an answer instead of {}", stringify!($error)),
        }
    };
}

mod events;
mod faults;
mod harness;
mod readings;
mod rewriting;
mod scripts;
