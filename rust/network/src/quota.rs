//! Quotas: what an address, or a calling AE title, may use of an acceptor. A peer beyond its quota is not read for a while; TCP carries that
//! back to it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::core::Core;

/// The limits of one party; `None` for no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quota {
    /// Associations at the same time.
    pub associations: Option<usize>,
    /// Bytes received a second, over all its associations.
    pub bytes_per_second: Option<f64>,
    /// Requests a second, over all its associations.
    pub requests_per_second: Option<f64>,
}

/// Who shares a quota.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Party {
    Address(IpAddr),
    Calling(Vec<u8>),
}

/// What the parties with associations have used.
#[derive(Debug, Default)]
pub(crate) struct Meters(HashMap<Party, Weak<Meter>>);

/// What a party has used of late: as much as it may use in a second is no debt.
#[derive(Debug)]
struct Meter(Mutex<Used>);

#[derive(Debug)]
struct Used {
    at: Instant,
    bytes: f64,
    requests: f64,
}

/// The part that an association has in the quota of a party.
#[derive(Debug)]
pub(crate) struct Share {
    meter: Arc<Meter>,
    quota: Quota,
}

impl Meters {
    /// One more association of a party at `now`; `None` where it has too many.
    pub(crate) fn share(&mut self, now: Instant, party: Party, quota: Quota) -> Option<Share> {
        self.0.retain(|_, meter| meter.strong_count() > 0);
        let known = self.0.get(&party).and_then(Weak::upgrade);
        // This count is one of them.
        let associations = known.as_ref().map_or(0, |meter| Arc::strong_count(meter) - 1);
        if quota.associations.is_some_and(|limit| associations >= limit) {
            return None;
        }
        let meter = known.unwrap_or_else(|| Arc::new(Meter(Mutex::new(Used { at: now, bytes: 0.0, requests: 0.0 }))));
        self.0.insert(party, Arc::downgrade(&meter));
        Some(Share { meter, quota })
    }
}

impl Share {
    /// Counts what was used; returns for how long nothing more is to be used.
    fn charge(&self, now: Instant, bytes: f64, requests: f64) -> Duration {
        let mut used = self.meter.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.saturating_duration_since(used.at).as_secs_f64();
        used.at = used.at.max(now);
        let debts = [
            count(&mut used.bytes, bytes, self.quota.bytes_per_second, seconds),
            count(&mut used.requests, requests, self.quota.requests_per_second, seconds),
        ];
        Duration::try_from_secs_f64(debts[0].max(debts[1])).unwrap_or_default()
    }
}

/// Adds to what was used, less what `rate` gave back in `seconds`; returns the seconds until a second's worth is left of it.
fn count(used: &mut f64, amount: f64, rate: Option<f64>, seconds: f64) -> f64 {
    let Some(rate) = rate else { return 0.0 };
    *used = (*used - rate * seconds).max(0.0) + amount;
    (*used - rate).max(0.0) / rate
}

impl Core {
    /// Something was read, or a request came. What was read already is done; beyond a quota nothing more is read for a while.
    pub(crate) fn charge(&mut self, now: Duration, bytes: usize, requests: usize) {
        let shares = self.admission.as_ref().map_or(&[][..], |admission| &admission.shares);
        if shares.is_empty() {
            return;
        }
        let clock = Instant::now();
        #[expect(clippy::cast_precision_loss, reason = "a read has some 100,000 bytes")]
        let pause = shares.iter().map(|share| share.charge(clock, bytes as f64, requests as f64)).max();
        let Some(pause) = pause.filter(|pause| !pause.is_zero()) else { return };
        // Never so long that the silence ends the association.
        let pause = self.network_timeout.map_or(pause, |timeout| pause.min(timeout / 2));
        self.paused_until = self.paused_until.max(Some(now + pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota =
        Quota { associations: Some(2), bytes_per_second: Some(1000.0), requests_per_second: Some(10.0) };

    fn party(title: &str) -> Party {
        Party::Calling(title.into())
    }

    /// Rounded to milliseconds.
    fn seconds(pause: Duration) -> f64 {
        (pause.as_secs_f64() * 1000.0).round() / 1000.0
    }

    #[test]
    fn associations_are_counted_by_party_and_given_back() {
        let (mut meters, now) = (Meters::default(), Instant::now());
        let first = meters.share(now, party("A"), QUOTA).expect("room");
        let second = meters.share(now, party("A"), QUOTA).expect("room");
        assert!(meters.share(now, party("A"), QUOTA).is_none());
        assert!(meters.share(now, party("B"), QUOTA).is_some());
        drop(first);
        assert!(meters.share(now, party("A"), QUOTA).is_some());
        drop(second);
    }

    #[test]
    fn a_second_s_worth_is_free_and_the_rest_takes_its_time() {
        let (mut meters, begin) = (Meters::default(), Instant::now());
        let one = meters.share(begin, party("A"), QUOTA).expect("room");
        let other = meters.share(begin, party("A"), QUOTA).expect("room");
        assert_eq!(seconds(one.charge(begin, 900.0, 1.0)), 0.0);
        // Both associations use the same quota.
        assert_eq!(seconds(other.charge(begin, 2100.0, 1.0)), 2.0);
        assert_eq!(seconds(one.charge(begin + Duration::from_secs(1), 0.0, 0.0)), 1.0);
        assert_eq!(seconds(one.charge(begin + Duration::from_secs(3), 0.0, 0.0)), 0.0);
        assert_eq!(seconds(one.charge(begin + Duration::from_secs(9), 0.0, 25.0)), 1.5);
    }

    /// As a connection does it: what it may read at once is read, then it waits for as long as it was told.
    #[test]
    fn in_the_long_run_it_is_the_rate() {
        let (mut meters, begin) = (Meters::default(), Instant::now());
        let share = meters.share(begin, party("A"), QUOTA).expect("room");
        let (mut now, mut read) = (begin, 0.0);
        for piece in [1.0, 700.0, 1500.0, 40.0, 3000.0].into_iter().cycle().take(500) {
            read += piece;
            now += share.charge(now, piece, 0.0);
            let passed = (now - begin).as_secs_f64();
            assert!(read <= 1000.0 * (passed + 1.0) + 0.001, "{read} bytes in {passed} s");
        }
        assert!((now - begin).as_secs_f64() < read / 1000.0, "and no less");
    }

    #[test]
    fn time_that_goes_backwards_gives_nothing() {
        let (mut meters, begin) = (Meters::default(), Instant::now());
        let later = begin + Duration::from_secs(5);
        let share = meters.share(later, party("A"), QUOTA).expect("room");
        assert_eq!(seconds(share.charge(later, 3000.0, 0.0)), 2.0);
        assert_eq!(seconds(share.charge(begin, 0.0, 0.0)), 2.0);
        assert_eq!(seconds(share.charge(later + Duration::from_secs(1), 0.0, 0.0)), 1.0);
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let (mut meters, now) = (Meters::default(), Instant::now());
        let share = meters.share(now, party("A"), Quota::default()).expect("room");
        assert_eq!(share.charge(now, 1e12, 1e9), Duration::ZERO);
    }
}
