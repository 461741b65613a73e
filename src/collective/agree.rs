//! Agreement: ranks compare what they have before they begin, so that none of them computes something else.

use super::Collective;
use crate::error::{Error, Result};
use crate::kernels;
use serde_json::{Map, Value};

/// The properties that all ranks must share, by name: plain values, or checksums.
pub type Identity = Map<String, Value>;

/// Returns a checksum as a value that messages do not show.
pub fn checksum(checksum: u64) -> Value {
    Value::Array(vec![checksum.into()])
}

fn is_checksum(value: &Value) -> bool {
    value.is_array()
}

/// Returns the checksum of the program that runs, and the instruction set that it uses, because each set rounds in its own way.
pub fn program() -> Identity {
    let program = std::env::current_exe().and_then(std::fs::read).map_or(0, |program| crc32fast::hash(&program));
    let isa = kernels::selected().map_or(String::new(), |isa| format!("{isa:?}"));
    Map::from_iter([("program".into(), checksum(program.into())), ("instruction set (OSSIA_ISA)".into(), isa.into())])
}

/// Compares what the ranks have, and returns what this rank has.
///
/// # Errors
/// If a rank has failed, or has something else than rank 0. All ranks get an error that names the same one.
pub fn agree<T>(ranks: &dyn Collective, own: Result<T>, identity: impl Fn(&T) -> Identity) -> Result<T> {
    type Said = std::result::Result<Identity, String>;
    if ranks.size() == 1 {
        return own;
    }
    let said: Said = own.as_ref().map(identity).map_err(Error::to_string);
    let read = |message: &Vec<u8>| -> Said {
        serde_json::from_slice(message).unwrap_or_else(|e| Err(format!("has another program: {e}")))
    };
    let all: Vec<Said> =
        ranks.all_gather(&serde_json::to_vec(&said).expect("plain values"))?.iter().map(read).collect();
    let wrong = all.iter().enumerate().find_map(|(rank, said)| match (said, &all[0]) {
        (Err(message), _) => Some((rank, message.clone())),
        (Ok(identity), Ok(first)) => difference(identity, first).map(|difference| (rank, difference)),
        (Ok(_), Err(_)) => None,
    });
    match wrong {
        // A rank that has failed says so in its own words.
        Some((rank, message)) if rank != ranks.rank() || own.is_ok() => Err(Error::Rank { rank, message }),
        _ => own,
    }
}

/// Describes the first difference between a rank and rank 0.
fn difference(rank: &Identity, first: &Identity) -> Option<String> {
    let (name, value) = rank.iter().find(|(name, value)| first.get(*name) != Some(value))?;
    Some(match first.get(name) {
        Some(other) if !is_checksum(value) => format!("its {name} is {value}, and that of rank 0 is {other}"),
        _ => format!("its {name} is not that of rank 0"),
    })
}
