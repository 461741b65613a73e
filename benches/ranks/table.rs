//! The table of measured and predicted times.

use super::job::Outcome;
use super::limits;
use super::rank::Measured;
use super::{CONTEXT, MICRO_BATCHES, NETWORKS, WINDOWS};
use ossia::config::ModelConfig;
use ossia::train::cost::{Capacity, Cost, Counts, Division, step};
use serde_json::{Value, json};

/// A job, and the measurements of its ranks in each round.
pub struct Job {
    pub ranks: usize,
    pub group: usize,
    pub network: &'static str,
    pub measured: Vec<Vec<Measured>>,
}

fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    decile(numbers, 5)
}

/// The number below which so many tenths of all numbers are.
fn decile(numbers: impl IntoIterator<Item = f64>, tenths: usize) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers[(numbers.len() - 1) * tenths / 10]
}

fn mean(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

impl Job {
    /// Returns the seconds of all steps.
    fn steps(&self) -> Vec<f64> {
        self.measured.iter().flat_map(|ranks| ranks[0].steps.clone()).collect()
    }

    /// Returns the share of the time in which the ranks waited for messages, on average.
    fn waiting(&self) -> f64 {
        let all = || self.measured.iter().flatten();
        let sum = |numbers: fn(&Measured) -> &Vec<f64>| all().flat_map(numbers).sum::<f64>();
        (sum(|measured| &measured.waiting) / sum(|measured| &measured.steps)).abs() // a sum of nothing is −0
    }

    /// Returns the bytes that a rank sends per step, on average.
    fn sent(&self) -> f64 {
        mean(self.measured.iter().flatten().map(|measured| measured.sent))
    }

    /// Returns the number of visits to the busiest rank of a group before training, divided by the mean over its ranks.
    fn busiest(&self) -> f64 {
        mean(self.measured.iter().flatten().map(|measured| measured.busiest))
    }

    /// Returns the cost of exchanges: the seconds of an empty one, and the seconds per byte.
    fn exchange(&self) -> [f64; 2] {
        [0, 1].map(|i| median(self.measured.iter().map(|ranks| mean(ranks.iter().map(|rank| rank.exchange[i])))))
    }

    fn division(&self) -> Division {
        Division {
            ranks: self.ranks,
            group: self.group,
            micro_batches: MICRO_BATCHES / self.ranks,
            tokens: WINDOWS * CONTEXT,
            in_order: true,
            busiest: self.busiest(),
        }
    }
}

/// What the cost model knows: the operations per second of a single process, the bytes per second from memory, and what copying
/// costs between ranks on one machine. Of each job, it also knows what an exchange costs, and how uneven the load of the experts
/// is.
pub struct Known {
    counts: Counts,
    flops: f64,
    memory: f64,
    copying: Vec<(usize, f64)>,
}

impl Known {
    /// Learns from jobs, of which the first is a single process. Prints the operations that were counted and predicted.
    pub fn of(jobs: &[Job]) -> Outcome<Self> {
        let alone = jobs.first().filter(|job| job.ranks == 1).ok_or("the job with one process did not run")?;
        let counts = Counts::new(&ModelConfig::nano(), CONTEXT);
        let (memory, peak) = (1e9 * limits::read_bandwidth(), limits::peak_flops());
        // With one operation per second, the seconds of the passes are the number of their operations.
        let slow = Capacity { flops: 1.0, memory, latency: 0.0, wire: 0.0, copying: 0.0 };
        let cost = step(&counts, &alone.division(), &slow);
        let flops = cost.passes / (median(alone.steps()) - cost.update);
        let inside = jobs.iter().filter(|job| job.network == NETWORKS[0].0 && job.group == 1);
        let copying = inside.map(|job| (job.ranks, job.exchange()[1])).collect();
        let counted = alone.measured[0][0].operations / 1e9;
        println!(
            "one process: {:.0} of at most {peak:.0} GFLOP/s in the passes, {:.1} GB/s",
            flops / 1e9,
            memory / 1e9
        );
        println!("its step: {counted:.2} GFLOP counted, {:.2} predicted", cost.passes / 1e9);
        Ok(Self { counts, flops, memory, copying })
    }

    /// Returns the capacity of a rank of a job.
    fn capacity(&self, job: &Job) -> Capacity {
        let [latency, byte] = job.exchange();
        let copying = self.copying.iter().find(|(ranks, _)| *ranks == job.ranks).map_or(0.0, |(_, byte)| *byte);
        let share = 1.0 / job.ranks as f64; // the ranks divide the cores
        let wire = (byte - copying).max(0.0);
        Capacity { flops: share * self.flops, memory: share * self.memory, latency, wire, copying }
    }

    fn predicted(&self, job: &Job) -> Cost {
        step(&self.counts, &job.division(), &self.capacity(job))
    }

    /// Prints a table: the medians of all steps with the 10th and the 90th percentile, and the predictions.
    pub fn print(&self, jobs: &[Job]) {
        println!(
            "{:>5} {:>3} {:<18} {:>24} {:>10} {:>12} {:>10} {:>10} {:>10} {:>9} {:>8}",
            "ranks",
            "X",
            "network",
            "step",
            "predicted",
            "exchanging",
            "predicted",
            "sent",
            "predicted",
            "latency",
            "ns/byte"
        );
        for job in jobs {
            let (cost, [latency, byte]) = (self.predicted(job), job.exchange());
            print!("{:>5} {:>3} {:<18} ", job.ranks, job.group, job.network);
            let (low, high) = (decile(job.steps(), 1), decile(job.steps(), 9));
            print!("{:>7.3} s ({low:.3}, {high:.3}) {:>8.3} s ", median(job.steps()), cost.seconds());
            print!("{:>10.0} % {:>8.0} % ", 100.0 * job.waiting(), 100.0 * cost.exchanging());
            print!("{:>7.2} MB {:>7.2} MB ", job.sent() / 1e6, cost.sent() / 1e6);
            println!("{:>6.2} ms {:>8.2}", latency * 1e3, byte * 1e9);
        }
    }

    /// Returns a row of the table.
    pub fn row(&self, job: &Job) -> Value {
        let cost = self.predicted(job);
        let rounded = |number: f64| (number * 1e4).round() / 1e4;
        let deciles = [1, 9].map(|tenths| rounded(decile(job.steps(), tenths)));
        json!({
            "ranks": job.ranks,
            "group": job.group,
            "network": job.network,
            "seconds": rounded(median(job.steps())),
            "deciles": deciles,
            "predicted": rounded(cost.seconds()),
            "exchanging": rounded(job.waiting()),
            "exchanging_predicted": rounded(cost.exchanging()),
            "megabytes": rounded(job.sent() / 1e6),
            "megabytes_predicted": rounded(cost.sent() / 1e6),
        })
    }
}
