//! The job that this process belongs to, if a launcher has started several.

#[cfg(feature = "mpi")]
mod cores;

#[cfg(feature = "mpi")]
use crate::collective::agree::{self, agree};
use crate::collective::{Alone, Collective};
use crate::error::{Error, Result};
use std::env::var;
use std::sync::Arc;

/// Returns how many processes a launcher has started, by the variables that it sets: `mpirun` of Open MPI, `mpirun` of MPICH
/// and Intel MPI, or Slurm's `srun`.
///
/// # Errors
/// If `srun` has started several processes without telling MPI about each other.
fn processes() -> Result<usize> {
    let number = |name: &str| var(name).ok().and_then(|text| text.parse().ok());
    let mpirun = number("OMPI_COMM_WORLD_SIZE").or_else(|| number("PMI_SIZE"));
    let srun = number("SLURM_STEP_NUM_TASKS").unwrap_or(1);
    match mpirun {
        None if srun > 1 && var("PMIX_RANK").is_err() => {
            Err(Error::argument(format!("srun has started {srun} processes without MPI: use srun --mpi=pmix")))
        }
        mpirun => Ok(mpirun.unwrap_or(srun)),
    }
}

/// Joins the job of this process. If it is not given how many `threads` each rank has, the ranks on a machine divide its cores.
///
/// # Errors
/// If a launcher has started several processes, and this program was built without MPI, or with another one than the launcher's.
pub fn join(threads: Option<u16>) -> Result<Arc<dyn Collective>> {
    let count = processes()?;
    if count == 1 {
        return Ok(Arc::new(Alone::default()));
    }
    #[cfg(feature = "mpi")]
    {
        let ranks: Arc<dyn Collective> = Arc::new(crate::collective::Mpi::join()?);
        ranks.attempt(|| {
            if ranks.size() != count {
                let message = format!("{count} processes were started, but MPI knows of {}", ranks.size());
                return Err(Error::argument(
                    message + ": start them with the mpirun of the MPI that ossia was built with",
                ));
            }
            agree(&*ranks, Ok(()), |()| agree::program())?;
            cores::divide(&*ranks, threads)
        })?;
        Ok(ranks)
    }
    #[cfg(not(feature = "mpi"))]
    {
        _ = threads;
        let message = format!("{count} processes were started, but this ossia was built without MPI");
        Err(Error::argument(message + ": build it with --features mpi, or use --ranks"))
    }
}
