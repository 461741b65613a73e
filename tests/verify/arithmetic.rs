//! The arithmetic task: what it teaches is right, and what it asks was never taught.
//!
//! Book: [effort](../../book/src/effort.md)

use ossia::data::Example;
use ossia::harmony::{Effort, Harmony, MessageRole};
use ossia::tasks::arithmetic::{Question, Wording, conversations, python, tokenizer, working};
use ossia::tasks::chats::examples;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use std::collections::BTreeSet;

fn sums(count: usize) -> impl Iterator<Item = Vec<i32>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..count).map(move |i| match Question::sum(2 + i % 4, &mut rng) {
        Question::Sum(terms) => terms,
        Question::Product(..) => unreachable!("a sum"),
    })
}

#[test]
fn arithmetic_working_of_an_example() {
    let question = Question::Sum(vec![347, 285, -185]);
    assert_eq!(question.answer(), 447);
    assert_eq!(question.text(Wording::Plain), "What is 347 + 285 - 185?");
    assert_eq!(
        question.text(Wording::Story { name: 0, thing: 0 }),
        "Tom has 347 coins, finds 285, loses 185. How many coins?"
    );
    assert_eq!(working(&question, Effort::Low), None);
    assert_eq!(working(&question, Effort::Medium).unwrap(), "347+285=632\n632-185=447");
    let high = "347+285\n7+5=12\n4+8+1=13\n3+2+1=6\n=632\n632-185\n12-5=7\n13-8-1=4\n6-1-1=4\n=447";
    assert_eq!(working(&question, Effort::High).unwrap(), high);
    assert_eq!(working(&Question::Product(12, 13), Effort::High), None);
}

/// Every line of every working holds by itself, and the last is the answer.
#[test]
fn arithmetic_workings_are_right() {
    let value = |text: &str| -> i32 {
        let signed = text.replace('-', "+-");
        signed.split('+').filter(|term| !term.is_empty()).map(|term| term.parse::<i32>().unwrap()).sum()
    };
    for terms in sums(3_000) {
        let totals: Vec<i32> = terms
            .iter()
            .scan(0, |total, term| {
                *total += term;
                Some(*total)
            })
            .collect();
        assert!(totals.iter().all(|total| (0..=999).contains(total)), "{terms:?}");
        let question = Question::Sum(terms.clone());
        for effort in [Effort::Medium, Effort::High] {
            let working = working(&question, effort).unwrap();
            let mut asked = 0;
            for line in working.lines() {
                match line.split_once('=') {
                    None => asked = value(line),
                    Some(("", total)) => assert_eq!(value(total), asked, "{line} in {working}"),
                    Some((sum, total)) => assert_eq!(value(sum), value(total), "{line} in {working}"),
                }
            }
            assert!(working.ends_with(&format!("={}", question.answer())), "{working}");
        }
    }
}

/// The columns of a high working are the digits of its total.
#[test]
fn arithmetic_columns_are_the_digits_of_the_total() {
    for terms in sums(2_000) {
        let working = working(&Question::Sum(terms), Effort::High).unwrap();
        let mut columns: Vec<&str> = Vec::new();
        for line in working.lines() {
            match line.split_once('=') {
                None => columns.clear(),
                Some(("", total)) => {
                    // The ones come first. Of the last column the carry is written too.
                    let last = columns.pop().unwrap_or("0");
                    let digits = columns.iter().rev().map(|column| &column[column.len() - 1..]);
                    let written: String = [last].into_iter().chain(digits).collect();
                    assert_eq!(written.parse::<i32>().unwrap().to_string(), total, "{working}");
                }
                Some((_, column)) => columns.push(column),
            }
        }
    }
}

#[test]
fn arithmetic_questions_are_held_out_by_their_terms() {
    let held: Vec<bool> = sums(8_000).map(|terms| Question::Sum(terms).is_held_out()).collect();
    let share = held.iter().filter(|held| **held).count() as f64 / held.len() as f64;
    assert!((0.10..0.15).contains(&share), "{share} of an eighth");
    let asked = |held_out| -> BTreeSet<String> {
        let messages = conversations(300, 5, held_out, 0.0).into_iter().flatten().map(|message| message.message);
        messages.filter(|message| message.role == MessageRole::User).map(|message| message.text()).collect()
    };
    for (held_out, questions) in [(true, asked(true)), (false, asked(false))] {
        assert!(questions.len() > 250);
        for text in &questions {
            assert_eq!(read(text).is_held_out(), held_out, "{text}");
        }
    }
}

/// The question that a text puts.
fn read(text: &str) -> Question {
    let numbers: Vec<i32> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|n| !n.is_empty()).map(|n| n.parse().unwrap()).collect();
    if text.contains('*') {
        return Question::Product(numbers[0], numbers[1]);
    }
    let sign = |word| match word {
        "+" | "finds" => Some(1),
        "-" | "loses" => Some(-1),
        _ => None,
    };
    let signs = [1].into_iter().chain(text.split(' ').filter_map(sign));
    Question::Sum(numbers.into_iter().zip(signs).map(|(n, sign)| n * sign).collect())
}

/// A conversation has what a user of the task meets, it fits in the context of nano, and digits are tokens of their own.
#[test]
fn arithmetic_conversations_fit_and_have_every_kind() {
    let tokenizer = tokenizer(2_048).unwrap();
    let harmony = Harmony::new(&tokenizer).unwrap();
    let mut kinds = [0; 5];
    for chat in conversations(600, 9, false, 0.0) {
        let messages: Vec<_> = chat.iter().map(|message| &message.message).collect();
        let learned = chat.iter().filter(|message| message.learned).map(|message| message.message.role);
        assert!(learned.eq(messages.iter().map(|m| m.role).filter(|role| *role == MessageRole::Assistant)));
        let lessons = examples(harmony, &chat).unwrap();
        for Example { inputs, .. } in &lessons {
            assert!(inputs.len() < 256, "fits in the context of nano: {}", inputs.len());
            let text = tokenizer.decode(inputs).unwrap();
            let digits = text.chars().filter(char::is_ascii_digit).count();
            assert_eq!(digits, inputs.iter().filter(|&&id| (48..58).contains(&id)).count());
        }
        let text = tokenizer.decode(&lessons[0].inputs).unwrap();
        kinds[0] += usize::from(messages.iter().any(|m| m.recipient.as_deref() == Some("python")));
        kinds[1] += usize::from(text.contains(python().description.as_deref().unwrap()));
        kinds[2] += usize::from(messages.iter().any(|m| m.text().contains("I need python")));
        kinds[3] += usize::from(messages.iter().filter(|m| m.is_on("final")).count() == 2);
        kinds[4] += usize::from(lessons.len() == 2);
    }
    assert!(kinds.iter().all(|&count| count > 10), "calls, tools, refusals, two turns, two examples: {kinds:?}");
}
