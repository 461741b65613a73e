//! Pages of the web.
//!
//! A model may be told by a page which address to open next. So whoever resolves a name looks at what it resolves to,
//! for the first request and for every redirect, and connects there and nowhere else: addresses that are not of the
//! public internet are refused, however they are written.

use super::{Document, Fetch, Page};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

/// How far the web is reached.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For a page, from the name to the last byte.
    pub timeout: Duration,
    /// Bytes of a page that are read; what is longer is cut.
    pub bytes: u64,
    /// Redirects of a page.
    pub redirects: u32,
    /// Which addresses may be connected to.
    pub allowed: fn(IpAddr) -> bool,
}

impl Default for Limits {
    /// 20 seconds, 2 MiB, 5 redirects, the public internet.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(20), bytes: 2 << 20, redirects: 5, allowed: is_public }
    }
}

impl Limits {
    /// What makes requests within these limits.
    pub fn agent(&self) -> Agent {
        let config = Config::builder()
            .timeout_global(Some(self.timeout))
            .max_redirects(self.redirects)
            .max_redirects_will_error(true)
            .http_status_as_error(false)
            .user_agent(concat!("ossia/", env!("CARGO_PKG_VERSION")))
            .proxy(None) // a proxy would resolve names itself
            .tls_config(TlsConfig::default())
            .build();
        Agent::with_parts(
            config,
            DefaultConnector::default(),
            Only { allowed: self.allowed, names: Default::default() },
        )
    }

    /// What a server answers, as text: at most so many bytes.
    ///
    /// # Errors
    /// What the connection says.
    pub fn read(&self, body: Body) -> Result<String, String> {
        let mut bytes = Vec::new();
        let text = body.into_with_config().limit(u64::MAX).reader();
        text.take(self.bytes + 1).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        let cut = bytes.len() as u64 > self.bytes;
        bytes.truncate(self.bytes as usize);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(if cut { format!("{text}\n[the rest is left out: more than {} bytes]", self.bytes) } else { text })
    }
}

/// Fetches pages of the web.
pub struct Http {
    limits: Limits,
    agent: Agent,
}

impl Http {
    /// Within limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, agent: limits.agent() }
    }
}

impl Fetch for Http {
    fn fetch(&self, url: &str, source: bool) -> Result<Page, String> {
        let response = self.agent.get(url).header("accept", "text/html, text/*;q=0.9, application/json;q=0.8").call();
        let response = response.map_err(|e| match e {
            ureq::Error::Other(why) => why.to_string(), // ours
            other => other.to_string(),
        })?;
        if !response.status().is_success() {
            return Err(format!("the server answers {}", response.status()));
        }
        let url = ureq::ResponseExt::get_uri(&response).to_string();
        let kind = response.body().mime_type().unwrap_or("text/html").to_ascii_lowercase();
        let html = matches!(&*kind, "text/html" | "application/xhtml+xml");
        let text = kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml");
        if !html && !text {
            return Err(format!("it is {kind}, which is not text"));
        }
        let text = self.limits.read(response.into_body())?;
        Ok(Page::of(&Document { url, title: None, text, html }, source))
    }
}

/// Resolves names to addresses that are allowed, or not at all.
#[derive(Debug)]
struct Only {
    allowed: fn(IpAddr) -> bool,
    names: DefaultResolver,
}

impl Resolver for Only {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.names.resolve(uri, config, timeout)?;
        // One that is refused refuses the name: who answers with both has something in mind.
        match addresses.iter().map(SocketAddr::ip).find(|&address| !(self.allowed)(address)) {
            None => Ok(addresses),
            Some(address) => {
                let why =
                    format!("{} is {address}, which is not of the public internet", uri.host().unwrap_or_default());
                Err(ureq::Error::Other(why.into()))
            }
        }
    }
}

/// Whether an address is one of the public internet: by the registries of special addresses of
/// [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry) and
/// [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry).
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b) {
        (0 | 10 | 127, _) | (169, 254) | (172, 16..=31) | (192, 168) => true, // this network, private, loopback, link
        (100, 64..=127) | (198, 18..=19) => true,                             // a provider's own, benchmarks
        (192, 0) => c == 0 || c == 2,                                         // protocols, documentation
        (192, 88) => c == 99,                                                 // relays to IPv6
        (198, 51) => c == 100,                                                // documentation
        (203, 0) => c == 113,
        _ => a >= 224, // multicast, reserved, broadcast
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let v4 = |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low), // IPv4 within
        [0x2002, high, low, ..] => v4(high, low),                                                    // 6to4
        [0x2001, second, ..] => second > 0x1ff && second != 0xdb8, // protocols (Teredo among them), documentation
        [0x3fff, second, ..] => second > 0xfff,                    // documentation
        [first, ..] => (0x2000..0x4000).contains(&first),          // all else is loopback, local, or not given out
    }
}
