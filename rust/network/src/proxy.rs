//! The PROXY protocol, versions 1 and 2: a load balancer says in front of the stream on whose behalf it connects.

use std::io;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use ppp::{v1, v2};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// The shortest header of version 1, and one byte less than [`FIXED`].
const SHORTEST: usize = "PROXY UNKNOWN\r\n".len();

/// The longest line of version 1.
const LONGEST_LINE: usize = 107;

/// The longest header of version 2 that is taken: addresses, and what a proxy that ends TLS adds.
const LONGEST: usize = 4096;

/// The fixed part of version 2, the length of the rest being its last two bytes.
const FIXED: usize = 16;

/// The networks whose peers are proxies. They must begin with a header; what others send is no header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// From "10.0.0.0/8", "fd00::/8" and single addresses.
    ///
    /// # Errors
    /// The one that is none.
    pub fn within(networks: &[String]) -> Result<Self, String> {
        let parsed = networks.iter().map(|network| {
            let single = || network.parse::<IpAddr>().ok().map(IpNet::from);
            network.parse().ok().or_else(single).ok_or_else(|| network.clone())
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn include(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Reads the header, and nothing behind it. The address on whose behalf the proxy connects; none where it connects for itself, or does not
/// know.
///
/// # Errors
/// `InvalidData` for what is no header; what the socket says.
pub(crate) async fn read_header(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut header = vec![0; SHORTEST];
    stream.read_exact(&mut header).await?;
    if header.starts_with(v2::PROTOCOL_PREFIX) {
        header.push(stream.read_u8().await?);
        let rest = usize::from(u16::from_be_bytes([header[FIXED - 2], header[FIXED - 1]]));
        if FIXED + rest > LONGEST {
            return Err(malformed("it is too long"));
        }
        header.resize(FIXED + rest, 0);
        stream.read_exact(&mut header[FIXED..]).await?;
        let found = v2::Header::try_from(header.as_slice()).map_err(malformed)?;
        return Ok(from_binary(&found));
    }
    if !header.starts_with(b"PROXY ") || header[..SHORTEST - 2].contains(&b'\r') {
        return Err(malformed("it begins otherwise"));
    }
    // What is behind the line is not ours.
    while !header.ends_with(b"\r\n") {
        if header.len() == LONGEST_LINE {
            return Err(malformed("it is too long"));
        }
        header.push(stream.read_u8().await?);
    }
    let found = v1::Header::try_from(header.as_slice()).map_err(malformed)?;
    Ok(from_line(&found))
}

fn malformed(what: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no PROXY protocol header: {what}"))
}

fn from_line(header: &v1::Header<'_>) -> Option<SocketAddr> {
    match header.addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(addresses) => Some((addresses.source_address, addresses.source_port).into()),
        v1::Addresses::Tcp6(addresses) => Some((addresses.source_address, addresses.source_port).into()),
    }
}

fn from_binary(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match (header.command, header.addresses) {
        // A health check of its own.
        (v2::Command::Local, _) | (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
        (_, v2::Addresses::IPv4(addresses)) => Some((addresses.source_address, addresses.source_port).into()),
        (_, v2::Addresses::IPv6(addresses)) => Some((addresses.source_address, addresses.source_port).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    /// What is read of these bytes, and what is left behind.
    fn read(bytes: &[u8]) -> (Result<Option<SocketAddr>, String>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut near = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        far.set_nonblocking(true).unwrap();
        near.write_all(bytes).unwrap();
        drop(near);
        runtime.block_on(async {
            let mut stream = TcpStream::from_std(far).unwrap();
            let found = read_header(&mut stream).await.map_err(|error| error.to_string());
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.unwrap();
            (found, rest)
        })
    }

    #[test]
    fn lines_of_version_1_and_nothing_behind_them() {
        let (found, rest) = read(b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 104\r\n\x01\x00rest");
        assert_eq!(found, Ok(Some("192.0.2.7:4711".parse().unwrap())));
        assert_eq!(rest, b"\x01\x00rest");
        let (found, _) = read(b"PROXY TCP6 2001:db8::7 ::1 4711 104\r\n");
        assert_eq!(found, Ok(Some("[2001:db8::7]:4711".parse().unwrap())));
        assert_eq!(read(b"PROXY UNKNOWN\r\nrest"), (Ok(None), b"rest".to_vec()));
    }

    #[test]
    fn headers_of_version_2_and_nothing_behind_them() {
        let pair: (SocketAddr, SocketAddr) = ("192.0.2.7:4711".parse().unwrap(), "10.0.0.1:104".parse().unwrap());
        let command = |command| v2::Version::Two | command;
        let header = v2::Builder::with_addresses(command(v2::Command::Proxy), v2::Protocol::Stream, pair)
            .write_tlv(v2::Type::NoOp, &[0; 300])
            .unwrap()
            .build()
            .unwrap();
        let (found, rest) = read(&[&header[..], b"rest"].concat());
        assert_eq!((found, rest), (Ok(Some(pair.0)), b"rest".to_vec()));
        let local = v2::Builder::with_addresses(command(v2::Command::Local), v2::Protocol::Stream, pair);
        assert_eq!(read(&local.build().unwrap()).0, Ok(None));
    }

    #[test]
    fn what_is_no_header_is_an_error_and_takes_no_memory() {
        let mut long = v2::PROTOCOL_PREFIX.to_vec();
        long.extend([0x21, 0x11, 0xFF, 0xFF]);
        long.resize(70_000, 0);
        for bytes in [
            &b"\x01\x00\x00\x00\x00\xCDxxxxxxxxxxxxxxxxxxxx"[..],
            b"PROXY TCP4 nobody nowhere 1 2\r\n",
            b"PROXY TCP4\r\n\x01\x00\x00",
            &[b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat(),
            &long,
        ] {
            assert!(read(bytes).0.unwrap_err().contains("PROXY"), "{bytes:?}");
        }
        assert!(read(b"PROXY TCP4 192.0.2.7 10").0.is_err(), "it ends in the middle");
    }

    #[test]
    fn networks_and_single_addresses() {
        let proxies = Proxies::within(&["10.0.0.0/8".into(), "::1".into()]).unwrap();
        assert!(proxies.include("10.1.2.3".parse().unwrap()) && proxies.include("::1".parse().unwrap()));
        assert!(!proxies.include("11.1.2.3".parse().unwrap()));
        assert_eq!(Proxies::within(&["10.0.0.0/8".into(), "nowhere".into()]).unwrap_err(), "nowhere");
    }
}
