//! Any bytes are a safetensors file whose tensors lie inside it, or one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ossia::checkpoint::TensorFile;
use ossia::stored::Bytes;
use std::sync::Arc;

fuzz_target!(|data: &[u8]| {
    read(data.to_vec());
    // With the length of the header made right, since a mutation rarely hits eight bytes that depend on the rest.
    let header = data.iter().rposition(|&byte| byte == b'}').map_or(0, |last| last + 1);
    read([&(header as u64).to_le_bytes(), data].concat());
});

fn read(file: Vec<u8>) {
    let length = file.len();
    let file = match TensorFile::from_bytes("fuzz.safetensors", Bytes::new(Arc::new(file))) {
        Ok(file) => file,
        Err(error) => {
            let line = error.to_string();
            assert!(line.starts_with("fuzz.safetensors: ") && !line.contains('\n'), "{line}");
            return;
        }
    };
    let mut bytes = 0;
    for name in file.names() {
        let entry = file.entry(name).expect("a name that was listed");
        bytes += entry.bytes.len();
        let numbers: usize = entry.shape.iter().product();
        assert_eq!(entry.bytes.len() * 8, numbers * entry.dtype.bitsize(), "{name}");
        if let Some(array) = entry.to_array() {
            assert_eq!((array.shape(), array.len()), (&entry.shape[..], numbers), "{name}");
        }
    }
    assert!(bytes < length);
}
