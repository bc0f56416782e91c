//! Packets with descriptors over a socket pair of the kind SOCK_SEQPACKET: a packet goes whole or not at all, so that
//! several tasks may send without a lock, and the end of the other side is seen.

use std::io::{self, IoSlice, IoSliceMut, Read, Seek, SeekFrom, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// The most that one request may be, in bytes: what Linux takes for arguments and environment at its usual stack size.
pub(super) const REQUEST_MAX: usize = 2 << 20;
/// Larger packets travel in a file in memory, because the socket's buffer bounds a packet.
const PACKET_MAX: usize = 32 << 10;
/// A child's input, output, error and socket, and the file of a large packet.
const DESCRIPTORS_MAX: usize = 5;
/// What a packet begins with: the bytes follow, or are in the last descriptor.
const IN_PACKET: u8 = 0;
const IN_FILE: u8 = 1;

/// A packet as it came.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) bytes: Vec<u8>,
    pub(super) descriptors: Vec<OwnedFd>,
}

/// Two connected ends, closed on exec.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends a packet without waiting.
///
/// # Errors
/// `WouldBlock` when the other side is behind, `BrokenPipe` when it is gone.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if bytes.len() <= PACKET_MAX {
        return send_packet(socket, IN_PACKET, bytes, descriptors);
    }
    let file = memory_file(bytes)?;
    let mut with_file = descriptors.to_vec();
    with_file.push(file.as_fd());
    send_packet(socket, IN_FILE, &[], &with_file)
}

fn send_packet(socket: BorrowedFd<'_>, place: u8, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let place = [place];
    let parts = [IoSlice::new(&place), IoSlice::new(bytes)];
    sendmsg(socket, &parts, &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives a packet without waiting; `None` when the other side is gone.
///
/// # Errors
/// `WouldBlock` when none is there, `InvalidData` for a packet that [`send`] does not make.
pub(super) fn receive(socket: BorrowedFd<'_>, buffer: &mut Buffer) -> io::Result<Option<Packet>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let message = recvmsg(socket, &mut [IoSliceMut::new(&mut buffer.0)], &mut control, flags)?;
    let mut descriptors: Vec<OwnedFd> = control
        .drain()
        .filter_map(|part| match part {
            RecvAncillaryMessage::ScmRights(rights) => Some(rights),
            _ => None,
        })
        .flatten()
        .collect();
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    let received = buffer.0.get(..message.bytes).unwrap_or_default();
    match received.split_first() {
        None => Ok(None),
        Some((&IN_PACKET, bytes)) => Ok(Some(Packet { bytes: bytes.to_vec(), descriptors })),
        Some((&IN_FILE, _)) => {
            let file = descriptors.pop().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
            let mut bytes = Vec::new();
            std::fs::File::from(file).take(REQUEST_MAX as u64 + 1).read_to_end(&mut bytes)?;
            Ok(Some(Packet { bytes, descriptors }))
        }
        Some(_) => Err(io::Error::from(io::ErrorKind::InvalidData)),
    }
}

/// Room for one packet, used again for each.
pub(super) struct Buffer(Vec<u8>);

impl Buffer {
    /// For the largest packet.
    pub(super) fn new() -> Self {
        Buffer(vec![0; PACKET_MAX + 1])
    }
}

/// A file in memory with these bytes, to be read from its beginning.
pub(super) fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = std::fs::File::from(memfd_create("procblock", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_every_size_arrive_whole_with_their_descriptors() {
        let (here, there) = pair().unwrap();
        let mut buffer = Buffer::new();
        for size in [0, 1, PACKET_MAX, PACKET_MAX + 1, 1 << 20] {
            let file = memory_file(b"beside").unwrap();
            send(here.as_fd(), &vec![7; size], &[file.as_fd()]).unwrap();
            let mut packet = receive(there.as_fd(), &mut buffer).unwrap().unwrap();
            assert_eq!(packet.bytes, vec![7; size]);
            let mut beside = String::new();
            std::fs::File::from(packet.descriptors.remove(0)).read_to_string(&mut beside).unwrap();
            assert_eq!(beside, "beside");
        }
    }

    #[test]
    fn the_end_of_the_other_side_is_seen() {
        let (here, there) = pair().unwrap();
        let mut buffer = Buffer::new();
        assert_eq!(receive(there.as_fd(), &mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(here);
        assert!(receive(there.as_fd(), &mut buffer).unwrap().is_none());
        assert_eq!(send(there.as_fd(), b"x", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
