// Writes patterns.jsonl: what ECMAScript says about patterns. Run it with Node 20: node tests/verify/schema/patterns.js
//
// The first line has the texts. Each other line is [pattern, null] if the pattern is a syntax error with the flag u, or
// [pattern, "01…"] with a 1 for each text that it matches.
// First come patterns that were written by hand, then all short sequences of certain pieces, then random ones.
"use strict";
const fs = require("fs");
const path = require("path");

let seed = 20261125;
function random(n) { // a small generator (xorshift), so that the file is always the same
  seed ^= seed << 13; seed ^= seed >>> 17; seed ^= seed << 5; seed >>>= 0;
  return seed % n;
}
const pick = (list) => list[random(list.length)];

const written = String.raw`
a)|(b
^\u+061$
a**
a{2}{3}
^*
^?$
x++
[a--b]
^[^ --]$
^[.-\S]$
^[^!--]$
^[+--]$
^[a-z--9]$
^[ --]$
[\w-~]
[~-\w]
[\w-]
[-\w]
[\d-z]
[a-\d]
[--\d]
[a-b-c]
[a-b-c-d]
[---]
[--]
[-]
[a-]
[-a]
[^-]
[^--]
[^]
[^^]
[\]]
[\\]
[\-]
[\b]
[\B]
[\0]
[\00]
[\1]
[\cA]
[\c]
[\u{61}-z]
[\u{0061}]
[\x61-\x7a]
[\x6]
[\x+6]
[z-a]
[a-a]
[&&]
[a&&b]
[a~~b]
[a--a]
[[a]]
[[:alpha:]]
[#-%]
[ -~]
[\s\S]
[^\s\S]
[\d\D]
[\w\W]
[^\W]
[^\D\s]
\x61
\x6
\x-1
\x+1
\u0061
\u61
\u{61}
\u{}
\u{110000}
\u{+61}
\u{0000000061}
\u{1F600}
\ud83d\ude00
\ud83d
\ude00
[\ud83d\ude00]
[\u{1F600}-\u{1F64F}]
^.$
^..$
.
a|b
a||b
|
||
(|a)
(a|)b
()
(?:)
(?:a|b)c
(a)(b)
(a
a)
)
(
(?
(?a)
(?:
(*a)
(+)
a?
a??
a???
a*?
a+?
a{2}?
a{2}??
a{2}+
a{,2}
a{2,}
a{2,1}
a{2,2}
a{0}
a{0,0}b
a{1
a{
a{}
a{a}
a{-1}
a{+1}
a{ 1}
a{1, 2}
a{1 }
a{01}
a}
a]
]
}
{
{1}
{1,2}
+
?
^+
$*
^{2}
$?
(^)*a
(?:^)+a
(?:$)*a
^^a$$
a^b
a$b
(^a|b$)
^(a|b)*$
\^
\$
\.
\*
\/
\|
\(\)\[\]\{\}
\-
\_
\@
\:
\"
\'
\ 
\a
\e
\z
\A
\Z
\<
\#
\%
\&
\~
\!
\,
\=
\é
\0
\00
\01
\n
\r
\t
\v
\f
\cA
\cz
\c1
\c
\s
\S
\d\D
\w\W
^\s*$
^\S+$
é
^[é-ü]$
^[^é]$
#
a#b
 a
a b
~
-
a-b
&
\\
\\\\
/
"
a{2}b{0,1}c{1,}
(a{2}){2}
(?:a{2}){2}
((a))
(((a|b)c)|d)*e
^(?:[a-z]+\.)+[a-z]{2,4}$
^[A-Z][a-z]*(?: [A-Z][a-z]*)*$
^\d{3}-\d{2}-\d{4}$
^#[0-9a-fA-F]{6}$
^(?:\d+|\w+\s\w+)$
^[^\x00-\x1f]*$
^[^\u0000-\u001f]+$
^[\u4e00-\u9fff]+$
^-?\d+(?:\.\d+)?$
`.split("\n").slice(1, -1);

// All sequences of up to three of these: what may follow what.
const pieces = ["a", "-", "^", "$", "*", "?", "{2}", "(", ")", "|", "[", "]", "\\w", "\\-", "[a-c]", "(?:a|b)", "{", "}", "."];
const sequences = [];
for (const a of pieces) {
  sequences.push(a);
  for (const b of pieces) {
    sequences.push(a + b);
    for (const c of pieces) if (random(6) === 0) sequences.push(a + b + c);
  }
}
// Classes of up to four elements.
const elements = ["a", "z", "-", "^", "]", "\\d", "\\-", " ", "\\]", "~", ".", "\\u0041", "é", "&", "["];
for (let i = 0; i < 900; i++) {
  let inside = "";
  for (let n = 1 + random(4); n > 0; n--) inside += pick(elements);
  sequences.push("^[" + pick(["", "", "^"]) + inside + "]$");
}
// Escapes of all characters of ASCII, outside and inside of a class, except those that are not regular.
for (let code = 0x20; code < 0x7f; code++) {
  const c = String.fromCharCode(code);
  if (!"bBkpP123456789".includes(c)) sequences.push("\\" + c, "[\\" + c + "]");
}
// Random patterns: most are right, and some have a piece too many or too few.
function expression(depth) {
  const atom = () => pick(["a", "b", "é", "\u{1F600}", ".", "\\d", "\\W", "\\s", "[ab]", "[^a]", "[b-d-]", "\\u{62}", "\\x61", "^", "$"]);
  let out = "";
  for (let n = random(4); n >= 0; n--) {
    let part = depth > 0 && random(3) === 0 ? pick(["(", "(?:"]) + expression(depth - 1) + ")" : atom();
    if (random(3) === 0) part += pick(["*", "+", "?", "{2}", "{1,2}", "{0,}", "*?", "+?"]);
    out += part + (random(6) === 0 ? "|" : "");
  }
  return out;
}
for (let i = 0; i < 900; i++) {
  let text = expression(2);
  if (random(4) === 0) { // delete a character, or double one
    const at = random(text.length);
    text = text.slice(0, at) + pick(["", text[at] + text[at]]) + text.slice(at + 1);
  }
  if (text.isWellFormed()) sequences.push(text);
}

const texts = ["", "a", "b", "c", "z", "ab", "ba", "aa", "aab", "abc", "bbb", "-", "--", "a-b", "!", " ", "~", "#", ".", ",", "+", "5", "61",
  "_", "]", "[", "^", "\\", "/", "{", "}", "(", ")", "&", "é", "ü", "A", "Z]", "\u{1F600}", "\u{1F600}a", "\n", "\t", "\0", "\x01", "\b", "\u2028",
  "\ufeff", "中", "a\nb", "a b", "U", "u", "x", "w", "d", "0", "9", "$", "%", "*", "|", "\"", "'", ":", ";", "@", "`"];
const lines = [];
for (const pattern of new Set([...written, ...sequences])) {
  let verdict = null;
  try {
    const regex = new RegExp(pattern, "u");
    verdict = "";
    for (const text of texts) verdict += regex.test(text) ? "1" : "0";
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  lines.push(JSON.stringify([pattern, verdict]));
}
const head = JSON.stringify({ node: process.versions.node, texts });
fs.writeFileSync(path.join(__dirname, "patterns.jsonl"), [head, ...lines].join("\n") + "\n");
