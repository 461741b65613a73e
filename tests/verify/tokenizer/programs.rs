//! One small program in each of ten languages, with what their tokenization trips over: indentation, operators,
//! apostrophes, numbers, comments in other scripts.

/// (language, source)
pub const PROGRAMS: [(&str, &str); 10] = [
    (
        "Rust",
        "fn main() {\n    let mut x: Vec<u64> = (0..1_000).map(|i| i * i).collect();\n    x.retain(|&y| y % 3 != 0 && y < 0xFF_FF);\n    println!(\"{x:?} – {}\", x.len()); // größer\n}\n",
    ),
    (
        "Python",
        "class Tree(dict):\n\tdef __missing__(self, key):\n\t\tvalue = self[key] = type(self)()\n\t\treturn value\n\nif __name__ == '__main__':\n    print(f\"{Tree()['a']['b']!r:>20}\", 3.14e-10, 1_000_000)\n",
    ),
    (
        "C",
        "#include <stdio.h>\n\nint main(int argc, char **argv) {\n\tfor (int i = 0; i < argc; ++i)\n\t\tprintf(\"%-8s|%05d\\n\", argv[i], i<<2 ^ 0x7f);\n\treturn !!argc;\n}\n",
    ),
    (
        "JavaScript",
        "const sum = (...xs) => xs.reduce((a, b) => a + b, 0);\nexport default async function* run() {\n  for await (const x of stream?.items ?? []) yield `${x}: ${await x?.y}`; // 日本語\n}\n",
    ),
    (
        "Go",
        "package main\n\nimport \"fmt\"\n\nfunc main() {\n\tch := make(chan int, 10)\n\tgo func() { defer close(ch); for i := 0; i < 10; i++ { ch <- i } }()\n\tfor v := range ch { fmt.Println(v) }\n}\n",
    ),
    (
        "Java",
        "public final class Main {\n    public static void main(String[] args) throws Exception {\n        var list = java.util.List.of(1, 2, 3);\n        list.stream().map(x -> x >>> 1).forEach(System.out::println);\n    }\n}\n",
    ),
    (
        "Haskell",
        "module Main where\n\nprimes :: [Integer]\nprimes = sieve [2 ..]\n  where sieve (p:xs) = p : sieve [x | x <- xs, x `mod` p /= 0]\n\nmain :: IO ()\nmain = mapM_ print $ takeWhile (<= 100) primes -- don't stop\n",
    ),
    (
        "SQL",
        "SELECT c.name, COUNT(*) AS n\n  FROM orders o\n  LEFT JOIN customers c ON c.id = o.customer_id\n WHERE o.total >= 99.95 AND c.name NOT LIKE 'O''Brien%'\n GROUP BY 1 HAVING n > 3\n ORDER BY n DESC;\n",
    ),
    (
        "Bash",
        "#!/usr/bin/env bash\nset -euo pipefail\nfor f in \"${@:-*.txt}\"; do\n    [[ -f $f ]] && sed -E 's/^[[:space:]]+//g' <\"$f\" | awk '{ print $1 }' >>out.log 2>&1\ndone\n",
    ),
    (
        "HTML",
        "<!DOCTYPE html>\n<html lang=\"ar\">\n  <head><style>a:hover{color:#fa0!important}</style></head>\n  <body onload=\"alert('x')\">&nbsp;مرحبا&#x1F600;<!-- no --></body>\n</html>\r\n\r\n",
    ),
];
