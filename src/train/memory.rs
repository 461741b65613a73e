//! Memory: what a run needs, and what the machine has.

use super::settings::{RunSettings, Settings};
use crate::checkpoint::report;
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::layers::Component;
use crate::parameter::{Role, Roles};
use std::fmt;
use std::fs;
use std::path::Path;

/// The most memory and disk that a run is expected to take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The parameters with their gradients and moments, and the activations of a step.
    pub memory: usize,
    /// The state of the run, once more while it is replaced, and two models.
    pub disk: usize,
    /// The part of the memory that ranks divide: the moments.
    moments: usize,
    /// The weights of the experts.
    experts: usize,
    /// The number of ranks. The memory is that of each.
    ranks: usize,
}

impl fmt::Display for Needs {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let size = |bytes: usize| match bytes as f64 / 1e9 {
            gigabytes if gigabytes < 1.0 => format!("{:.0} MB", 1e3 * gigabytes),
            gigabytes => format!("{gigabytes:.1} GB"),
        };
        let (memory, disk) = (size(self.memory), size(self.disk));
        match self.ranks {
            1 => write!(f, "the run takes about {memory} of memory and up to {disk} of disk"),
            ranks => {
                write!(f, "each of the {ranks} ranks takes about {memory} of memory, and the run up to {disk} of disk")
            }
        }
    }
}

impl Needs {
    /// Estimates what training a model takes. With `recompute`, only the input of each block is kept (gradient
    /// checkpointing).
    pub fn of(config: &ModelConfig, settings: &Settings, recompute: bool) -> Self {
        let parameters = report::published(config).total().parameters;
        let tokens = settings.batch_size * settings.context;
        let blocks: Vec<usize> = (0..config.layers).map(|layer| activations(config, layer)).collect();
        let kept: usize = match recompute {
            true => config.layers * config.hidden_size + blocks.iter().max().copied().unwrap_or(0),
            false => blocks.iter().sum(),
        };
        // Beside a parameter are its gradient and its two moments. The gradient of the largest array exists twice, while
        // the parts of the embedding and of the output projection are added. The logits of one block of tokens are small.
        let twice = if config.tied { config.vocab_size * config.hidden_size } else { 0 };
        let experts = report::published(config).component(Component::Experts).parameters;
        // Until the backward pass, experts have their values in MXFP4 beside them, in f32.
        let rounded = if settings.qat.is_some() { experts } else { 0 };
        Self {
            memory: 4 * (4 * parameters + twice + rounded + tokens * kept),
            // The state has three numbers per parameter, and exists twice while it is replaced. The model is also in
            // `model.safetensors` and in `best/`.
            disk: 4 * (2 * 3 + 2) * parameters,
            moments: 4 * 2 * parameters,
            experts: 4 * experts,
            ranks: 1,
        }
    }

    /// Returns the needs if the settings freeze parameters: they have no gradient and no moments, and the state of the run does not
    /// have them. Those of a model that is trained further stay in its file.
    pub fn with_frozen(self, config: &ModelConfig, settings: &RunSettings) -> Self {
        let kept = report::published(config).total().parameters - trained(config, settings.freeze);
        let experts = if settings.freeze.contains(Role::Expert) { 0 } else { self.experts };
        let moments = self.moments - 4 * 2 * kept;
        let memory = self.memory - 16 * kept + 4 * frozen_in_memory(config, settings);
        Self { memory, disk: self.disk - 4 * 2 * 3 * kept, moments, experts, ..self }
    }

    /// Returns the needs if only an adapter of so many numbers is trained and saved.
    pub fn with_adapter(self, numbers: usize) -> Self {
        let moments = 4 * 2 * numbers;
        Self { memory: self.memory + 16 * numbers, disk: 4 * (2 * 3 + 2) * numbers, moments, ..self }
    }

    /// Returns what each of several ranks takes, of which `group` hold the experts together. They divide the moments. Each has
    /// its gradients (with experts in groups, those for the tokens of the whole group), and two messages as large as these: the
    /// one that it sends and the one that it gets.
    pub fn of_ranks(self, ranks: usize, group: usize) -> Self {
        let messages = if ranks > 1 { self.moments } else { 0 };
        let held = self.memory - self.moments - self.experts + self.experts / group;
        Self { memory: held + messages + self.moments / ranks, ranks, ..self }
    }
}

/// Returns how many numbers per token a block keeps for its backward pass.
fn activations(config: &ModelConfig, layer: usize) -> usize {
    let (hidden, queries) = (config.hidden_size, config.heads * config.head_dim);
    let keys = config.kv_heads * config.head_dim;
    // Attention: x, its norm, q, k and v, the rotated q and k, the output of the heads, its projection, and the sum.
    let attention = 4 * hidden + 3 * queries + 3 * keys;
    // Feed-forward: the norm, per visit the input, gate and up, their product and the output, and two sums.
    let feed_forward = match config.dense_layers.contains(&layer) {
        true => 3 * hidden + 3 * config.dense_intermediate_size,
        false => {
            3 * hidden + config.experts_per_token * (2 * hidden + 3 * config.intermediate_size) + 2 * config.experts
        }
    };
    attention + feed_forward
}

/// Returns how many parameters are trained if those with some roles are frozen. Biases, norms and sinks are too few to matter.
fn trained(config: &ModelConfig, frozen: Roles) -> usize {
    let report = report::published(config);
    let components = [
        (Role::Embedding, vec![Component::Embedding]),
        (Role::Matrix, vec![Component::Attention, Component::Dense]),
        (Role::Head, vec![Component::Head]),
        (Role::Expert, vec![Component::Experts]),
        (Role::Router, vec![Component::Router]),
    ];
    let frozen = components.iter().filter(|(role, _)| frozen.contains(*role)).flat_map(|(_, components)| components);
    report.total().parameters - frozen.map(|&component| report.component(component).parameters).sum::<usize>()
}

/// Returns how many frozen parameters are in memory: those of a new model. Those of a model that is trained further stay in its file.
fn frozen_in_memory(config: &ModelConfig, settings: &RunSettings) -> usize {
    match settings.init {
        Some(_) => 0,
        None => report::published(config).total().parameters - trained(config, settings.freeze),
    }
}

/// Returns the bytes of the parameters that are trained, with their gradients and moments, on so many ranks of this machine.
pub fn bytes_to_train(config: &ModelConfig, frozen: Roles, ranks: usize) -> usize {
    // Ranks divide the moments. Each has its own weights, gradients and two messages.
    let per_parameter = if ranks > 1 { 16 * ranks + 8 } else { 16 };
    per_parameter * trained(config, frozen)
}

/// Refuses a model that is too large to be trained on this machine, on so many ranks, before hours go by.
///
/// # Errors
/// If the parameters alone, with their gradients, moments and messages, need more memory than there is.
pub fn check(config: &ModelConfig, settings: &RunSettings, ranks: usize) -> Result<()> {
    let parameters = trained(config, settings.freeze);
    let needed = bytes_to_train(config, settings.freeze, ranks) + 4 * ranks * frozen_in_memory(config, settings);
    match limit(Path::new("/")).filter(|&memory| needed > memory) {
        Some(memory) => Err(Error::argument(format!(
            "{:.1} billion parameters need {} GB to be trained{}; this machine has {:.1} GB",
            parameters as f64 / 1e9,
            needed / 1_000_000_000,
            if ranks > 1 { format!(" on {ranks} ranks") } else { String::new() },
            memory as f64 / 1e9
        ))),
        None => Ok(()), // also if the system does not say how much memory it has
    }
}

/// Returns how many bytes of memory this process may use: those of the machine, or fewer if a control group (the limit of a
/// container) allows fewer. Returns `None` if the system does not say. `root` is `/`, except in tests.
///
/// Linux: <https://docs.kernel.org/admin-guide/cgroup-v2.html>, and version 1 of it.
pub fn limit(root: &Path) -> Option<usize> {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| {
        let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(kilobytes.trim().trim_end_matches(" kB").parse::<usize>().ok()? * 1024)
    });
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next().unwrap_or(""), parts.next().unwrap_or("/"));
        let (mount, file) = match controllers.split(',').any(|name| name == "memory") {
            true => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            false if controllers.is_empty() => ("sys/fs/cgroup", "memory.max"),
            false => return Vec::new(),
        };
        // The limit of a group holds for the groups below it. "max" is not a number: no limit.
        let group = root.join(mount).join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|path| path.starts_with(root.join(mount)));
        above.filter_map(|path| fs::read_to_string(path.join(file)).ok()?.trim().parse().ok()).collect()
    });
    limits.chain(machine).min()
}
