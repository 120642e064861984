//! Waiting for a descriptor with poll(2), and waking that wait from another thread.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::process;

/// A descriptor that another thread makes readable to end a [`wait`].
pub(crate) struct Waker {
    #[cfg(target_os = "linux")]
    event: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    pipe: (OwnedFd, OwnedFd),
}

thread_local! {
    /// With the fork generation that it was made in: a child must not share it with its parent.
    static OWN: RefCell<Option<(u32, Arc<Waker>)>> = const { RefCell::new(None) };
}

/// This thread's waker, made on first use: a thread waits for one thing at a time. It may be set already, by somebody who was
/// late to wake an earlier wait.
pub(crate) fn own() -> io::Result<Arc<Waker>> {
    OWN.with_borrow_mut(|own| match own {
        Some((generation, waker)) if *generation == process::generation() => Ok(waker.clone()),
        _ => {
            let waker = Arc::new(Waker::new()?);
            *own = Some((process::generation(), waker.clone()));
            Ok(waker)
        }
    })
}

impl Waker {
    /// A new waker that is not set.
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self { event: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// A new waker that is not set.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> io::Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::ioctl_fionbio(end, true)?;
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(Self { pipe: (read, write) })
    }

    pub(crate) fn readable(&self) -> BorrowedFd<'_> {
        #[cfg(target_os = "linux")]
        return self.event.as_fd();
        #[cfg(not(target_os = "linux"))]
        return self.pipe.0.as_fd();
    }

    /// Ends the wait that is under way, or else the next one.
    pub(crate) fn wake(&self) {
        #[cfg(target_os = "linux")]
        let target = &self.event;
        #[cfg(not(target_os = "linux"))]
        let target = &self.pipe.1;
        // Full means that it is set already.
        let _ = rustix::io::write(target, &1u64.to_ne_bytes());
    }

    pub(crate) fn clear(&self) {
        let mut buffer = [0; 64];
        let _ = rustix::io::read(self.readable(), &mut buffer);
    }
}

/// What ended a [`wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// The descriptor is ready, or the waker was woken.
    Ready,
    /// The time is over, or a signal arrived.
    Early,
}

/// Waits until `descriptor` is ready for what is wanted, the waker is woken, or the time is over. Returns early where a
/// signal arrives, so that the caller can look at it. Where nothing is wanted of the descriptor it is not looked at:
/// one that was reset is ready all the time.
pub(crate) fn wait(
    descriptor: BorrowedFd<'_>,
    waker: &Waker,
    want_read: bool,
    want_write: bool,
    timeout: Option<Duration>,
) -> io::Result<Woken> {
    let mut wanted = PollFlags::empty();
    wanted.set(PollFlags::IN, want_read);
    wanted.set(PollFlags::OUT, want_write);
    let mut descriptors =
        [PollFd::from_borrowed_fd(waker.readable(), PollFlags::IN), PollFd::from_borrowed_fd(descriptor, wanted)];
    let looked_at = if wanted.is_empty() { 1 } else { 2 };
    let timeout = timeout
        .map(|t| Timespec { tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX), tv_nsec: t.subsec_nanos().into() });
    match poll(&mut descriptors[..looked_at], timeout.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Ok(Woken::Early),
        Ok(_) => {
            if descriptors[0].revents().contains(PollFlags::IN) {
                waker.clear();
            }
            Ok(Woken::Ready)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    const NOW: Option<Duration> = Some(Duration::ZERO);

    /// The peer of a connection that is not read for now may reset it.
    #[test]
    fn a_reset_wakes_whoever_wants_something_of_the_socket_and_nobody_else() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (far, _) = listener.accept().unwrap();
        socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).unwrap();
        drop(far);
        let waker = Waker::new().unwrap();
        assert_eq!(wait(near.as_fd(), &waker, true, false, Some(Duration::from_secs(30))).unwrap(), Woken::Ready);
        assert_eq!(wait(near.as_fd(), &waker, false, false, NOW).unwrap(), Woken::Early);
        waker.wake();
        assert_eq!(wait(near.as_fd(), &waker, false, false, NOW).unwrap(), Woken::Ready);
        assert_eq!(wait(near.as_fd(), &waker, false, false, NOW).unwrap(), Woken::Early, "it is cleared");
    }
}
