//! A folder sink whose folder others write to: what they put in its way holds up no other order, and is told.

use std::{fs, time::Duration};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tillhook::order::Phase;

use crate::harness::App;

#[tokio::test]
async fn a_pipe_where_an_invoice_goes_holds_up_that_delivery_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().display();
    let sink = format!(
        "[sink.files]\ntype = \"folder\"\npath = \"{path}\"\nattach = [\"invoice\"]\non = [\"order.validated\"]\n"
    );
    let app = App::start(&sink).await;
    app.pause("files").await;
    app.sell(Phase::Validated).await;
    app.sell(Phase::Validated).await;
    let names: Vec<String> = app.invoices().await.into_iter().filter_map(|line| line.filename).collect();
    let pipe = folder.path().join(&names[0]);
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a named pipe");

    app.resume("files").await;
    app.settle().await;
    assert_eq!(app.statuses("files").await, ["retrying", "delivered"]);
    let said = app.deliveries("files").await.swap_remove(0).last_error.expect("a reason");
    assert_eq!(
        said,
        format!(
            "{} in the folder {path} is a named pipe and no file: move it away; until then this is tried again",
            names[0]
        )
    );
    assert!(folder.path().join(&names[1]).is_file());

    fs::remove_file(&pipe).expect("it goes");
    app.advance(Duration::from_secs(10)).await;
    assert_eq!(app.statuses("files").await, ["delivered"; 2]);
    assert!(pipe.is_file(), "it is the invoice now");
    app.finish().await;
}
