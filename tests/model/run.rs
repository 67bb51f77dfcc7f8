//! One sequence of operations, each done to the program and to the model alike.

use std::time::Duration;

use tillhook::{clock::Clock, store::StoreError};

use super::{FARTHEST_BACK, Op, SINKS, Said, TIMEOUT, referee::Referee, world::World, world::name};

pub struct Run<'a> {
    world: &'a mut World,
    referee: Referee,
    /// How long to wait for what does not come.
    patience: Duration,
}

type Done = Result<(), String>;

impl<'a> Run<'a> {
    pub fn new(world: &'a mut World, patience: Duration) -> Self {
        let mut referee = Referee::default();
        referee.model.now = world.now();
        Self { world, referee, patience }
    }

    /// Does everything, lets everything end, and compares what is left.
    pub async fn go(&mut self, ops: &[Op]) -> Done {
        for op in ops {
            self.apply(op).await.map_err(|why| format!("after {op:?}: {why}"))?;
        }
        self.drain().await.map_err(|why| format!("at the end: {why}"))?;
        self.referee.is_over()?;
        self.world.conclude(&self.referee).await
    }

    async fn apply(&mut self, op: &Op) -> Done {
        match op {
            Op::Announce(calls, dies) => self.announce(calls, *dies).await?,
            Op::Answers(sink, told) => {
                *self.world.answers[*sink].lock().expect("a lock") = told.iter().copied().collect();
            }
            Op::Wait(seconds) => self.wait(Duration::from_secs(*seconds)),
            Op::SetBack(seconds) => self.world.clock.set(self.world.clock.now() - Duration::from_secs(*seconds)),
            Op::Pause(sink) => self.pause(*sink).await?,
            Op::Resume(sink) => self.resume(*sink).await?,
            Op::Crash => self.world.crash(&mut self.referee).await?,
            Op::Retry(nth, force) => self.retry(*nth, *force).await?,
            Op::RetryDead(sink, force) => self.retry_dead(*sink, *force).await?,
            Op::Skip(nth) => self.skip(*nth).await?,
            Op::Erase(order) => self.erase(*order).await?,
        }
        self.settle().await
    }

    /// Must follow every operation without a pause: no task runs until then.
    async fn settle(&mut self) -> Done {
        self.referee.model.now = self.world.now();
        self.referee.next_step();
        self.world.settle(&mut self.referee, self.patience).await
    }

    async fn announce(&mut self, calls: &[Said], dies: bool) -> Done {
        let expected: Vec<bool> =
            calls.iter().map(|said| self.referee.model.announce(said.order, said.phase, said.variant)).collect();
        self.referee.next_step();
        let stored = self.world.announce(calls).await;
        if dies {
            self.world.crash(&mut self.referee).await?;
        }
        same("the till's answers", Ok::<_, StoreError>(stored), expected)
    }

    fn wait(&mut self, time: Duration) {
        self.world.clock.advance(time);
    }

    async fn pause(&mut self, sink: usize) -> Done {
        let now = self.referee.model.now;
        let ran = self.referee.model.sinks[sink].paused.replace(now);
        if let Some(earlier) = ran {
            self.referee.model.sinks[sink].paused = Some(earlier);
        }
        let paused = self.world.store().pause_sink(&name(SINKS[sink].name), "by hand", self.world.clock.now()).await;
        same("what pausing says", paused, ran.is_none())
    }

    async fn resume(&mut self, sink: usize) -> Done {
        let was_paused = self.referee.model.resume(sink);
        let resumed = self.world.store().resume_sink(&name(SINKS[sink].name), self.world.clock.now()).await;
        same("what resuming says", resumed, was_paused)
    }

    /// What `deliveries retry ID` does.
    async fn retry(&mut self, nth: usize, force: bool) -> Done {
        let Some(nth) = self.choose(nth) else { return Ok(()) };
        let (id, overtaken) = (self.referee.id(nth), self.referee.is_overtaken(nth));
        same("whether it is overtaken", self.world.store().is_overtaken(id).await, overtaken)?;
        let status = self.referee.model.messages[nth].status;
        if !force && (overtaken || status == "delivered") {
            return Ok(());
        }
        let expected = status != "sending";
        if expected {
            self.ask_again(nth);
        }
        let retried = self.world.store().retry_delivery(id, self.world.clock.now(), force).await;
        same("what retrying says", retried, expected)
    }

    /// What `deliveries retry --sink NAME --dead` does.
    async fn retry_dead(&mut self, sink: usize, force: bool) -> Done {
        let messages = &self.referee.model.messages;
        let dead = |nth: &usize| messages[*nth].sink == sink && messages[*nth].status == "dead";
        let dead: Vec<usize> = (0..messages.len()).filter(dead).collect();
        let again: Vec<usize> = dead.into_iter().filter(|nth| force || !self.referee.is_overtaken(*nth)).collect();
        again.iter().for_each(|nth| self.ask_again(*nth));
        let retried = self.world.store().retry_dead(&name(SINKS[sink].name), self.world.clock.now(), force).await;
        same("how many are retried", retried, again.len() as u64)
    }

    fn ask_again(&mut self, nth: usize) {
        self.referee.model.retry(nth);
        self.referee.asked_again += 1;
    }

    async fn skip(&mut self, nth: usize) -> Done {
        let Some(nth) = self.choose(nth) else { return Ok(()) };
        self.skip_nth(nth).await
    }

    async fn skip_nth(&mut self, nth: usize) -> Done {
        let expected = self.referee.model.skip(nth);
        same("what skipping says", self.world.store().skip_delivery(self.referee.id(nth)).await, expected)
    }

    /// What `customers erase` does to one order of the customer.
    async fn erase(&mut self, order: usize) -> Done {
        self.referee.model.erase(order);
        same("what erasing says", self.world.erase(order).await, ())
    }

    fn choose(&self, nth: usize) -> Option<usize> {
        let count = self.referee.model.messages.len();
        (count > 0).then(|| nth % count)
    }

    /// Every far side is well again, and what waits is let go. Dead deliveries are skipped, lest the next sequence finds
    /// them.
    async fn drain(&mut self) -> Done {
        self.world.answers.iter().for_each(|answers| answers.lock().expect("a lock").clear());
        self.wait(Duration::from_secs_f64(TIMEOUT) + 20 * FARTHEST_BACK);
        self.settle().await?;
        for sink in (0..SINKS.len()).filter(|sink| !self.referee.is_idle(*sink)).collect::<Vec<_>>() {
            self.pause(sink).await?;
            self.resume(sink).await?;
        }
        self.settle().await?;
        for nth in 0..self.referee.model.messages.len() {
            if self.referee.model.messages[nth].status == "dead" {
                self.skip_nth(nth).await?;
            }
        }
        self.settle().await
    }
}

/// Compares an answer with the model's.
fn same<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(what: &str, found: Result<T, E>, expected: T) -> Done {
    let found = found.map_err(|error| format!("{what}: {error:?}"))?;
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, not {expected:?}")) }
}
