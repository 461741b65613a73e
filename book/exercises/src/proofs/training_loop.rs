use super::{Exercise, Mutant, NamedProof, Proof, because, close, equal};
use crate::training_loop::MicroBatch;
use crate::zoo;
use ossia::train::Schedule;

type Batches<'a> = &'a mut dyn FnMut(usize, &[f32]) -> Vec<MicroBatch>;
type Update<'a> = &'a mut dyn FnMut(f64, &[f32], &mut [f32]);
type Train = fn(&mut [f32], (usize, usize, f64, f32), Batches, Update) -> Result<Vec<f32>, String>;

pub struct TrainingLoop {
    pub learning_rate: fn(usize, usize, usize, f64) -> f64,
    pub accumulate: fn(&[MicroBatch]) -> (f32, Vec<f32>),
    pub clip: fn(&mut [f32], f32) -> f32,
    pub train: Train,
}

/// Three micro-batches with different numbers of targets.
fn uneven() -> [MicroBatch; 3] {
    let batch = |loss_sum, gradient: [f32; 2], targets| MicroBatch { loss_sum, gradient: gradient.into(), targets };
    [batch(6.0, [4.0, 0.0], 4), batch(1.0, [0.0, 3.0], 1), batch(0.0, [0.0, 0.0], 0)]
}

/// Two micro-batches of the loss ½‖w − (1, −2)‖² (a bowl): one with three targets, and one with one target.
fn bowl(w: &[f32]) -> Vec<MicroBatch> {
    let (a, b) = (w[0] - 1.0, w[1] + 2.0);
    let batch = |targets: usize| {
        let n = targets as f32;
        MicroBatch { loss_sum: n * 0.5 * (a * a + b * b), gradient: vec![n * a, n * b], targets }
    };
    vec![batch(3), batch(1)]
}

/// Plain gradient descent.
fn descend(rate: f64, gradient: &[f32], w: &mut [f32]) {
    w.iter_mut().zip(gradient).for_each(|(w, g)| *w -= rate as f32 * g);
}

impl Exercise for TrainingLoop {
    const NAME: &str = "training_loop";
    const LEARNED: &str = "A step is: losses, gradients, one mean over all targets, a limit for the norm, and an update with the \
        learning rate of the schedule. The rest of a training program lets you stop, resume and verify this loop.";

    fn yours() -> Self {
        use crate::training_loop::{accumulate, clip, learning_rate, train};
        Self { learning_rate, accumulate, clip, train }
    }

    fn solution() -> Self {
        use crate::solutions::training_loop::{accumulate, clip, learning_rate, train};
        Self { learning_rate, accumulate, clip, train }
    }

    fn mutants() -> Vec<Mutant<Self>> {
        zoo::training_loop()
    }

    fn proofs() -> Vec<NamedProof<Self>> {
        vec![
            ("the_schedule_equals_the_engine", Self::schedule),
            ("micro_batches_equal_one_batch", Self::accumulates),
            ("clips_by_the_norm", Self::clips),
            ("trains", Self::trains),
            ("stops_at_a_number_that_is_not_finite", Self::stops),
        ]
    }

    fn sample(&self) -> Vec<f32> {
        let rates = (1..=20).map(|step| (self.learning_rate)(step, 20, 4, 1.0) as f32);
        let (loss, gradient) = (self.accumulate)(&uneven());
        let mut long = vec![30.0, -40.0];
        let norm = (self.clip)(&mut long, 5.0);
        rates.chain([loss]).chain(gradient).chain(long).chain([norm]).chain(self.run().unwrap_or_default()).collect()
    }
}

impl TrainingLoop {
    fn run(&self) -> Result<Vec<f32>, String> {
        let mut w = vec![0.0, 0.0];
        (self.train)(&mut w, (30, 3, 0.5, 1.0), &mut |_, w| bowl(w), &mut descend)
    }

    fn schedule(&self) -> Proof {
        for (steps, warmup) in [(20, 4), (100, 1), (5, 5)] {
            for step in 1..=steps {
                let found = (self.learning_rate)(step, steps, warmup, 0.002);
                let expected = Schedule::Cosine.learning_rate(step as u64, steps as u64, warmup as u64, 0.002);
                if (found - expected).abs() > 1e-9 || found.is_nan() {
                    return Err(format!(
                        "step {step} of {steps} (warm-up {warmup}, peak 0.002): {found}, expected {expected}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn accumulates(&self) -> Proof {
        let (loss, gradient) = (self.accumulate)(&uneven());
        let why = "the sums are 6, 1 and 0 over 4, 1 and 0 targets: 7/5. A mean of means would be another number";
        because(close("the loss", &[loss], &[1.4], 1e-6), why)?;
        because(close("the gradient", &gradient, &[0.8, 0.6], 1e-6), "the sums (4, 0), (0, 3), (0, 0) over 5 targets")
    }

    fn clips(&self) -> Proof {
        let clipped = |gradient: [f32; 2], most: f32, expected: [f32; 2], norm: f32| {
            let mut found = gradient.to_vec();
            let before = (self.clip)(&mut found, most);
            let why = format!(
                "before clipping, the gradient is {gradient:?} with the norm {norm}, and the largest norm is {most}"
            );
            because(close("the clipped gradient", &found, &expected, 1e-6), &why)?;
            because(close("the returned norm", &[before], &[norm], 1e-6), "it is the norm before clipping")
        };
        clipped([30.0, -40.0], 5.0, [3.0, -4.0], 50.0)?;
        clipped([0.3, -0.4], 5.0, [0.3, -0.4], 0.5)?;
        clipped([0.0, 0.0], 1.0, [0.0, 0.0], 0.0)
    }

    fn trains(&self) -> Proof {
        let losses = self.run()?;
        equal("the number of losses", &losses.len(), &30, "there are 30 steps")?;
        because(
            close("the loss of step 1", &losses[..1], &[2.5], 1e-6),
            "w is (0, 0), and the loss is measured before the update",
        )?;
        let expected = Self::solution().run()?;
        because(close("the loss of each step", &losses, &expected, 1e-4), "gradient descent on ½‖w − (1, −2)‖²")
    }

    fn stops(&self) -> Proof {
        let mut w = vec![0.5, 0.5];
        let broken = |step: usize, w: &[f32]| {
            let mut batches = bowl(w);
            if step == 2 {
                batches[1].gradient[0] = f32::NAN;
            }
            batches
        };
        let mut updates = 0;
        let result = (self.train)(&mut w, (5, 1, 0.1, 1.0), &mut { broken }, &mut |rate, gradient, w| {
            updates += 1;
            descend(rate, gradient, w);
        });
        equal(
            "whether a NaN in the gradient of step 2 is an error",
            &result.is_err(),
            &true,
            "all later steps would be NaN",
        )?;
        equal("the number of updates", &updates, &1, "the parameters must not change in step 2")
    }
}
