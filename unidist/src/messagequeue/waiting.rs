//! Waiting for a message or for room: places in line, left when a wait ends or its future is dropped.

use std::sync::Arc;
use std::time::Duration;

use super::{Added, Delivery, MessageQueue};
use crate::engine::{AddTicket, DeliveryTicket, Engine};
use crate::error::Error;
use crate::stop::Stop;
use crate::wait::{Patience, Waited};

impl MessageQueue<'_> {
    pub(super) async fn wait_for_room(
        self,
        queue: &str,
        ticket: Arc<AddTicket>,
        wait: Option<Duration>,
        stop: &Stop,
    ) -> Result<Added, Error> {
        let place = AddPlace { engine: self.engine, queue, ticket };
        let waited = place.ticket.wait(Patience::new(self.engine.timers(), wait, stop)).await;
        if let Waited::Done(result) = waited {
            return result;
        }
        match (place.leave(), waited) {
            (Some(result), _) => result,
            (None, Waited::Stopped) => Err(Error::Stopped { what: format!("room in the queue {queue:?}") }),
            (None, _) => {
                let length_max = self.status(queue)?.map_or(0, |status| status.count());
                Err(Error::QueueFull { name: queue.to_owned(), length_max })
            }
        }
    }

    pub(super) async fn wait_for_message(
        self,
        queue: &str,
        ticket: Arc<DeliveryTicket>,
        wait: Option<Duration>,
        stop: &Stop,
    ) -> Result<Option<Delivery>, Error> {
        let place = TakePlace { engine: self.engine, queue, ticket };
        match place.ticket.wait(Patience::new(self.engine.timers(), wait, stop)).await {
            Waited::Done(delivery) => delivery.map(Some),
            Waited::TimeOver => place.leave().transpose(),
            Waited::Stopped => match place.leave() {
                Some(delivery) => delivery.map(Some),
                None => Err(Error::Stopped { what: format!("a message of the queue {queue:?}") }),
            },
        }
    }
}

/// A place in the line for messages; a future that is dropped leaves it and loses nothing.
struct TakePlace<'a> {
    engine: &'a Arc<dyn Engine>,
    queue: &'a str,
    ticket: Arc<DeliveryTicket>,
}

impl TakePlace<'_> {
    fn leave(&self) -> Option<Result<Delivery, Error>> {
        let waiting = self.engine.waits_in(Arc::as_ptr(&self.ticket).addr());
        waiting.map_or(self.engine.queues(), |engine| engine.queues()).cancel(self.queue, &self.ticket)
    }
}

impl Drop for TakePlace<'_> {
    fn drop(&mut self) {
        if let Some(Ok(delivery)) = self.leave() {
            self.engine.queues().give_back(self.queue, delivery);
        }
    }
}

/// A place in the line for room; a future that is dropped leaves it.
struct AddPlace<'a> {
    engine: &'a Arc<dyn Engine>,
    queue: &'a str,
    ticket: Arc<AddTicket>,
}

impl AddPlace<'_> {
    fn leave(&self) -> Option<Result<Added, Error>> {
        let waiting = self.engine.waits_in(Arc::as_ptr(&self.ticket).addr());
        waiting.map_or(self.engine.queues(), |engine| engine.queues()).cancel_add(self.queue, &self.ticket)
    }
}

impl Drop for AddPlace<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
