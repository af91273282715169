//! One byte with open files beside it, over a unix socket.
//! Neighbours: `boxed` and `inside` speak it. What is taken is closed on exec and never guessed: the byte says what it is.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// `cyrus` gives the agent's input, the run's lock, and after them the plan.
pub(super) const PLAN: u8 = b'P';
/// The agent runs. Beside it may be the listener of the box.
pub(super) const STARTED: u8 = b'S';
/// It does not; the reason follows up to the end.
pub(super) const FAILED: u8 = b'E';
/// The agent is to get SIGTERM.
pub(super) const TERMINATE: u8 = b'T';

/// The most files in one message.
const FILES: usize = 2;

/// Sends a byte and files.
pub(super) fn give(socket: impl AsFd, byte: u8, files: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(files)) {
        return Err(Error::other("more files than one message holds"));
    }
    sendmsg(socket, &[IoSlice::new(&[byte])], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes a byte and what comes beside it.
pub(super) fn take(socket: impl AsFd) -> Result<(u8, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FILES))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let told = recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let mut files = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(given) = message {
            files.extend(given);
        }
    }
    match byte {
        [byte] if told.bytes == 1 => Ok((byte, files)),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn files_arrive_in_order_and_the_stream_goes_on_after_them() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let (one, two) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        (&one).write_all(b"one").unwrap();
        give(&near, PLAN, &[one.as_fd(), two.as_fd()]).unwrap();
        near.write_all(b"rest").unwrap();
        let (byte, files) = take(&far).unwrap();
        assert_eq!((byte, files.len()), (PLAN, 2));
        let sizes: Vec<u64> =
            files.into_iter().map(|file| std::fs::File::from(file).metadata().unwrap().len()).collect();
        assert_eq!(sizes, [3, 0]);
        drop(near);
        let mut rest = String::new();
        far.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "rest");
        assert_eq!(take(&far).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}
