//! The header of GGUF files, versions 2 and 3, little-endian (ggml: `docs/gguf.md`, `include/ggml.h`, `src/ggml-common.h`;
//! llama.cpp: `include/llama.h` for `llama_ftype`, `src/llama-hparams.cpp` for sliding windows).

mod shape;
mod types;

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Seek};

use super::{Header, MOST_READ_BYTES, WeightsError};
use crate::domain::WeightsFormat;
use crate::host::foreign;

/// The most tensors that are believed; the largest models have some thousands.
const MOST_TENSORS: u64 = 1 << 17;
/// The most of a text that is looked at, bytes.
const MOST_TEXT: u64 = 4096;
/// The longest list that is kept: one value a layer.
const MOST_ITEMS: u64 = 4096;
/// The most values that are kept.
const MOST_VALUES: usize = 512;
/// Dimensions of a tensor (`GGML_MAX_DIMS`).
const MOST_DIMENSIONS: u32 = 4;

/// A value that is kept.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    /// An integer of any width, or a truth value.
    Number(u64),
    /// A text.
    Text(String),
    /// A list of integers or truth values.
    Numbers(Vec<u64>),
}

/// The values by key.
#[derive(Debug, Default)]
struct Values(HashMap<String, Value>);

impl Values {
    fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Value::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match self.0.get(key)? {
            Value::Number(number) => Some(*number),
            Value::Text(_) | Value::Numbers(_) => None,
        }
    }
}

/// Reads the header of a file of this size.
pub(super) fn header(file: impl Read + Seek, size: u64) -> Result<Header, WeightsError> {
    let mut walk = Walk { file: BufReader::with_capacity(256 << 10, file), at: 0, read: 0, size };
    if size < 8 || walk.bytes::<4>()? != *b"GGUF" {
        return Err(WeightsError::Other(WeightsFormat::Gguf));
    }
    match walk.u32()? {
        2 | 3 => {}
        version if version.swap_bytes() <= 3 => return Err(WeightsError::Version("is big-endian GGUF".to_owned())),
        version => return Err(WeightsError::Version(format!("is GGUF of version {version}"))),
    }
    let (tensors, pairs) = (walk.u64()?, walk.u64()?);
    let mut values = Values::default();
    for _ in 0..pairs {
        walk.pair(&mut values)?;
    }
    let found = Tensors::read(&mut walk, tensors)?;
    let alignment = values.number("general.alignment").unwrap_or(32);
    if !alignment.is_power_of_two() {
        return Err(WeightsError::Damaged("its alignment is no power of two"));
    }
    let begin =
        walk.at.checked_next_multiple_of(alignment).ok_or(WeightsError::Damaged("its alignment is too large"))?;
    let text = |key: &str| values.text(key).map(str::to_owned);
    let word = values.number("general.file_type").and_then(types::file_type).or_else(|| found.most_used());
    Ok(Header {
        format: WeightsFormat::Gguf,
        architecture: text("general.architecture"),
        name: text("general.name"),
        version: text("general.version"),
        quantization: word.map(str::to_owned),
        parameters: found.parameters,
        packed_bits: 0,
        tensor_bytes: if found.unknown { size.saturating_sub(begin) } else { found.bytes },
        ends_at: begin.checked_add(found.end).ok_or(TOO_LARGE)?,
        parts: values.number("split.count").and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 1),
        shape: shape::shape(&values),
    })
}

const TOO_LARGE: WeightsError = WeightsError::Damaged("its tensors are larger than any file");

/// What the list of tensors adds up to.
#[derive(Default)]
struct Tensors {
    parameters: u64,
    bytes: u64,
    /// Where the last one ends, from the begin of the data.
    end: u64,
    /// There are some of a type that is not known here.
    unknown: bool,
    /// Bytes by type.
    by_type: HashMap<u32, u64>,
}

impl Tensors {
    fn read(walk: &mut Walk<impl Read + Seek>, count: u64) -> Result<Self, WeightsError> {
        if count > MOST_TENSORS {
            return Err(WeightsError::Damaged("it claims more tensors than any model has"));
        }
        let mut all = Self::default();
        for _ in 0..count {
            walk.skip_text()?;
            let dimensions = walk.u32()?;
            if dimensions > MOST_DIMENSIONS {
                return Err(WeightsError::Damaged("a tensor has too many dimensions"));
            }
            let mut elements = 1_u64;
            for _ in 0..dimensions {
                elements = elements.checked_mul(walk.u64()?).ok_or(TOO_LARGE)?;
            }
            let (kind, offset) = (walk.u32()?, walk.u64()?);
            all.add(kind, elements, offset).ok_or(TOO_LARGE)?;
        }
        Ok(all)
    }

    /// One more; `None` where the sums are beyond all bounds.
    fn add(&mut self, kind: u32, elements: u64, offset: u64) -> Option<()> {
        self.parameters = self.parameters.checked_add(elements)?;
        let Some(block) = types::block(kind) else {
            self.unknown = true;
            self.end = self.end.max(offset);
            return Some(());
        };
        let bytes = elements.div_ceil(block.weights).checked_mul(block.bytes)?;
        self.bytes = self.bytes.checked_add(bytes)?;
        self.end = self.end.max(offset.checked_add(bytes)?);
        *self.by_type.entry(kind).or_default() += bytes;
        Some(())
    }

    /// The type of most of the bytes, in a word.
    fn most_used(&self) -> Option<&'static str> {
        let (kind, _) = self.by_type.iter().max_by_key(|(kind, bytes)| (**bytes, **kind))?;
        types::block(*kind).map(|block| block.name)
    }
}

/// Walks through the header, never beyond the end of the file.
struct Walk<R> {
    file: BufReader<R>,
    /// Where it stands.
    at: u64,
    /// Bytes that were read, or passed over one text at a time.
    read: u64,
    size: u64,
}

impl<R: Read + Seek> Walk<R> {
    /// Takes note that so many bytes follow.
    fn claim(&mut self, bytes: u64) -> Result<(), WeightsError> {
        match self.at.checked_add(bytes) {
            Some(end) if end <= self.size => self.at = end,
            end => return Err(WeightsError::CutShort { needs: end.unwrap_or(u64::MAX), has: self.size }),
        }
        Ok(())
    }

    /// Takes note that so many bytes are read.
    fn spend(&mut self, bytes: u64) -> Result<(), WeightsError> {
        self.read = self.read.saturating_add(bytes);
        if self.read > MOST_READ_BYTES {
            return Err(WeightsError::Damaged("its header is longer than any model's"));
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], WeightsError> {
        self.claim(N as u64)?;
        self.spend(N as u64)?;
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, WeightsError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    fn u64(&mut self) -> Result<u64, WeightsError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    fn skip(&mut self, bytes: u64) -> Result<(), WeightsError> {
        self.claim(bytes)?;
        let bytes = i64::try_from(bytes).map_err(|_| TOO_LARGE)?;
        Ok(self.file.seek_relative(bytes)?)
    }

    fn skip_text(&mut self) -> Result<(), WeightsError> {
        let length = self.u64()?;
        self.skip(length)?;
        // A long text is leapt over; short ones are read with their neighbours.
        self.spend(length.min(MOST_TEXT))
    }

    /// Passes over so many texts: a vocabulary has hundreds of thousands, so those that lie in the buffer are leapt over there.
    fn skip_texts(&mut self, mut count: u64) -> Result<(), WeightsError> {
        while count > 0 {
            let buffer = self.file.fill_buf()?;
            let mut passed = 0;
            while let Some((length, rest)) = buffer.get(passed..).and_then(<[u8]>::split_first_chunk::<8>)
                && let length = u64::from_le_bytes(*length)
                && length <= rest.len() as u64
                && count > 0
            {
                passed += 8 + length as usize;
                count -= 1;
            }
            if passed == 0 {
                // It begins in this buffer and ends behind it.
                self.skip_text()?;
                count -= 1;
            } else {
                self.claim(passed as u64)?;
                self.spend(passed as u64)?;
                self.file.consume(passed);
            }
        }
        Ok(())
    }

    /// A text, stripped; what is longer than [`MOST_TEXT`] is cut.
    fn text(&mut self) -> Result<String, WeightsError> {
        let length = self.u64()?;
        let kept = length.min(MOST_TEXT);
        self.claim(kept)?;
        self.spend(kept)?;
        let mut bytes = vec![0; kept as usize];
        self.file.read_exact(&mut bytes)?;
        self.skip(length - kept)?;
        Ok(foreign::clean_bytes(&bytes, foreign::NAME_BYTES).into_owned())
    }

    /// One key and its value; what is of no use here is passed over.
    fn pair(&mut self, values: &mut Values) -> Result<(), WeightsError> {
        let key = self.text()?;
        let kind = self.u32()?;
        // The words of the tokenizer are most of the header, and nothing that is asked for.
        let wanted = !key.starts_with("tokenizer.") && values.0.len() < MOST_VALUES;
        let value = match kind {
            8 if wanted => Some(Value::Text(self.text()?)),
            8 => self.skip_text().map(|()| None)?,
            9 => self.list(wanted)?,
            _ => self.number(kind)?.map(Value::Number),
        };
        if let Some(value) = value.filter(|_| wanted) {
            values.0.insert(key, value);
        }
        Ok(())
    }

    /// A list: kept if it is one of integers and short, else passed over.
    fn list(&mut self, wanted: bool) -> Result<Option<Value>, WeightsError> {
        let (kind, count) = (self.u32()?, self.u64()?);
        if kind == 8 {
            self.skip_texts(count)?;
            return Ok(None);
        }
        let width = width(kind)?;
        if !wanted || count > MOST_ITEMS {
            self.skip(count.checked_mul(width).ok_or(TOO_LARGE)?)?;
            return Ok(None);
        }
        let mut numbers = Vec::new();
        for _ in 0..count {
            numbers.extend(self.number(kind)?);
        }
        Ok((numbers.len() as u64 == count).then_some(Value::Numbers(numbers)))
    }

    /// A value of fixed width; `None` where it is no integer, or a negative one.
    fn number(&mut self, kind: u32) -> Result<Option<u64>, WeightsError> {
        let signed = |value: i64| u64::try_from(value).ok();
        Ok(match kind {
            0 | 7 => Some(u64::from(u8::from_le_bytes(self.bytes()?))),
            1 => signed(i8::from_le_bytes(self.bytes()?).into()),
            2 => Some(u64::from(u16::from_le_bytes(self.bytes()?))),
            3 => signed(i16::from_le_bytes(self.bytes()?).into()),
            4 => Some(u64::from(self.u32()?)),
            5 => signed(i32::from_le_bytes(self.bytes()?).into()),
            10 => Some(self.u64()?),
            11 => signed(i64::from_le_bytes(self.bytes()?)),
            other => self.skip(width(other)?).map(|()| None)?,
        })
    }
}

/// Bytes of a value of this type. Lists in lists are not written by anybody, and could be nested without end.
fn width(kind: u32) -> Result<u64, WeightsError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        _ => Err(WeightsError::Damaged("it has a value of a type that there is not")),
    }
}

#[cfg(test)]
mod tests;
