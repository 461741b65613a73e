//! The build script: writes the vocabulary of o200k in the form that `o200k_harmony.rs` reads.
//!
//! For each id, in order: the length of its bytes, the number of places where they can be cut into two tokens, the bytes, and
//! these places. Each number is one byte. To find the places takes longer than everything else that a tokenizer needs at its
//! start.

fn main() {
    println!("cargo::rerun-if-changed=src/tokenizer/build.rs");
    #[cfg(feature = "o200k")]
    o200k::write();
}

#[cfg(feature = "o200k")]
mod o200k {
    use std::collections::HashSet;
    use std::path::Path;
    use std::{env, fs};

    /// The number of byte strings of o200k_base.
    const MERGED: u32 = 199_998;

    /// Writes the file that `o200k_harmony.rs` includes.
    pub fn write() {
        let source = tiktoken_rs::o200k_base_singleton();
        let bytes = |id| source.decode_bytes(&[id]).expect("o200k_base has ids 0 to 199,997");
        let tokens: Vec<Vec<u8>> = (0..MERGED).map(bytes).collect();
        let all: HashSet<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
        let short = |number: usize| u8::try_from(number).expect("no token of o200k_base has more than 255 bytes");
        let mut file = Vec::new();
        for token in &tokens {
            let is_cut = |at: &usize| all.contains(&token[..*at]) && all.contains(&token[*at..]);
            let cuts: Vec<u8> = (1..token.len()).filter(is_cut).map(short).collect();
            file.extend([short(token.len()), short(cuts.len())]);
            file.extend(token);
            file.extend(cuts);
        }
        let directory = env::var_os("OUT_DIR").expect("Cargo sets OUT_DIR");
        fs::write(Path::new(&directory).join("o200k_base.bin"), file).expect("OUT_DIR can be written");
    }
}
