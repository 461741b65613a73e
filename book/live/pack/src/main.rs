//! Writes the JavaScript through which a page calls the wasm, and the wasm as this JavaScript expects it.
//!
//! cargo run --manifest-path book/live/pack/Cargo.toml -- WASM DIR

use std::error::Error;
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [wasm, directory] = &arguments[..] else { return Err("expected WASM DIR".into()) };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(wasm).web(true)?.typescript(false).remove_name_section(true).remove_producers_section(true);
    Ok(bindgen.generate(directory)?)
}
