pub fn analysis_limit(budget: usize, room: usize) -> usize {
    budget.min(room - room / 4)
}

pub fn reply(
    model: &mut dyn FnMut(&[u32]) -> u32,
    (limit, most): (usize, usize),
    switch: &[u32],
    done: u32,
) -> Vec<u32> {
    let mut reply = Vec::new();
    let mut thinking = true;
    while reply.len() < most && reply.last() != Some(&done) {
        if thinking && reply.len() >= limit {
            reply.extend(switch);
            thinking = false;
        } else {
            let token = model(&reply);
            reply.push(token);
            thinking = thinking && token != switch[0];
        }
    }
    reply
}

pub fn vote(answers: &[Option<i64>]) -> Option<i64> {
    let given: Vec<i64> = answers.iter().flatten().copied().collect();
    let count = |answer: &i64| given.iter().filter(|other| *other == answer).count();
    given.iter().rev().max_by_key(|answer| count(answer)).copied() // of several maxima, max_by_key returns the last one
}

pub fn price(replies: &[(bool, usize)]) -> (f64, f64) {
    let right = replies.iter().filter(|(right, _)| *right).count() as f64;
    let tokens: usize = replies.iter().map(|(_, tokens)| tokens).sum();
    (right / replies.len() as f64, tokens as f64 / right)
}
