//! Whose socket answers on a port: an answer to the probe counts only if it is CMD's.
//!
//! The kernel's table of listening sockets (`/proc/net/tcp`, `/proc/net/tcp6`) gives inode numbers; the links of
//! `/proc/PID/fd` say who has them. A socket may be shared (inherited by workers): it is CMD's if any of its processes
//! has it.

use std::{
    collections::HashSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A process of CMD.
    Ours,
    /// Somebody else, in words: `nginx (pid 812)`.
    Other(String),
    /// Nobody on this machine's network namespace, as far as can be seen.
    Unknown,
}

/// Who listens where `address` was answered.
pub(crate) fn owner(address: SocketAddr, ours: &[u32]) -> Owner {
    let mut sockets = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        sockets.extend(parse(&fs::read_to_string(table).unwrap_or_default()));
    }
    let inodes = serving(&sockets, address);
    if inodes.is_empty() {
        return Owner::Unknown;
    }
    if ours.iter().any(|pid| has_any(*pid, &inodes)) {
        return Owner::Ours;
    }
    Owner::Other(holder(&inodes).unwrap_or_else(|| "a process that cannot be seen from here".into()))
}

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// The listening sockets of a `/proc/net/tcp` or `tcp6`.
fn parse(table: &str) -> Vec<Socket> {
    const LISTEN: &str = "0A"; // TCP_LISTEN of include/net/tcp_states.h
    let socket = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        (*fields.get(3)? == LISTEN).then_some(())?;
        Some(Socket { address: ip(address)?, port: u16::from_str_radix(port, 16).ok()?, inode: fields.get(9)?.parse().ok()? })
    };
    table.lines().skip(1).filter_map(socket).collect()
}

/// An address as the kernel prints it: 32-bit words in the machine's byte order.
fn ip(text: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(text.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    if text.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
    Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?)).to_canonical())
}

/// Inodes of the sockets that serve an address: those bound to it, else those bound to all.
fn serving(sockets: &[Socket], address: SocketAddr) -> HashSet<u64> {
    let wanted = address.ip().to_canonical();
    let on_port = || sockets.iter().filter(|socket| socket.port == address.port());
    let exact: HashSet<u64> = on_port().filter(|socket| socket.address == wanted).map(|socket| socket.inode).collect();
    if exact.is_empty() { on_port().filter(|socket| socket.address.is_unspecified()).map(|socket| socket.inode).collect() } else { exact }
}

fn has_any(pid: u32, inodes: &HashSet<u64>) -> bool {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    links.filter_map(|link| fs::read_link(link.path()).ok()).any(|target| inode(&target).is_some_and(|inode| inodes.contains(&inode)))
}

/// The number of a link text such as `socket:[4711]`.
fn inode(target: &Path) -> Option<u64> {
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn holder(inodes: &HashSet<u64>) -> Option<String> {
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let pid = pids.into_iter().find(|pid| has_any(*pid, inodes))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("{} (pid {pid})", name.trim()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::net::TcpListener;

    const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
        \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0\n\
        \x20  1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0\n\
        \x20  2: 0100007F:1F90 0100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0\n\
        broken line\n";

    #[test]
    fn only_listeners_are_read() {
        let sockets = parse(TCP);
        assert_eq!(sockets.iter().map(|socket| socket.inode).collect::<Vec<_>>(), [111, 222]);
        assert_eq!((sockets[0].address, sockets[0].port), ("127.0.0.1".parse().unwrap(), 8080));
    }

    #[test]
    fn the_nearer_address_serves() {
        let sockets = parse(TCP);
        let serving = |address: &str| serving(&sockets, address.parse().unwrap());
        assert_eq!(serving("127.0.0.1:8080"), HashSet::from([111]));
        assert_eq!(serving("10.0.0.1:8080"), HashSet::from([222]));
        assert_eq!(serving("10.0.0.1:8081"), HashSet::new());
    }

    #[test]
    fn addresses_of_both_families() {
        assert_eq!(ip("0100007F"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(ip("00000000000000000000000001000000"), Some("::1".parse().unwrap()));
        assert_eq!(ip("0000000000000000FFFF00000100007F"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(ip("xyz"), None);
        assert_eq!(inode(Path::new("socket:[4711]")), Some(4711));
        assert_eq!(inode(Path::new("/dev/null")), None);
    }

    #[test]
    fn a_real_listener_has_an_owner() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let me = std::process::id();
        assert_eq!(owner(address, &[me]), Owner::Ours);
        assert!(matches!(owner(address, &[]), Owner::Other(who) if who.contains(&format!("pid {me}"))));
        drop(listener);
        assert_eq!(owner(address, &[me]), Owner::Unknown);
    }
}
