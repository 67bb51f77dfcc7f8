//! Reading back what was recorded: events, orders, deliveries with their attempts, and the feed that `demo` shows.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Row, sqlite::SqliteRow};

use super::{Rows, Store, StoreError, UnreadableRow, from_json, micros, parse, rows::Name, timestamp};
use crate::{
    order::{DeliveryId, EventId, EventType, Order, OrderKey, ShopId, SinkName, Verification},
    sink::Payload,
};

/// An event as it was recorded; `data` is the JSON of contract §6, in full.
#[derive(Clone, Debug)]
pub struct StoredEvent {
    /// Its place in the order of commit.
    pub seq: i64,
    /// Its id.
    pub id: EventId,
    /// Its type.
    pub kind: EventType,
    /// The shop and its name, unless it concerns the service as a whole.
    pub shop: Option<(ShopId, String)>,
    /// The order, where it is about one.
    pub order_key: Option<OrderKey>,
    /// When.
    pub at: Timestamp,
    /// Whether it is a test.
    pub test: bool,
    /// The facts.
    pub data: String,
}

/// An order as it stands.
#[derive(Clone, Debug)]
pub struct StoredOrder {
    /// Its key.
    pub key: OrderKey,
    /// Its shop.
    pub shop: ShopId,
    /// Whether it is a test.
    pub test: bool,
    /// When it was first heard of.
    pub received_at: Timestamp,
    /// The event that it is the data of.
    pub last_event: EventId,
    /// Whether the till confirms its calls, where it is asked.
    pub verification: Option<Verification>,
    /// Whether its messages wait for that.
    pub held: bool,
    /// The order.
    pub order: Order,
}

/// A delivery, whole.
#[derive(Clone, Debug)]
pub struct StoredDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// Where it goes.
    pub sink: SinkName,
    /// The event.
    pub event_id: EventId,
    /// The status of contract §2.
    pub status: String,
    /// The frozen message.
    pub payload: Option<Payload>,
    /// Every attempt, in order.
    pub attempts: Vec<StoredAttempt>,
    /// What of it cannot be read: the message, attempts.
    pub unreadable: Vec<UnreadableRow>,
}

/// An attempt, from the log.
#[derive(Clone, Debug, Serialize)]
pub struct StoredAttempt {
    /// From 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// How long the far side took.
    pub duration_ms: i64,
    /// `delivered`, `retry`, `reject`, `pause` or `interrupted`.
    pub verdict: String,
    /// The reason, as a metric's label.
    pub reason: Option<String>,
    /// The far side's answer in short.
    pub status: Option<String>,
    /// The beginning of its answer.
    pub excerpt: Option<String>,
}

/// An attempt on its way past somebody who watches.
#[derive(Clone, Debug)]
pub struct FeedItem {
    /// Ask for what is after this.
    pub seq: i64,
    /// Where it went.
    pub sink: SinkName,
    /// What it told.
    pub event_type: EventType,
    /// The order's number.
    pub order: Option<OrderKey>,
    /// `delivered`, `retry`, …
    pub verdict: String,
}

impl Store {
    /// An event by id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, StoreError> {
        let row =
            sqlx::query("SELECT seq, id, type, shop, shop_name, order_key, at, test, data FROM event WHERE id = $1");
        let row = row.bind(id.to_string()).fetch_optional(self.readers()).await?;
        row.as_ref().map(|row| event(row, 0)).transpose()
    }

    /// The events that were recorded after `seq`, in the order of commit.
    ///
    /// # Errors
    /// What the database says.
    pub async fn events_after(&self, seq: i64, limit: u32) -> Result<Rows<StoredEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, id, type, shop, shop_name, order_key, at, test, data FROM event
             WHERE seq > $1 ORDER BY seq LIMIT $2",
        );
        let rows = rows.bind(seq).bind(limit).fetch_all(self.readers()).await?;
        Ok(self.log(events(&rows)?))
    }

    /// The events since a point in time, in the order of commit, a page at a time.
    ///
    /// # Errors
    /// What the database says.
    pub async fn events_since(&self, at: Timestamp, after: i64, limit: u32) -> Result<Rows<StoredEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, id, type, shop, shop_name, order_key, at, test, data FROM event
             WHERE id >= $1 AND at >= $2 AND seq > $3 ORDER BY seq LIMIT $4",
        );
        // An id begins with its millisecond, so the index of ids finds the first one.
        let earliest = format!("evt_{:012x}", at.as_millisecond().max(0));
        let rows = rows.bind(earliest).bind(micros(at)).bind(after).bind(limit).fetch_all(self.readers()).await?;
        Ok(self.log(events(&rows)?))
    }

    /// The events of an order, in the order of commit.
    ///
    /// # Errors
    /// What the database says.
    pub async fn events_of(&self, order: OrderKey) -> Result<Rows<StoredEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, id, type, shop, shop_name, order_key, at, test, data FROM event
             WHERE order_key = $1 ORDER BY seq",
        );
        let rows = rows.bind(order.to_string()).fetch_all(self.readers()).await?;
        Ok(self.log(events(&rows)?))
    }

    /// Whether a sink has a row for this event, however it ended.
    ///
    /// # Errors
    /// What the database says.
    pub async fn was_told(&self, sink: &SinkName, event: &StoredEvent) -> Result<bool, StoreError> {
        // Two texts, because each has an index of its own.
        let query = match event.order_key {
            Some(order) => sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM delivery WHERE event_id = $1 AND sink = $2 AND order_key = $3)",
            )
            .bind(event.id.to_string())
            .bind(sink.as_str())
            .bind(order.to_string()),
            None => sqlx::query_scalar(
                "SELECT EXISTS (SELECT 1 FROM delivery WHERE event_id = $1 AND sink = $2 AND order_key IS NULL)",
            )
            .bind(event.id.to_string())
            .bind(sink.as_str()),
        };
        let told: i64 = query.fetch_one(self.readers()).await?;
        Ok(told == 1)
    }

    /// Whether a sink was told of an order, or is to be, or its message was given up.
    ///
    /// # Errors
    /// What the database says.
    pub async fn knows_of(&self, sink: &SinkName, order: OrderKey) -> Result<bool, StoreError> {
        let known: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM delivery WHERE order_key = $1 AND sink = $2 AND status <> 'skipped')",
        )
        .bind(order.to_string())
        .bind(sink.as_str())
        .fetch_one(self.readers())
        .await?;
        Ok(known == 1)
    }

    /// The order with this key, as it stands; none where it was pruned.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Corrupt`] where it cannot be read.
    pub async fn order(&self, key: OrderKey) -> Result<Option<StoredOrder>, StoreError> {
        let row = sqlx::query(
            "SELECT o.key, o.shop, o.test, o.received_at, o.last_event, e.data, o.verification, o.held
             FROM customer_order o LEFT JOIN event e ON e.id = o.last_event
             WHERE o.key = $1 AND (e.id IS NOT NULL OR o.told IS NULL)",
        );
        let row = row.bind(key.to_string()).fetch_optional(self.readers()).await?;
        row.as_ref().map(order).transpose()
    }

    /// A delivery with its attempts, as far as they can be read.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Corrupt`] where not even its facts can be read.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<StoredDelivery>, StoreError> {
        let row = sqlx::query("SELECT id, sink, event_id, status, payload FROM delivery WHERE id = $1");
        let Some(row) = row.bind(id.to_string()).fetch_optional(self.readers()).await? else { return Ok(None) };
        let (attempts, mut unreadable) = self.attempts(id).await?.into_parts();
        let json = row.try_get::<Option<&str>, _>(4).map_err(StoreError::from);
        let payload = match json.and_then(|json| json.map(from_json).transpose()) {
            Err(error) => {
                unreadable.push(Name::of("message of delivery", &row, 0).because(error.corrupt_only()?));
                None
            }
            Ok(payload) => payload,
        };
        Ok(Some(StoredDelivery {
            id: parse(row.try_get(0)?)?,
            sink: parse(row.try_get(1)?)?,
            event_id: parse(row.try_get(2)?)?,
            status: row.try_get(3)?,
            payload,
            attempts,
            unreadable,
        }))
    }

    /// The attempts that were logged after `seq`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn attempts_after(&self, seq: i64, limit: u32) -> Result<Rows<FeedItem>, StoreError> {
        let rows = sqlx::query(
            "SELECT a.seq, d.sink, d.event_type, d.order_key, a.verdict
             FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE a.seq > $1 ORDER BY a.seq LIMIT $2",
        );
        let rows = rows.bind(seq).bind(limit).fetch_all(self.readers()).await?;
        let item = |row: &SqliteRow| {
            let order: Option<String> = row.try_get(3)?;
            Ok(FeedItem {
                seq: row.try_get(0)?,
                sink: parse(row.try_get(1)?)?,
                event_type: parse(row.try_get(2)?)?,
                order: order.as_deref().map(parse).transpose()?,
                verdict: row.try_get(4)?,
            })
        };
        Ok(self.log(Rows::page(&rows, 0, item, |row| Name::of("attempt", row, 0))?))
    }

    async fn attempts(&self, id: DeliveryId) -> Result<Rows<StoredAttempt>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, at, duration_ms, verdict, reason, status, excerpt FROM attempt
             WHERE delivery_id = $1 ORDER BY seq",
        );
        let rows = rows.bind(id.to_string()).fetch_all(self.readers()).await?;
        let attempt = |row: &SqliteRow| {
            Ok(StoredAttempt {
                number: row.try_get(0)?,
                at: timestamp(row.try_get(1)?)?,
                duration_ms: row.try_get(2)?,
                verdict: row.try_get(3)?,
                reason: row.try_get(4)?,
                status: row.try_get(5)?,
                excerpt: row.try_get(6)?,
            })
        };
        Rows::read(&rows, attempt, |_| Name::plain("attempt of delivery", id.to_string()))
    }
}

/// A page of events.
pub(super) fn events(rows: &[SqliteRow]) -> Result<Rows<StoredEvent>, StoreError> {
    Rows::page(rows, 0, |row| event(row, 0), |row| Name::placed("event", row, 1, 0))
}

/// The name of an order whose columns are those of [`order`].
pub(super) fn unread_order(row: &SqliteRow) -> Name {
    Name::of_order("order", row, [8, 9, 0], 1)
}

/// The nine columns of an event, from `first` on.
pub(super) fn event(row: &SqliteRow, first: usize) -> Result<StoredEvent, StoreError> {
    let shop: Option<String> = row.try_get(first + 3)?;
    let name: Option<String> = row.try_get(first + 4)?;
    let order_key: Option<String> = row.try_get(first + 5)?;
    Ok(StoredEvent {
        seq: row.try_get(first)?,
        id: parse(row.try_get(first + 1)?)?,
        kind: parse(row.try_get(first + 2)?)?,
        shop: shop.as_deref().map(parse).transpose()?.zip(name),
        order_key: order_key.as_deref().map(parse).transpose()?,
        at: timestamp(row.try_get(first + 6)?)?,
        test: row.try_get(first + 7)?,
        data: row.try_get(first + 8)?,
    })
}

/// The first eight columns of an order; its numbers follow, for [`unread_order`].
pub(super) fn order(row: &SqliteRow) -> Result<StoredOrder, StoreError> {
    Ok(StoredOrder {
        key: parse(row.try_get(0)?)?,
        shop: parse(row.try_get(1)?)?,
        test: row.try_get(2)?,
        received_at: timestamp(row.try_get(3)?)?,
        last_event: parse(row.try_get(4)?)?,
        order: from_json(row.try_get(5)?)?,
        verification: row.try_get::<Option<&str>, _>(6)?.and_then(Verification::from_word),
        held: row.try_get(7)?,
    })
}
