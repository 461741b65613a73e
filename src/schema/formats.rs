//! The formats of strings that are enforced, as regular expressions.
//!
//! Some formats allow texts that no expression can tell from wrong ones, or that hardly any reader knows. They are left
//! out: leap seconds, quoted names and addresses in brackets in `email`, and internationalized labels (`xn--…`).
//! RFC 3339 (dates), 1123 (host names), 3986 (URIs), 4291 (IPv6), 5321 (mail), 4122 (UUID)

/// The condition that a string of a format must satisfy.
pub struct Format {
    /// Regular expressions, all of which match the whole string.
    pub regexes: Vec<String>,
    /// The largest number of characters.
    pub longest: u32,
}

/// The formats that JSON Schema defines and that are not enforced.
pub const UNSUPPORTED: [&str; 4] = ["idn-email", "idn-hostname", "regex", "uri-template"];

/// Returns what a format demands of strings; `None` if the format is not enforced.
pub fn format(name: &str) -> Option<Format> {
    let unlimited = |regex: String| Format { regexes: vec![regex], longest: u32::MAX };
    Some(match name {
        "date" => unlimited(date()),
        "date-time" => unlimited(format!("{}[Tt]{}", date(), time())),
        "time" => unlimited(time()),
        "uuid" => unlimited([8, 4, 4, 4, 12].map(hex).join("-")),
        "ipv4" => unlimited(ipv4()),
        "ipv6" => unlimited(ipv6()),
        "duration" => unlimited(duration()),
        "uri" => unlimited(uri(ASCII)),
        "uri-reference" => unlimited(uri_reference(ASCII)),
        "iri" => unlimited(uri(UNICODE)),
        "iri-reference" => unlimited(uri_reference(UNICODE)),
        "json-pointer" => unlimited(json_pointer()),
        "relative-json-pointer" => unlimited(format!("(?:0|[1-9][0-9]*)(?:#|{})", json_pointer())),
        "hostname" => Format { regexes: vec![hostname()], longest: 253 },
        "email" => {
            let word = "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]+";
            let at_most_64_before_the_at = "[^@]{1,64}@[^@]*".to_string();
            Format {
                regexes: vec![format!(r"{word}(?:\.{word})*@{}", hostname()), at_most_64_before_the_at],
                longest: 254,
            }
        }
        _ => return None,
    })
}

fn hex(digits: usize) -> String {
    format!("[0-9a-fA-F]{{{digits}}}")
}

fn date() -> String {
    // A century is a leap year only if 400 divides it.
    let leap = "(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)";
    format!(
        "(?:[0-9]{{4}}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)\
         |02-(?:0[1-9]|1[0-9]|2[0-8]))|{leap}-02-29)"
    )
}

fn time() -> String {
    let offset = "[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]";
    format!(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?(?:{offset})")
}

/// Labels of up to 63 letters, digits and hyphens. A hyphen is neither first nor last, and the third and the fourth
/// character are not both hyphens.
fn hostname() -> String {
    let (end, inner) = ("[a-zA-Z0-9]", "[a-zA-Z0-9-]");
    let longer = format!("{end}{inner}(?:{end}{inner}|-{end}){inner}{{0,58}}{end}");
    let label = format!("(?:{end}{{1,2}}|{end}{inner}{{1,2}}{end}|{longer})");
    format!(r"{label}(?:\.{label})*")
}

fn ipv4() -> String {
    let byte = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    format!(r"{byte}(?:\.{byte}){{3}}")
}

/// Eight groups; or fewer, with `::` in the place of the others. An IPv4 address may stand for the last two.
fn ipv6() -> String {
    let group = "[0-9a-fA-F]{1,4}";
    let last_two = format!("(?:{group}:{group}|{})", ipv4());
    let mut forms = vec![format!("(?:{group}:){{6}}{last_two}")];
    for before in 0..=7 {
        let head = if before == 0 { String::new() } else { format!("{group}(?::{group}){{{}}}", before - 1) };
        // Up to 7 groups in all: `::` stands for at least one.
        let groups = 7 - before;
        let mut tails = vec![String::new()];
        tails.extend((1..=groups).map(|count| format!("{group}(?::{group}){{{}}}", count - 1)));
        tails.extend((2..=groups).map(|count| format!("(?:{group}:){{{}}}{}", count - 2, ipv4())));
        forms.push(format!("{head}::(?:{})", tails.join("|")));
    }
    format!("(?:{})", forms.join("|"))
}

/// A number of weeks; or years, months, days and, after a `T`, hours, minutes and seconds, without a gap between two.
fn duration() -> String {
    let time = "T(?:[0-9]+H(?:[0-9]+M(?:[0-9]+S)?)?|[0-9]+M(?:[0-9]+S)?|[0-9]+S)";
    let date = "(?:[0-9]+Y(?:[0-9]+M(?:[0-9]+D)?)?|[0-9]+M(?:[0-9]+D)?|[0-9]+D)";
    format!("P(?:[0-9]+W|{date}(?:{time})?|{time})")
}

fn json_pointer() -> String {
    "(?:/(?:[^/~]|~[01])*)*".into()
}

/// The characters that a URI may contain besides those that separate its parts; and those of an IRI. A hyphen stands
/// first, so that it is not taken for a range.
const ASCII: &str = "-a-zA-Z0-9._~!$&'()*+,;=";
const UNICODE: &str = "-a-zA-Z0-9._~!$&'()*+,;=\\x{A0}-\\x{D7FF}\\x{F900}-\\x{FDCF}\\x{FDF0}-\\x{FFEF}";

/// Matches one of `characters`, one of `more`, or an encoded byte.
fn one_of(characters: &str, more: &str) -> String {
    format!("(?:[{characters}{more}]|%[0-9a-fA-F]{{2}})")
}

fn authority(characters: &str) -> String {
    let user = format!("(?:{}*@)?", one_of(characters, ":"));
    let literal = format!(r"\[(?:{}|[vV][0-9a-fA-F]+\.[{ASCII}:]+)\]", ipv6());
    format!("{user}(?:{literal}|{}*)(?::[0-9]*)?", one_of(characters, ""))
}

/// The query and the fragment.
fn after_path(characters: &str) -> String {
    let any = one_of(characters, ":@/?");
    format!(r"(?:\?{any}*)?(?:#{any}*)?")
}

fn uri(characters: &str) -> String {
    let c = one_of(characters, ":@");
    let path = format!("//{}(?:/{c}*)*|/?(?:{c}+(?:/{c}*)*)?", authority(characters));
    format!("[a-zA-Z][a-zA-Z0-9+.-]*:(?:{path}){}", after_path(characters))
}

/// A URI, or a path that does not look like a scheme.
fn uri_reference(characters: &str) -> String {
    let (c, without_colon) = (one_of(characters, ":@"), one_of(characters, "@"));
    let relative = format!("/(?:{c}+(?:/{c}*)*)?|(?:{without_colon}+(?:/{c}*)*)?");
    let path = format!("//{}(?:/{c}*)*|{relative}", authority(characters));
    format!("(?:{}|(?:{path}){})", uri(characters), after_path(characters))
}
