// SPDX-License-Identifier: Apache-2.0

//! The page's thread: connections, addresses, events.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{self, Instant};
use tokio_io_timeout::TimeoutStream;

use super::frame::Frame;
use super::guard::{Token, guard};
use super::line::Line;
use super::{lock, operator};

/// Connections at the same time; a browser has one or two. Others wait.
pub const CONNECTIONS: usize = 128;

/// How long a browser may take nothing of what it is sent.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be open without a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the line is looked at: what changes within is one change.
const TICK: Duration = Duration::from_millis(100);

/// How often a browser gets something, so that it knows that the page is alive: `operator.js` waits three times as long.
const BEAT: Duration = Duration::from_secs(1);

/// How long the last words to the browsers may take.
const FAREWELL: Duration = Duration::from_millis(300);

/// Bytes that wait in the system for a browser: what is older than those is not of interest.
const SEND_BUFFER: u32 = 64 * 1024;

/// What the addresses show.
pub struct Site {
    line: Arc<Mutex<Line>>,
    /// The line as it was last written; somebody watches while it has receivers.
    frame: watch::Sender<Frame>,
    /// Another one for each run of the station.
    boot: String,
    pub token: Option<Token>,
    pub hosts: Vec<String>,
}

impl Site {
    pub fn new(line: Arc<Mutex<Line>>, token: Option<Token>, hosts: Vec<String>) -> Self {
        let boot = lock(&line).begun.as_nanosecond().to_string();
        Self { line, frame: watch::Sender::new(Frame::default()), boot, token, hosts }
    }

    /// Writes what has changed, if there is something.
    fn refresh(&self) {
        let version = lock(&self.line).version;
        self.frame.send_if_modified(|frame| {
            let is_old = frame.is_empty() || frame.version != version;
            if is_old {
                *frame = frame.next(&self.line);
            }
            is_old
        });
    }
}

/// Takes an address, in the page's runtime.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a station that has just ended do not keep its address. On Windows this would share it.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(CONNECTIONS.try_into().unwrap_or(u32::MAX))
}

/// Answers browsers until it is stopped.
pub async fn serve(listener: TcpListener, site: Site, mut stopped: watch::Receiver<bool>) {
    let site = Arc::new(site);
    let router = router(&site);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let accept = tokio::spawn(async move {
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let answer = answer(stream, router.clone());
                    tokio::spawn(async move {
                        answer.await;
                        drop(place);
                    });
                }
                // The machine has no more files, for example: later.
                Err(_) => time::sleep(TICK).await,
            }
        }
    });
    let watched = Arc::clone(&site);
    let look = tokio::spawn(async move {
        let mut ticks = time::interval(TICK);
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if watched.frame.receiver_count() > 0 {
                watched.refresh();
            }
        }
    });
    let _ = stopped.wait_for(|stopped| *stopped).await;
    accept.abort();
    look.abort();
    // The last frame, which says that the batch is over.
    site.refresh();
    let _ = time::timeout(FAREWELL, site.frame.closed()).await;
}

/// Answers one browser. What is wrong with the connection is the browser's business.
async fn answer(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    let io = TokioIo::new(Box::pin(stream));
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .serve_connection(io, TowerToHyperService::new(router))
        .await;
}

fn router(site: &Arc<Site>) -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { ([(CONTENT_TYPE, kind)], text).into_response() })
    };
    Router::new()
        .route("/", get(line))
        .route("/events", get(events))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page.css")))
        .route("/operator.js", file("text/javascript; charset=utf-8", include_str!("operator.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("icon.svg")))
        .layer(middleware::from_fn_with_state(Arc::clone(site), guard))
        .with_state(Arc::clone(site))
}

async fn line(State(site): State<Arc<Site>>) -> Html<String> {
    let line = lock(&site.line).clone();
    Html(operator::page(&line, &site.boot).into_string())
}

/// What happens on the line: first everything, then what changes, and a beat where nothing does.
async fn events(State(site): State<Arc<Site>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut frames = site.frame.subscribe();
    site.refresh();
    frames.mark_changed();
    let first = Event::default().event("boot").data(&site.boot).retry(BEAT);
    let seen: Option<u64> = None;
    let changes = stream::unfold((frames, seen, false), |(mut frames, seen, ended)| async move {
        if ended {
            return None;
        }
        let Ok(changed) = time::timeout_at(Instant::now() + BEAT, frames.changed()).await else {
            return Some((Event::default().event("beat").data(""), (frames, seen, false)));
        };
        changed.ok()?;
        let (html, version, ended) = {
            let frame = frames.borrow_and_update();
            (frame.since(seen), frame.version, frame.ended)
        };
        let name = if ended { "end" } else { "line" };
        Some((Event::default().event(name).data(html), (frames, Some(version), ended)))
    });
    Sse::new(stream::StreamExt::map(
        stream::StreamExt::chain(stream::iter([first]), changes),
        Ok::<_, Infallible>,
    ))
}
