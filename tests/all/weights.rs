//! Files with weights as tests need them: headers that are true, and any number of zeros behind them.

#![allow(dead_code, reason = "each of the programs that include this file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// A GGUF file in the making.
#[derive(Clone, Default)]
pub(crate) struct Gguf {
    pairs: Vec<u8>,
    count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    data_bytes: u64,
}

impl Gguf {
    /// Of this architecture.
    pub(crate) fn new(architecture: &str) -> Self {
        Self::default().text("general.architecture", architecture)
    }

    /// The shape of Llama 3.1 8B and its name, without tensors.
    pub(crate) fn llama() -> Self {
        Self::new("llama")
            .text("general.name", "Llama 3.1 8B")
            .number("llama.block_count", 32)
            .number("llama.context_length", 131_072)
            .number("llama.embedding_length", 4096)
            .number("llama.attention.head_count", 32)
            .number("llama.attention.head_count_kv", 8)
            .number("general.file_type", 15)
    }

    fn pair(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.pairs.extend(text(key));
        self.pairs.extend(kind.to_le_bytes());
        self.pairs.extend(value);
        self.count += 1;
        self
    }

    /// A text.
    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.pair(key, 8, &text(value))
    }

    /// An integer of 32 bits.
    pub(crate) fn number(self, key: &str, value: u32) -> Self {
        self.pair(key, 4, &value.to_le_bytes())
    }

    /// A list of integers of 32 bits.
    pub(crate) fn numbers(self, key: &str, values: &[u32]) -> Self {
        let mut list = 5_u32.to_le_bytes().to_vec();
        list.extend((values.len() as u64).to_le_bytes());
        list.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self.pair(key, 9, &list)
    }

    /// The vocabulary of a tokenizer with so many words.
    pub(crate) fn words(self, count: u32) -> Self {
        let mut list = 8_u32.to_le_bytes().to_vec();
        list.extend(u64::from(count).to_le_bytes());
        list.extend((0..count).flat_map(|word| text(&format!("w{word}"))));
        self.pair("tokenizer.ggml.tokens", 9, &list)
    }

    /// A tensor of this type (`ggml_type`) that takes so many bytes.
    pub(crate) fn tensor(mut self, name: &str, dimensions: &[u64], kind: u32, bytes: u64) -> Self {
        self.tensors.extend(text(name));
        self.tensors.extend((dimensions.len() as u32).to_le_bytes());
        self.tensors.extend(dimensions.iter().flat_map(|length| length.to_le_bytes()));
        self.tensors.extend(kind.to_le_bytes());
        self.tensors.extend(self.data_bytes.to_le_bytes());
        self.tensor_count += 1;
        self.data_bytes = (self.data_bytes + bytes).next_multiple_of(32);
        self
    }

    /// The header alone.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut header = b"GGUF".to_vec();
        header.extend(3_u32.to_le_bytes());
        header.extend(self.tensor_count.to_le_bytes());
        header.extend(self.count.to_le_bytes());
        header.extend(&self.pairs);
        header.extend(&self.tensors);
        header.resize(header.len().next_multiple_of(32), 0);
        header
    }

    /// Writes the file; the weights are a hole.
    pub(crate) fn write(&self, path: &Path) {
        let header = self.header();
        sparse(path, &header, header.len() as u64 + self.data_bytes);
    }
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes
}

/// A safetensors file with this JSON as its header.
pub(crate) fn safetensors(json: &str) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json.as_bytes());
    bytes
}

/// A file that begins with these bytes, and is so large.
pub(crate) fn sparse(path: &Path, begin: &[u8], size: u64) {
    let mut file = File::create(path).unwrap();
    file.write_all(begin).unwrap();
    file.set_len(size).unwrap();
}
