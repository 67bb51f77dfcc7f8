//! An order through its life: a quote, then an invoice with a number, then paid.
//!
//! **Invariant:** it only goes forward, and no more is paid than is owed.

use jiff::Zoned;
use rust_decimal::Decimal;

use super::{catalogue::Method, refusal::Refusal};
use crate::till::order::TillOrder;

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not validated: it has no number yet, and can be changed.
    Quote,
    /// Validated: numbered and frozen, not paid in full.
    Invoiced,
    /// Paid in full.
    Paid,
}

impl Stage {
    /// The word in the till's answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quote => "quote",
            Self::Invoiced => "invoice",
            Self::Paid => "paid",
        }
    }
}

/// Money that came in, or went back.
#[derive(Clone, Debug, PartialEq)]
pub struct Payment {
    /// How.
    pub method: Method,
    /// How much; negative where it went back.
    pub amount: Decimal,
    /// When.
    pub at: Zoned,
}

/// What is noted about an order besides what is sold; no announcement tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Who sold it.
    pub user: Option<u64>,
    /// Where it is served.
    pub table: Option<u64>,
    /// For how many.
    pub covers: Option<u64>,
    /// Who is called when it is ready.
    pub pager: Option<u64>,
    /// A comment for the customer.
    pub public_comment: Option<String>,
    /// A comment for the shop.
    pub private_comment: Option<String>,
}

/// An order and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Ticket {
    /// What is sold; without a number as long as it is a quote.
    pub order: TillOrder,
    /// How far it is.
    pub stage: Stage,
    /// What was paid so far.
    pub payments: Vec<Payment>,
    /// What else is noted.
    pub notes: Notes,
    /// The refund of it: its internal id.
    pub refunded_by: Option<String>,
}

impl Ticket {
    /// A quote.
    pub fn quote(order: TillOrder) -> Self {
        Self { order, stage: Stage::Quote, payments: Vec::new(), notes: Notes::default(), refunded_by: None }
    }

    /// What was paid so far.
    pub fn paid(&self) -> Decimal {
        self.payments.iter().map(|payment| payment.amount).sum()
    }

    /// What is still owed.
    pub fn owed(&self) -> Decimal {
        self.order.total() - self.paid()
    }

    /// Takes `amount`, or all that is owed. Only an invoice can be paid.
    ///
    /// # Errors
    /// When it is paid already, or `amount` is more than is owed.
    pub fn pay(&mut self, method: Method, amount: Option<Decimal>, at: Zoned) -> Result<(), Refusal> {
        self.check_payment(amount)?;
        let amount = amount.unwrap_or_else(|| self.owed());
        self.payments.push(Payment { method, amount, at });
        if self.owed().is_zero() {
            self.stage = Stage::Paid;
        }
        Ok(())
    }

    /// Whether `amount`, or all that is owed, could be paid.
    ///
    /// # Errors
    /// When it could not.
    pub fn check_payment(&self, amount: Option<Decimal>) -> Result<(), Refusal> {
        let id = &self.order.internal_id;
        let owed = self.owed();
        match amount {
            _ if self.stage == Stage::Paid => Err(Refusal::new(format!("order {id} is already paid in full"))),
            Some(amount) if amount > owed => {
                Err(Refusal::new(format!("paymentAmount: {amount} is more than the {owed} that order {id} still owes")))
            }
            _ => Ok(()),
        }
    }
}
