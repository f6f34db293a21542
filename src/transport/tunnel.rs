//! A forward proxy's answer to `CONNECT`.
//!
//! The HTTP library reports a refused tunnel without the proxy's status, except for 407. This module repeats the
//! `CONNECT` once, so that the error can name the status. Never uses the tunnel.

use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::proxies::Proxy;

/// Time limit of the repeated `CONNECT`.
const LIMIT: Duration = Duration::from_secs(3);

/// Returns the proxy's status. `None` if there is none, if the proxy uses TLS, or if it opens the tunnel this time.
pub(super) async fn refusal(proxy: &Proxy, host: &str, port: u16) -> Option<u16> {
    let status = tokio::time::timeout(LIMIT, status(proxy, host, port)).await.ok().flatten()?;
    (status != 200).then_some(status)
}

async fn status(proxy: &Proxy, host: &str, port: u16) -> Option<u16> {
    let url = proxy.url();
    if url.scheme() != "http" {
        return None;
    }
    let address = (url.host_str()?.trim_matches(['[', ']']), url.port_or_known_default()?);
    let mut stream = TcpStream::connect(address).await.ok()?;
    let settings = Matcher::builder().all(url.as_str()).build().intercept(&http::Uri::from_static("https://any"))?;
    let credential = settings.basic_auth().and_then(|value| value.to_str().ok());
    let credential = credential.map_or_else(String::new, |value| format!("Proxy-Authorization: {value}\r\n"));
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n{credential}\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while !head.contains(&b'\n') && head.len() < 1_024 {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split_whitespace().nth(1))?;
    status.parse().ok().filter(|status| (100..600).contains(status))
}
