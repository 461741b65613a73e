//! The table of results, which is printed and written into the chapter on speed.

use std::fmt;

/// A piece of work, done by both.
pub struct Row {
    /// What it was.
    pub work: String,
    /// Who else did it.
    pub peer: String,
    /// Of `rates`.
    pub unit: &'static str,
    /// Ours and the peer's, medians.
    pub rates: (f64, f64),
    /// The median over the pairs of how many times as fast we were.
    pub ratio: f64,
    /// The most memory of either process, ours and the peer's, where each had one.
    pub peak_mb: Option<(f64, f64)>,
    /// What ours achieved, where that is counted.
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
        write!(f, "| **{ratio:.2}** | {memory} | {achieved} |")
    }
}

/// The one in the middle.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

/// One line about where this runs.
pub fn machine(threads: usize, gflops: f64, gbytes: f64) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let model = model.unwrap_or(std::env::consts::ARCH);
    format!("{model}, {threads} threads: at most {gflops:.0} GFLOP/s and {gbytes:.1} GB/s read")
}

/// The table, with rows of an older one.
pub fn markdown(machine: &str, rows: &[Row], older: &[&str]) -> String {
    let head = "| work | peer | peer's rate | ossia's rate | ratio | peak memory, peer and ossia | ossia achieves |\n\
                |---|---|---|---|---|---|---|\n";
    let older: String = older.iter().map(|row| format!("{row}\n")).collect();
    let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
    format!("{machine}; medians of alternating runs.\n\n{head}{older}{rows}")
}

/// Puts the rows between the marks of the chapter. They replace rows of the same work; other rows stay.
pub fn replace_in_book(machine: &str, rows: &[Row]) -> Result<(), String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/book/src/speed.md");
    let text = std::fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let (begin, end) = ("<!-- peers -->\n", "<!-- end of peers -->");
    let (before, rest) = text.split_once(begin).ok_or("book/src/speed.md has no <!-- peers -->")?;
    let (table, after) = rest.split_once(end).ok_or("book/src/speed.md has no <!-- end of peers -->")?;
    let measured_again = |line: &str| rows.iter().any(|row| line.starts_with(&format!("| {} | ", row.work)));
    let old_rows = table.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    let older: Vec<&str> = old_rows.filter(|line| !measured_again(line)).collect();
    let table = markdown(machine, rows, &older);
    std::fs::write(path, format!("{before}{begin}{table}{end}{after}")).map_err(|e| format!("{path}: {e}"))
}
