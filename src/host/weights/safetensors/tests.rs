use std::io::Cursor;

use proptest::prelude::*;

use super::*;
use crate::made_weights::safetensors;

fn read(json: &str) -> Result<Header, WeightsError> {
    let bytes = safetensors(json);
    header(Cursor::new(&bytes), bytes.len() as u64)
}

#[test]
fn tensors_are_counted_and_not_kept() {
    let found = read(
        r#"{"__metadata__":{"format":"pt"},
            "a.weight":{"dtype":"BF16","shape":[100,10],"data_offsets":[0,2000]},
            "norm":{"dtype":"F32","shape":[10],"data_offsets":[2000,2040]}}"#,
    )
    .unwrap();
    assert_eq!((found.parameters, found.packed_bits, found.tensor_bytes), (1010, 0, 2040));
    assert_eq!(found.quantization.as_deref(), Some("BF16"));
}

#[test]
fn packed_parameters_wait_for_the_config() {
    let json = r#"{"l.qweight":{"dtype":"I32","shape":[16,128],"data_offsets":[0,8192]},
        "l.qzeros":{"dtype":"I32","shape":[1,16],"data_offsets":[8192,8256]},
        "l.scales":{"dtype":"F16","shape":[1,128],"data_offsets":[8256,8512]},
        "embed.weight":{"dtype":"F16","shape":[10,128],"data_offsets":[8512,11072]}}"#;
    let found = read(json).unwrap();
    assert_eq!((found.parameters, found.packed_bits), (1280, 65_536));
    let joined = super::super::join(&[&found], None).unwrap();
    assert!(joined.parameters.why().is_some() && joined.bits_per_weight.why().is_some());
    let config = super::super::HubConfig { quantized_bits: Some(4), ..Default::default() };
    let joined = super::super::join(&[&found, &found], Some(&config)).unwrap();
    assert_eq!(joined.parameters.get(), Some(2 * (1280 + 16_384)));
}

#[test]
fn hostile_lengths_cost_nothing() {
    let told = |bytes: &[u8]| header(Cursor::new(bytes), bytes.len() as u64).unwrap_err();
    assert_eq!(told(b"short"), WeightsError::Other(WeightsFormat::Safetensors));
    assert_eq!(told(&u64::MAX.to_le_bytes()), WeightsError::Other(WeightsFormat::Safetensors));
    assert_eq!(told(&(1_u64 << 40).to_le_bytes()), WeightsError::Damaged("its header is longer than any model's"));
    assert_eq!(told(&100_u64.to_le_bytes()), WeightsError::CutShort { needs: 108, has: 8 });
    let tensor = |shape: &str, offsets: &str| {
        read(&format!(r#"{{"t":{{"dtype":"F16","shape":{shape},"data_offsets":{offsets}}}}}"#)).unwrap_err()
    };
    assert_eq!(tensor("[4294967296,4294967296,2]", "[0,8]"), TOO_LARGE);
    assert_eq!(tensor("[2]", "[8,0]"), TOO_LARGE);
    assert_eq!(tensor("[2]", "[0,18446744073709551615]"), TOO_LARGE);
    let many = format!("[{}1]", "1,".repeat(100));
    for nonsense in [tensor(&many, "[0,2]"), tensor("[-1]", "[0,2]"), tensor("[1]", "[0]"), read("{").unwrap_err()] {
        assert_eq!(nonsense, WeightsError::Damaged("its header is not as the format wants it"));
    }
    assert!(read(&format!("{{\"t\":{}", "[".repeat(100_000))).is_err());
    assert_eq!(read("[]"), Err(WeightsError::Other(WeightsFormat::Safetensors)));
}

#[test]
fn a_type_is_a_word_that_can_be_shown() {
    let json = r#"{"t":{"dtype":"\u001b[31mBF16","shape":[2],"data_offsets":[0,4]}}"#;
    assert_eq!(read(json).unwrap().quantization.as_deref(), Some("BF16"));
}

proptest! {
    #[test]
    fn nothing_that_is_read_leads_to_a_panic(json in "\\{\\PC{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&json);
        let _ = header(Cursor::new(&bytes), bytes.len() as u64);
    }

    #[test]
    fn a_changed_header_leads_to_no_panic(changes in prop::collection::vec((0_usize..200, any::<u8>()), 1..6)) {
        let mut bytes = safetensors(r#"{"a":{"dtype":"BF16","shape":[100,10],"data_offsets":[0,2000]}}"#);
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        let _ = header(Cursor::new(&bytes), bytes.len() as u64);
    }
}
