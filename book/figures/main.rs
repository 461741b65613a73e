//! Draws the figures of the book, each from numbers that the engine computes here (`speed` from measured ones).
//!
//! cargo run --example figures [-- DIR [NAME…]]    (DIR: where to, else book/src/pictures; NAME: these)
//!
//! A figure is a function that gets a [`Paper`] and the [`Storyteller`], a model that is trained in about a minute if a
//! figure needs it.

#[path = "../matmul/machine.rs"]
mod machine;
mod paper;
mod storyteller;

mod cover;
mod attention;
mod adamw;
mod browser;
mod data;
mod drafts;
mod effort;
mod embedding;
mod experts;
mod fine_tuning;
mod grad_check;
mod harmony;
mod kv_cache;
mod lora;
mod model;
mod muon;
mod matmul;
mod mxfp4;
mod normalisation;
mod qat;
mod reinforcement;
mod rotary;
mod routing;
mod sampling;
mod scaling;
mod simd;
mod speed;
mod swiglu;
mod loss;
mod many_machines;
mod map;
mod structured_output;
mod tensor;
mod tiles;
mod tokens;
mod why;
mod tools;
mod training;
mod weights;

use ossia::kernels::{self, Isa};
use paper::{Drawing, Paper};
use std::cell::LazyCell;
use std::error::Error;
use std::path::{Path, PathBuf};
use storyteller::{Lazy, Storyteller};

/// A function that draws a figure.
type Figure = fn(Paper, &Lazy) -> Drawing;

/// All figures: the name of the file, the function that draws it, and a description for readers who cannot see it.
#[rustfmt::skip]
const FIGURES: &[(&str, Figure, &str)] = &[
    ("story.html", cover::story, "A story that a small model told, token by token"),
    ("map.svg", map::map, "The parts of gpt-oss-20b from top to bottom, with arrows: tokens, embedding, 24 layers of RMSNorm, attention, RMSNorm, routing and experts, then the last norm, logits, and loss or sampling"),
    ("strip.svg", map::strip, "The parts of the model in a row, with the part of this chapter marked"),
    ("why.svg", why::parameters, "Small squares, one for each 10 million parameters: attention and embedding are small, and the experts fill nine tenths of the picture; of them only an eighth is in full color"),
    ("tensor.svg", tensor::graph, "The graph of f = ab + exp(a): values flow from left to right, gradients from right to left, and two gradients meet at a"),
    ("grad-check.svg", grad_check::steps, "The disagreement of derived and measured gradient over the step, both on logarithmic scales: a V for the right gradient, a flat line for a wrong one"),
    ("tokens.svg", tokens::merges, "The word tokenizers as single letters, then row by row with two neighbors merged, until two tokens are left"),
    ("embedding.svg", embedding::cosines, "A table of cosines between twelve words: names resemble names, things resemble things, places resemble places"),
    ("rms-norm.svg", normalisation::residual_stream, "Dots of the root mean square of each token after the embedding, after each layer and after the last norm: it grows from layer to layer, and the norm makes it equal"),
    ("rotary.svg", rotary::turns, "Turns within 4,096 positions over the pair of the head, on a logarithmic scale: RoPE and YaRN agree for the first pairs, and the last pairs of YaRN are 32 times slower"),
    ("attention.svg", attention::subject, "A triangular table of an attention head: rows are tokens that look, columns are tokens that are looked at, and the first column is the sink; tidy looks at fox"),
    ("attention-previous.svg", attention::previous, "The same table for another head: some tokens look at the token before, and the first one at the sink"),
    ("attention-window.svg", attention::window, "A square table of 256 by 256 tokens: only a band of 128 tokens along the diagonal is used"),
    ("attention-full.svg", attention::full, "The same table for a layer with full attention: the whole triangle below the diagonal is used"),
    ("tiles.svg", tiles::full, "The table of queries and keys in tiles, for full attention: the tiles above the diagonal are skipped"),
    ("tiles-window.svg", tiles::window, "The same table for a window of 128: only tiles near the diagonal are computed"),
    ("swiglu.svg", swiglu::curves, "The output of clamped SwiGLU over the gate, one curve for each of five values of up; below, the dip of the curve for up = 0 enlarged"),
    ("routing.svg", routing::load, "Eight curves of the share of visits of each expert over 400 steps of training: they spread at first and then come closer to an even share"),
    ("experts.svg", experts::choices, "A table with a row per token and a column per expert: the weights of the two experts that each token chooses"),
    ("experts-rows.svg", experts::sorted, "The same tokens, sorted by expert: a group of rows for each expert"),
    ("model.svg", model::predictions, "What the model would say after each layer, for nine positions of a text: the layers change it from repeating the input to the right next word"),
    ("loss.svg", loss::by_token, "The first tokens of a story with a bar below each for its loss: high where the story chooses, nearly zero elsewhere"),
    ("loss-blocks.svg", loss::blocks, "A block of rows of h times W transposed gives logits in a buffer; the buffer becomes probabilities and then dz, from which the same rows of dh and a part of dW are computed"),
    ("adamw.svg", adamw::paces, "Dots for each parameter tensor, grouped by kind: on the left the sizes of the gradients, which span four powers of ten, on the right the sizes of the steps, which are nearly equal"),
    ("muon.svg", muon::polynomial, "Four curves of a singular value after the polynomial over its size before, on a logarithmic scale: the more often it is applied, the further to the left the curve reaches 1"),
    ("data.svg", data::probabilities, "A histogram of how improbable 20,000 stories are, in nats: a few narrow peaks, one per plot, and a vertical line at the entropy"),
    ("windows.svg", data::windows, "Documents in a row, cut into windows of equal length, with the targets that count"),
    ("training.svg", training::curve, "Training and validation loss over the steps of a run, and the entropy floor as a horizontal line"),
    ("many-machines.svg", many_machines::all_reduce, "Three tables with a row for each of four ranks: first a whole array in each row, then one part of the sum in each row, and at last the whole sum in each row"),
    ("expert-parallel.svg", many_machines::all_to_all, "Three tables with a row per rank: first the visits of the rank’s tokens, sorted by expert; second the visits to the rank’s expert, from all ranks, in rows of different lengths; third the outputs, in the order of the first table"),
    ("step.html", scaling::step, "What four ranks do in a training step, one row for each: bars for the forward pass, the backward pass and the update, and thin bars below them for messages; empty bars are waiting. The slower the network, the longer they wait"),
    ("scaling-measured.svg", scaling::measured, "Measured seconds per step over predicted ones, on logarithmic scales, as dots for 21 jobs: those of data parallelism are close to the diagonal, those with spread experts close to it or above"),
    ("scaling-paper.svg", scaling::on_paper, "The speedup over the number of machines from 1 to 1,024, on logarithmic scales: nano stays below 2, small and gpt-oss-20b follow the diagonal at first and then become flat, and gpt-oss-20b with spread experts follows it the longest"),
    ("kv-cache.svg", kv_cache::all, "A table of what is in each slot, token after token, for a layer with full attention: the rows grow"),
    ("kv-cache-ring.svg", kv_cache::ring, "The same table for a ring of five slots: each new position replaces the oldest one"),
    ("kv-cache-memory.svg", kv_cache::memory, "Megabytes of the cache over the length of the text on logarithmic scales, for 64 heads, for 8 heads, and for 8 heads with windows: each line is below the one before"),
    ("sampling.svg", sampling::settings, "Bars of the probabilities of the next word at three temperatures, and lines below that show how many words each filter keeps"),
    ("matmul.svg", matmul::accesses, "Bars of the loads and stores of three ways to multiply matrices: tiles need a quarter of those of three loops"),
    ("matmul-bytes.svg", matmul::fetched, "Bars of the bytes that the same three products fetch from the memory: tiles in strips fetch the fewest"),
    ("mxfp4.svg", mxfp4::number_line, "The sixteen values of a four-bit number on a line, and the 32 weights of a block, each joined to the value that it is rounded to"),
    ("simd.svg", simd::exp_error, "The error of the exponential over its argument in units of the last place: below 1 for the kernel, up to 5 if ln 2 is a single number"),
    ("speed-context.svg", speed::context, "Milliseconds of attention per token over the context, on logarithmic scales: a rising line for full attention, a flat one for a window"),
    ("speed-batches.svg", speed::batches, "Tokens per second over the number of texts at once, on logarithmic scales, as multiples of the rate of one text: three rising lines, all of them below the line of the ideal"),
    ("speed-memory.svg", speed::memory, "Peak memory of a training step over the context, on logarithmic scales, with all activations kept and with checkpointing"),
    ("weights.svg", weights::bytes, "Three stacked bars of the bytes of gpt-oss-20b: 41.8 gigabytes in bf16, 13.8 as published, and 3.7 that are read for one token; experts are the largest part"),
    ("harmony.svg", harmony::tokens, "A harmony conversation as tokens: special tokens in color, text between them"),
    ("effort.svg", effort::lengths, "The number of tokens of analysis over the number of terms of a sum: steep for high effort, less steep for medium, zero for low"),
    ("effort-accuracy.svg", effort::accuracy, "Bars of the share of right answers: low 4 percent, medium 61, high 98"),
    ("structured-output.svg", structured_output::masks, "A JSON text token by token, and beside each token how many tokens the schema allows there"),
    ("fine-tuning.svg", fine_tuning::window, "A window with two conversations: each token sees the tokens before it of its own conversation, and behind the answers stand the tokens that are learned"),
    ("lora.svg", lora::factors, "A large matrix, and beside it the two factors of a correction of rank 8, which are as thin as lines"),
    ("qat.svg", qat::staircase, "Left: the staircase of rounding and the diagonal line of the identity. Right: a weight that rises a little in each of 12 steps; its rounded value stays the same for five steps and jumps in the sixth, when the weight passes the border of rounding"),
    ("reinforcement.svg", reinforcement::group, "Left: six rollouts of one question as rows of tokens; in the first, some tokens are the result of a tool and have no weight. Right: the reward of each rollout as a dot, the mean as a line, and advantages as bars from the mean up to the rewards of right answers or down to those of wrong ones"),
    ("drafts.svg", drafts::passes, "A row for each of nine passes of a model: four drafted tokens as boxes, of which the first ones are accepted, the next one may be rejected, and those after it are not checked; and behind them the token that the model adds"),
    ("drafts-rule.svg", drafts::rule, "Two bars for each of nine words, its probability in the drafter and in the model. The lower part of both bars, up to the smaller one, is what is accepted. What the drafter has more is rejected, and what the model has more is drawn after a rejection"),
    ("drafts-module.svg", drafts::module, "Boxes with arrows. Left: tokens, the model, its output h, the head, and the logits of the next token. Right: h and the embeddings of the next tokens go through a norm each, are concatenated and projected, and go through a block, a norm and the head, which gives the logits of the token after the next"),
    ("browser.svg", browser::messages, "Three boxes side by side: the page, the worker, and the engine in wasm. Questions and a model go from left to right, answers from right to left"),
    ("tools.svg", tools::exchange, "The messages between user, model and tool, from question to answer"),
];

fn main() -> Result<(), Box<dyn Error>> {
    // The figures are the same bits on every processor that has AVX2.
    if !kernels::select(Isa::Avx2) {
        eprintln!("without AVX2, figures may differ in their last digits");
    }
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/pictures");
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map_or(default, PathBuf::from);
    let only: Vec<String> = arguments.collect();
    std::fs::create_dir_all(&directory)?;
    let storyteller: Lazy = LazyCell::new(|| Storyteller::trained().expect("nothing of it comes from outside"));
    let wanted = |name: &str| only.is_empty() || only.iter().any(|n| name.starts_with(n.as_str()));
    for (name, figure, description) in FIGURES.iter().filter(|(name, ..)| wanted(name)) {
        let mut svg = String::new();
        figure(Paper::new(&mut svg), &storyteller)?;
        let path = directory.join(name);
        std::fs::write(&path, paper::on_the_page(description, &svg))?;
        println!("{}", path.display());
    }
    Ok(())
}
