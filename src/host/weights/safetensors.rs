//! The header of safetensors files (safetensors: `README.md`, section *Format*): a length, and JSON that names each tensor
//! with its type, its shape and where it lies. The format's own crate wants the whole file.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{Read, Seek};

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Header, WeightsError};
use crate::domain::WeightsFormat;

/// The largest header that is read, bytes. The format allows 100 MB; those of the largest models have some.
const MOST_HEADER: u64 = 16 << 20;
/// Dimensions of a tensor.
const MOST_DIMENSIONS: usize = 16;
/// Types of tensors that are told apart.
const MOST_TYPES: usize = 32;

const TOO_LARGE: WeightsError = WeightsError::Damaged("its tensors are larger than any file");

/// Reads the header of a file of this size.
pub(super) fn header(mut file: impl Read + Seek, size: u64) -> Result<Header, WeightsError> {
    const PREFIX: u64 = 8;
    let mut length = [0; PREFIX as usize];
    if size < PREFIX {
        return Err(WeightsError::Other(WeightsFormat::Safetensors));
    }
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    let begin = length.checked_add(PREFIX).ok_or(WeightsError::Other(WeightsFormat::Safetensors))?;
    if length > MOST_HEADER {
        return Err(WeightsError::Damaged("its header is longer than any model's"));
    }
    if begin > size {
        return Err(WeightsError::CutShort { needs: begin, has: size });
    }
    let mut json = vec![0; length as usize];
    file.read_exact(&mut json)?;
    if json.first() != Some(&b'{') {
        return Err(WeightsError::Other(WeightsFormat::Safetensors));
    }
    let tensors: Tensors =
        serde_json::from_slice(&json).map_err(|_| WeightsError::Damaged("its header is not as the format wants it"))?;
    if tensors.overflow {
        return Err(TOO_LARGE);
    }
    Ok(Header {
        format: WeightsFormat::Safetensors,
        architecture: None,
        name: None,
        version: None,
        quantization: tensors.most_used(),
        parameters: tensors.parameters,
        packed_bits: tensors.packed_bits,
        tensor_bytes: tensors.bytes,
        ends_at: begin.checked_add(tensors.end).ok_or(TOO_LARGE)?,
        parts: None,
        shape: None,
    })
}

/// What the tensors add up to; taken in one by one, so that none is kept.
#[derive(Default)]
struct Tensors {
    parameters: u64,
    packed_bits: u64,
    bytes: u64,
    end: u64,
    /// Bytes by type, of tensors that hold parameters.
    by_type: HashMap<String, u64>,
    overflow: bool,
}

impl Tensors {
    /// One more; `None` where the sums are beyond all bounds.
    fn add(&mut self, name: &str, tensor: &Tensor<'_>) -> Option<()> {
        let (begin, end) = tensor.data_offsets;
        let bytes = end.checked_sub(begin)?;
        self.bytes = self.bytes.checked_add(bytes)?;
        self.end = self.end.max(end);
        if is_scale(name) {
            return Some(());
        }
        // Quantizations pack several parameters into each of these.
        if matches!(&*tensor.dtype, "I32" | "U8") {
            self.packed_bits = self.packed_bits.checked_add(bytes.checked_mul(8)?)?;
        } else {
            self.parameters = self.parameters.checked_add(tensor.shape.0?)?;
        }
        if self.by_type.len() < MOST_TYPES || self.by_type.contains_key(&*tensor.dtype) {
            *self.by_type.entry(tensor.dtype.chars().take(16).collect()).or_default() += bytes;
        }
        Some(())
    }

    /// The type of most of the bytes.
    fn most_used(&self) -> Option<String> {
        let (name, _) = self.by_type.iter().max_by_key(|(name, bytes)| (**bytes, *name))?;
        Some(super::foreign_word(name))
    }
}

/// Whether a tensor holds what undoes a quantization, and no parameters (names of AWQ, GPTQ, bitsandbytes,
/// compressed-tensors, FP8 and MXFP4 checkpoints).
fn is_scale(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "qzeros" | "scales" | "g_idx" | "absmax" | "quant_map" | "nested_absmax" | "nested_quant_map")
        || ["_scale", "_scale_inv", "_scales", "_zero_point", "_g_idx", "_shape"].iter().any(|end| last.ends_with(end))
        || last.starts_with("bitsandbytes__")
}

/// One tensor.
#[derive(serde::Deserialize)]
struct Tensor<'a> {
    #[serde(borrow)]
    dtype: Cow<'a, str>,
    shape: Elements,
    data_offsets: (u64, u64),
}

/// The product of a tensor's dimensions; `None` where it is beyond all bounds.
struct Elements(Option<u64>);

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Elements;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the dimensions of a tensor")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut dimensions: A) -> Result<Elements, A::Error> {
                let (mut product, mut count) = (Some(1_u64), 0);
                while let Some(length) = dimensions.next_element::<u64>()? {
                    product = product.and_then(|product| product.checked_mul(length));
                    count += 1;
                    if count > MOST_DIMENSIONS {
                        return Err(de::Error::invalid_length(count, &self));
                    }
                }
                Ok(Elements(product))
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Tensors;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tensors by name")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensors, A::Error> {
                let mut tensors = Tensors::default();
                while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        let tensor = map.next_value()?;
                        tensors.overflow |= tensors.add(&name, &tensor).is_none();
                    }
                }
                Ok(tensors)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests;
