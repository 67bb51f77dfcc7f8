//! Orders that are not with us: how far the numbers of a shop were looked at, and which of them are missing.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{Changes, Rows, Store, StoreError, changes, micros, parse, rows::Name, timestamp};
use crate::order::ShopId;

/// How far the numbers of a shop were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumberWatch {
    /// The newest event about an order that was looked at.
    pub seen: i64,
    /// The newest order at the first look: what was there before is not judged.
    pub judged_from: i64,
}

/// An order that is not with us; or, where `last` is given, those of a step ahead that may be another sequence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingOrder {
    /// Whose it is.
    pub shop: ShopId,
    /// Its number.
    pub number: String,
    /// Of a step ahead the last number that is missing then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// How many orders that are.
    pub count: u64,
    /// Whose sequence it is, where each till has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub till: Option<String>,
    /// The order whose arrival showed it, by its place; 0 where that was not kept.
    #[serde(skip_serializing)]
    pub opened: i64,
    /// What betrayed it: `numbers`.
    pub source: String,
    /// When it was noticed.
    pub since: Timestamp,
    /// When somebody was told.
    pub told_at: Option<Timestamp>,
}

/// What a look at the numbers of a shop's newest orders found.
#[derive(Clone, Debug)]
pub struct Look {
    /// Whose they are.
    pub shop: ShopId,
    /// How far they were looked at now.
    pub watch: NumberWatch,
    /// Everything that is missing among them, in no order.
    pub missing: Vec<MissingOrder>,
    /// The first order that was looked at, and when it came: what was noticed from then on and is not missing any more is
    /// forgotten.
    pub from: Option<(i64, Timestamp)>,
}

impl Store {
    /// How far the numbers of a shop were looked at; `None` where they never were, or where that cannot be read: then they
    /// are looked at as at the first start.
    ///
    /// # Errors
    /// What the database says.
    pub async fn number_watch(&self, shop: &ShopId) -> Result<Option<NumberWatch>, StoreError> {
        let row = sqlx::query("SELECT seen, judged_from FROM number_watch WHERE shop = $1").bind(shop.as_str());
        let row = row.fetch_optional(self.readers()).await?;
        let watch = |row: SqliteRow| Ok(NumberWatch { seen: row.try_get(0)?, judged_from: row.try_get(1)? });
        self.or_none(row.map(watch).transpose(), "numbers of", shop.as_str())
    }

    /// Remembers what a look at a shop's numbers found. Atomic.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn note_look(&self, look: Look) -> Result<(), StoreError> {
        let look = Arc::new(look);
        self.write(move |conn| {
            let look = look.clone();
            Box::pin(async move { note(conn, &look).await })
        })
        .await
    }

    /// The orders that are not with us, by shop and number; of one shop, or of all.
    ///
    /// # Errors
    /// What the database says.
    pub async fn missing_orders(&self, shop: Option<&ShopId>) -> Result<Rows<MissingOrder>, StoreError> {
        let rows = sqlx::query(
            "SELECT shop, number, source, since, told_at, opened, last, count, till FROM missing_order
             WHERE $1 IS NULL OR shop = $1 ORDER BY shop, till, length(number), number, opened",
        );
        let found = rows.bind(shop.map(ShopId::as_str)).fetch_all(self.readers()).await?;
        Ok(self.log(Rows::read(&found, missing, |row| Name::of_order("missing order", row, [1, 1, 1], 0))?))
    }

    /// Lists no longer what a shop was told of before a time. Writes nothing where there is none.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn forget_missing(&self, shop: &ShopId, before: Timestamp) -> Result<(), StoreError> {
        const IS_ANY: &str = "SELECT EXISTS (SELECT 1 FROM missing_order WHERE shop = $1 AND told_at < $2)";
        const FORGET: &str = "DELETE FROM missing_order WHERE shop = $1 AND told_at < $2";
        self.change_missing(IS_ANY, FORGET, shop, before).await
    }

    /// What a shop's numbers betrayed when the clock was ahead was noticed now. Writes nothing where there is none.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn notice_missing_now(&self, shop: &ShopId, now: Timestamp) -> Result<(), StoreError> {
        const IS_ANY: &str =
            "SELECT EXISTS (SELECT 1 FROM missing_order WHERE shop = $1 AND since > $2 AND told_at IS NULL)";
        const NOW: &str = "UPDATE missing_order SET since = $2 WHERE shop = $1 AND since > $2 AND told_at IS NULL";
        self.change_missing(IS_ANY, NOW, shop, now).await
    }

    /// Changes a shop's missing orders of a time, where there is any.
    async fn change_missing(
        &self,
        is_any: &'static str,
        change: &'static str,
        shop: &ShopId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (shop, at) = (shop.to_string(), micros(at));
        if !sqlx::query_scalar(is_any).bind(&shop).bind(at).fetch_one(self.readers()).await? {
            return Ok(());
        }
        self.write(move |conn| {
            let shop = shop.clone();
            Box::pin(async move { sqlx::query(change).bind(shop).bind(at).execute(conn).await.map(drop) })
        })
        .await
    }

    /// Tells of missing orders with what `alert` makes of those that were not told and of which none has come after the order
    /// at the place `looked_until`, in one commit. Returns how many rows these are.
    ///
    /// # Errors
    /// When nothing of it is on disk.
    pub async fn tell_of_missing(
        &self,
        untold: &[MissingOrder],
        looked_until: i64,
        now: Timestamp,
        alert: impl Fn(&[MissingOrder]) -> Changes + Send + Sync + 'static,
    ) -> Result<usize, StoreError> {
        let (untold, alert) = (Arc::new(untold.to_vec()), Arc::new(alert));
        self.write(move |conn| {
            let (untold, alert) = (untold.clone(), alert.clone());
            Box::pin(async move {
                let mut told = Vec::new();
                for order in untold.iter() {
                    if mark_told(conn, order, looked_until, now).await? {
                        told.push(order.clone());
                    }
                }
                if !told.is_empty() {
                    changes::apply(conn, alert(&told)).await?;
                }
                Ok::<_, sqlx::Error>(told.len())
            })
        })
        .await
    }
}

/// What is known already stays as it is, with when it was noticed and told.
async fn note(conn: &mut SqliteConnection, look: &Look) -> Result<(), sqlx::Error> {
    // Who looked before somebody else did knows less.
    let noted = sqlx::query(
        "INSERT INTO number_watch (shop, seen, judged_from) VALUES ($1, $2, $3)
         ON CONFLICT (shop) DO UPDATE SET seen = excluded.seen, judged_from = excluded.judged_from
         WHERE excluded.seen >= number_watch.seen",
    );
    let noted = noted.bind(look.shop.as_str()).bind(look.watch.seen).bind(look.watch.judged_from);
    if noted.execute(&mut *conn).await?.rows_affected() == 0 {
        return Ok(());
    }
    let Some((from, came_at)) = look.from else { return Ok(()) };
    let shop = look.shop.as_str();
    let missing = |one: &MissingOrder| {
        serde_json::json!([one.number, one.opened, one.last, one.count, one.till, micros(one.since)])
    };
    let missing: Vec<_> = look.missing.iter().map(missing).collect();
    let missing = serde_json::Value::from(missing).to_string();
    sqlx::query(ADOPT).bind(shop).bind(&missing).execute(&mut *conn).await?;
    let forget = sqlx::query(FORGET).bind(shop).bind(&missing).bind(from).bind(micros(came_at));
    forget.execute(&mut *conn).await?;
    sqlx::query(COME_LATE).bind(shop).bind(from).execute(&mut *conn).await?;
    sqlx::query(NOTICE).bind(shop).bind(&missing).bind(look.watch.judged_from).execute(&mut *conn).await?;
    Ok(())
}

/// What was noticed before it was kept which order showed it.
const ADOPT: &str = "
    UPDATE OR IGNORE missing_order SET opened =
        (SELECT n.value ->> 1 FROM json_each($2) n WHERE n.value ->> 0 = number AND n.value ->> 2 IS NULL LIMIT 1)
    WHERE shop = $1 AND opened = 0
      AND EXISTS (SELECT 1 FROM json_each($2) n WHERE n.value ->> 0 = number AND n.value ->> 2 IS NULL)";

/// What was noticed among the orders that were looked at now, and is not missing among them. The first number of a step ahead
/// may be another one by now.
const FORGET: &str = "
    DELETE FROM missing_order
    WHERE shop = $1 AND (opened >= $3 OR (opened = 0 AND since >= $4)) AND NOT EXISTS (
        SELECT 1 FROM json_each($2) n
        WHERE n.value ->> 1 = opened AND (n.value ->> 0 = number OR (last IS NOT NULL AND n.value ->> 2 IS NOT NULL)))";

/// What was noticed long ago, and came after that.
const COME_LATE: &str = "
    DELETE FROM missing_order
    WHERE shop = $1 AND opened < $2 AND last IS NULL AND EXISTS (
        SELECT 1 FROM customer_order o
        WHERE o.shop = $1 AND o.order_id = number AND o.test = 0 AND o.seq > opened)";

const NOTICE: &str = "
    INSERT OR IGNORE INTO missing_order (shop, number, opened, source, last, count, till, since)
    SELECT $1, n.value ->> 0, n.value ->> 1, 'numbers', n.value ->> 2, n.value ->> 3, n.value ->> 4, n.value ->> 5
    FROM json_each($2) n
    WHERE n.value ->> 1 > $3 AND NOT EXISTS (
        SELECT 1 FROM missing_order m
        WHERE n.value ->> 2 IS NOT NULL AND m.shop = $1 AND m.last IS NOT NULL AND m.opened = n.value ->> 1)";

/// Whether it is missing still, and was not told before.
async fn mark_told(
    conn: &mut SqliteConnection,
    order: &MissingOrder,
    looked_until: i64,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    let mark = sqlx::query(
        "UPDATE missing_order SET told_at = $4 WHERE shop = $1 AND number = $2 AND opened = $3 AND told_at IS NULL
         AND NOT EXISTS (SELECT 1 FROM customer_order o
                         WHERE o.shop = $1 AND o.order_id = $2 AND o.test = 0 AND o.seq > $5)",
    );
    let mark = mark.bind(order.shop.as_str()).bind(&order.number).bind(order.opened).bind(micros(now));
    Ok(mark.bind(looked_until).execute(conn).await?.rows_affected() == 1)
}

fn missing(row: &SqliteRow) -> Result<MissingOrder, StoreError> {
    Ok(MissingOrder {
        shop: parse(row.try_get(0)?)?,
        number: row.try_get(1)?,
        last: row.try_get(6)?,
        count: row.try_get::<i64, _>(7)?.unsigned_abs(),
        till: row.try_get(8)?,
        opened: row.try_get(5)?,
        source: row.try_get(2)?,
        since: timestamp(row.try_get(3)?)?,
        told_at: row.try_get::<Option<i64>, _>(4)?.map(timestamp).transpose()?,
    })
}
