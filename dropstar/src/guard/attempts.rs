//! How often log-ins failed, by address and by user, so that passwords can't be guessed and nobody is locked out.
//!
//! Each failure counts one and is forgotten at one every 30 s. An address with 10 has to wait. A user with 20, from
//! wherever, makes only those addresses wait that failed themselves 3 times: who comes from elsewhere with the right
//! password gets in whatever others try.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

/// A failure is forgotten after.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// Failures after which an address waits.
const OF_ADDRESS_MAX: f64 = 10.0;

/// Failures after which a user is being attacked.
const OF_USER_MAX: f64 = 20.0;

/// Failures after which an address waits where the user is being attacked.
const OF_ADDRESS_AT_ATTACKED_USER_MAX: f64 = 3.0;

/// Addresses, and users, that are remembered; those with the fewest failures are forgotten first.
const REMEMBERED_MAX: usize = 4096;

/// The failed log-ins of a server.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    addresses: Table<IpAddr>,
    users: Table<Box<str>>,
}

#[derive(Debug)]
struct Table<K> {
    failures: HashMap<K, Failures>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    number: f64,
    at: Duration,
}

impl Failures {
    fn left(self, now: Duration) -> f64 {
        let forgotten = now.saturating_sub(self.at).as_secs_f64() / FORGOTTEN_AFTER.as_secs_f64();
        (self.number - forgotten).max(0.0)
    }
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Table { failures: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone> Table<K> {
    fn left<Q: Eq + Hash + ?Sized>(&self, key: &Q, now: Duration) -> f64
    where
        K: std::borrow::Borrow<Q>,
    {
        self.failures.get(key).map_or(0.0, |failures| failures.left(now))
    }

    fn add(&mut self, key: K, number: f64, now: Duration) {
        if !self.failures.contains_key(&key) && self.failures.len() >= REMEMBERED_MAX {
            self.failures.retain(|_, failures| failures.left(now) > 0.0);
            if self.failures.len() >= REMEMBERED_MAX {
                let fewest = self.failures.iter().min_by(|one, other| one.1.left(now).total_cmp(&other.1.left(now)));
                let fewest = fewest.map(|(key, _)| key.clone());
                fewest.map(|key| self.failures.remove(&key));
            }
        }
        let number = (self.left(&key, now) + number).max(0.0);
        self.failures.insert(key, Failures { number, at: now });
    }
}

/// A log-in under way, which counts as failed until it has succeeded: many at once are no way around.
#[derive(Debug)]
#[must_use = "an attempt counts as failed until it has succeeded"]
pub(super) struct Attempt {
    address: IpAddr,
    user: Box<str>,
}

impl Attempts {
    /// Begins an attempt.
    ///
    /// # Errors
    /// Too many failed: how long until one more may be made.
    pub(super) fn begin(&self, address: IpAddr, user: &str, now: Duration) -> Result<Attempt, Duration> {
        let (address, user): (IpAddr, Box<str>) = (network(address), user.into());
        let mut tables = self.tables.lock();
        let of_address = tables.addresses.left(&address, now);
        let is_attacked = tables.users.left(&*user, now) >= OF_USER_MAX;
        let most = if is_attacked { OF_ADDRESS_AT_ATTACKED_USER_MAX } else { OF_ADDRESS_MAX };
        // One more must fit: a failure counts whole.
        let too_many = of_address + 1.0 - most;
        if too_many > 0.0 {
            return Err(FORGOTTEN_AFTER.mul_f64(too_many));
        }
        tables.addresses.add(address, 1.0, now);
        tables.users.add(user.clone(), 1.0, now);
        Ok(Attempt { address, user })
    }

    /// Takes an attempt back: it succeeded, or nothing was compared. What failed before stays.
    pub(super) fn forget(&self, attempt: Attempt, now: Duration) {
        let mut tables = self.tables.lock();
        tables.addresses.add(attempt.address, -1.0, now);
        tables.users.add(attempt.user, -1.0, now);
    }
}

/// What one client can choose addresses from: an IPv4 address, the /64 of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) & !u128::from(u64::MAX)).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn fail(attempts: &Attempts, address: &str, user: &str) -> Result<(), Duration> {
        attempts.begin(address.parse().unwrap(), user, NOW).map(drop)
    }

    #[test]
    fn an_address_waits_after_ten_failures_and_another_does_not() {
        let attempts = Attempts::default();
        for number in 0..10 {
            assert_eq!(fail(&attempts, "192.0.2.1", &format!("user{number}")), Ok(()));
        }
        assert_eq!(fail(&attempts, "192.0.2.1", "ann"), Err(Duration::from_secs(30)));
        assert_eq!(fail(&attempts, "::ffff:192.0.2.1", "ann"), Err(Duration::from_secs(30)));
        assert_eq!(fail(&attempts, "192.0.2.2", "ann"), Ok(()));
        assert!(attempts.begin("192.0.2.1".parse().unwrap(), "ann", NOW + Duration::from_secs(30)).is_ok());
    }

    #[test]
    fn who_comes_from_elsewhere_is_not_locked_out_of_an_attacked_user() {
        let attempts = Attempts::default();
        for number in 0..200 {
            let _ = fail(&attempts, &format!("192.0.2.{number}"), "ann");
        }
        assert_eq!(fail(&attempts, "198.51.100.7", "ann"), Ok(()));
        assert_eq!(fail(&attempts, "192.0.2.1", "ann"), Ok(()));
        assert_eq!(fail(&attempts, "192.0.2.1", "ann"), Ok(()));
        assert!(fail(&attempts, "192.0.2.1", "ann").is_err(), "a guesser has three there");
        assert_eq!(fail(&attempts, "192.0.2.1", "ben"), Ok(()), "and ten at others");
    }

    #[test]
    fn success_takes_back_its_own_attempt_alone() {
        let attempts = Attempts::default();
        for _ in 0..9 {
            fail(&attempts, "192.0.2.1", "ann").unwrap();
        }
        for _ in 0..100 {
            let attempt = attempts.begin("192.0.2.1".parse().unwrap(), "own", NOW).unwrap();
            attempts.forget(attempt, NOW);
        }
        fail(&attempts, "192.0.2.1", "ann").unwrap();
        assert!(fail(&attempts, "192.0.2.1", "own").is_err(), "an own account does not wash off failures");
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one() {
        let attempts = Attempts::default();
        for number in 0..10 {
            fail(&attempts, &format!("2001:db8::{number}"), "ann").unwrap();
        }
        assert!(fail(&attempts, "2001:db8::ffff:1", "ann").is_err());
        assert!(fail(&attempts, "2001:db8:0:1::1", "ann").is_ok());
    }

    #[test]
    fn the_tables_are_bounded_and_keep_who_failed_most() {
        let attempts = Attempts::default();
        for _ in 0..10 {
            fail(&attempts, "192.0.2.1", "ann").unwrap();
        }
        for number in 0..3 * REMEMBERED_MAX {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap());
            let _ = fail(&attempts, &address.to_string(), &format!("u{number}"));
        }
        let tables = attempts.tables.lock();
        assert!(tables.addresses.failures.len() <= REMEMBERED_MAX && tables.users.failures.len() <= REMEMBERED_MAX);
        drop(tables);
        assert!(fail(&attempts, "192.0.2.1", "ann").is_err(), "a flood of others does not make it forgotten");
    }
}
