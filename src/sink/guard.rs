//! The address guard: what may be called at all, decided on addresses rather than on names.
//!
//! An address that an operator, or worse a till's notification, makes us call could point into our own network. So the
//! host of a URL is checked when it is an address, in every spelling (the URL parser brings them all to one), and every
//! address that a name resolves to is checked before it is connected to.
//!
//! **Invariant:** cloud metadata services are never called, whatever is allowed besides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Why an address is not called. It names no address and no host, so that it can be shown anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Blocked {
    /// Neither `http` nor `https`.
    #[error("the address must begin with https:// or http://")]
    Scheme,
    /// A name and password before the host.
    #[error("the address must not hold a user name or password")]
    Credentials,
    /// No host.
    #[error("the address names no host")]
    Host,
    /// A service that hands a machine's own credentials to whoever asks.
    #[error("the address is that of a cloud metadata service, which is never called")]
    Metadata,
    /// Not part of the public internet.
    #[error("the address is not on the public internet ({0})")]
    NotPublic(&'static str),
}

/// What may be called.
#[derive(Clone, Debug)]
pub struct Guard {
    reach: Reach,
}

#[derive(Clone, Debug)]
enum Reach {
    PublicAnd(Vec<IpNet>),
    Anywhere,
}

impl Guard {
    /// The public internet.
    pub fn public() -> Self {
        Self::public_and(Vec::new())
    }

    /// The public internet and these networks.
    pub fn public_and(networks: Vec<IpNet>) -> Self {
        Self { reach: Reach::PublicAnd(networks) }
    }

    /// Everything but metadata services: for an origin that the operator wrote down in full.
    pub fn anywhere() -> Self {
        Self { reach: Reach::Anywhere }
    }

    /// Checks everything about a URL that can be checked without resolving its host.
    ///
    /// # Errors
    /// Why it is not called.
    pub fn check_url(&self, url: &Url) -> Result<(), Blocked> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Blocked::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Blocked::Credentials);
        }
        match url.host() {
            None => Err(Blocked::Host),
            Some(Host::Ipv4(address)) => self.check_address(address.into()),
            Some(Host::Ipv6(address)) => self.check_address(address.into()),
            Some(Host::Domain(name)) if is_metadata_host(name) => Err(Blocked::Metadata),
            Some(Host::Domain(_)) => Ok(()),
        }
    }

    /// Checks an address that is about to be connected to.
    ///
    /// # Errors
    /// Why it is not called.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Blocked> {
        let (address, carried) = unwrap_ipv4(address);
        if is_metadata_address(address) || carried.iter().any(|inner| is_metadata_address((*inner).into())) {
            return Err(Blocked::Metadata);
        }
        let refused = match &self.reach {
            Reach::Anywhere => None,
            Reach::PublicAnd(networks) if networks.iter().any(|network| network.contains(&address)) => None,
            Reach::PublicAnd(_) => not_public(address).or_else(|| tunnelled(address)),
        };
        refused.map_or(Ok(()), |kind| Err(Blocked::NotPublic(kind)))
    }
}

impl Resolve for Guard {
    /// Resolves a name and refuses it when one of its addresses is refused: a set of mixed addresses is how a name that
    /// looks public is bent towards a private one.
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            if is_metadata_host(name.as_str()) {
                return Err(Blocked::Metadata.into());
            }
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            for address in &addresses {
                guard.check_address(address.ip())?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// What kind of address this is, where it is not on the public internet (IANA's special-purpose registries).
pub fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            NOT_PUBLIC_V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, kind)| *kind)
        }
        IpAddr::V6(address) if PUBLIC_V6.contains(&address) => {
            NOT_PUBLIC_V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, kind)| *kind)
        }
        IpAddr::V6(address) => Some(match address {
            Ipv6Addr::LOCALHOST => "loopback",
            Ipv6Addr::UNSPECIFIED => "unspecified",
            _ if address.is_unicast_link_local() => "link-local",
            _ if address.is_unique_local() => "private",
            _ if address.is_multicast() => "multicast",
            _ => "reserved",
        }),
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

const NOT_PUBLIC_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// Global unicast: all that IANA has given out. Everything outside it is refused without being listed.
const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What is not public inside global unicast. Teredo lies in the first.
const NOT_PUBLIC_V6: &[(Ipv6Net, &str)] = &[
    (v6(0x2001, 0, 0, 23), "reserved"),
    (v6(0x2001, 0x0db8, 0, 32), "documentation"),
    (v6(0x2002, 0, 0, 16), "6to4"),
    (v6(0x3fff, 0, 0, 20), "documentation"),
];

/// The translators' prefixes: a well-known one, whose addresses stand for public IPv4 hosts on a network without IPv4,
/// and one for local use (RFC 6052, RFC 8215).
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
const LOCAL_NAT64: Ipv6Net = v6(0x64, 0xff9b, 1, 48);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);
const TEREDO: Ipv6Net = v6(0x2001, 0, 0, 32);

/// The address that really answers, and the IPv4 addresses that may be carried inside it. Of these only the ones of metadata
/// services matter: everything else that carries one is refused for what it is, or is for [`tunnelled`].
fn unwrap_ipv4(address: IpAddr) -> (IpAddr, Vec<Ipv4Addr>) {
    let IpAddr::V6(v6) = address else { return (address, Vec::new()) };
    let octets = v6.octets();
    let at = |places: [usize; 4]| Ipv4Addr::from(places.map(|place| octets[place]));
    let tail = at([12, 13, 14, 15]);
    if let Some(mapped) = v6.to_ipv4_mapped() {
        return (mapped.into(), Vec::new());
    }
    if NAT64.contains(&v6) {
        return (tail.into(), Vec::new());
    }
    let carried = match v6 {
        _ if SIX_TO_FOUR.contains(&v6) => vec![at([2, 3, 4, 5]), tail],
        // The server, then the client, whose bits are turned round.
        _ if TEREDO.contains(&v6) => vec![at([4, 5, 6, 7]), Ipv4Addr::from_bits(!tail.to_bits())],
        // A network that uses it may have made its prefix longer; an octet in the middle is left out (RFC 6052, 2.2).
        _ if LOCAL_NAT64.contains(&v6) => {
            vec![at([6, 7, 9, 10]), at([7, 9, 10, 11]), at([9, 10, 11, 12]), tail]
        }
        // Link-local, site-local and private ones, compatible and translated ones (`::a.b.c.d`, `::ffff:0:a.b.c.d`): clouds
        // write the address of their service into the last four (`fe80::a9fe:a9fe`, `fd00:c1::a9fe:a9fe`).
        _ if !PUBLIC_V6.contains(&v6) || is_isatap(v6) => vec![tail],
        _ => Vec::new(),
    };
    (address, carried)
}

/// What kind of IPv4 address a public IPv6 address leads to by a tunnel, where that is not public.
fn tunnelled(address: IpAddr) -> Option<&'static str> {
    let IpAddr::V6(v6) = address else { return None };
    let [.., a, b, c, d] = v6.octets();
    not_public(Ipv4Addr::new(a, b, c, d).into()).filter(|_| is_isatap(v6))
}

/// Whether the last half is how ISATAP writes an IPv4 address, below whatever prefix (RFC 5214, 6.1).
fn is_isatap(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [.., 0 | 0x200, 0x5efe, _, _])
}

/// Where clouds hand out credentials: AWS, Google, Azure and most others share the first; then AWS containers and pods,
/// Tencent, Scaleway, Alibaba, Oracle, Azure's agent, and the IPv6 addresses of AWS, Google and Scaleway. Those of OpenStack
/// and Oracle end like the first ([`unwrap_ipv4`]).
fn is_metadata_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => matches!(
            address.octets(),
            [169, 254, 169, 254]
                | [169, 254, 170, 2 | 23]
                | [169, 254, 0, 23]
                | [169, 254, 42, 42]
                | [100, 100, 100, 200]
                | [192, 0, 0, 192]
                | [168, 63, 129, 16]
        ),
        IpAddr::V6(address) => matches!(
            address.segments(),
            [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254 | 0x23]
                | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254]
                | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x42]
        ),
    }
}

/// Names of the same services, which some resolvers answer with addresses of their own.
fn is_metadata_host(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.tencentyun.com",
        "instance-data",
        "instance-data.ec2.internal",
    ];
    let name = name.trim_end_matches('.');
    NAMES.iter().any(|metadata| name.eq_ignore_ascii_case(metadata))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn verdict(url: &str) -> Result<(), Blocked> {
        Guard::public().check_url(&Url::parse(url).expect("a URL"))
    }

    #[rstest]
    #[case::dotted("127.0.0.1")]
    #[case::decimal("2130706433")]
    #[case::hexadecimal("0x7f000001")]
    #[case::octal("0177.0.0.1")]
    #[case::short("127.1")]
    #[case::mixed("0x7f.1")]
    #[case::trailing_dot("127.0.0.1.")]
    #[case::ideographic_dots("127。0。0。1")]
    #[case::full_width("１２７.0.0.1")]
    #[case::percent_encoded("%31%32%37.0.0.1")]
    #[case::ipv6("[::1]")]
    #[case::mapped("[::ffff:127.0.0.1]")]
    #[case::mapped_hexadecimal("[::ffff:7f00:1]")]
    #[case::compatible("[::127.0.0.1]")]
    #[case::nat64("[64:ff9b::127.0.0.1]")]
    #[case::local_nat64("[64:ff9b:1::8.8.8.8]")]
    #[case::translated("[::ffff:0:127.0.0.1]")]
    #[case::isatap("[2a00:1450:4007::5efe:127.0.0.1]")]
    #[case::unspecified("0")]
    #[case::unspecified_v6("[::]")]
    fn this_machine_is_refused_in_every_spelling(#[case] host: &str) {
        let verdict = verdict(&format!("http://{host}:8080/x"));
        assert!(matches!(verdict, Err(Blocked::NotPublic(_))), "{host}: {verdict:?}");
    }

    #[rstest]
    #[case("10.1.2.3", "private")]
    #[case("100.64.0.1", "carrier-grade NAT")]
    #[case("169.254.1.1", "link-local")]
    #[case("172.31.255.255", "private")]
    #[case("192.0.0.8", "reserved")]
    #[case("192.0.2.1", "documentation")]
    #[case("192.168.1.1", "private")]
    #[case("198.19.0.1", "benchmarking")]
    #[case("224.0.0.1", "multicast")]
    #[case("240.0.0.1", "reserved")]
    #[case("255.255.255.255", "reserved")]
    #[case("fe80::1", "link-local")]
    #[case("fec0::1", "reserved")]
    #[case("fc00::1", "private")]
    #[case("fd12:3456::1", "private")]
    #[case("ff02::1", "multicast")]
    #[case("2001::1", "reserved")]
    #[case("2001:db8::1", "documentation")]
    #[case("2002:808:808::1", "6to4")]
    #[case("3fff::1", "documentation")]
    #[case("100::1", "reserved")]
    #[case("2a00:1450:4007::5efe:10.1.2.3", "private")]
    #[case("2a00:1450:4007:1:200:5efe:192.168.1.1", "private")]
    #[case("2a00:1450:4007::5efe:127.0.0.1", "loopback")]
    #[case("2002:a01:203::1", "6to4")]
    #[case("64:ff9b::10.1.2.3", "private")]
    #[case("64:ff9b:1:a00:1:203::", "reserved")]
    #[case("::ffff:10.1.2.3", "private")]
    #[case("::10.1.2.3", "reserved")]
    #[case("::ffff:0:10.1.2.3", "reserved")]
    #[case("2001:0:a01:203::", "reserved")]
    fn what_is_not_public_is_refused_and_named(#[case] address: IpAddr, #[case] kind: &'static str) {
        assert_eq!(Guard::public().check_address(address), Err(Blocked::NotPublic(kind)));
        assert_eq!(Guard::anywhere().check_address(address), Ok(()));
    }

    #[rstest]
    #[case("8.8.8.8")]
    #[case("172.32.0.1")]
    #[case("100.63.255.255")]
    #[case("2a00:1450:4007::1")]
    #[case("64:ff9b::8.8.8.8")]
    #[case("2a00:1450:4007::5efe:8.8.8.8")]
    #[case("2a00:1450:4007::a9fe:a9fe")]
    fn the_public_internet_is_called(#[case] address: IpAddr) {
        assert_eq!(Guard::public().check_address(address), Ok(()));
    }

    #[rstest]
    #[case("169.254.169.254")]
    #[case("::ffff:169.254.169.254")]
    #[case("::169.254.169.254")]
    #[case("64:ff9b::a9fe:a9fe")]
    #[case("64:ff9b:1::a9fe:a9fe")]
    #[case("2002:a9fe:a9fe::1")]
    #[case("2002:808:808::a9fe:a9fe")]
    #[case("2001:0:808:808:0:0:5601:5601")]
    #[case("2001:0:a9fe:a9fe::1")]
    #[case("64:ff9b:1:a9fe:a9:fe00::")]
    #[case("64:ff9b:1:a9:fe:a9fe::")]
    #[case("64:ff9b:1:0:a9:fea9:fe00:0")]
    #[case("fe80::a9fe:a9fe")]
    #[case("fe80::1:2:a9fe:a9fe")]
    #[case("febf::5efe:a9fe:a9fe")]
    #[case("fec0::a9fe:a9fe")]
    #[case("fd00:c1::a9fe:a9fe")]
    #[case("::ffff:0:a9fe:a9fe")]
    #[case("2a00:1450:4007::5efe:a9fe:a9fe")]
    #[case("2a00:1450:4007:1:200:5efe:a83f:8110")]
    #[case("::ffff:100.100.100.200")]
    #[case("::ffff:192.0.0.192")]
    #[case("64:ff9b::168.63.129.16")]
    #[case("64:ff9b::192.0.0.192")]
    #[case("2002:6464:64c8::1")]
    #[case("169.254.170.23")]
    #[case("169.254.0.23")]
    #[case("169.254.42.42")]
    #[case("192.0.0.192")]
    #[case("169.254.170.2")]
    #[case("100.100.100.200")]
    #[case("168.63.129.16")]
    #[case("fd00:ec2::254")]
    #[case("fd00:ec2::23")]
    #[case("fd20:ce::254")]
    #[case("fd00:42::42")]
    fn metadata_services_are_refused_whatever_is_allowed(#[case] address: IpAddr) {
        let all = ["0.0.0.0/0", "::/0"].map(|network| network.parse().expect("a network"));
        for guard in [Guard::public(), Guard::public_and(all.to_vec()), Guard::anywhere()] {
            assert_eq!(guard.check_address(address), Err(Blocked::Metadata));
        }
    }

    #[test]
    fn metadata_services_are_refused_by_name_too() {
        for host in ["metadata.google.internal", "METADATA.google.internal.", "metadata"] {
            assert_eq!(verdict(&format!("http://{host}/")), Err(Blocked::Metadata), "{host}");
        }
    }

    #[test]
    fn a_listed_network_is_called_and_its_neighbour_is_not() {
        let guard = Guard::public_and(vec!["10.0.0.0/24".parse().expect("a network")]);
        let check = |url: &str| guard.check_url(&Url::parse(url).expect("a URL"));
        assert_eq!(check("http://10.0.0.7/"), Ok(()));
        assert_eq!(check("http://[::ffff:10.0.0.7]/"), Ok(()));
        assert_eq!(check("http://10.0.1.7/"), Err(Blocked::NotPublic("private")));
    }

    #[test]
    fn other_schemes_and_credentials_are_refused() {
        assert_eq!(verdict("ftp://example.com/"), Err(Blocked::Scheme));
        assert_eq!(verdict("file:///etc/passwd"), Err(Blocked::Scheme));
        assert_eq!(verdict("https://user:pass@example.com/"), Err(Blocked::Credentials));
        assert_eq!(verdict("https://user@example.com/"), Err(Blocked::Credentials));
        assert!(Url::parse("http://[fe80::1%25eth0]/").is_err(), "the parser takes no zones");
    }

    #[tokio::test]
    async fn a_name_with_a_refused_address_does_not_resolve() {
        let resolve = |guard: Guard| async move { guard.resolve("localhost".parse().expect("a name")).await.map(drop) };
        assert_eq!(
            resolve(Guard::public()).await.expect_err("refused").downcast_ref(),
            Some(&Blocked::NotPublic("loopback"))
        );
        assert!(resolve(Guard::anywhere()).await.is_ok());
    }
}
