//! State that a process has once, and that its forks do not share.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// A value of the process's own, made on first use. It is never freed: a fork's child must not touch the threads, locks
/// and descriptors of its parent, not even to free them, and gets a new one.
#[derive(Debug)]
pub struct PerProcess<T: 'static>(AtomicPtr<T>);

impl<T: Default + Send + Sync> PerProcess<T> {
    /// Not made yet.
    pub const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The value.
    pub fn get(&self) -> &'static T {
        if let Some(found) = self.made() {
            return found;
        }
        // Where another thread is quicker this one stays unused: a few words, once.
        let made: &'static T = Box::leak(Box::default());
        let pointer = ptr::from_ref(made).cast_mut();
        match self.0.compare_exchange(ptr::null_mut(), pointer, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(_) => self.get(),
        }
    }

    /// The value, if there is one.
    pub fn made(&self) -> Option<&'static T> {
        // SAFETY: a pointer that is not null came from `get`, which made it of a reference that is valid for ever.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// To be called in the child of a fork, which has one thread: what the parent had.
    pub fn forget(&self) -> Option<&'static T> {
        let parents = self.made();
        self.0.store(ptr::null_mut(), Ordering::Release);
        parents
    }
}

impl<T: Default + Send + Sync> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn threads_share_one_value_and_a_child_gets_another() {
        let value: PerProcess<AtomicU32> = PerProcess::new();
        assert!(value.made().is_none());
        let (threads, begin) = (8, Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    begin.wait();
                    value.get().fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(value.get().load(Ordering::Relaxed), threads);
        assert_eq!(value.forget().map(|parents| parents.load(Ordering::Relaxed)), Some(threads));
        assert!(value.made().is_none() && value.forget().is_none());
        assert_eq!(value.get().load(Ordering::Relaxed), 0);
    }
}
