//! Harmony, effort, structured output, tools.

use crate::harmony::{Message, Purpose};
use crate::proofs::{Effort, Exercise, Harmony, Mutant, StructuredOutput, Tools};
use crate::solutions::tools as right_tools;
use crate::solutions::{effort as right_effort, harmony as right_harmony, structured_output as right_output};
use crate::structured_output::Frame;
use crate::tools::Tool;
use ossia::harmony as engine;
use ossia::tokenizer::Allowed;

pub fn harmony() -> Vec<Mutant<Harmony>> {
    vec![
        Mutant {
            says: "the content is encoded with special tokens: a user can end a message and write a system message",
            layer: Harmony {
                render_message: |message, tokenizer, marks| {
                    let empty = Message { content: String::new(), ..message.clone() };
                    let mut ids = right_harmony::render_message(&empty, tokenizer, marks);
                    let end = ids.pop();
                    ids.extend(tokenizer.encode_with_special(&message.content, Allowed::All));
                    ids.extend(end);
                    ids
                },
                ..Harmony::solution()
            },
            caught_by: "a_message_becomes_tokens",
        },
        Mutant {
            says: "the analysis before the first answer is always left out, even while the model waits for a tool",
            layer: Harmony {
                in_prompt: |messages| {
                    let is_on = |message: &Message, channel| message.channel.as_deref() == Some(channel);
                    let first = messages.iter().position(|message| is_on(message, "final")).unwrap_or(messages.len());
                    let kept =
                        messages.iter().enumerate().filter(|(i, message)| *i >= first || !is_on(message, "analysis"));
                    kept.map(|(_, message)| message.clone()).collect()
                },
                ..Harmony::solution()
            },
            caught_by: "old_analysis_is_not_in_a_prompt",
        },
        Mutant {
            says: "in a text for training, every answer ends with <|return|>, also those that are history",
            layer: Harmony {
                render: |messages, purpose, tokenizer, marks| {
                    if purpose == Purpose::Completion {
                        return right_harmony::render(messages, purpose, tokenizer, marks);
                    }
                    let mut ids = Vec::new();
                    for message in messages {
                        ids.extend(right_harmony::render_message(message, tokenizer, marks));
                        if message.channel.as_deref() == Some("final") {
                            ids.pop();
                            ids.push(marks.done);
                        }
                    }
                    ids
                },
                ..Harmony::solution()
            },
            caught_by: "conversations_equal_the_engine",
        },
        Mutant {
            says: "a text for training leaves out analysis as a prompt does: the model never learns to think",
            layer: Harmony {
                render: |messages, purpose, tokenizer, marks| {
                    right_harmony::render(&right_harmony::in_prompt(messages), purpose, tokenizer, marks)
                },
                ..Harmony::solution()
            },
            caught_by: "conversations_equal_the_engine",
        },
        Mutant {
            says: "the parser looks for the recipient before the channel only, and loses calls that have it after",
            layer: Harmony {
                parse: |ids, tokenizer, marks| {
                    let mut messages = right_harmony::parse(ids, tokenizer, marks)?;
                    let headers = ids.split(|&id| id == marks.start).skip(1);
                    for (message, tokens) in messages.iter_mut().zip(headers) {
                        let before = tokens.split(|&id| id == marks.channel || id == marks.message).next();
                        let before = tokenizer.decode(before.unwrap_or_default()).unwrap_or_default();
                        message.recipient = message.recipient.take().filter(|_| before.contains(" to="));
                    }
                    Ok(messages)
                },
                ..Harmony::solution()
            },
            caught_by: "tokens_become_messages",
        },
        Mutant {
            says: "the parser decodes the tokens first, and then finds the ends of messages in the text",
            layer: Harmony {
                parse: |ids, tokenizer, marks| {
                    let text = tokenizer.decode(ids).map_err(|error| error.to_string())?;
                    right_harmony::parse(&tokenizer.encode_with_special(&text, Allowed::All), tokenizer, marks)
                },
                ..Harmony::solution()
            },
            caught_by: "tokens_become_messages",
        },
    ]
}

pub fn effort() -> Vec<Mutant<Effort>> {
    vec![
        Mutant {
            says: "the reply ends when the limit is reached: a long analysis and no answer",
            layer: Effort {
                reply: |model, (limit, most), switch, done| {
                    let mut reply = right_effort::reply(model, (limit, most), switch, done);
                    let ended = reply.iter().position(|token| *token == switch[0]);
                    if ended == Some(limit) {
                        reply.truncate(limit);
                    }
                    reply
                },
                ..Effort::solution()
            },
            caught_by: "the_analysis_ends_in_time",
        },
        Mutant {
            says: "the limit also counts the tokens of an answer that the model has begun itself",
            layer: Effort {
                reply: |model, (limit, most), switch, done| {
                    let mut reply = Vec::new();
                    let mut thinking = true;
                    while reply.len() < most && reply.last() != Some(&done) {
                        if thinking && reply.len() >= limit {
                            reply.extend(switch);
                            thinking = false;
                        } else {
                            let token = model(&reply);
                            reply.push(token);
                        }
                    }
                    reply
                },
                ..Effort::solution()
            },
            caught_by: "the_analysis_ends_in_time",
        },
        Mutant {
            says: "the whole room may be filled with analysis",
            layer: Effort { analysis_limit: |budget, room| budget.min(room), ..Effort::solution() },
            caught_by: "a_quarter_of_the_room_is_reserved",
        },
        Mutant {
            says: "replies without an answer vote, too",
            layer: Effort {
                vote: |answers| {
                    let count = |answer: &Option<i64>| answers.iter().filter(|other| *other == answer).count();
                    answers.iter().rev().max_by_key(|answer| count(answer)).copied().flatten()
                },
                ..Effort::solution()
            },
            caught_by: "the_most_frequent_answer_wins",
        },
        Mutant {
            says: "the tokens of wrong replies are not counted",
            layer: Effort {
                price: |replies| {
                    let right: Vec<_> = replies.iter().filter(|(right, _)| *right).copied().collect();
                    let (_, price) = right_effort::price(&right);
                    (right.len() as f64 / replies.len() as f64, price)
                },
                ..Effort::solution()
            },
            caught_by: "the_price_counts_wrong_replies",
        },
    ]
}

pub fn structured_output() -> Vec<Mutant<StructuredOutput>> {
    vec![
        Mutant {
            says: "after a comma, the array may end: [1,] is accepted",
            layer: StructuredOutput {
                next: |state, byte| {
                    let mut next = right_output::next(state, byte)?;
                    if byte == b',' {
                        next.truncate(next.len() - 2);
                        next.push(Frame::First);
                    }
                    Some(next)
                },
                ..StructuredOutput::solution()
            },
            caught_by: "the_automaton_reads_the_examples",
        },
        Mutant {
            says: "a closing bracket closes all arrays that are open",
            layer: StructuredOutput {
                next: |state, byte| {
                    let mut next = right_output::next(state, byte)?;
                    if byte == b']' {
                        next.retain(|frame| *frame != Frame::Rest);
                    }
                    Some(next)
                },
                ..StructuredOutput::solution()
            },
            caught_by: "the_automaton_reads_the_examples",
        },
        Mutant {
            says: "only the first byte of a token is checked",
            layer: StructuredOutput {
                mask: |state, vocabulary, end| {
                    let mut first: Vec<&[u8]> = vocabulary.iter().map(|token| &token[..1]).collect();
                    first[end] = vocabulary[end];
                    right_output::mask(state, &first, end)
                },
                ..StructuredOutput::solution()
            },
            caught_by: "the_mask_is_right_for_the_examples",
        },
        Mutant {
            says: "a token is allowed only if it stays within one frame: ]} is never drawn",
            layer: StructuredOutput {
                mask: |state, vocabulary, end| {
                    let stays = |bytes: &[u8]| {
                        let begun = right_output::next(state, bytes[0]).unwrap_or_default();
                        bytes.len() == 1 || begun.len() >= state.len()
                    };
                    let mask = right_output::mask(state, vocabulary, end);
                    mask.iter().zip(vocabulary).map(|(allowed, bytes)| *allowed && stays(bytes)).collect()
                },
                ..StructuredOutput::solution()
            },
            caught_by: "the_mask_is_right_for_the_examples",
        },
        Mutant {
            says: "the text may end anywhere: the end is always allowed",
            layer: StructuredOutput {
                mask: |state, vocabulary, end| {
                    let mut mask = right_output::mask(state, vocabulary, end);
                    mask[end] = true;
                    mask
                },
                ..StructuredOutput::solution()
            },
            caught_by: "the_mask_is_right_for_the_examples",
        },
        Mutant {
            says: "the shortest end closes the outermost frame first",
            layer: StructuredOutput {
                shortest_end: |state| {
                    let reversed: Vec<Frame> = state.iter().rev().copied().collect();
                    right_output::shortest_end(&reversed)
                },
                ..StructuredOutput::solution()
            },
            caught_by: "the_shortest_end_equals_the_engine",
        },
    ]
}

pub fn tools() -> Vec<Mutant<Tools>> {
    /// Appends messages of the model, and the answers to its calls, until the model writes a message that `ends`.
    fn until(
        conversation: &mut Vec<engine::Message>,
        model: &mut dyn FnMut(&[engine::Message]) -> engine::Message,
        tools: &[Tool],
        mut ends: impl FnMut(&engine::Message) -> bool,
    ) -> Option<String> {
        loop {
            let message = model(conversation);
            conversation.push(message.clone());
            if ends(&message) {
                return Some(message.text()).filter(|_| message.recipient.is_none());
            }
            if message.recipient.is_some() {
                conversation.push(right_tools::answer(&message, tools));
            }
        }
    }
    vec![
        Mutant {
            says: "arguments that are not JSON count as none, and the tool runs",
            layer: Tools {
                answer: |call, tools| {
                    let is_json = serde_json::from_str::<serde_json::Value>(&call.text()).is_ok();
                    let text = if is_json { call.text() } else { "{}".into() };
                    right_tools::answer(&engine::Message { content: vec![text.into()], ..call.clone() }, tools)
                },
                ..Tools::solution()
            },
            caught_by: "each_call_has_an_answer",
        },
        Mutant {
            says: "the answer of a tool is a message of the user, whose instructions the model follows",
            layer: Tools {
                answer: |call, tools| {
                    let answer = right_tools::answer(call, tools);
                    engine::Message::new(engine::MessageRole::User, answer.text())
                },
                ..Tools::solution()
            },
            caught_by: "each_call_has_an_answer",
        },
        Mutant {
            says: "the first message that is not a call ends the loop, even if it is analysis",
            layer: Tools {
                run: |conversation, model, tools, most_calls| {
                    let mut calls = 0;
                    until(conversation, model, tools, |message| {
                        calls += usize::from(message.recipient.is_some());
                        calls > most_calls || message.recipient.is_none()
                    })
                },
                ..Tools::solution()
            },
            caught_by: "the_loop_ends_with_the_answer_to_the_user",
        },
        Mutant {
            says: "a call of a tool that does not exist ends the loop",
            layer: Tools {
                run: |conversation, model, tools, most_calls| {
                    let mut calls = 0;
                    until(conversation, model, tools, |message| {
                        calls += usize::from(message.recipient.is_some());
                        let exists = |name: &String| tools.iter().any(|tool| tool.name == *name);
                        let is_unknown = message.recipient.as_ref().is_some_and(|name| !exists(name));
                        calls > most_calls || is_unknown || message.is_on("final")
                    })
                },
                ..Tools::solution()
            },
            caught_by: "the_loop_ends_with_the_answer_to_the_user",
        },
        Mutant {
            says: "one call more than allowed is run",
            layer: Tools {
                run: |conversation, model, tools, most_calls| {
                    right_tools::run(conversation, model, tools, most_calls + 1)
                },
                ..Tools::solution()
            },
            caught_by: "the_loop_stops_after_some_calls",
        },
    ]
}
