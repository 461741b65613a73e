//! Cached equals uncached: one by one, in pieces, and at once.
//!
//! Book: [kv_cache](../../book/src/kv_cache.md)

use crate::common::assert_close;
use ndarray::{Array2, s};
use ossia::config::ModelConfig;
use ossia::layers::{KvCache, KvFormat, Layer, LayerCache};
use ossia::model::Transformer;
use ossia::ops::attention::{Keys, KvNumbers, Shape};

fn small(window: usize) -> ModelConfig {
    let windows = vec![Some(window), None, Some(window)];
    ModelConfig {
        layers: 3,
        windows,
        hidden_size: 24,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        vocab_size: 50,
        experts: 4,
        intermediate_size: 16,
        dense_layers: vec![1],
        dense_intermediate_size: 20,
        ..ModelConfig::nano()
    }
}

fn logits(model: &Transformer, tokens: &[u32], pieces: &[usize]) -> Vec<f32> {
    let model = model.detached();
    let mut cache = KvCache::new(&model.config);
    let mut rest = tokens;
    let mut all = Vec::new();
    for &length in pieces {
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        let piece = Array2::from_shape_vec((1, piece.len()), piece.to_vec()).unwrap();
        all.extend_from_slice(model.logits(&model.forward(piece.view(), Some(&mut cache)).hidden).data());
    }
    assert_eq!(cache.len(), tokens.len());
    all
}

#[test]
fn kv_cache_prefill_in_pieces_and_one_by_one_give_the_logits_of_no_cache() {
    let tokens: Vec<u32> = (0..150).map(|i| (i * 37 + i * i) % 50).collect();
    let whole = Array2::from_shape_vec((1, tokens.len()), tokens.clone()).unwrap();
    for window in [1, 2, 5, 64, 149, 150, 151, 1000] {
        let model = Transformer::random(&small(window), 7);
        let expected = model.logits(&model.forward(whole.view(), None).hidden);
        let decode: Vec<usize> = vec![1; 150];
        for pieces in [&[150][..], &[100, 50], &[1, 149], &[7, 64, 3, 76], &[149, 1], &decode] {
            let actual = logits(&model, &tokens, pieces);
            assert_close(&format!("window {window}, pieces {pieces:?}"), &actual, expected.data(), 1e-5);
        }
    }
}

/// Keys and values are rounded before anything attends to them, so the pieces do not matter.
#[test]
fn kv_cache_in_a_narrow_format_gives_the_logits_of_no_cache() {
    let tokens: Vec<u32> = (0..150).map(|i| (i * 37 + i * i) % 50).collect();
    let whole = Array2::from_shape_vec((1, tokens.len()), tokens.clone()).unwrap();
    for (format, bytes, bound) in [(KvFormat::Bf16, 64, 0.02), (KvFormat::Int8, 34, 0.05)] {
        let mut model = Transformer::random(&ModelConfig { head_dim: 32, ..small(64) }, 7);
        let logits_of = |model: &Transformer| {
            let model = model.detached();
            model.logits(&model.forward(whole.view(), None).hidden).data().to_vec()
        };
        let exact = logits_of(&model);
        model.set_kv_format(format).unwrap();
        let expected = logits_of(&model);
        let largest = exact.iter().zip(&expected).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!((1e-5..bound).contains(&largest), "{format:?} changes a logit by {largest}");
        for pieces in [&[150][..], &[100, 50], &[7, 64, 3, 76], &[1; 150]] {
            // In other pieces, some sums are rounded differently, and a number between two others may be rounded to either.
            let tolerance = if pieces.len() == 1 { 1e-5 } else { bound };
            let actual = logits(&model, &tokens, pieces);
            assert_close(&format!("{format:?}, pieces {pieces:?}"), &actual, &expected, tolerance);
        }
        let mut cache = KvCache::new(&model.config);
        let (start, model) = (cache.mark(), model.detached());
        let go = |cache: &mut KvCache| {
            let hidden = model.forward(whole.slice(s![.., cache.len()..]), Some(cache)).hidden;
            model.logits(&hidden).data()[hidden.matrix().nrows() * 50 - 50..].to_vec()
        };
        model.forward(whole.slice(s![.., ..90]), Some(&mut cache));
        let middle = cache.mark();
        let last = go(&mut cache);
        for (mark, tolerance) in [(&middle, 1e-5), (&start, bound)] {
            cache.rewind(mark);
            assert_close(&format!("{format:?}, again from {}", mark.len()), &go(&mut cache), &last, tolerance);
        }
        assert_eq!(cache.bytes(), 2 * 2 * bytes * (2 * 64 + 150), "keys and values of two heads, two layers of 64");
    }
}

#[test]
fn kv_cache_formats_round_to_the_nearest_number() {
    let x: Vec<f32> = (0..96).map(|i| ((i * 37 % 64) as f32 - 31.5) / 7.0).collect();
    let of = |format| KvNumbers::encode(&x, format).decode();
    assert_eq!(of(KvFormat::F32), x);
    assert_close("bf16", &of(KvFormat::Bf16), &x, 1.0 / 256.0);
    let largest = x.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    for (rounded, x) in of(KvFormat::Int8).iter().zip(&x) {
        assert!((rounded - x).abs() <= largest / 127.0, "{x} became {rounded}"); // half a step, and the scale is rounded
    }
}

#[test]
fn kv_cache_in_blocks_needs_heads_of_whole_blocks() {
    let mut model = Transformer::random(&small(4), 1);
    let error = model.set_kv_format(KvFormat::Int8).unwrap_err().to_string();
    assert!(error.contains("blocks of 32 numbers, and a head has 6"), "{error}");
    model.set_kv_format(KvFormat::Bf16).unwrap();
}

/// Sequences at different positions, each with its cache, run through the model together.
#[test]
fn kv_cache_of_several_sequences_gives_the_logits_of_each() {
    let model = Transformer::random(&small(5), 7).detached();
    let tokens =
        |i: usize, length: usize| Array2::from_shape_fn((1, length), |(_, t)| ((t * t + 7 * t + 3 * i) % 50) as u32);
    let lengths = [0, 1, 4, 5, 6, 30];
    for new in [1, 2, 7] {
        let mut caches: Vec<KvCache> = lengths.iter().map(|_| KvCache::new(&model.config)).collect();
        let mut expected = Vec::new();
        let mut rows = Array2::zeros((lengths.len(), new));
        for (i, (&length, cache)) in lengths.iter().zip(&mut caches).enumerate() {
            let all = tokens(i, length + new);
            rows.row_mut(i).assign(&all.slice(ndarray::s![0, length..]));
            if length > 0 {
                model.forward(all.slice(ndarray::s![.., ..length]), Some(cache));
            }
            let logits = model.logits(&model.forward(all.view(), None).hidden);
            expected.extend_from_slice(&logits.data()[length * 50..]);
        }
        let mut all: Vec<&mut KvCache> = caches.iter_mut().collect();
        let actual = model.logits(&model.forward_cached(rows.view(), &mut all).hidden);
        assert_close(&format!("{new} new tokens"), actual.data(), &expected, 1e-5);
        assert!(caches.iter().zip(lengths).all(|(cache, length)| cache.len() == length + new));
    }
}

fn heads(kv_heads: usize, head_dim: usize) -> Shape {
    Shape { heads: kv_heads, kv_heads, head_dim, window: None }
}

#[test]
fn kv_cache_of_a_sliding_layer_is_a_ring_of_w() {
    let mut cache = LayerCache::new(Some(3), 1, 1);
    assert!(cache.runs().is_empty());
    let mut kept = Vec::new();
    for position in 0..8 {
        let (k, v) = ([position as f32], [10.0 * position as f32]);
        cache.append(Keys::rows(cache.seen(), &k, &v, heads(1, 1)));
        let runs = cache.runs();
        let positions: Vec<f32> = runs.iter().flat_map(|run| run.k.head(0).to_owned()).collect();
        let starts: Vec<usize> = runs.iter().map(|run| run.start).collect();
        let first = (position + 1_usize).saturating_sub(3);
        assert_eq!(positions, (first..=position).map(|p| p as f32).collect::<Vec<_>>(), "oldest first");
        runs.iter().for_each(|run| assert_eq!(run.k.head(0)[[0, 0]], run.start as f32));
        assert_eq!(starts[0], first);
        kept.push(positions.len());
    }
    assert_eq!(kept, [1, 2, 3, 3, 3, 3, 3, 3]);
}

/// Heads lie apart in memory, and move when the cache grows.
#[test]
fn kv_cache_keeps_every_head_of_every_position() {
    for window in [None, Some(5)] {
        let mut cache = LayerCache::new(window, 3, 2);
        let number = |position: usize, head: usize, i: usize| (100 * position + 10 * head + i) as f32;
        let rows = |positions: std::ops::Range<usize>| -> Vec<f32> {
            positions.flat_map(|p| (0..6).map(move |i| number(p, i / 2, i % 2))).collect()
        };
        for positions in [0..1, 1..4, 4..5, 5..17, 17..18] {
            let k = rows(positions.clone());
            let v: Vec<f32> = k.iter().map(|x| -x).collect();
            cache.append(Keys::rows(cache.seen(), &k, &v, heads(3, 2)));
            let first = window.map_or(0, |window| positions.end.saturating_sub(window));
            let mut expected = first;
            for run in cache.runs() {
                assert_eq!(run.start, expected);
                for head in 0..3 {
                    for ((t, i), &x) in run.k.head(head).indexed_iter() {
                        assert_eq!(x, number(run.start + t, head, i));
                        assert_eq!(run.v.head(head)[[t, i]], -x);
                    }
                }
                expected = run.end();
            }
            assert_eq!(expected, positions.end);
        }
    }
}

#[test]
fn kv_cache_grows_with_full_layers_only() {
    let config = small(4);
    let model = Transformer::random(&config, 1);
    let mut cache = KvCache::new(&config);
    assert!(cache.is_empty());
    let piece = Array2::from_elem((1, 40), 3);
    model.detached().forward(piece.view(), Some(&mut cache));
    // 4 bytes · keys and values · K·D · (two layers of 4, one of 40)
    assert_eq!(cache.bytes(), 4 * 2 * 12 * (2 * 4 + 40));
}

#[test]
#[should_panic(expected = "a cached forward pass is not recorded")]
fn kv_cache_refuses_a_pass_that_would_lose_its_gradients() {
    let config = small(4);
    let piece = Array2::from_elem((1, 3), 3);
    Transformer::random(&config, 1).forward(piece.view(), Some(&mut KvCache::new(&config)));
}
