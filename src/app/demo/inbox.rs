//! A page that shows what the far sides got, for whoever would rather read the mails than hear of them.
//!
//! **Invariant:** what arrived is shown as text, and a mail's own HTML only where it can run and load nothing.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::{
    StatusCode,
    header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE},
};

use super::{far_sides::Kept, http_receiver::Call, mail_catcher::Mail, mime};

/// No script, no form, nothing from elsewhere.
const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:";

const HEAD: &str = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>\
    <title>tillhook demo</title><style>\
    :root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:2rem auto;padding:0 1rem}\
    li{margin:.4rem 0}pre{white-space:pre-wrap;margin:.2rem 0}summary{cursor:pointer}small{opacity:.7}\
    </style>";

/// What there is to show.
#[derive(Clone)]
pub(super) struct Shown {
    pub(super) mails: Arc<Kept<Mail>>,
    pub(super) messages: Arc<Kept<String>>,
    pub(super) calls: Arc<Kept<Call>>,
}

pub(super) fn router(shown: Shown) -> Router {
    Router::new()
        .route("/", get(list))
        .route("/mails/{number}", get(mail))
        .route("/mails/{number}/{index}", get(attachment))
        .with_state(shown)
}

async fn list(State(shown): State<Shown>) -> Html<String> {
    let mut page = format!("{HEAD}<h1>What arrived</h1><h2>Mails ({})</h2><ul>", shown.mails.count());
    for (number, mail) in shown.mails.numbered() {
        let to = escaped(&mail.to.join(", "));
        let _ = write!(page, "<li><a href='/mails/{number}'>{}</a> <small>to {to}</small>", escaped(&mail.subject));
        for (index, file) in mail.attachments.iter().enumerate() {
            let _ = write!(page, "<br><small><a href='/mails/{number}/{index}'>{}</a></small>", escaped(&file.name));
        }
    }
    let _ = write!(page, "</ul><h2>Slack ({})</h2><ul>", shown.messages.count());
    for (_, message) in shown.messages.numbered() {
        let _ = write!(page, "<li><pre>{}</pre>", escaped(&message));
    }
    let _ = write!(page, "</ul><h2>HTTP ({})</h2><ul>", shown.calls.count());
    for (_, call) in shown.calls.numbered() {
        let (id, kind) = (escaped(&call.id), escaped(call.body["type"].as_str().unwrap_or("?")));
        let body = escaped(&format!("{:#}", call.body));
        let _ = write!(page, "<li><details><summary>{kind} <small>{id}</small></summary><pre>{body}</pre></details>");
    }
    Html(page + "</ul>")
}

async fn mail(State(shown): State<Shown>, Path(number): Path<u64>) -> Response {
    match shown.mails.get(number).and_then(|mail| mime::text(&mail.source)) {
        Some((html, true)) => ([(CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response(),
        Some((plain, false)) => plain.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn attachment(State(shown): State<Shown>, Path((number, index)): Path<(u64, usize)>) -> Response {
    let Some(file) = shown.mails.get(number).and_then(|mail| mail.attachments.into_iter().nth(index)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let content_type = if file.bytes.starts_with(b"%PDF-") { "application/pdf" } else { "application/octet-stream" };
    ([(CONTENT_TYPE, content_type)], file.bytes).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::{Request, Response};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn get(shown: &Shown, path: &str) -> (Response<()>, String) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let (parts, body) = router(shown.clone()).oneshot(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (Response::from_parts(parts, ()), String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn what_arrived_is_listed_as_text_and_a_mail_and_its_pdf_can_be_opened() {
        let shown = Shown { mails: Arc::default(), messages: Arc::default(), calls: Arc::default() };
        shown.messages.keep("<script>".to_owned());
        shown.mails.keep(Mail {
            from: String::new(),
            to: vec!["compta@example.com".to_owned()],
            subject: "Facture <1>".to_owned(),
            attachments: vec![mime::Attachment { name: "f.pdf".to_owned(), bytes: b"%PDF-1.4".to_vec() }],
            source: b"Content-Type: text/html\r\n\r\n<p>Bonjour</p>".to_vec(),
        });
        let (_, page) = get(&shown, "/").await;
        assert!(page.contains("Facture &lt;1&gt;") && page.contains("&lt;script&gt;") && !page.contains("<script>"));
        let (answer, html) = get(&shown, "/mails/1").await;
        assert_eq!(
            (html.as_str(), answer.headers()[CONTENT_SECURITY_POLICY].as_bytes()),
            ("<p>Bonjour</p>", POLICY.as_bytes())
        );
        let (answer, pdf) = get(&shown, "/mails/1/0").await;
        assert_eq!((pdf.as_str(), answer.headers()[CONTENT_TYPE].as_bytes()), ("%PDF-1.4", &b"application/pdf"[..]));
        assert_eq!(get(&shown, "/mails/2").await.0.status(), StatusCode::NOT_FOUND);
    }
}
