// Questions with choices. They need no script in the page: a choice is a radio button, and a style shows its feedback.
//
//   ```quiz
//   The question?
//   - [ ] a wrong choice
//     Why it is wrong.
//   - [x] the right choice
//     Why it is right.
//   ```

/** Replaces the `quiz` blocks of a chapter by HTML around Markdown. `chapter` makes the names of the buttons unique. */
export function quizzes(text, chapter) {
    let count = 0;
    return text.replace(/^```quiz\n([\s\S]*?)^```$/gm, (_, block) => html(parse(block), `${chapter}-${++count}`));
}

/** Replaces the `quiz` blocks by a question with letters, and the feedback to each letter below. */
export function printedQuizzes(text) {
    return text.replace(/^```quiz\n([\s\S]*?)^```$/gm, (_, block) => {
        const { question, choices } = parse(block);
        const letter = (i) => "abcdefgh"[i];
        const listed = choices.map(({ text }, i) => `(${letter(i)}) ${text}`).join("\n\n");
        const feedback = choices.map(({ right, feedback }, i) => `(${letter(i)}) ${right ? "**Right.** " : ""}${feedback}`);
        return `**Question.** ${question}\n\n${listed}\n\n*Answers:* ${feedback.join("\n\n")}`;
    });
}

function parse(block) {
    const [question, ...choices] = block.split(/^- (?=\[[ x]\] )/m);
    return {
        question: question.trim(),
        choices: choices.map((choice) => {
            const [text, ...feedback] = choice.slice(4).trimEnd().split("\n").map((line) => line.trim());
            return { right: choice[1] === "x", text, feedback: feedback.join("\n") };
        }),
    };
}

function html({ question, choices }, name) {
    const rights = choices.filter(({ right }) => right).length;
    const broken = choices.length < 2 || rights !== 1 || choices.some(({ feedback }) => !feedback);
    if (broken) throw new Error(`${name}: a quiz has two choices or more, each with feedback, and one of them is right`);
    // The empty lines let Markdown read what is between the tags.
    const shown = choices.map(({ right, text, feedback }, i) =>
        [
            `<div class="choice"><input type="radio" name="${name}" id="${name}-${i}"><label for="${name}-${i}">\n\n${text}\n`,
            `</label>\n<div class="feedback ${right ? "right" : "wrong"}">\n\n${feedback}\n\n</div></div>`,
        ].join("\n"),
    );
    return `<div class="quiz" role="group" aria-label="Question">\n\n${question}\n\n${shown.join("\n")}\n</div>`;
}
