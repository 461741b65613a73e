//! A rank of a measured job: it takes training steps, and records its exchanges.

use ossia::collective::{Alone, Collective, Messages, Mpi};
use ossia::config::ModelConfig;
use ossia::data::Batches;
use ossia::error::{Error, Result};
use ossia::kernels::parallel;
use ossia::layers::Layer;
use ossia::layers::router::Routing;
use ossia::model::Transformer;
use ossia::profile;
use ossia::train::{Material, Method, RunSettings, Settings, Trainer};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A run to be measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Run {
    pub preset: String,
    /// The number of ranks that hold the experts together.
    pub group: usize,
    /// The number of micro-batches per step, of all ranks.
    pub micro_batches: usize,
    /// The number of windows in a micro-batch.
    pub windows: usize,
    /// The number of tokens in a window.
    pub context: usize,
    /// The number of steps, of which the first is not measured.
    pub steps: usize,
    /// The number of threads of each rank.
    pub threads: usize,
}

/// The measurements of one rank.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    /// The seconds of each step.
    pub steps: Vec<f64>,
    /// The seconds of each step in which the rank waited for messages.
    pub waiting: Vec<f64>,
    /// The bytes that it sent to other ranks, per step.
    pub sent: f64,
    /// The seconds of an exchange without content, and the seconds per byte of a long one.
    pub exchange: [f64; 2],
    /// The number of visits to the busiest rank of a group before training, divided by the mean over its ranks; averaged over
    /// the layers.
    pub busiest: f64,
    /// The floating-point operations of a step.
    pub operations: f64,
    /// The exchanges of the last step.
    pub events: Vec<Event>,
}

/// An exchange. Times are in seconds since the beginning of the step, on the clock that all ranks share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub begun: f64,
    /// When the rank began to wait.
    pub waited: f64,
    pub finished: f64,
    /// The bytes that it sent to others.
    pub sent: usize,
}

/// Ranks whose exchanges are recorded.
struct Recorded {
    ranks: Arc<dyn Collective>,
    events: Mutex<(Vec<Event>, usize)>, // and how many of them are finished
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

impl Recorded {
    fn events(&self) -> MutexGuard<'_, (Vec<Event>, usize)> {
        self.events.lock().expect("nothing panics here")
    }

    /// Forgets what was recorded, and returns it.
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events()).0
    }
}

impl Collective for Recorded {
    fn rank(&self) -> usize {
        self.ranks.rank()
    }

    fn size(&self) -> usize {
        self.ranks.size()
    }

    fn begin(&self, messages: Messages) {
        let others = messages.iter().enumerate().filter(|(rank, _)| *rank != self.rank());
        let sent = others.map(|(_, message)| message.len()).sum();
        self.events().0.push(Event { begun: now(), sent, ..Event::default() });
        self.ranks.begin(messages);
    }

    fn finish(&self) -> Result<Messages> {
        let waited = now();
        let received = self.ranks.finish();
        let (events, finished) = &mut *self.events();
        events[*finished].waited = waited;
        events[*finished].finished = now();
        *finished += 1;
        received
    }

    fn give_up(&self, error: &Error) {
        self.ranks.give_up(error);
    }
}

/// Measures the seconds of an exchange without content, and the seconds per byte that a rank sends in a long one.
fn exchange(ranks: &dyn Collective) -> Result<[f64; 2]> {
    const BYTES: usize = 8_000_000;
    let others = ranks.size() - 1;
    if others == 0 {
        return Ok([0.0; 2]);
    }
    // Many in a row: each begins when the messages of the one before have arrived.
    let mean = |count: u32, bytes: usize| -> Result<f64> {
        ranks.barrier()?;
        let start = Instant::now();
        for _ in 0..count {
            ranks.all_to_all(vec![vec![0; bytes / others]; ranks.size()])?;
        }
        Ok((start.elapsed() / count).as_secs_f64())
    };
    mean(1, BYTES)?; // the connections are made
    let (empty, long) = (mean(100, 0)?, mean(5, BYTES)?);
    Ok([empty, (long - empty) / BYTES as f64])
}

/// Returns the number of visits of the next batch to the busiest rank of a group, divided by the mean over its ranks.
fn busiest(trainer: &Trainer, group: usize) -> f64 {
    let batch = trainer.batches.clone().next_batch();
    let output = trainer.model.detached().forward(batch.inputs.view(), None);
    let of_layer = |routing: &Routing| {
        let load = routing.dispatch.load();
        let of_ranks = load.chunks(load.len() / group).map(|load| load.iter().sum::<usize>());
        (group * of_ranks.max().unwrap_or(0)) as f64 / load.iter().sum::<usize>() as f64
    };
    output.routing.iter().map(of_layer).sum::<f64>() / output.routing.len() as f64
}

/// Takes the steps of a run as one of its ranks. Returns the measurements of all ranks.
pub fn take_steps(run: &Run) -> Result<Vec<Measured>> {
    parallel::set_threads(run.threads).map_err(|e| Error::argument(e.to_string()))?;
    let ranks: Arc<dyn Collective> = match std::env::var("OMPI_COMM_WORLD_SIZE").as_deref() {
        Ok("1") | Err(_) => Arc::new(Alone::default()),
        Ok(_) => Arc::new(Mpi::join()?),
    };
    let measured = ranks.attempt(|| steps(run, &ranks))?;
    let message = serde_json::to_vec(&measured).expect("plain numbers");
    let read = |message: &Vec<u8>| serde_json::from_slice(message).map_err(Error::unusable);
    ranks.all_gather(&message)?.iter().map(read).collect()
}

fn steps(run: &Run, ranks: &Arc<dyn Collective>) -> Result<Measured> {
    let exchange = exchange(&**ranks)?;
    let config = ModelConfig::preset(&run.preset)?;
    let mut settings = Settings::new(run.steps as u64, run.windows, run.context, 1e-3);
    settings.accumulate = run.micro_batches;
    settings.optimizer = Method::AdamW;
    let data = RunSettings { stories: 1_000, settings: settings.clone(), ..RunSettings::default() };
    let material = Material::new(&data, None, config.vocab_size, &mut |_| ())?;
    let batches = Batches::new(material.windows, settings.batch_size, 0)?;
    let mut trainer = Trainer::new(Transformer::random(&config, 0), settings, batches, None);
    let busiest = busiest(&trainer, run.group);
    let recorded = Arc::new(Recorded { ranks: ranks.clone(), events: Mutex::default() });
    trainer.join(recorded.clone(), run.group)?;
    let mut measured =
        Measured { steps: vec![], waiting: vec![], sent: 0.0, exchange, busiest, operations: 0.0, events: vec![] };
    for step in 0..run.steps {
        ranks.barrier()?;
        recorded.take();
        let (start, clock) = (Instant::now(), now());
        trainer.step()?;
        let time = start.elapsed().as_secs_f64();
        let shift = |event: Event| Event {
            begun: event.begun - clock,
            waited: event.waited - clock,
            finished: event.finished - clock,
            ..event
        };
        measured.events = recorded.take().into_iter().map(shift).collect();
        if step > 0 {
            measured.steps.push(time);
            measured.waiting.push(measured.events.iter().map(|event| event.finished - event.waited).sum());
            measured.sent +=
                measured.events.iter().map(|event| event.sent as f64).sum::<f64>() / (run.steps - 1) as f64;
        }
    }
    profile::start(); // profiling takes time, so this step is not measured
    trainer.step()?;
    measured.operations = profile::stop().rows.iter().map(|row| row.flops).sum();
    Ok(measured)
}
