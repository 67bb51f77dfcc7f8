//! The address guard: whatever is passed as public is public by another reading too, and metadata services never pass.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libfuzzer_sys::fuzz_target;
use tillhook::sink::guard::Guard;
use url::{Host, Url};

const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

fuzz_target!(|data: &[u8]| {
    if let Ok(bytes) = <[u8; 16]>::try_from(data) {
        judge(IpAddr::V6(bytes.into()));
    }
    if let Ok(bytes) = <[u8; 4]>::try_from(data) {
        judge(IpAddr::V4(bytes.into()));
    }
    let Ok(url) = Url::parse(&String::from_utf8_lossy(data)) else { return };
    let passes = Guard::public().check_url(&url).is_ok();
    assert!(!passes || Guard::anywhere().check_url(&url).is_ok(), "{url}");
    match url.host() {
        Some(Host::Ipv4(address)) => agree(address.into(), passes),
        Some(Host::Ipv6(address)) => agree(address.into(), passes),
        Some(Host::Domain(name)) => assert!(!passes || name.parse::<IpAddr>().is_err(), "{url}"),
        None => assert!(!passes, "{url}"),
    }
});

fn judge(address: IpAddr) {
    agree(address, Guard::public().check_address(address).is_ok());
    if within(address) == Some(METADATA) {
        assert!(Guard::anywhere().check_address(address).is_err(), "{address}");
    }
}

fn agree(address: IpAddr, passes: bool) {
    let private = |it: Ipv4Addr| {
        it.is_private()
            || it.is_loopback()
            || it.is_link_local()
            || it.is_unspecified()
            || it.is_broadcast()
            || it.is_documentation()
            || it.is_multicast()
    };
    let is_private = match address {
        IpAddr::V4(it) => private(it),
        IpAddr::V6(it) => {
            it.is_loopback()
                || it.is_unspecified()
                || it.is_unique_local()
                || it.is_unicast_link_local()
                || it.is_multicast()
        }
    };
    assert!(!passes || !is_private && !within(address).is_some_and(private), "{address} passes");
}

/// The IPv4 address that an address is, maps to, or carries (6to4 and NAT64).
fn within(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(it) = address else { return if let IpAddr::V4(it) = address { Some(it) } else { None } };
    let [a, b, c, d, e, f, g, h] = it.segments();
    let pair = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b, c, d, e, f) {
        (0x64, 0xff9b, 0, 0, 0, 0) => pair(g, h),
        (0x2002, ..) => pair(b, c),
        _ => Ipv6Addr::to_ipv4_mapped(&it),
    }
}
