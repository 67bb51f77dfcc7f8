//! Taking in calls: many at a time, each planned against what is known, all in one commit.
//!
//! The rules (what is a duplicate, which sinks are told) are not here: an [`Intake`] says which orders it is about,
//! gets a [`View`] of what is known of them, and writes its decisions into it. The next intake of the same commit sees
//! them already, so the same body fifty times in parallel is one order and forty-nine duplicates.

use sqlx::SqliteConnection;
use tokio::sync::oneshot;

use super::{StoreError, View, changes};
use crate::order::{OrderKey, ShopId};

/// One call to take in.
pub trait Intake: Send + 'static {
    /// What became of it.
    type Outcome: Send + 'static;

    /// What has to be known to plan it.
    fn keys(&self) -> Keys;

    /// Whether it is a call of the till, which is refused while only the last part of the reserve is left.
    fn is_call(&self) -> bool {
        false
    }

    /// Decides. Called again, on a fresh view, when the commit that it was part of failed.
    fn plan(&self, view: &mut View) -> Self::Outcome;
}

/// What an intake has to know.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// The shop's order with one of these numbers.
    pub numbered: Option<Numbered>,
    /// This order.
    pub order: Option<OrderKey>,
    /// A call about no order, by shop, kind and digest.
    pub notice: Option<(ShopId, String, [u8; 32])>,
}

/// The till's two numbers for an order, as far as a call carries them.
#[derive(Clone, Debug)]
pub struct Numbered {
    /// The shop.
    pub shop: ShopId,
    /// Whether it is a test order; those have identities of their own.
    pub test: bool,
    /// `orderInternalID`
    pub internal_id: Option<String>,
    /// `orderID`
    pub order_id: Option<String>,
}

/// An intake on its way through the writer, whatever its outcome is.
pub(super) trait AnyIntake: Send {
    fn is_call(&self) -> bool;
    fn keys(&self) -> Keys;
    fn plan(&mut self, view: &mut View);
    fn answer(self: Box<Self>, result: Result<(), StoreError>);
}

pub(super) struct IntakeJob<I: Intake> {
    intake: I,
    outcome: Option<I::Outcome>,
    reply: oneshot::Sender<Result<I::Outcome, StoreError>>,
}

impl<I: Intake> IntakeJob<I> {
    pub fn new(intake: I, reply: oneshot::Sender<Result<I::Outcome, StoreError>>) -> Self {
        Self { intake, outcome: None, reply }
    }
}

impl<I: Intake> AnyIntake for IntakeJob<I> {
    fn is_call(&self) -> bool {
        self.intake.is_call()
    }

    fn keys(&self) -> Keys {
        self.intake.keys()
    }

    fn plan(&mut self, view: &mut View) {
        self.outcome = Some(self.intake.plan(view));
    }

    fn answer(self: Box<Self>, result: Result<(), StoreError>) {
        let Self { outcome, reply, .. } = *self;
        let _ = reply.send(result.and_then(|()| outcome.ok_or(StoreError::Closed)));
    }
}

/// Plans every intake in turn and writes what they decided, inside the caller's transaction.
pub(super) async fn apply_all(
    conn: &mut SqliteConnection,
    intakes: &mut [Box<dyn AnyIntake>],
) -> Result<(), StoreError> {
    let keys: Vec<Keys> = intakes.iter().map(|intake| intake.keys()).collect();
    let mut view = View::load(conn, &keys).await?;
    for intake in intakes {
        intake.plan(&mut view);
    }
    Ok(changes::apply(conn, view.into_changes()).await?)
}
