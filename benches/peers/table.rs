//! The table of results, which is printed and written into the chapter on speed.

use super::machine::Machine;
use std::fmt;

/// A piece of work, done by both.
pub struct Row {
    /// The work that was measured.
    pub work: String,
    /// The other program.
    pub peer: String,
    /// The unit of `rates`.
    pub unit: &'static str,
    /// Ours and the peer's, medians.
    pub rates: (f64, f64),
    /// The ratio of our rate to the peer's, over the pairs.
    pub ratio: Spread,
    /// The most memory of either process, ours and the peer's, where each had one.
    pub peak_mb: Option<(f64, f64)>,
    /// The rate of arithmetic that ossia achieved, if it was counted.
    pub gflops: Option<f64>,
    /// The same of what it read and wrote.
    pub gbytes: Option<f64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { work, peer, unit, rates, ratio, peak_mb, gflops, gbytes } = self;
        let memory = |(ours, peer): (f64, f64)| format!("{peer:.0} and {ours:.0} MB: {:.2}", ours / peer);
        let memory = peak_mb.map_or("-".into(), memory);
        let gflops = gflops.map(|gflops| format!("{gflops:.0} GFLOP/s"));
        let gbytes = gbytes.map(|gbytes| format!("{gbytes:.1} GB/s"));
        let achieved = gflops.or(gbytes).unwrap_or("-".into());
        let digits = if rates.0 < 1_000.0 { 1 } else { 0 };
        write!(f, "| {work} | {peer} | {:.digits$} {unit} | {:.digits$} {unit} ", rates.1, rates.0)?;
        write!(f, "| {ratio} | {memory} | {achieved} |")
    }
}

/// The median of some numbers, and the smallest and the largest of them.
pub struct Spread([f64; 3]);

impl Spread {
    pub fn of(numbers: Vec<f64>) -> Self {
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Self([median(numbers), least, most])
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let [median, least, most] = self.0;
        write!(f, "**{median:.2}** ({least:.2} to {most:.2})")
    }
}

/// The one in the middle.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// One line about where and when this runs: processor, instruction set, limits, what else runs, and the commit.
pub fn machine(threads: usize, gflops: f64, gbytes: f64) -> String {
    let Machine { processor, isa, load, commit } = Machine::here();
    format!(
        "{processor}, {threads} threads, {isa}: at most {gflops:.0} GFLOP/s and {gbytes:.1} GB/s read; load before the runs \
         {load}; commit {commit}"
    )
}

/// The table, with rows of an older one.
pub fn markdown(machine: &str, rows: &[Row], older: &[&str]) -> String {
    let head = "| work | peer | peer's rate | ossia's rate | ratio | peak memory, peer and ossia | ossia achieves |\n\
                |---|---|---|---|---|---|---|\n";
    let older: String = older.iter().map(|row| format!("{row}\n")).collect();
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    format!("{machine}. Medians of alternating runs, and the spread of the ratios.\n\n{head}{older}{rows}")
}

/// A peer's name before the comma; its mode follows.
fn without_mode(peer: &str) -> &str {
    peer.split(',').next().unwrap_or(peer)
}

/// Puts the rows between the marks of the chapter. They replace rows of the same work beside the same peer, in whatever mode;
/// other rows stay.
pub fn replace_in_book(machine: &str, rows: &[Row]) -> Result<(), String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/book/src/speed.md");
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let (begin, end) = ("<!-- peers -->\n", "<!-- end of peers -->");
    let (before, rest) = text.split_once(begin).ok_or("book/src/speed.md has no <!-- peers -->")?;
    let (table, after) = rest.split_once(end).ok_or("book/src/speed.md has no <!-- end of peers -->")?;
    let measured_again =
        |line: &str| rows.iter().any(|row| line.starts_with(&format!("| {} | {}", row.work, without_mode(&row.peer))));
    let old_rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let older: Vec<&str> = old_rows.filter(|line| !measured_again(line)).collect();
    let table = markdown(machine, rows, &older);
    std::fs::write(path, format!("{before}{begin}{table}{end}{after}")).map_err(|e| format!("{path}: {e}"))
}
