//! Locks and semaphores by name.
//!
//! One owner holds a lock (a semaphore: up to N owners). Those who wait are served in the order in which they came,
//! wait without CPU, with a limit and a stop. A lease ends a lock by itself, also for those who wait already. Each
//! acquisition has a fencing number larger than all of that lock before it; a late release never frees the next holder's lock.
//!
//! Under `memory:` a lock whose name does not begin with `__` is also taken on the host, with flock on a file in the
//! runtime folder, so that two processes exclude each other, and is free at once when its process dies. A process that
//! waits for another's lock tries again after 1, 2, 4… at most 20 ms, on the one timer thread of the store. Order
//! between processes is not kept; a process that keeps handing a lock to its own waiters pauses 25 ms each second, so
//! that others get it. A semaphore's number of permits must be the same in all processes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::engine::stripes::{Stripe, Stripes};
use crate::engine::{Engine, Grant, HolderKey, LockAnswer, LockTicket};
use crate::error::Error;
use crate::name;
use crate::stop::Stop;
use crate::wait::{Patience, Waited, block_on};

/// The most permits a semaphore can have.
pub const PERMITS_MAX: u32 = 1_000;

/// Who holds a lock: a text, the same from whichever thread it comes, or the guard of one acquisition.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(OwnerKind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum OwnerKind {
    Guard(u64),
    Named(Arc<str>),
}

impl Owner {
    /// The owner of this text.
    ///
    /// # Errors
    /// The text is no name: empty, longer than 512 bytes, or with control characters.
    pub fn named(text: &str) -> Result<Self, Error> {
        name::check("owner", text)?;
        Ok(Owner(OwnerKind::Named(Arc::from(text))))
    }

    /// The owner of one acquisition and its guard, equal to no other of that lock.
    pub(crate) fn guard(fence: u64) -> Self {
        Owner(OwnerKind::Guard(fence))
    }

    /// The fencing number of the acquisition whose guard it is.
    #[cfg(feature = "node")]
    pub(crate) fn fence(&self) -> Option<u64> {
        match &self.0 {
            OwnerKind::Guard(fence) => Some(*fence),
            OwnerKind::Named(_) => None,
        }
    }

    /// The text of a named owner.
    pub(crate) fn name(&self) -> Option<&Arc<str>> {
        match &self.0 {
            OwnerKind::Guard(_) => None,
            OwnerKind::Named(text) => Some(text),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            OwnerKind::Guard(fence) => write!(f, "guard {fence}"),
            OwnerKind::Named(text) => f.write_str(text),
        }
    }
}

/// A lock's fencing number on its way with a change: see [`Unidist::fenced`](crate::Unidist::fenced).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    pub(crate) lock: String,
    pub(crate) number: u64,
}

impl Fence {
    /// The number under which the lock was had.
    ///
    /// # Errors
    /// A bad name; the number 0, which no lock ever has.
    pub fn new(lock: &str, number: u64) -> Result<Self, Error> {
        name::check("lock", lock)?;
        if number == 0 {
            let reason = "no lock is ever had under the number 0: give the one that acquiring it returned".to_owned();
            return Err(Error::LockOption { name: lock.to_owned(), reason });
        }
        Ok(Fence { lock: lock.to_owned(), number })
    }

    /// The lock.
    pub fn lock(&self) -> &str {
        &self.lock
    }

    /// The number.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl From<&LockGuard> for Fence {
    fn from(guard: &LockGuard) -> Self {
        Fence { lock: guard.name().to_owned(), number: guard.fence() }
    }
}

/// How to acquire a lock. The default waits for ever, without a lease, for the one permit, held by its guard alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquireOptions {
    /// How long to wait: zero is one try, none for ever.
    pub wait: Option<Duration>,
    /// After how long the lock ends by itself unless renewed; none: never.
    pub lease: Option<Duration>,
    /// Who will hold it; none: its guard alone.
    pub owner: Option<Owner>,
    /// How many owners may hold it at once, 1 to 1,000; all who use the name at one time must say the same number.
    pub permits: u32,
    /// Its place in the order of locks: an owner may only take locks of higher rank than those it holds with a rank.
    /// Needs an `owner`.
    pub rank: Option<u32>,
}

impl Default for AcquireOptions {
    fn default() -> Self {
        AcquireOptions { wait: None, lease: None, owner: None, permits: 1, rank: None }
    }
}

/// A lock's holder, for people and programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockInfo {
    /// The lock.
    pub name: String,
    /// Who holds it.
    pub owner: String,
    /// The fencing number of this acquisition.
    pub fence: u64,
    /// How long it has been held.
    pub age: Duration,
    /// The rest of its lease; none: no lease, or another process holds it.
    pub remaining: Option<Duration>,
    /// The process that holds it.
    pub process: u32,
    /// How many wait for it in this process.
    pub waiting: usize,
}

impl fmt::Display for LockInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {}) since {:.1} s", self.owner, self.process, self.age.as_secs_f64())
    }
}

/// A checked request, as engines get it.
pub(crate) struct LockRequest<'a> {
    pub(crate) name: &'a str,
    /// None: the guard.
    pub(crate) owner: Option<&'a Owner>,
    pub(crate) lease: Option<Duration>,
    pub(crate) permits: u32,
    pub(crate) rank: Option<u32>,
    pub(crate) may_wait: bool,
}

/// A lock that is held until the guard is dropped or released, or its lease ends.
#[must_use = "the lock is released when the guard is dropped"]
pub struct LockGuard {
    engine: Arc<Stripe>,
    grant: Grant,
}

impl LockGuard {
    /// The lock's name.
    pub fn name(&self) -> &str {
        &self.grant.name
    }

    /// Larger than that of every acquisition of the lock before. Changes that carry it ([`Unidist::fenced`](crate::Unidist::fenced)) are
    /// refused once a later holder has it.
    pub fn fence(&self) -> u64 {
        self.grant.fence
    }

    /// Whether it is held still: its lease has not run out and nobody released it by force.
    pub fn is_held(&self) -> bool {
        self.engine.locks().has_holder(&self.grant.name, HolderKey::Fence(self.grant.fence))
    }

    /// Sets the lease anew, from now; none ends the lease and keeps the lock.
    ///
    /// # Errors
    /// The lock is lost already.
    pub fn renew(&self, lease: Option<Duration>) -> Result<(), Error> {
        check_lease(&self.grant.name, lease)?;
        self.engine.locks().renew(&self.grant.name, HolderKey::Fence(self.grant.fence), lease)
    }

    /// Releases the lock and tells whether it was still held.
    ///
    /// # Errors
    /// The lock was lost before: its lease ran out or it was released by force.
    pub fn release(self) -> Result<(), Error> {
        // Dropping afterwards finds nothing: a fencing number is released once.
        self.engine.locks().release(&self.grant.name, HolderKey::Fence(self.grant.fence))
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        // A lost lock is not ours to release; who must know calls `release`.
        let _ = self.engine.locks().release(&self.grant.name, HolderKey::Fence(self.grant.fence));
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockGuard({:?}, fence {})", self.grant.name, self.grant.fence)
    }
}

/// The locks of a store.
///
/// ```
/// use unidist::{AcquireOptions, Stop, Unidist};
/// let shared = Unidist::open("memory:")?;
/// let stop = Stop::new();
/// let guard = shared.sharedlock().acquire("__deploy", &AcquireOptions::default(), &stop)?;
/// assert!(shared.sharedlock().is_locked("__deploy")?);
/// drop(guard);
/// assert!(!shared.sharedlock().is_locked("__deploy")?);
/// # Ok::<(), unidist::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SharedLock<'a> {
    pub(crate) engine: &'a Arc<dyn Engine>,
    pub(crate) stripes: &'a Stripes,
}

impl<'a> SharedLock<'a> {
    /// Takes the lock until the guard is dropped. Blocks the thread for at most `options.wait`.
    ///
    /// # Errors
    /// `Busy` when the wait is over, `Stopped`, `Reentrant` when the owner holds it already, `LockOrder`, bad names and
    /// options, `HostLock` when the lock folder can't be used.
    pub fn acquire(self, name: &str, options: &AcquireOptions, stop: &Stop) -> Result<LockGuard, Error> {
        Ok(self.guard(self.grant(name, options.owner.as_ref(), options, stop)?))
    }

    /// `acquire` for tasks: awaits instead of blocking. Dropping the future leaves the line.
    ///
    /// # Errors
    /// As `acquire`.
    pub async fn acquire_async(self, name: &str, options: &AcquireOptions, stop: &Stop) -> Result<LockGuard, Error> {
        Ok(self.guard(self.grant_async(name, options.owner.as_ref(), options, stop).await?))
    }

    /// Takes the lock for `owner`, without a guard, and returns its fencing number: it is held until it is released in
    /// the owner's name, by whomever. Blocks as `acquire`. `options.owner` is not used.
    ///
    /// # Errors
    /// As `acquire`.
    pub fn acquire_as(self, name: &str, owner: &Owner, options: &AcquireOptions, stop: &Stop) -> Result<u64, Error> {
        Ok(self.grant(name, Some(owner), options, stop)?.fence)
    }

    /// `acquire_as` for tasks.
    ///
    /// # Errors
    /// As `acquire`.
    pub async fn acquire_as_async(
        self,
        name: &str,
        owner: &Owner,
        options: &AcquireOptions,
        stop: &Stop,
    ) -> Result<u64, Error> {
        Ok(self.grant_async(name, Some(owner), options, stop).await?.fence)
    }

    /// Releases a lock that `owner` holds.
    ///
    /// # Errors
    /// `NoSuchLock` when nobody holds it, `NotHolder` when another does.
    pub fn release(self, name: &str, owner: &Owner) -> Result<(), Error> {
        name::check("lock", name)?;
        self.engine.locks().release(name, HolderKey::Owner(owner))
    }

    /// Releases every lock of a named owner and returns how many: the end of a running block or request.
    ///
    /// # Errors
    /// None under `memory:`.
    pub fn release_all(self, owner: &Owner) -> Result<usize, Error> {
        self.engine.locks().release_all(owner)
    }

    /// An administrator's act: releases the lock (all permits) whoever in this process holds it, and returns who did.
    ///
    /// # Errors
    /// `NoSuchLock` when nobody holds it; `NotHolder` when another process does: only its end frees it.
    pub fn force_release(self, name: &str) -> Result<Vec<LockInfo>, Error> {
        name::check("lock", name)?;
        self.engine.locks().force_release(name)
    }

    /// Sets the lease of a lock that `owner` holds anew, from now; none: no lease any more.
    ///
    /// # Errors
    /// `NoSuchLock`, `NotHolder`, a lease of zero.
    pub fn renew(self, name: &str, owner: &Owner, lease: Option<Duration>) -> Result<(), Error> {
        name::check("lock", name)?;
        check_lease(name, lease)?;
        self.engine.locks().renew(name, HolderKey::Owner(owner), lease)
    }

    /// Whether anybody holds it, on this host. A name never used is not locked.
    ///
    /// # Errors
    /// A bad name; a lock folder that can't be read.
    pub fn is_locked(self, name: &str) -> Result<bool, Error> {
        Ok(self.holder(name)?.is_some())
    }

    /// Who holds it; of a semaphore, who has held it longest.
    ///
    /// # Errors
    /// A bad name; a lock folder that can't be read.
    pub fn holder(self, name: &str) -> Result<Option<LockInfo>, Error> {
        Ok(self.holders(name)?.into_iter().next())
    }

    /// All who hold it, the longest first.
    ///
    /// # Errors
    /// A bad name; a lock folder that can't be read.
    pub fn holders(self, name: &str) -> Result<Vec<LockInfo>, Error> {
        name::check("lock", name)?;
        self.engine.locks().holders(name)
    }

    /// The rest of the holder's lease; none when it is free or has no lease.
    ///
    /// # Errors
    /// A bad name; a lock folder that can't be read.
    pub fn remaining(self, name: &str) -> Result<Option<Duration>, Error> {
        Ok(self.holder(name)?.and_then(|holder| holder.remaining))
    }

    /// How many wait for it in this process.
    ///
    /// # Errors
    /// A bad name.
    pub fn waiting(self, name: &str) -> Result<usize, Error> {
        name::check("lock", name)?;
        self.engine.locks().waiting(name)
    }

    /// Everything that is locked, on this host, sorted by name; one entry per holder.
    ///
    /// # Errors
    /// A lock folder that can't be read.
    pub fn find_all_locked(self) -> Result<Vec<LockInfo>, Error> {
        let mut all = self.engine.locks().all()?;
        all.sort_by(|a, b| (&a.name, a.fence).cmp(&(&b.name, b.fence)));
        Ok(all)
    }

    fn guard(self, grant: Grant) -> LockGuard {
        LockGuard { engine: self.stripes.of(&grant.name), grant }
    }

    fn grant(self, name: &str, owner: Option<&Owner>, options: &AcquireOptions, stop: &Stop) -> Result<Grant, Error> {
        match self.request(name, owner, options)? {
            LockAnswer::Granted(grant) => Ok(grant),
            LockAnswer::Waiting(ticket) => block_on(self.wait(name, ticket, options.wait, stop)),
        }
    }

    async fn grant_async(
        self,
        name: &str,
        owner: Option<&Owner>,
        options: &AcquireOptions,
        stop: &Stop,
    ) -> Result<Grant, Error> {
        match self.request(name, owner, options)? {
            LockAnswer::Granted(grant) => Ok(grant),
            LockAnswer::Waiting(ticket) => self.wait(name, ticket, options.wait, stop).await,
        }
    }

    fn request(self, name: &str, owner: Option<&Owner>, options: &AcquireOptions) -> Result<LockAnswer, Error> {
        name::check("lock", name)?;
        check_lease(name, options.lease)?;
        if options.permits == 0 || options.permits > PERMITS_MAX {
            let reason = format!("permits must be 1 to {PERMITS_MAX}, found {}", options.permits);
            return Err(Error::LockOption { name: name.to_owned(), reason });
        }
        if options.rank.is_some() && owner.is_none() {
            let reason = "a rank needs an owner, whose other locks it is compared with".to_owned();
            return Err(Error::LockOption { name: name.to_owned(), reason });
        }
        let may_wait = options.wait != Some(Duration::ZERO);
        let (lease, permits, rank) = (options.lease, options.permits, options.rank);
        self.engine.locks().request(&LockRequest { name, owner, lease, permits, rank, may_wait })
    }

    async fn wait(
        self,
        name: &str,
        ticket: Arc<LockTicket>,
        wait: Option<Duration>,
        stop: &Stop,
    ) -> Result<Grant, Error> {
        let patience = Patience::new(self.engine.timers(), wait, stop);
        let mut place = Place { engine: self.engine, name, ticket, is_left: false };
        let waited = place.ticket.wait(patience).await;
        if let Waited::Done(result) = waited {
            place.is_left = true;
            return result;
        }
        match (place.leave(), waited) {
            (Some(result), _) => result,
            (None, Waited::Stopped) => Err(Error::Stopped { what: format!("the lock {name:?}") }),
            (None, _) => Err(self.busy(name)),
        }
    }

    fn busy(self, name: &str) -> Error {
        let holder = self.holder(name).ok().flatten();
        let holder = holder.map_or_else(|| "another until a moment ago".to_owned(), |holder| holder.to_string());
        Error::Busy { name: name.to_owned(), holder }
    }
}

fn check_lease(name: &str, lease: Option<Duration>) -> Result<(), Error> {
    if lease == Some(Duration::ZERO) {
        let reason = "a lease must be longer than 0 s; leave it out for none".to_owned();
        return Err(Error::LockOption { name: name.to_owned(), reason });
    }
    Ok(())
}

/// A place in the line, left when a wait ends or its future is dropped.
struct Place<'a> {
    engine: &'a Arc<dyn Engine>,
    name: &'a str,
    ticket: Arc<LockTicket>,
    is_left: bool,
}

impl Place<'_> {
    fn leave(&mut self) -> Option<Result<Grant, Error>> {
        if std::mem::replace(&mut self.is_left, true) {
            return None;
        }
        let waiting = self.engine.waits_in(Arc::as_ptr(&self.ticket).addr());
        waiting.map_or(self.engine.locks(), |engine| engine.locks()).cancel(self.name, &self.ticket)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(Ok(grant)) = self.leave() {
            // Nobody is there to use what was granted at the last moment.
            let _ = self.engine.locks().release(&grant.name, HolderKey::Fence(grant.fence));
        }
    }
}
