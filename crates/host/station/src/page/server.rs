// SPDX-License-Identifier: Apache-2.0

//! The page's thread: connections, addresses, events.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware;
use axum::response::sse::{Event, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::{SignedDuration, Timestamp};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task;
use tokio::time::{self, Instant};
use tokio_io_timeout::TimeoutStream;

use super::book::Book;
use super::frame::Frame;
use super::guard::{Token, guard};
use super::line::Line;
use super::{Options, engineer, lock, operator};
use crate::ledger::Ledger;

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

/// How long the last run of a port stands for what is on it, where only the ledger tells.
const RECENT: SignedDuration = SignedDuration::from_mins(10);

/// A browser does not hand on an event without data.
const NOTHING: &str = "<!-- -->";

/// What the addresses show.
pub struct Site {
    line: Arc<Mutex<Line>>,
    /// The line as it was last written; somebody watches while it has receivers.
    frame: watch::Sender<Frame>,
    /// Another one for each start of the station.
    start_id: String,
    /// What is read of the ledger. Only threads that may wait lock it.
    book: Arc<Mutex<Book>>,
    pub token: Option<Token>,
    pub hosts: Vec<String>,
}

impl Site {
    pub fn new(line: Arc<Mutex<Line>>, ledger: Ledger, options: Options) -> Self {
        let start_id = lock(&line).begun.as_nanosecond().to_string();
        let Options { token, hosts, .. } = options;
        let book = Arc::new(Mutex::new(Book::new(ledger)));
        Self { line, frame: watch::Sender::new(Frame::default()), start_id, book, token, hosts }
    }

    fn title(&self) -> String {
        lock(&self.line).about.title().to_owned()
    }

    /// Does something with the book, where waiting stops nobody.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Book) -> T + Send + 'static,
    ) -> Option<T> {
        let book = Arc::clone(&self.book);
        let read = move || read(&mut book.lock().unwrap_or_else(PoisonError::into_inner));
        task::spawn_blocking(read).await.ok()
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
    let of_ledger = Arc::clone(&site);
    let follow = tokio::spawn(async move {
        while lock(&of_ledger.line).is_of_ledger {
            let runs = of_ledger.read(|book| {
                book.read(READ);
                book.last_of_ports(RECENT, Timestamp::now())
            });
            if let Some(runs) = runs.await {
                lock(&of_ledger.line).take_runs(&runs);
            }
            time::sleep(BEAT).await;
        }
    });
    let _ = stopped.wait_for(|stopped| *stopped).await;
    [accept, look, follow].iter().for_each(task::JoinHandle::abort);
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
        .route("/engineer", get(engineer))
        .route("/engineer/events", get(engineer_events))
        .route("/attempt/{number}", get(attempt))
        .route("/engineer.js", file("text/javascript; charset=utf-8", include_str!("engineer.js")))
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page.css")))
        .route("/operator.js", file("text/javascript; charset=utf-8", include_str!("operator.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("icon.svg")))
        .layer(middleware::from_fn_with_state(Arc::clone(site), guard))
        .with_state(Arc::clone(site))
}

async fn line(State(site): State<Arc<Site>>) -> Html<String> {
    let line = lock(&site.line).clone();
    Html(operator::page(&line, &site.start_id).into_string())
}

/// What happens on the line: first everything, then what changes, and a beat where nothing does.
async fn events(
    State(site): State<Arc<Site>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut frames = site.frame.subscribe();
    site.refresh();
    frames.mark_changed();
    let first = Event::default().event("start").data(&site.start_id).retry(BEAT);
    let seen: Option<u64> = None;
    let changes = stream::unfold((frames, seen, false), |(mut frames, seen, ended)| async move {
        if ended {
            return None;
        }
        let Ok(changed) = time::timeout_at(Instant::now() + BEAT, frames.changed()).await else {
            return Some((Event::default().event("beat").data(NOTHING), (frames, seen, false)));
        };
        changed.ok()?;
        let (html, version, ended) = {
            let frame = frames.borrow_and_update();
            (frame.since(seen) + NOTHING, frame.version, frame.ended)
        };
        let name = if ended { "end" } else { "line" };
        Some((Event::default().event(name).data(html), (frames, Some(version), ended)))
    });
    Sse::new(stream::StreamExt::map(
        stream::StreamExt::chain(stream::iter([first]), changes),
        Ok::<_, Infallible>,
    ))
}

/// How long a request reads on in the ledger: what is left is for the next one.
const READ: Duration = Duration::from_millis(500);

async fn engineer(State(site): State<Arc<Site>>, Query(query): Query<engineer::Query>) -> Response {
    let (title, start_id) = (site.title(), site.start_id.clone());
    let page = site.read(move |book| {
        let reading = book.read(READ);
        engineer::page(book, &reading, &query, &title, &start_id)
    });
    page.await.map_or_else(broken, |page| Html(page.into_string()).into_response())
}

async fn attempt(State(site): State<Arc<Site>>, Path(number): Path<u64>) -> Response {
    let (title, start_id) = (site.title(), site.start_id.clone());
    let page = site.read(move |book| {
        book.read(READ);
        match book.whole(number) {
            Ok(Some(whole)) => (StatusCode::OK, engineer::attempt(&whole, &title, &start_id)),
            Ok(None) => {
                let text = "There is no such attempt, or it was not read yet";
                (StatusCode::NOT_FOUND, engineer::nothing(&title, &start_id, text))
            }
            Err(error) => {
                let page = engineer::nothing(&title, &start_id, &error.to_string());
                (StatusCode::INTERNAL_SERVER_ERROR, page)
            }
        }
    });
    page.await
        .map_or_else(broken, |(status, page)| (status, Html(page.into_string())).into_response())
}

fn broken() -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, "The page is broken: start the station again.\n")
        .into_response()
}

/// How often the ledger is looked at for an engineer.
const LOOK: Duration = Duration::from_secs(2);

/// That the ledger has grown. The page then takes anew what it shows.
async fn engineer_events(
    State(site): State<Arc<Site>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let first = Event::default().event("start").data(&site.start_id).retry(BEAT);
    let stop = site.frame.subscribe();
    let changes = stream::unfold((site, stop, None), |(site, mut stop, seen)| async move {
        if seen.is_some() {
            let _ = time::timeout(LOOK, stop.wait_for(|frame| frame.ended)).await;
            if stop.borrow().ended {
                return None;
            }
        }
        let last = site.read(|book| book.last()).await?.ok();
        let name = if last.is_some() && last != seen { "ledger" } else { "beat" };
        let seen = last.or(seen).or(Some(0));
        Some((Event::default().event(name).data(NOTHING), (site, stop, seen)))
    });
    Sse::new(stream::StreamExt::map(
        stream::StreamExt::chain(stream::iter([first]), changes),
        Ok::<_, Infallible>,
    ))
}
