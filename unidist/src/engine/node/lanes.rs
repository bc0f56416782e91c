//! Lanes: each request that changes something goes in one, alone, so that its owner has to remember one answer a lane.

use parking_lot::Mutex;

/// A lane with the number of the request that is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) lane: u32,
    pub(super) number: u64,
}

/// The lanes of a client: as many as it ever had requests under way at once.
#[derive(Default)]
pub(super) struct Lanes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    free: Vec<Lane>,
    count: u32,
}

impl Lanes {
    /// A lane for one request.
    pub(super) fn enter(&self) -> Lane {
        let mut state = self.state.lock();
        match state.free.pop() {
            Some(lane) => Lane { number: lane.number + 1, ..lane },
            None => {
                let lane = state.count;
                state.count += 1;
                Lane { lane, number: 1 }
            }
        }
    }

    /// The answer has come: the next request may use the lane.
    pub(super) fn leave(&self, lane: Lane) {
        self.state.lock().free.push(lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_used_again_with_the_next_number() {
        let lanes = Lanes::default();
        let (first, second) = (lanes.enter(), lanes.enter());
        assert_eq!((first, second), (Lane { lane: 0, number: 1 }, Lane { lane: 1, number: 1 }));
        lanes.leave(first);
        assert_eq!(lanes.enter(), Lane { lane: 0, number: 2 });
    }
}
