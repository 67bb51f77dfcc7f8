//! What the till calls things, as its lists said last.

use std::sync::Arc;

use sqlx::{Row, sqlite::SqliteRow};

use super::{Rows, Store, StoreError, parse, rows::Name};
use crate::{order::ShopId, sink::Names};

/// A list of names that the till has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameList {
    /// Cash boxes.
    CashBoxes,
    /// How orders are handed over.
    DeliveryMethods,
}

impl NameList {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::CashBoxes, Self::DeliveryMethods];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CashBoxes => "cash_box",
            Self::DeliveryMethods => "delivery_method",
        }
    }
}

impl Store {
    /// The names of every shop's till.
    ///
    /// # Errors
    /// What the database says.
    pub async fn till_names(&self) -> Result<Vec<(ShopId, Names)>, StoreError> {
        let rows = sqlx::query("SELECT shop, kind, id, name FROM till_name ORDER BY shop");
        let mut shops: Vec<(ShopId, Names)> = Vec::new();
        let found = rows.fetch_all(self.readers()).await?;
        for (shop, kind, id, name) in
            self.log(Rows::read(&found, named, |row| Name::of("name at the till of", row, 0))?)
        {
            if shops.last().is_none_or(|(last, _)| *last != shop) {
                shops.push((shop, Names::default()));
            }
            let Some((_, names)) = shops.last_mut() else { continue };
            let of_kind = match kind {
                NameList::CashBoxes => &mut names.cash_boxes,
                NameList::DeliveryMethods => &mut names.delivery_methods,
            };
            of_kind.insert(id, name);
        }
        Ok(shops)
    }

    /// Puts a list in the place of what it said before. Atomic.
    ///
    /// # Errors
    /// When it is not on disk.
    pub async fn save_names(
        &self,
        shop: &ShopId,
        list: NameList,
        names: Vec<(String, String)>,
    ) -> Result<(), StoreError> {
        let (shop, names) = (shop.to_string(), Arc::new(names));
        self.write(move |conn| {
            let (shop, names) = (shop.clone(), names.clone());
            Box::pin(async move {
                let forget = sqlx::query("DELETE FROM till_name WHERE shop = $1 AND kind = $2");
                forget.bind(&shop).bind(list.as_str()).execute(&mut *conn).await?;
                sqlx::query(
                    "INSERT OR REPLACE INTO till_name (shop, kind, id, name)
                     SELECT $1, $2, value ->> 0, value ->> 1 FROM json_each($3)",
                )
                .bind(&shop)
                .bind(list.as_str())
                .bind(serde_json::json!(names).to_string())
                .execute(conn)
                .await
                .map(drop)
            })
        })
        .await
    }
}

fn named(row: &SqliteRow) -> Result<(ShopId, NameList, String, String), StoreError> {
    let word: &str = row.try_get(1)?;
    let kind = NameList::ALL.into_iter().find(|list| list.as_str() == word);
    let kind = kind.ok_or_else(|| StoreError::Corrupt("a kind of name that there is none of".to_owned()))?;
    Ok((parse(row.try_get(0)?)?, kind, row.try_get(2)?, row.try_get(3)?))
}
