//! A value, or why there is none.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer, ser::SerializeMap};

/// Why a value is not there: one clause that ends `unavailable, because …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why(pub Cow<'static, str>);

impl Why {
    /// The reading has not been taken yet.
    pub const WAITING: Self = Self(Cow::Borrowed("not read yet"));
    /// The device or kernel says that it does not offer this reading.
    pub const NOT_SUPPORTED: Self = Self(Cow::Borrowed("not supported"));
    /// The inference server does not serve yet.
    pub const LOADING: Self = Self(Cow::Borrowed("it loads its model"));

    /// A reason put together at run time.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&'static str> for Why {
    fn from(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

/// A value, or why there is none. In JSON the value itself, or `{"unavailable":"why"}`.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading<T> {
    /// It was read.
    Known(T),
    /// It could not be read.
    Unavailable(Why),
}

impl<T> Reading<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unavailable(_) => None,
        }
    }

    /// The reason, if it is not known.
    pub fn why(&self) -> Option<&Why> {
        match self {
            Self::Known(_) => None,
            Self::Unavailable(why) => Some(why),
        }
    }

    /// The value turned into another, the reason kept.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Self::Known(value) => Reading::Known(f(value)),
            Self::Unavailable(why) => Reading::Unavailable(why),
        }
    }
}

impl<T: Copy> Reading<T> {
    /// A copy of the value, if it is known.
    pub fn get(&self) -> Option<T> {
        self.known().copied()
    }
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self::Unavailable(Why::WAITING)
    }
}

impl<T, E: fmt::Display> From<Result<T, E>> for Reading<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(error) => Self::Unavailable(Why::new(error.to_string())),
        }
    }
}

impl<T: Serialize> Serialize for Reading<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Unavailable(why) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("unavailable", &*why.0)?;
                map.end()
            }
        }
    }
}
