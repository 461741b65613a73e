//! Answers a question of a page without a browser, so that both can be compared:
//!
//! cargo run -p live --example ask -- tokens '{"vocabulary": "stories", "text": "Once upon a time"}'

use live::Live;
use std::error::Error;
use std::fs;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [page, question] = &arguments[..] else { return Err("expected PAGE QUESTION".into()) };
    let mut live = Live::default();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"))? {
        let directory = entry?.path();
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = |file: &str| fs::read_to_string(directory.join(file));
        let weights = fs::read(directory.join("model.safetensors"))?;
        live.open_vocabulary(&name, &text("tokenizer.json")?)?;
        live.open(&name, &text("config.json")?, &text("tokenizer.json")?, weights)?;
    }
    println!("{}", live.ask(page, question)?);
    Ok(())
}
