//! The cores of each machine, divided among the ranks on it.

use crate::collective::{Collective, machine};
use crate::error::{Error, Result};
use crate::kernels::parallel;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The cores of a rank, as it describes them to the others.
#[derive(Serialize, Deserialize)]
struct Cores {
    machine: Option<String>,
    cores: BTreeSet<usize>,
    threads: Option<u16>,
}

impl Cores {
    /// Returns the cores of this process. Without Linux, the machine has no name, and ranks do not know that they share it.
    fn here(threads: Option<u16>) -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let status = read("/proc/self/status");
        let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("");
        Self { machine: machine(), cores: numbers(list.trim()), threads }
    }

    /// Returns how many threads the rank has.
    fn threads(&self, all: &[Cores]) -> usize {
        let is_here = |other: &&Cores| other.machine.is_some() && other.machine == self.machine;
        let sharing = |core| all.iter().filter(is_here).filter(|other| other.cores.contains(core)).count().max(1);
        let share: f64 = self.cores.iter().map(|core| 1.0 / sharing(core) as f64).sum();
        self.threads.map_or(((share + 1e-9) as usize).max(1), usize::from)
    }
}

/// Returns the numbers in a list such as `0-3,8`.
fn numbers(list: &str) -> BTreeSet<usize> {
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

/// Sets the number of threads of this rank. Rank 0 says on which machines the ranks have more threads than cores.
pub fn divide(ranks: &dyn Collective, threads: Option<u16>) -> Result<()> {
    let place = serde_json::to_vec(&Cores::here(threads)).expect("plain values");
    let read = |place: &Vec<u8>| serde_json::from_slice(place).map_err(Error::unusable);
    let places = ranks.all_gather(&place)?.iter().map(read).collect::<Result<Vec<Cores>>>()?;
    let own = &places[ranks.rank()];
    if own.threads.is_none() && !own.cores.is_empty() {
        let threads = own.threads(&places);
        parallel::set_threads(threads).map_err(|e| Error::argument(format!("{threads} threads: {e}")))?;
    }
    let mut machines: BTreeMap<&str, (usize, usize, BTreeSet<usize>)> = BTreeMap::new();
    for place in &places {
        let Some(machine) = &place.machine else { continue };
        let (ranks, threads, cores) = machines.entry(machine).or_default();
        *ranks += 1;
        *threads += place.threads(&places);
        cores.extend(&place.cores);
    }
    let crowded = machines.into_values().filter(|(_, threads, cores)| *threads > cores.len() && !cores.is_empty());
    for (count, threads, cores) in crowded.filter(|_| ranks.rank() == 0) {
        say!("warning: {count} ranks have {threads} threads on a machine with {} cores", cores.len());
    }
    Ok(())
}
