//! States move between threads, whole.
//!
//! mlua is built without its feature `send`: its references into a state are counted without atomic operations and
//! taken without locks, of which a page would cost seventy. So a state and what refers to it are one heap that one thread
//! at a time may touch. They stay together: handles live in [`State`], in the state's own closures and in the future
//! of a call, which borrows the state, and what a call gives back holds none.
#![expect(unsafe_code, reason = "that a state's handles stay with it is more than types can say")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::OwnedSemaphorePermit;

use super::Control;
use super::run::State;
use crate::error::RunError;
use crate::host::Host;
use crate::script::{Call, Script};
use crate::value::Map;

// SAFETY: every handle into the Lua state is within this value or in the state itself, so all move at once; those of a
// call's future borrow it. Neither Lua nor mlua keeps anything for a thread (no thread-local variables), and what else
// is in it, the control and the host's functions, is `Send` and `Sync` by itself.
unsafe impl Send for State {}

/// What states and calls hold beside handles: that each may move is asked of the compiler here, as it can't see it below.
const _: fn() = || {
    fn moves<T: Send>() {}
    moves::<(&Script, &Call<'_>, Arc<Control>, Arc<dyn Host>, OwnedSemaphorePermit)>();
};

/// A call in a state.
struct Confined<F>(F);

// SAFETY: only `call` makes one. What its future holds beside handles is `Send` by itself: the script, the call, permits,
// timers, and of the host's functions only `BoxFuture`s, whose type says so.
unsafe impl<F: Future<Output: Send>> Send for Confined<F> {}

impl<F: Future> Future for Confined<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        // SAFETY: the field is pinned with what it is a field of, and nothing moves it out.
        unsafe { self.map_unchecked_mut(|confined| &mut confined.0) }.poll(context)
    }
}

/// Runs a script to its end in a state that nobody else uses.
pub(super) fn call<'a>(
    state: &'a mut State,
    script: &'a Script,
    call: &'a Call<'a>,
) -> impl Future<Output = Result<Map, RunError>> + Send + 'a {
    Confined(state.call(script, call))
}
