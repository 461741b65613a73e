"""Writes the reference data of the tokenizer tests: pip install regex tiktoken tokenizers

cases.json          texts with their pieces, by `regex` and by `tokenizers`, and their ids under tokenizer.json, by
                    `tokenizers` and by `tiktoken`. Whatever two libraries compute has to be the same, or nothing is
                    written.
ignore_merges.json  a vocabulary in which a token cannot be reached by its merges, and what `tokenizers` makes of it.

tokenizer.json is ours: `train` on the texts of cases.json, 640 ids, written by `to_json`. The test
`training_gives_the_committed_file` makes it again. After a change of the texts, make it anew and run this twice.
"""

import json
import random
import unicodedata
from pathlib import Path

import regex
import tiktoken
from tiktoken_ext.openai_public import o200k_base  # only its source text is used, see `pattern`
from tokenizers import Regex, Tokenizer, pre_tokenizers

HERE = Path(__file__).parent

PROSE = [
    "Once upon a time there lived, at the edge of a dark wood, a miller's daughter who couldn't keep a secret. "
    "She'd told the river; the river told the sea. 'They'll all know by morning,' said the miller, 'and we've no bread!'",
    "It was 1847, or 12345678 days ago: the king paid 3,141.59 crowns (about 10% of all he had) for 2x4 horses.",
    "Es war einmal eine alte Geiß, die hatte sieben junge Geißlein; STRASSE, Straße, Äpfel, ÜBERMUT und Öl.",
    "Il était une fois… l'été, l'hôtel, aujourd'hui, «garçon», cœur, Œuvre, naïve, e\u0301te\u0301 en deux caractères.",
    "Жили-были дед да баба. Была у них курочка Ряба. МОСКВА, Москва, москва.",
    "Μια φορά κι έναν καιρό ήταν ένας βασιλιάς. ΑΘΗΝΑ, Αθήνα.",
    "昔々あるところに、おじいさんとおばあさんが住んでいました。コンピューター、カタカナ、ABC漢字DEF、第12345回。",
    "从前有一座山,山里有个庙。共1234人;价格:¥5678。我们说OK就OK。",
    "옛날 옛적에 호랑이가 담배 피우던 시절에 한 아이가 살았습니다.",
    "एक समय की बात है, एक छोटे से गाँव में एक किसान रहता था। १२३४५६ रुपये।",
    "كان يا ما كان في قديم الزمان، مَلِكٌ عادِلٌ. ١٢٣٤٥",
    "היה היה פעם מלך, שָׁלוֹם עֲלֵיכֶם.",
    "กาลครั้งหนึ่งนานมาแล้ว มีกระต่ายกับเต่า",
    "ይህ ታሪክ ነው። ᚠᚢᚦᚨᚱᚲ 𐍈𐌰𐌹𐍂 𝐁𝐨𝐥𝐝 𝕆𝕡𝕖𝕟 ǅungla ǈ Ⅷ ⅷ ½ ² ㊿",
    "👩‍👩‍👧‍👦 family, 👍🏽 thumb, 🇫🇷🇯🇵 flags, ❤️ heart, 1️⃣ keycap, 🏴󠁧󠁢󠁳󠁣󠁴󠁿 Scotland, (╯°□°)╯︵ ┻━┻",
    "I'm, I'M, i'M, You'RE you'Re, WE'VE we'vE, he'LL He'lL, IT'S it'ſ IT'ſ, she'd SHE'D, don't DON'T dON'tx, 'tis, 's 'S "
    "o'clock rock'n'roll ''s 'll've y'all'd've 're're word'sword ’s it’s 1's !'s \n's é's É'S 中's ʰ'S",
    "fn main() {\n    let HTTPServer = XMLHttpRequest::new(b\"\\x00\\xff\"); // TODO: camelCaseABCdef snake_case_Name\n"
    "\tfor i in 0..=1_000_000 { v[i] += 0xFFu8 as f32 * 1e-5; }\r\n}\r\n\r\n\r\n#[test]\n",
    "<a href=\"https://example.org/a/b//c?d=1&e=%20#f\">x</a>\n/* … */\n///\n//!\n/\n\n/ ./run.sh && cd ../.. || exit $?\n",
    "def f(x):\n  return x**2 if x!=None else {'a':1}  # ok\n\n\n\tclass A: pass   \n   \n  \t \n    end  ",
    "<|endoftext|> is text here, and <|start|>assistant<|channel|>final too.",
    "   \n \n\r\r\n x  y   z\u00a0a\u3000\u3000b \u2028c\u2029 d\u0085\u0085e\u200bf\ufeffg \x0b\x0c\x1c\x1d h\x00i\t\tj \t",
    "Zalgo: H\u0300\u0301\u0302e\u0303\u0304l\u0305l\u0306o\u0307 !\u0300\u0301 1\u0302\u0303 \u0304 \u0305\n\u0306A\u0307B\u0308c "
    "\u0903x \u20ddX\u20dd 字AB字ab A字B aʰB ʰʰAB ʰ",
    "",
    " ",
    "\n",
    "a",
    "'",
    "\u0301",
]

ADVERSARIAL = list(
    "aAbBsSſtTrReEvVlLdDmM'''''      \t\u000b\u0085\u00a0\u2028\u3000\n\n\r\r//!-._1\u0663½Ⅷ中ʰªǅ\u0301\u20dd\u0903\u200d\ufe0f😀ßÉ\u001c\u0378\u0000"
)


def pattern():
    """o200k's regular expression, from the source of tiktoken: calling o200k_base would download the vocabulary."""
    constants = [c for c in o200k_base.__code__.co_consts if isinstance(c, str) or isinstance(c, tuple)]
    flat = [part for c in constants for part in (c if isinstance(c, tuple) else (c,))]
    first = next(i for i, part in enumerate(flat) if isinstance(part, str) and r"\p{Lu}" in part)
    return "|".join(flat[first : first + 7])


def texts():
    rng = random.Random(20)
    yield from PROSE
    for code_points in one_of_each_category(rng):
        yield code_points
    for length in [3, 8, 20, 60]:
        for _ in range(60):
            yield "".join(rng.choice(ADVERSARIAL) for _ in range(length))
    for character in ["a", "A", "中", "\u0301", " ", "\n", "!", "1", "ab", "aA", " \n", "\r\n", "!\u0301", "'s", "/\n"]:
        yield character * 50 + "x"
        yield "X" + character * 50


def one_of_each_category(rng):
    """For every general category, five of its characters between letters, spaces, digits and symbols."""
    categories = {}
    for code in range(0x20000):
        if not 0xD800 <= code < 0xE000:
            categories.setdefault(unicodedata.category(chr(code)), []).append(chr(code))
    del categories["Cn"]  # what is unassigned depends on the version of Unicode
    for name in sorted(categories):
        chosen = rng.sample(categories[name], min(5, len(categories[name])))
        yield "".join(f"a{c}B{c}c {c} {c}{c}1{c}!{c}\n{c}'s{c}" for c in chosen)


def pieces(text, split, compiled):
    theirs = [piece for piece, _ in split.pre_tokenize_str(text)]
    also = [match.group() for match in compiled.finditer(text)]
    assert theirs == also, (text, theirs, also)
    assert "".join(theirs) == text
    return theirs


def tiktoken_of(file):
    """The same vocabulary in tiktoken: bytes → rank."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    byte_of = {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}
    ranks = {bytes(byte_of[c] for c in token): rank for token, rank in file["model"]["vocab"].items()}
    specials = {token["content"]: token["id"] for token in file["added_tokens"]}
    return tiktoken.Encoding("ours", pat_str=pattern(), mergeable_ranks=ranks, special_tokens=specials)


def cases():
    split = pre_tokenizers.Split(Regex(pattern()), "isolated")
    compiled = regex.compile(pattern())
    path = HERE / "tokenizer.json"
    huggingface = Tokenizer.from_file(str(path)) if path.exists() else None
    openai = tiktoken_of(json.loads(path.read_text())) if huggingface else None
    for text in texts():
        case = {"text": text, "pieces": pieces(text, split, compiled)}
        if huggingface:
            # tokenizers recognises special tokens in every text, so the two are compared where both do.
            case["ids"] = openai.encode_ordinary(text)
            special = openai.encode(text, allowed_special="all")
            assert huggingface.encode(text).ids == special, text
            assert huggingface.decode(special, skip_special_tokens=False) == text
            if special != case["ids"]:
                case["ids_with_special"] = special
        yield case


def ignore_merges():
    """`abc` is a token, but its merges lead elsewhere: b and c join first, and nothing joins a and bc."""
    file = json.loads((HERE / "tokenizer.json").read_text())
    vocab = {token: rank for token, rank in file["model"]["vocab"].items() if rank < 256}
    vocab |= {"bc": 256, "ab": 257, "abc": 258}
    merges = [["b", "c"], ["a", "b"], ["ab", "c"]]
    file["added_tokens"] = []
    file["model"] |= {"vocab": vocab, "merges": merges}
    text = "abc abc ab bc"
    out = {"tokenizer": file, "text": text}
    for flag in [False, True]:
        file["model"]["ignore_merges"] = flag
        out[f"ids_{flag}".lower()] = Tokenizer.from_str(json.dumps(file)).encode(text).ids
    assert out["ids_false"] != out["ids_true"]
    return out


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(case) for case in cases())
    (HERE / "cases.json").write_text(f"[\n{lines}\n]\n")
    if (HERE / "tokenizer.json").exists():
        (HERE / "ignore_merges.json").write_text(json.dumps(ignore_merges()) + "\n")
