use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::domain::{ModelShape, PerLayer};
use crate::made_weights::Gguf;

fn read(bytes: &[u8]) -> Result<Header, WeightsError> {
    header(Cursor::new(bytes), bytes.len() as u64)
}

fn shape(gguf: &Gguf) -> ModelShape {
    let header = gguf.header();
    read(&header).unwrap().shape.unwrap()
}

/// A header of one pair whose value is these bytes.
fn with_value(kind: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    bytes.push(b'k');
    bytes.extend(kind.to_le_bytes());
    bytes.extend(value);
    bytes
}

#[test]
fn a_header_tells_what_the_model_is() {
    let gguf = Gguf::llama()
        .words(5000)
        .text("general.version", "v2\u{1b}[31m")
        .tensor("token_embd.weight", &[4096, 1000], 12, 4096 * 1000 / 256 * 144)
        .tensor("output_norm.weight", &[4096], 0, 4096 * 4);
    let bytes = gguf.header();
    let found = read(&bytes).unwrap();
    assert_eq!((found.architecture.as_deref(), found.name.as_deref()), (Some("llama"), Some("Llama 3.1 8B")));
    assert_eq!((found.version.as_deref(), found.quantization.as_deref()), (Some("v2"), Some("Q4_K_M")));
    assert_eq!(found.parameters, 4096 * 1001);
    assert_eq!(found.tensor_bytes, 4096 * 1000 / 256 * 144 + 4096 * 4);
    assert_eq!(found.ends_at, bytes.len() as u64 + found.tensor_bytes);
    let shape = found.shape.unwrap();
    assert!((shape.kv_bytes_per_token(16.0) - 131_072.0).abs() < 0.5);
    assert_eq!((shape.context_length, shape.key_length), (Some(131_072), 128));
}

#[test]
fn layers_may_differ() {
    let gguf = Gguf::new("gemma3")
        .number("gemma3.block_count", 12)
        .number("gemma3.embedding_length", 640)
        .number("gemma3.attention.head_count", 4)
        .numbers("gemma3.attention.head_count_kv", &[1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2])
        .number("gemma3.attention.key_length", 256)
        .number("gemma3.attention.value_length", 256)
        .number("gemma3.attention.sliding_window", 512);
    let shape = shape(&gguf);
    assert!((shape.kv_bytes_per_token(16.0) - 14.0 * 512.0 * 2.0).abs() < 0.5);
    let full: Vec<usize> = (0..12).filter(|layer| !shape.windowed.of(*layer)).collect();
    assert_eq!(full, [5, 11]);
}

#[test]
fn latent_attention_is_told_by_its_own_lengths() {
    let gguf = Gguf::new("deepseek2")
        .number("deepseek2.block_count", 61)
        .number("deepseek2.attention.head_count", 128)
        .number("deepseek2.attention.head_count_kv", 1)
        .number("deepseek2.attention.key_length", 576)
        .number("deepseek2.attention.key_length_mla", 192)
        .number("deepseek2.attention.value_length", 512);
    assert!((shape(&gguf).kv_bytes_per_token(16.0) - 61.0 * 576.0 * 2.0).abs() < 0.5);
}

#[test]
fn a_header_without_layers_or_with_absurd_ones_has_no_shape() {
    let heads = |gguf: Gguf| gguf.number("x.attention.head_count", 8).number("x.embedding_length", 64);
    for gguf in [
        heads(Gguf::new("x")),
        heads(Gguf::new("x").number("x.block_count", u32::MAX)),
        Gguf::new("x").number("x.block_count", 2).number("x.attention.head_count", 0).number("x.embedding_length", 64),
    ] {
        assert_eq!(read(&gguf.header()).unwrap().shape, None);
    }
    let odd = heads(Gguf::new("x").number("x.block_count", 2)).numbers("x.attention.head_count_kv", &[]);
    assert_eq!(shape(&odd).head_count_kv, PerLayer::Each(Vec::new()));
}

#[test]
fn other_files_and_versions_are_named() {
    assert_eq!(read(b"GGML\x03\0\0\0"), Err(WeightsError::Other(WeightsFormat::Gguf)));
    assert_eq!(read(b""), Err(WeightsError::Other(WeightsFormat::Gguf)));
    let told = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert_eq!(told(b"GGUF\0\0\0\x03"), "is big-endian GGUF, which hostler does not read");
    assert_eq!(told(b"GGUF\x01\0\0\0"), "is GGUF of version 1, which hostler does not read");
}

#[test]
fn hostile_lengths_cost_nothing() {
    let huge = u64::MAX.to_le_bytes();
    let list = |kind: u32| [&kind.to_le_bytes()[..], &huge].concat();
    for (bytes, why) in [
        (with_value(8, &huge), "cut short"),
        (with_value(9, &list(8)), "cut short"),
        (with_value(9, &list(4)), "larger than any file"),
        (with_value(9, &list(0)), "cut short"),
        (with_value(9, &list(9)), "of a type that there is not"),
        (with_value(77, &huge), "of a type that there is not"),
        ([&b"GGUF\x03\0\0\0"[..], &huge, &0_u64.to_le_bytes()].concat(), "more tensors than any model"),
        ([&b"GGUF\x03\0\0\0"[..], &0_u64.to_le_bytes(), &huge].concat(), "cut short"),
    ] {
        let told = read(&bytes).unwrap_err().to_string();
        assert!(told.contains(why), "{told:?} instead of {why:?}");
    }
    for (dimensions, why) in [
        (&[u64::MAX, 2][..], "larger than any file"),
        (&[u64::MAX][..], "larger than any file"),
        (&[1, 1, 1, 1, 1], "too many dimensions"),
    ] {
        let told = read(&Gguf::llama().tensor("t", dimensions, 0, 0).header()).unwrap_err().to_string();
        assert!(told.contains(why), "{told:?} instead of {why:?}");
    }
    for alignment in [0, 3] {
        assert!(read(&Gguf::llama().number("general.alignment", alignment).header()).is_err());
    }
}

#[test]
fn a_long_list_is_read_only_so_far() {
    // A list that claims the whole of a large file, in which there are only empty words.
    let bytes = with_value(9, &[&8_u32.to_le_bytes()[..], &u64::MAX.to_le_bytes()].concat());
    let size = 1_u64 << 40;
    let zeros = std::io::repeat(0);
    let told = header(Endless { begin: bytes, zeros, at: 0 }, size).unwrap_err();
    assert_eq!(told, WeightsError::Damaged("its header is longer than any model's"));
}

/// Some bytes, and then zeros for ever.
struct Endless {
    begin: Vec<u8>,
    zeros: std::io::Repeat,
    at: u64,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let left = self.begin.get(self.at as usize..).unwrap_or_default();
        let count = if left.is_empty() { self.zeros.read(into)? } else { (&left[..]).read(into)? };
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Endless {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        if let std::io::SeekFrom::Current(by) = to {
            self.at = self.at.checked_add_signed(by).unwrap();
        }
        Ok(self.at)
    }
}

#[test]
fn a_type_that_is_not_known_leaves_the_size_of_the_file() {
    let bytes = Gguf::llama().tensor("t", &[64], 99, 0).header();
    let size = bytes.len() as u64 + 4096;
    let found = header(Cursor::new(&bytes), size).unwrap();
    assert_eq!((found.tensor_bytes, found.parameters), (4096, 64));
}

proptest! {
    #[test]
    fn nothing_that_is_read_leads_to_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&bytes);
        let mut bytes = bytes;
        bytes.splice(0..0, *b"GGUF\x03\0\0\0");
        let _ = read(&bytes);
    }

    #[test]
    fn a_changed_header_leads_to_no_panic(changes in prop::collection::vec((0_usize..2000, any::<u8>()), 1..8), cut in 0_usize..2000) {
        let mut bytes = Gguf::llama().numbers("llama.x", &[1, 2, 3]).words(20).tensor("t", &[256, 4], 12, 576).header();
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        if let Some(shape) = read(&bytes).ok().and_then(|found| found.shape) {
            prop_assert!(shape.kv_bytes(u64::MAX, 16.0) >= 0.0);
        }
        bytes.truncate(cut);
        let _ = read(&bytes);
    }
}
