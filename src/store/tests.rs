//! What the statements walk over that are asked again and again: an index, and of it no more than what they want.

use sqlx::{AssertSqlSafe, Row as _};

use super::{Access, Store, books, holds, outbox, verifications};

/// How SQLite goes about a statement, a line a step.
async fn plan(store: &Store, sql: &'static str) -> Vec<String> {
    let steps = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
    let steps = steps.fetch_all(store.readers()).await.expect("a plan");
    steps.iter().map(|step| step.get("detail")).collect()
}

#[tokio::test]
async fn what_is_asked_again_and_again_walks_over_nothing_that_it_does_not_want() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(directory.path(), Access::Service).await.expect("a store");
    for (sql, first) in [
        (outbox::DUE, "SEARCH d USING INDEX delivery_due (sink=? AND held=? AND due_at<?)"),
        (outbox::NEXT_DUE, "SEARCH delivery USING COVERING INDEX delivery_due (sink=? AND held=? AND due_at>?)"),
        (holds::UNTOLD, "SEARCH v USING INDEX verification_untold (shop=?)"),
        (holds::HELD_OF_OTHERS, "SCAN customer_order USING COVERING INDEX order_held"),
        (verifications::OF_ANOTHER, "SCAN CONSTANT ROW"),
        (verifications::NEXT, "SEARCH verification USING INDEX verification_again (shop=? AND next_attempt_at>?)"),
    ] {
        let steps = plan(&store, sql).await;
        assert_eq!(steps[0], first, "{steps:#?}");
        assert!(
            !steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")),
            "it is sorted after all was read: {steps:#?}"
        );
    }
    // Sorted, but only what a day has.
    let steps = plan(&store, books::CASH_BOX_EVENTS).await;
    assert_eq!(steps[0], "SEARCH event USING INDEX sqlite_autoindex_event_1 (id>? AND id<?)", "{steps:#?}");
    let steps = plan(&store, verifications::DUE).await;
    for search in [
        "SEARCH verification USING INDEX verification_fresh (shop=?)",
        "SEARCH verification USING INDEX verification_again (shop=? AND next_attempt_at<?)",
        "SEARCH verification USING INDEX verification_again (shop=? AND next_attempt_at>?)",
    ] {
        assert!(steps.iter().any(|step| step == search), "{search}: {steps:#?}");
    }
    assert!(
        !steps.iter().any(|step| step.contains("TEMP B-TREE FOR ORDER BY")),
        "it is sorted after all was read: {steps:#?}"
    );
    store.close().await;
}
