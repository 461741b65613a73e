//! The web as one machine has it: a server of its own, and addresses that are refused.

use super::Called;
use ossia::tokenizer::o200k_harmony;
use ossia::tools::browser::endpoint::Endpoint;
use ossia::tools::browser::http::{Http, Limits, is_public};
use ossia::tools::browser::{Browser, Fetch, Hit, Search};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers requests, and keeps them.
pub struct Server {
    pub at: String,
    pub requests: Arc<Mutex<Vec<String>>>,
}

/// Writes the response of a server to a request for a path.
type Answers = fn(&str, &mut TcpStream) -> std::io::Result<()>;

impl Server {
    pub fn new(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let kept = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || serve(stream, &kept, answers));
            }
        });
        Self { at, requests }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.at)
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<String>>, answers: Answers) -> std::io::Result<()> {
    let (mut request, mut length) = (String::new(), 0);
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let start = request.len();
        reader.read_line(&mut request)?;
        let line = request[start..].trim().to_lowercase();
        length = line.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    request += &String::from_utf8_lossy(&body);
    let path = request.split(' ').nth(1).unwrap_or_default().to_string();
    kept.lock().unwrap().push(request);
    answers(&path, &mut stream)
}

pub fn answer(stream: &mut TcpStream, status: &str, kind: &str, body: &[u8]) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}

fn redirect(stream: &mut TcpStream, to: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}

fn pages(path: &str, stream: &mut TcpStream) -> std::io::Result<()> {
    match path {
        "/story" => answer(
            stream,
            "200 OK",
            "text/html; charset=utf-8",
            "<title>A Tale</title><p>Once, näh <a href='/next'>on</a>".as_bytes(),
        ),
        "/latin" => answer(stream, "200 OK", "text/html; charset=iso-8859-1", b"<p>caf\xe9"),
        "/broken" => answer(stream, "200 OK", "text/plain", b"a\xff\xc3(b"),
        "/json" => answer(stream, "200 OK", "application/json", b"{\"a\": \"\xe3\x80\x90\"}"),
        "/picture" => answer(stream, "200 OK", "image/png", b"\x89PNG"),
        "/away" => redirect(stream, "/story"),
        "/round" => redirect(stream, "/round"),
        "/inside" => redirect(stream, &format!("http://127.0.0.2:{}/secret", stream.local_addr()?.port())),
        "/metadata" => redirect(stream, "http://169.254.169.254/latest/meta-data/"),
        "/file" => redirect(stream, "file:///etc/passwd"),
        "/long" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")?;
            (0..).try_for_each(|_| stream.write_all(&[b'x'; 4096])) // until the other side has enough
        }
        "/slow" => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")?;
            (0..).try_for_each(|_| {
                std::thread::sleep(Duration::from_millis(20));
                stream.write_all(b"x")
            })
        }
        "/headers" => {
            write!(stream, "HTTP/1.1 200 OK\r\n")?;
            (0..).try_for_each(|i| write!(stream, "X-{i}: {}\r\n", "y".repeat(1000)))
        }
        "/nothing" => Ok(()),
        "/noise" => stream.write_all(b"\x00\x01 what is this\r\n\r\n"),
        _ => answer(stream, "404 Not Found", "text/html", b"<p>no"),
    }
}

/// Returns whether an address is below 127.0.0.2. In these tests, 127.0.0.1 plays the part of the public internet.
fn near(address: IpAddr) -> bool {
    address == Ipv4Addr::LOCALHOST
}

fn local() -> Limits {
    Limits { allowed: near, bytes: 10_000, ..Limits::default() }
}

#[test]
fn tools_browser_fetches_pages() {
    let server = Server::new(pages);
    let web = Http::new(local());
    let text = |path: &str| web.fetch(&server.url(path), false).unwrap().text;
    let head = |path: &str| format!("\nURL: {}\n", server.url(path));
    assert_eq!(text("/story"), head("/story") + "Once, näh 【0†on】");
    assert_eq!(text("/latin"), head("/latin") + "café");
    assert_eq!(text("/broken"), head("/broken") + "a\u{FFFD}\u{FFFD}(b");
    assert_eq!(text("/json"), head("/json") + "{\"a\": \"〖\"}", "what looks like a link is none");
    let page = web.fetch(&server.url("/away"), false).unwrap();
    assert_eq!((page.url, page.title.as_str()), (server.url("/story"), "A Tale"), "a redirect is followed");
    let source = web.fetch(&server.url("/story"), true).unwrap();
    assert!(source.text.contains("<title>A Tale</title>") && source.url.starts_with("view-source:http"));
    let long = text("/long");
    assert!(long.len() < 10_200 && long.ends_with("[the rest is left out: more than 10000 bytes]"), "{}", long.len());
}

#[test]
fn tools_browser_says_why_a_page_cannot_be_had() {
    let server = Server::new(pages);
    let web = Http::new(Limits { timeout: Duration::from_millis(600), ..local() });
    for (path, why) in [
        ("/missing", "404"),
        ("/picture", "image/png, which is not text"),
        ("/round", "redirect"),
        ("/slow", "timeout"),
        ("/headers", "header"),
        ("/nothing", ""),
        ("/noise", ""),
    ] {
        let error = web.fetch(&server.url(path), false).unwrap_err().to_string();
        assert!(error.contains(why) && error.lines().count() == 1, "{path}: {error}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(web.fetch(&format!("http://{closed}/"), false).is_err());
    for url in
        ["", "http://", "http:///x", "http://[::1", "http://a b/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher:x"]
    {
        let error = web.fetch(url, false).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{url}: {error}");
    }
}

/// Whatever a page or its server says: no connection to this machine or its network is made.
#[test]
fn tools_browser_stays_on_the_public_internet() {
    let server = Server::new(pages);
    let port = server.at.rsplit(':').next().unwrap();
    let public = Http::new(Limits::default());
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[::127.0.0.1]",
        "10.0.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "user:pass@127.0.0.1",
        "localhost.",
        "[fe80::1]",
        "[fd00::1]",
    ] {
        let error = public.fetch(&format!("http://{host}:{port}/story"), false).unwrap_err().to_string();
        assert_eq!(error.lines().count(), 1, "{host}: {error}");
        let literal = host.starts_with(|c: char| c.is_ascii_digit())
            && host.matches('.').count() == 3
            && !host.starts_with("0177");
        assert!(!literal || error.contains("not of the public internet"), "{host}: {error}");
    }
    assert_eq!(server.count(), 0, "{:?}", server.requests);
    let web = Http::new(local());
    for path in ["/inside", "/metadata"] {
        let error = web.fetch(&server.url(path), false).unwrap_err().to_string();
        assert!(error.contains("not of the public internet"), "{path}: {error}");
    }
    assert!(
        web.fetch(&server.url("/file"), false).unwrap_err().to_string().contains("404"),
        "no file, but a path of the server"
    );
    assert_eq!(server.count(), 4, "{:?}: what redirects was asked, where it leads was not", server.requests);
}

#[test]
fn tools_browser_knows_public_addresses() {
    let private = [
        "0.0.0.0",
        "0.1.2.3",
        "10.1.2.3",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:1ff::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "3fff:fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ];
    let public = [
        "1.1.1.1",
        "8.8.8.8",
        "100.63.255.255",
        "100.128.0.1",
        "172.15.0.1",
        "172.32.0.1",
        "192.0.1.1",
        "192.169.0.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2606:4700::1111",
        "2002:808:808::1",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
        "3fff:1000::1",
    ];
    for address in private {
        assert!(!is_public(address.parse().unwrap()), "{address}");
    }
    for address in public {
        assert!(is_public(address.parse().unwrap()), "{address}");
    }
}

fn searches(path: &str, stream: &mut TcpStream) -> std::io::Result<()> {
    let result =
        |i: usize| json!({"title": format!("T{i}"), "url": format!("https://{i}.example/"), "description": "about"});
    let body = match path.split('?').next() {
        Some("/flat") => {
            json!({"results": [{"title": "A", "url": "https://a.example/", "content": "x".repeat(900)}, {"url": 3}]})
        }
        Some("/nested") => json!({"web": {"results": (0..30).map(result).collect::<Vec<_>>()}, "news": null}),
        Some("/snippets") => {
            json!([{"title": "S", "url": "https://s.example/", "snippets": ["one", "two"], "summary": ""}])
        }
        Some("/text") => return answer(stream, "200 OK", "text/plain", b"sorry"),
        Some("/moved") => return redirect(stream, "/flat"),
        _ => return answer(stream, "401 Unauthorized", "application/json", b"{}"),
    };
    answer(stream, "200 OK", "application/json", body.to_string().as_bytes())
}

#[test]
fn tools_browser_asks_a_search_service() {
    let server = Server::new(searches);
    let get = |path: &str| Endpoint::new(&server.url(path), None, &[], None).unwrap();
    let hit =
        |title: &str, url: &str, summary: &str| Hit { title: title.into(), url: url.into(), summary: summary.into() };
    let found = get("/flat?q={query}&n={count}").search("a&b {count} c", 7).unwrap();
    assert_eq!(found, [hit("A", "https://a.example/", &"x".repeat(500))]);
    assert!(server.requests.lock().unwrap()[0].starts_with("GET /flat?q=a%26b+%7Bcount%7D+c&n=7 "));
    let found = get("/nested?q={query}").search("x", 20).unwrap();
    assert_eq!((found.len(), &found[19]), (20, &hit("T19", "https://19.example/", "about")));
    assert_eq!(get("/snippets?q={query}").search("x", 5).unwrap(), [hit("S", "https://s.example/", "one … two")]);
    for (path, why) in
        [("/text?{query}", "does not answer in JSON"), ("/else?{query}", "401"), ("/moved?{query}", "302")]
    {
        let error = get(path).search("x", 5).unwrap_err().to_string();
        assert!(error.contains(why), "{path}: {error}");
    }
    let headers = ["X-Api-Key: {key}".to_string(), "x-more:1".to_string()];
    let post = Endpoint::new(&server.url("/flat"), Some("{\"q\": {query}, \"n\": {count}}"), &headers, Some("secret"))
        .unwrap();
    assert_eq!(post.search("say \"{count}\"", 3).unwrap().len(), 1);
    let sent = server.requests.lock().unwrap().last().unwrap().to_lowercase();
    assert!(
        sent.starts_with("post /flat ") && sent.contains("x-api-key: secret") && sent.contains("x-more: 1"),
        "{sent}"
    );
    assert!(sent.ends_with("{\"q\": \"say \\\"{count}\\\"\", \"n\": 3}"), "{sent}");
    for (url, header, why) in [
        ("nonsense", "", "not an http URL"),
        ("file:///x?{query}", "", "not an http URL"),
        ("http://x.example/", "", "{query}"),
        ("http://x.example/{query}", "none", "name: value"),
        ("http://x.example/{query}", "a: {key}", "OSSIA_SEARCH_KEY"),
    ] {
        let headers: Vec<String> =
            [header].iter().filter(|header| !header.is_empty()).map(ToString::to_string).collect();
        let error = Endpoint::new(url, None, &headers, None).unwrap_err().to_string();
        assert!(error.contains(why), "{url} {header}: {error}");
    }
}

#[test]
fn tools_browser_goes_from_a_search_to_a_page() {
    fn both(path: &str, stream: &mut TcpStream) -> std::io::Result<()> {
        let at = stream.local_addr()?;
        match path {
            "/search?raven" => {
                let results = json!({"results": [{"title": "Tale", "url": format!("http://{at}/story"), "summary": "of a raven"}]});
                answer(stream, "200 OK", "application/json", results.to_string().as_bytes())
            }
            _ => pages(path, stream),
        }
    }
    let server = Server::new(both);
    let search = Endpoint::new(&server.url("/search?{query}"), None, &[], None).unwrap();
    let mut browser = Called(Browser::new(Some(Box::new(search)), Box::new(Http::new(local())), o200k_harmony()));
    let domain = server.at.trim_start_matches("http://");
    let found = browser.call("search", &json!({"query": "raven"}));
    assert!(found.ends_with(&format!("L4:   * 【0†Tale†{domain}】 of a raven")), "{found}");
    let page = browser.call("open", &json!({"id": 0}));
    assert!(page.starts_with("[1] A Tale (http://127.0.0.1"), "{page}");
    browser.call("open", &json!({"id": 0, "cursor": 0}));
    assert_eq!(server.count(), 2, "a page that is open is not fetched again");
    browser.call("open", &json!({"id": server.url("/story")}));
    assert_eq!(server.count(), 3, "but it is when its URL is given");
    let missing = browser.call("open", &json!({"id": 0}));
    assert_eq!(missing, format!("Error fetching URL `{}`: the server answers 404 Not Found", server.url("/next")));
    assert_eq!(browser.call("search", &json!({"query": "x", "topn": 1e300})).lines().count(), 1);
}
