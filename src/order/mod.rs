//! The vocabulary: what a till sells, in English and in exact types.
//!
//! Every other module speaks in these words. The till's own (French, undocumented, loosely typed) field names stop in
//! `decode/` and `till/`; nothing here knows how an order arrived, where it is stored or who will be told.
//!
//! **Invariant:** this module imports nothing of ours but `json.rs`, and has no `f64`: amounts are decimals from the till's text to ours.

mod booking;
mod by_number;
mod calendar;
mod digest;
mod event;
mod hex;
mod id;
mod moment;
mod money;
mod notification;
mod numbering;
mod person;
mod rates;
mod report;
mod sequences;
mod share;
mod shop;
mod sign;
mod snapshot;
mod timeline;
mod verification;

pub use booking::{BookedPdf, Booking};
pub use by_number::by_number;
pub use calendar::{Cadence, CadenceError, Due, Period, clock_time, day_of, midnight};
pub use digest::{
    CORRECTED_FOR, Change, ChangeKind, Closing, Digest, Explanation, Figures, MadeFile, MissingPdf, NumberedAmount,
    NumberedUndivided, NumberedWarning, RateSum, Sums, Why,
};
pub use event::{Event, EventData, EventType, Pattern, PatternError, ShopRef};
pub use hex::hex;
pub use id::{DeliveryId, EventId, IdError, NameError, OrderKey, ReceiptId, ShopId, SinkName};
pub use moment::Moment;
pub use money::{Money, Number};
pub use notification::{
    Address, CashBoxNotice, Customer, DeliveryMethod, Fingerprint, Item, Notification, OrderContent, OrderNotice,
    Phase, SentDates, SentField, UnknownNotice, VatLine,
};
pub use numbering::{Hole, NumberForm, NumberRange, OrderNumber, runs};
pub use person::{Person, Traces};
pub use report::{Accounting, Accounts, Csv, JournalSums, LeftOut, NotEntered, ReportFile};
pub use sequences::{Gap, NumberedOrder, Reckoning, Sequence, WIDEST, reckon};
pub use share::{Part, Share, WhyUndivided};
pub use shop::{Currency, Locale, Shop};
pub use sign::Counted;
pub use snapshot::{Dates, InvoiceStatus, InvoiceView, Order, Source, State, Warning};
pub use timeline::Timeline;
pub use verification::{Verification, Verify, url_digest};
