//! Fetches pages of the web.
//!
//! A page may tell a model which address to open next. So the resolver checks every address that a name resolves to,
//! for the first request and for every redirect, and the connection goes to exactly these addresses. Addresses outside
//! of the public internet are refused, in whatever form they are written.

use super::document::Document;
use super::page::Page;
use super::source::{Fetch, SourceError};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

/// Limits of a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest time for a page, from resolving the name to the last byte.
    pub timeout: Duration,
    /// The largest number of bytes that are read; longer pages are cut.
    pub bytes: u64,
    /// The largest number of redirects.
    pub redirects: u32,
    /// Returns whether an address may be connected to.
    pub allowed: fn(IpAddr) -> bool,
}

impl Default for Limits {
    /// Returns the default limits: 20 seconds, 2 MiB, 5 redirects, the public internet.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(20), bytes: 2 << 20, redirects: 5, allowed: is_public }
    }
}

impl Limits {
    /// Makes an HTTP client with these limits.
    pub fn agent(&self) -> Agent {
        let config = Config::builder()
            .timeout_global(Some(self.timeout))
            .max_redirects(self.redirects)
            .max_redirects_will_error(true)
            .http_status_as_error(false)
            .user_agent(concat!("ossia/", env!("CARGO_PKG_VERSION")))
            .proxy(None) // because a proxy would resolve names itself
            .tls_config(TlsConfig::default())
            .build();
        Agent::with_parts(
            config,
            DefaultConnector::default(),
            GuardedResolver { allowed: self.allowed, names: Default::default() },
        )
    }

    /// Reads the body of a response as text, up to the limit.
    ///
    /// # Errors
    /// If the connection fails.
    pub fn read(&self, body: Body) -> Result<String, SourceError> {
        let mut bytes = Vec::new();
        let text = body.into_with_config().limit(u64::MAX).reader();
        text.take(self.bytes + 1).read_to_end(&mut bytes)?;
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
    /// Makes a client with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits, agent: limits.agent() }
    }
}

impl Fetch for Http {
    fn fetch(&self, url: &str, source: bool) -> Result<Page, SourceError> {
        let response =
            self.agent.get(url).header("accept", "text/html, text/*;q=0.9, application/json;q=0.8").call()?;
        if !response.status().is_success() {
            return Err(SourceError::Status { sender: "server", status: response.status() });
        }
        let url = ureq::ResponseExt::get_uri(&response).to_string();
        let kind = response.body().mime_type().unwrap_or("text/html").to_ascii_lowercase();
        let html = matches!(&*kind, "text/html" | "application/xhtml+xml");
        let text = kind.starts_with("text/") || kind.ends_with("json") || kind.ends_with("xml");
        if !html && !text {
            return Err(SourceError::NotText(kind));
        }
        let text = self.limits.read(response.into_body())?;
        Ok(Page::of(&Document { url, title: None, text, html }, source))
    }
}

/// A resolver that returns only allowed addresses.
#[derive(Debug)]
struct GuardedResolver {
    allowed: fn(IpAddr) -> bool,
    names: DefaultResolver,
}

impl Resolver for GuardedResolver {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.names.resolve(uri, config, timeout)?;
        // One refused address refuses the whole name, because a server with both kinds of addresses is suspicious.
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

/// Returns whether an address belongs to the public internet, according to the registries of special addresses of
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
