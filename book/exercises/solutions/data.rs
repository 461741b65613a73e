use crate::data::{IGNORE, Piece};

pub fn entropy(pieces: &[Piece]) -> f64 {
    let of = |piece: &Piece| match piece {
        Piece::Text(_) => 0.0,
        Piece::Choice(options) => {
            let n = options.len() as f64;
            n.ln() + options.iter().map(|option| entropy(option)).sum::<f64>() / n
        }
    };
    pieces.iter().map(of).sum()
}

pub fn floor(nats: &[f64], tokens: &[usize]) -> f64 {
    let predicted: usize = tokens.iter().map(|tokens| tokens + 1).sum();
    nats.iter().sum::<f64>() / predicted as f64
}

pub fn starts(lengths: &[usize], context: usize) -> Vec<usize> {
    let mut beginnings = vec![0];
    for length in lengths {
        beginnings.push(beginnings[beginnings.len() - 1] + length + 1);
    }
    let last = beginnings[beginnings.len() - 1];
    let (mut starts, mut start) = (vec![0], 0);
    while start + context < last {
        let end = start + context;
        let begun = beginnings.iter().rfind(|&&beginning| start < beginning && beginning <= end);
        start = *begun.unwrap_or(&end);
        starts.push(start);
    }
    starts
}

pub fn windows(documents: &[Vec<u32>], starts: &[usize], end: u32, context: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
    let mut stream = vec![end];
    for document in documents {
        stream.extend(document);
        stream.push(end);
    }
    let last = stream.len() - 1;
    let window = |i: usize| {
        let next = *starts.get(i + 1).unwrap_or(&last);
        let places = starts[i]..starts[i] + context;
        let input = |place: usize| if place < last { stream[place] } else { end };
        let target = |place: usize| if place < next { stream[place + 1] } else { IGNORE };
        (places.clone().map(input).collect(), places.map(target).collect())
    };
    (0..starts.len()).map(window).collect()
}
