//! Who calls: the address behind a connection, through the proxies that are trusted.
//!
//! **Invariant:** nobody chooses the address that they are counted under: `X-Forwarded-For` is believed from trusted
//! proxies alone, and only as far as trusted proxies wrote it.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The header in which a proxy names its client. It may come several times, each with several addresses.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// How many proxies stand behind each other at the most. Each hop is looked up among the trusted ones.
const MOST_HOPS: usize = 16;

/// The prefix that one IPv6 customer is given and chooses addresses from.
const SUBNET_BITS: u8 = 64;

/// The prefix that one IPv6 site is given and chooses subnets from. Others may share it, so its limits are looser.
const SITE_BITS: u8 = 48;

/// A client as it is counted: an IPv4 address, or for IPv6 a /64 in a /48.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Client {
    /// The IPv4 address, or the /64.
    pub(super) network: Network,
    /// The /48 around it.
    pub(super) site: Option<Network>,
}

/// A network that something is counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network {
    address: IpAddr,
    bits: u8,
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                Self { network: Network::around(v6, SUBNET_BITS), site: Some(Network::around(v6, SITE_BITS)) }
            }
            v4 => Self { network: Network { address: v4, bits: 32 }, site: None },
        }
    }
}

impl Client {
    /// Whom the peer of a connection speaks for, by the headers of a request.
    pub(super) fn of(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Self {
        address(peer, headers, trusted).into()
    }
}

impl Network {
    fn around(address: Ipv6Addr, bits: u8) -> Self {
        let rest = u128::BITS - u32::from(bits);
        Self { address: Ipv6Addr::from_bits(address.to_bits() >> rest << rest).into(), bits }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.network.address.fmt(f)
    }
}

/// Whether `address` is one of the trusted proxies.
pub(super) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The client's address: the peer's, or where that is a trusted proxy, the right-most one in `X-Forwarded-For` that is
/// not. Each proxy appends the address it was called from, so what stands left of it is only a client's claim. Where no
/// address can be read, it is the peer's.
fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    let mut client = peer;
    let lines = headers.get_all(FORWARDED_FOR).into_iter().rev();
    let mut hops = lines.flat_map(|line| line.as_bytes().rsplit(|b| *b == b',')).take(MOST_HOPS);
    while is_trusted(client, trusted) {
        let Some(hop) = hops.next() else { break };
        let Some(address) = parse(hop) else { return peer };
        client = address;
    }
    client
}

/// An address as proxies write it: with or without a port, brackets, blanks or quotes.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim().trim_matches('"');
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(with_port).or_else(bare).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn seen(peer: &str, headers: &[&str]) -> String {
        let trusted: Vec<IpNet> = ["172.16.0.0/12", "fd00::/8"].iter().map(|net| net.parse().unwrap()).collect();
        let headers = headers.iter().map(|value| {
            (FORWARDED_FOR.parse().unwrap(), axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        address(peer.parse().unwrap(), &headers.collect(), &trusted).to_string()
    }

    #[rstest]
    #[case::no_header(&[], "172.16.0.1")]
    #[case::one(&["203.0.113.9"], "203.0.113.9")]
    #[case::what_the_client_claims_is_left_of_what_the_proxy_saw(&["10.0.0.1, 203.0.113.9"], "203.0.113.9")]
    #[case::through_two_proxies(&["203.0.113.9, 172.20.0.5"], "203.0.113.9")]
    #[case::through_an_ipv6_proxy(&["203.0.113.9,fd00::5"], "203.0.113.9")]
    #[case::several_headers_are_one_list(&["198.51.100.1", "203.0.113.9, 172.20.0.5", "172.20.0.6"], "203.0.113.9")]
    #[case::blanks(&["  203.0.113.9\t ,  172.20.0.5 "], "203.0.113.9")]
    #[case::a_port(&["203.0.113.9:4711"], "203.0.113.9")]
    #[case::ipv6(&["2001:db8::7"], "2001:db8::7")]
    #[case::brackets(&["[2001:db8::7]"], "2001:db8::7")]
    #[case::brackets_and_a_port(&["\"[2001:db8::7]:4711\""], "2001:db8::7")]
    #[case::ipv4_in_ipv6(&["::ffff:203.0.113.9"], "203.0.113.9")]
    #[case::only_proxies(&["172.20.0.4, 172.20.0.5"], "172.20.0.4")]
    #[case::garbage(&["unknown"], "172.16.0.1")]
    #[case::garbage_behind_a_proxy(&["203.0.113.9, _hidden, 172.20.0.5"], "172.16.0.1")]
    #[case::garbage_that_the_client_claims(&["\u{e9}, 203.0.113.9"], "203.0.113.9")]
    #[case::empty(&[""], "172.16.0.1")]
    #[case::a_comma_at_the_end(&["203.0.113.9,"], "172.16.0.1")]
    fn behind_a_trusted_proxy_the_client_is_whom_it_saw(#[case] headers: &[&str], #[case] client: &str) {
        assert_eq!(seen("172.16.0.1", headers), client);
        assert_eq!(seen("::ffff:172.16.0.1", headers), client);
    }

    #[test]
    fn no_more_proxies_are_followed_than_there_may_be() {
        let through = |proxies: usize| format!("203.0.113.9{}", ", 172.20.0.5".repeat(proxies));
        assert_eq!(seen("172.16.0.1", &[&through(MOST_HOPS - 1)]), "203.0.113.9");
        assert_eq!(seen("172.16.0.1", &[&through(MOST_HOPS)]), "172.20.0.5");
    }

    #[test]
    fn a_stranger_says_nothing_about_itself_that_is_believed() {
        assert_eq!(seen("198.51.100.7", &["203.0.113.9"]), "198.51.100.7");
        assert_eq!(seen("2001:db8::1", &["172.16.0.1"]), "2001:db8::1");
    }

    #[test]
    fn an_ipv6_customer_is_counted_as_one_and_ipv4_addresses_each() {
        let client = |text: &str| Client::from(text.parse::<IpAddr>().unwrap());
        assert_eq!(client("2001:db8:0:1::1"), client("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(client("2001:db8:0:1::1").network, client("2001:db8:0:2::1").network);
        assert_eq!(client("2001:db8:0:1::1").site, client("2001:db8:0:2::1").site);
        assert_ne!(client("2001:db8:0:1::1").site, client("2001:db8:1:1::1").site);
        assert_ne!(client("2001:db8::1").network, client("2001:db8::1").site.unwrap(), "a /64 is not its /48");
        assert_ne!(client("203.0.113.9"), client("203.0.113.10"));
        assert_eq!(client("::ffff:203.0.113.9"), client("203.0.113.9"));
    }
}
