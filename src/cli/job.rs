//! The job that this process belongs to, if a launcher has started several.

#[cfg(feature = "mpi")]
mod cores;

use crate::collective::{Alone, Collective};
#[cfg(not(feature = "mpi"))]
use crate::error::Error;
use crate::error::Result;
use std::env::var;
use std::sync::Arc;

/// Returns how many processes a launcher has started, by the variables that it sets: `mpirun` of Open MPI, `mpirun` of MPICH
/// and Intel MPI, or Slurm's `srun` with PMIx.
fn processes() -> usize {
    let number = |name: &str| var(name).ok().and_then(|text| text.parse().ok());
    let slurm = || var("PMIX_RANK").ok().and_then(|_| number("SLURM_NTASKS"));
    number("OMPI_COMM_WORLD_SIZE").or_else(|| number("PMI_SIZE")).or_else(slurm).unwrap_or(1)
}

/// Joins the job of this process. If it is not given how many `threads` each rank has, the ranks on a machine divide its cores.
///
/// # Errors
/// If a launcher has started several processes, and this program was built without MPI.
pub fn join(threads: Option<u16>) -> Result<Arc<dyn Collective>> {
    let count = processes();
    if count == 1 {
        return Ok(Arc::new(Alone::default()));
    }
    #[cfg(feature = "mpi")]
    {
        let ranks = crate::collective::Mpi::join()?;
        cores::divide(&ranks, threads)?;
        Ok(Arc::new(ranks))
    }
    #[cfg(not(feature = "mpi"))]
    {
        _ = threads;
        let message = format!("{count} processes were started, but this ossia was built without MPI");
        Err(Error::argument(message + ": build it with --features mpi, or use --ranks"))
    }
}
