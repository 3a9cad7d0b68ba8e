//! Drives a session: two streams on one task, each side read only while the other takes what it gives.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use sluice_audit::metrics::Counter;
use sluice_audit::record::{
    Body, Cut, EndReason, Event, EventKind, FORM, ListBuffer, Method as RecordedMethod, SessionStart,
};
use sluice_parsers::postgres::backend::TransactionStatus;
use sluice_parsers::postgres::backend::encode;
use sluice_parsers::postgres::frontend;
use sluice_parsers::postgres::startup::CancelKey;
use sluice_parsers::postgres::{SqlState, scram};
use sluice_parsers::sql::catalog::Catalog;
use sluice_policy::identity::Method;
use sluice_runtime::helpers::HelperError;
use sluice_runtime::net::{Arrival, Received, Socket};
use sluice_runtime::task::{self, Region, works_on};
use sluice_runtime::time::{Moment, Timer, timeout};

use super::cancel::Registration;
use super::catalog::DatabaseCatalog;
use super::catalog::reading::CatalogError;
use super::client::ValuesReadBy;
use super::client::{ClientFlow, Pending};
use super::deny::Nobody;
use super::login::{self, LoggedIn, NoSession, Refused};
use super::look::{Look, OwnReading};
use super::session::{End, Output, Session};
use super::state::State;
use super::upstream::{self, Upstream, UpstreamError};
use crate::core::{Core, Seat};
use crate::gate::{Errand, Finding};
use crate::settings::Listener;
use crate::stream::{Stream, StreamError};

/// Chunks taken in one turn of a session, so that none holds its core.
const CHUNKS_PER_TURN: usize = 32;

/// Bytes of the client that are taken while its messages wait for answers.
const WAITING_BYTES_MAX: usize = 16 * 1024;

/// Everything from a connection's arrival to its end.
pub(crate) async fn serve(core: Rc<Core>, arrival: Arrival) {
    core.ledger
        .borrow_mut()
        .metrics
        .add(Counter::ConnectionsAccepted, 1);
    let listener = arrival.tag as usize;
    let settings = Arc::clone(&core.settings);
    let Some(listener) = settings.listeners.get(listener) else {
        return;
    };
    let client = arrival
        .socket
        .peer_address()
        .map(|address| address.to_string())
        .unwrap_or_default();
    let Some(seat) = core.take_seat() else {
        return refuse(&core, listener, arrival.socket, &client).await;
    };
    let deadline = core.authentication_deadline();
    // Boxed, as what follows: what a login needs is gone when the session idles.
    let logged_in = timeout(deadline, Box::pin(login::log_in(&core, listener, arrival.socket))).await;
    match logged_in {
        Ok(Ok(logged_in)) => converse(core, logged_in, seat, &listener.name, &client).await,
        Ok(Err(no_session)) => turn_away(&core, no_session, &client).await,
        Err(_) => {
            let event = Event {
                event: EventKind::HostileInput,
                text: b"authentication took longer than authentication_timeout",
                client: &client,
                ..Event::default()
            };
            core.ledger.borrow_mut().event(0, event);
        }
    }
}

/// Tells a client that there is no seat for it, if there is still room to do that; else it is only counted.
async fn refuse(core: &Rc<Core>, listener: &Listener, socket: Socket, client: &str) {
    let refused = match core.take_standing() {
        Some(standing) => {
            let refusing = Box::pin(login::refuse(core, listener, socket));
            match timeout(crate::core::farewell_deadline(), refusing).await {
                Ok(no_session) => {
                    turn_away(core, no_session, client).await;
                    return drop(standing);
                }
                Err(_) => "a connection over the limit said nothing in time",
            }
        }
        None => "more connections over the limit than can be told so",
    };
    let event = Event {
        event: EventKind::SessionRefused,
        text: refused.as_bytes(),
        client,
        ..Event::default()
    };
    core.ledger.borrow_mut().event(0, event);
}

/// Tells a client that was refused, and the record.
async fn turn_away(core: &Rc<Core>, no_session: NoSession, client: &str) {
    let NoSession::Refused(refused) = no_session else {
        return;
    };
    let Refused {
        stream,
        end,
        event,
        recorded,
        user,
        connection,
        severity,
    } = *refused;
    let event = Event {
        event,
        text: recorded.as_ref().unwrap_or(&end.message).as_bytes(),
        client,
        subject: &user,
        connection: &connection,
        severity,
        ..Event::default()
    };
    core.ledger.borrow_mut().event(0, event);
    if let Some(stream) = stream {
        farewell(stream, &end).await;
    }
}

/// Sends a client its last message.
async fn farewell(mut stream: Stream, end: &End) {
    if let Some(report) = end.report() {
        // A client that is gone needs none.
        let _ = stream.send(report);
    }
    stream.finish(crate::core::farewell_deadline()).await;
}

/// Logs in at the server and begins the session.
async fn converse(core: Rc<Core>, logged_in: LoggedIn, mut seat: Seat, listener: &str, client: &str) {
    let connection = Arc::clone(&logged_in.connection);
    let accepts_any = core.gate.borrow_mut().policies().is_allow_all();
    let attempt = Box::pin(async {
        let mut upstream = upstream::log_in(
            &core,
            &connection,
            &logged_in.database,
            &logged_in.settings,
            accepts_any,
        )
        .await?;
        let start = upstream::read_start(&connection, &mut upstream).await?;
        let catalog = DatabaseCatalog::open(&core, &connection, &logged_in.database).await?;
        let nobody = Nobody::new(scram::random().map_err(UpstreamError::from)?);
        let secret = u32::from_be_bytes(scram::random().map_err(UpstreamError::from)?);
        Ok::<_, UpstreamError>((upstream, State::new(&start), catalog, nobody, secret))
    });
    let (upstream, state, catalog, nobody, secret) = match attempt.await {
        Ok(ready) => ready,
        Err(error) => {
            tracing::warn!(connection = connection.name, %error, "no session with the server");
            let text = error.to_string();
            let event = Event {
                event: EventKind::ServerRefused,
                text: text.as_bytes(),
                client,
                subject: logged_in.identity.subject.as_bytes(),
                connection: &connection.name,
                ..Event::default()
            };
            core.ledger.borrow_mut().event(0, event);
            let (sqlstate, message) = error.for_client();
            let message = message.strip_prefix("sluice: ").unwrap_or(&message).to_owned();
            return farewell(
                logged_in.stream,
                &End::new(EndReason::ServerRefused, sqlstate, message),
            )
            .await;
        }
    };
    let id = core.take_session_id();
    if record_start(&core, id, &logged_in, listener, client).is_err() {
        let end = End::new(
            EndReason::Other,
            SqlState::INSUFFICIENT_RESOURCES,
            "the audit log takes no more records",
        );
        return farewell(logged_in.stream, &end).await;
    }
    core.ledger.borrow_mut().metrics.add(Counter::SessionsTotal, 1);
    let key = upstream.key.unwrap_or(CancelKey {
        process: 0,
        secret: 0,
    });
    let registration = Registration::new(&core, secret, &connection, upstream.address, key, id);

    let LoggedIn {
        mut stream,
        messages,
        context,
        settings,
        ..
    } = logged_in;
    seat.logged_in();
    let mut greeting = Vec::new();
    encode::authentication_ok(&mut greeting);
    greeting.extend_from_slice(&upstream.statuses);
    if let Some(registration) = &registration {
        encode::backend_key_data(&mut greeting, registration.key);
    }
    encode::ready_for_query(&mut greeting, TransactionStatus::Idle);
    let greeted = stream.send(greeting);

    let mut session = Session::new(Rc::clone(&core), id, context, state, connection, catalog, nobody);
    session.values_read_by = ValuesReadBy::startup(&settings, &core.budgets.borrow());
    let Upstream {
        stream: server,
        messages: server_messages,
        ..
    } = upstream;
    let (deframer, client_rest) = messages.into_parts();
    session.from_client = deframer;
    let (deframer, server_rest) = server_messages.into_parts();
    session.from_server = deframer;
    let pump = Box::new(Pump {
        session,
        client: stream,
        server,
        seat,
        output: Output::default(),
        waiting: Waiting::Nothing,
        registration,
        limit: None,
        said_goodbye: false,
        queued_max: core.settings.buffers.queued_bytes_max,
    });
    let end = match (greeted, server_rest) {
        (Err(error), _) => Some(End::quiet(EndReason::ClientGone, error.to_string())),
        (Ok(()), None) => None,
        (Ok(()), Some(_)) => Some(End::server("more than was asked for")),
    };
    task::spawn(live(core, Live(Some(pump)), client_rest, end));
}

/// The session from its greeting to its end, as a task of its own: what came before takes some fifty times the memory,
/// and each of thousands of sessions would drag it through the cache.
async fn live(core: Rc<Core>, mut live: Live, client_rest: Option<Received>, end: Option<End>) {
    let end = match end {
        Some(end) => end,
        None => live.run(client_rest).await,
    };
    ending(live, core, end).await;
}

/// The session's end, apart: inlined, its tens of kilobytes would be the stack of every poll before.
#[cold]
#[inline(never)]
fn ending(live: Live, core: Rc<Core>, end: End) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move { live.end(&core, end).await })
}

fn record_start(
    core: &Core,
    id: u64,
    logged_in: &LoggedIn,
    listener: &str,
    client: &str,
) -> Result<(), sluice_audit::ring::RingFull> {
    let identity = &logged_in.identity;
    let groups = ListBuffer::of(identity.groups());
    let startup = ListBuffer::of(&logged_in.startup);
    let claims = if identity.claims.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&identity.claims).unwrap_or_default()
    };
    let application_name = logged_in
        .settings
        .iter()
        .rfind(|(name, _)| name == "application_name");
    let start = SessionStart {
        issuer: &identity.issuer,
        subject: &identity.subject,
        method: match identity.method {
            Method::Oidc => RecordedMethod::Oidc,
            Method::Scram => RecordedMethod::Scram,
        },
        groups: groups.as_list(),
        claims: claims.as_bytes(),
        client,
        listener,
        connection: &logged_in.connection.name,
        database: logged_in.database.as_bytes(),
        server_user: &logged_in.connection.user,
        startup: startup.as_list(),
        tls: &logged_in.tls,
        application_name: application_name.map_or(&[], |(_, value)| value.as_bytes()),
        cut: Cut {
            claims: identity.claims_are_cut,
            groups: groups.is_cut(),
            startup: startup.is_cut(),
        },
        form: FORM,
    };
    core.ledger
        .borrow_mut()
        .append(Moment::now(), id, 0, Body::SessionStart(start))
}

/// A session that is recorded as begun, and so has to be recorded as ended even if its task panics.
struct Live(Option<Box<Pump>>);

impl Live {
    async fn run(&mut self, client_rest: Option<Received>) -> End {
        match &mut self.0 {
            Some(pump) => pump.run(client_rest).await,
            None => End::quiet(EndReason::Other, ""),
        }
    }

    async fn end(mut self, core: &Rc<Core>, end: End) {
        let Some(mut pump) = self.0.take() else { return };
        pump.record(&end);
        let event = match end.reason {
            EndReason::ClientProtocol => Some(EventKind::HostileInput),
            EndReason::ServerProtocol | EndReason::ServerGone => Some(EventKind::ServerProtocol),
            _ => None,
        };
        if let Some(event) = event {
            let event = Event {
                event,
                text: end.message.as_bytes(),
                ..Event::default()
            };
            core.ledger.borrow_mut().event(pump.session.id, event);
        }
        // A statement does not outlive its limits, or whoever asked for it.
        let registration = pump.registration.as_ref();
        if let Some(registration) = registration.filter(|_| pump.session.has_limited()) {
            let stop = registration.stop();
            task::spawn(async move {
                if let Err(error) = stop.await {
                    tracing::warn!(%error, "a statement with limits could not be stopped at its session's end");
                }
            });
        }
        let mut goodbye = Vec::new();
        frontend::encode::terminate(&mut goodbye);
        // A server that is gone needs none.
        let _ = pump.server.send(goodbye);
        let Pump {
            client, server, seat, ..
        } = *pump;
        drop(server);
        farewell(client, &end).await;
        drop(seat);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(pump) = &mut self.0 {
            pump.record(&End::quiet(
                EndReason::Panicked,
                "the session's task panicked or was dropped",
            ));
        }
    }
}

/// What the client's side waits for.
enum Waiting {
    Nothing,
    /// An analysis on a helper thread.
    Analysis {
        finding: Pin<Box<dyn Future<Output = Result<Finding, HelperError>>>>,
        pending: Option<Pending>,
        received: Moment,
    },
    /// The catalog is looked at again.
    Look(Box<Looking>),
    /// Answers, before more messages may be sent. Those to the gateway's own query have a time limit.
    Answers {
        rest: Received,
        timer: Option<Timer>,
    },
}

/// A look at the catalog, and the message that it is for. Few sessions have one, so it does not lie in all of them.
struct Looking {
    look: Look,
    decoding: Option<(OwnReading, Decoding)>,
    pending: Pending,
    received: Moment,
    timer: Timer,
}

/// A catalog that is decoded on a helper thread.
type Decoding = Pin<Box<dyn Future<Output = Result<Result<Catalog, CatalogError>, HelperError>>>>;

/// What a statement with limits waits for.
#[derive(Default)]
struct LimitWatch {
    timer: Timer,
    /// The server is asked to cancel.
    stopping: Option<Stopping>,
}

/// A cancel request on its way.
type Stopping = Pin<Box<dyn Future<Output = Result<(), UpstreamError>>>>;

struct Pump {
    session: Session,
    client: Stream,
    server: Stream,
    seat: Seat,
    output: Output,
    waiting: Waiting,
    /// The session's cancel key, if the server gave one.
    registration: Option<Registration>,
    /// Of a statement with limits.
    limit: Option<Box<LimitWatch>>,
    /// The client has said goodbye: what is still to be answered is, and then the server closes.
    said_goodbye: bool,
    queued_max: usize,
}

impl Pump {
    async fn run(&mut self, client_rest: Option<Received>) -> End {
        if let Some(rest) = client_rest
            && let Err(end) = self.take_client(rest)
        {
            return end;
        }
        works_on([Region::of(self), self.client.region(), self.server.region()]);
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut TaskContext<'_>) -> Poll<End> {
        match self.turn(context) {
            Ok(true) => {
                // There may be more; the others have their turn first.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Ok(false) => Poll::Pending,
            Err(end) => Poll::Ready(end),
        }
    }

    /// Takes what there is; says whether the turn ended before all was taken.
    fn turn(&mut self, context: &mut TaskContext<'_>) -> Result<bool, End> {
        if self.seat.is_ending(context) {
            let message = "terminating connection due to administrator command";
            return Err(End::new(EndReason::Drained, SqlState::ADMIN_SHUTDOWN, message));
        }
        for _ in 0..CHUNKS_PER_TURN {
            let was_waiting = !matches!(self.waiting, Waiting::Nothing);
            let served = self.poll_server(context)?;
            let taken = self.poll_client(context)?;
            let limited = self.session.has_limited() || self.limit.is_some();
            if limited && self.poll_limits(context)? {
                continue;
            }
            if !served && !taken {
                return Ok(false);
            }
            // Mostly one chunk came, and neither side has to be asked again to know it.
            let is_waiting = was_waiting || !matches!(self.waiting, Waiting::Nothing);
            if !is_waiting && !self.server.is_readable() && !self.client.is_readable() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes a chunk of the server, unless the client does not take what it has.
    fn poll_server(&mut self, context: &TaskContext<'_>) -> Result<bool, End> {
        if is_full(&self.client, self.queued_max, context).map_err(|error| client_end(&error))? {
            return Ok(false);
        }
        let chunk = match self.server.poll_receive(context) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(Some(chunk))) => chunk,
            Poll::Ready(Ok(None)) => {
                return Err(self.server_end("the server closed the connection unexpectedly"));
            }
            Poll::Ready(Err(error)) => {
                return Err(self.server_end(&format!("the server's connection broke: {error}")));
            }
        };
        let received = Moment::now();
        let len = chunk.len() as u64;
        let taken = self.session.on_server(chunk, received, &mut self.output);
        let sent = self.client.send_all(&mut self.output.to_client);
        {
            let metrics = &mut self.session.core().ledger.borrow_mut().metrics;
            metrics.add(Counter::BytesFromServers, len);
            metrics.add(Counter::BytesForwarded, len);
        }
        taken?;
        sent.map_err(|error| client_end(&error))?;
        if !self.output.to_server.is_empty() {
            self.send_up()?;
        }
        Ok(true)
    }

    /// Holds a statement with limits to its time, and has the server cancel it; says whether anything came of it.
    fn poll_limits(&mut self, context: &mut TaskContext<'_>) -> Result<bool, End> {
        let watch = self.limit.get_or_insert_default();
        if self.session.takes_stop() {
            let Some(registration) = &self.registration else {
                return Err(Session::not_stopped("the server takes no cancel requests"));
            };
            watch.stopping = Some(Box::pin(registration.stop()));
        }
        if let Some(stopping) = &mut watch.stopping {
            let Poll::Ready(stopped) = stopping.as_mut().poll(context) else {
                return Ok(false);
            };
            watch.stopping = None;
            stopped.map_err(|error| Session::not_stopped(&error.to_string()))?;
            self.session.stop_done();
            self.session.settle_limited(&mut self.output)?;
            self.send_up()?;
            return Ok(true);
        }
        if let Some(deadline) = self.session.limit_deadline() {
            if watch.timer.deadline() != Some(deadline) {
                watch.timer.set(deadline);
            }
            if watch.timer.poll_expired(context).is_ready() {
                self.session.out_of_time()?;
                return Ok(true);
            }
        } else if !self.session.has_limited() {
            self.limit = None;
        }
        Ok(false)
    }

    /// Sends what is to go to the server.
    fn send_up(&mut self) -> Result<(), End> {
        let sent = self.server.send_all(&mut self.output.to_server);
        sent.map_err(|error| self.server_end(&format!("the server's connection broke: {error}")))
    }

    /// Takes a chunk of the client, unless it has to wait.
    fn poll_client(&mut self, context: &mut TaskContext<'_>) -> Result<bool, End> {
        match &mut self.waiting {
            Waiting::Nothing => {}
            Waiting::Analysis {
                finding,
                pending,
                received,
            } => {
                let registration = self.registration.as_ref();
                if registration.is_some_and(|own| own.withdrawal.poll_asked(context))
                    && let Some(pending) = pending.take()
                {
                    let received = *received;
                    self.waiting = Waiting::Nothing;
                    self.withdraw(pending, received)?;
                    return Ok(true);
                }
                let Poll::Ready(found) = finding.as_mut().poll(context) else {
                    return Ok(false);
                };
                let found = found.map_err(|error| {
                    End::new(
                        EndReason::Other,
                        SqlState::INTERNAL_ERROR,
                        format!("the analysis failed: {error}"),
                    )
                })?;
                let (Some(pending), received) = (pending.take(), *received) else {
                    return Ok(false);
                };
                self.waiting = Waiting::Nothing;
                self.waits_for(None);
                let flow = self.session.resume(pending, found, received, &mut self.output);
                self.follow(flow, received)?;
                return Ok(true);
            }
            Waiting::Look(_) => return self.look(context),
            Waiting::Answers { timer, rest } => {
                if !self.session.has_room() || self.session.is_held() {
                    // The client may go away meanwhile. Little of what it sends is taken: the rest waits in its socket.
                    if rest.len() < WAITING_BYTES_MAX
                        && let Poll::Ready(chunk) = self.client.poll_receive(context)
                    {
                        let chunk = chunk
                            .map_err(|error| client_end(&error))?
                            .ok_or_else(client_closed)?;
                        let metrics = &mut self.session.core().ledger.borrow_mut().metrics;
                        metrics.add(Counter::BytesCopied, (rest.len() + chunk.len()) as u64);
                        *rest = Received::from([&rest[..], &chunk[..]].concat());
                        return Ok(true);
                    }
                    if let Some(timer) = timer
                        && timer.poll_expired(context).is_ready()
                    {
                        return Err(Session::hidden_is_late());
                    }
                    return Ok(false);
                }
                if let Waiting::Answers { rest, .. } = std::mem::replace(&mut self.waiting, Waiting::Nothing)
                {
                    self.take_client(rest)?;
                }
                return Ok(true);
            }
        }
        if self.said_goodbye {
            return Ok(false);
        }
        if is_full(&self.server, self.queued_max, context)
            .map_err(|error| self.server_end(&error.to_string()))?
        {
            return Ok(false);
        }
        match self.client.poll_receive(context) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(Some(chunk))) => self.take_client(chunk).map(|()| true),
            Poll::Ready(Ok(None)) => Err(client_closed()),
            Poll::Ready(Err(error)) => Err(client_end(&error)),
        }
    }

    /// Goes on with a look at the catalog, and at its end with the message that it was for.
    fn look(&mut self, context: &mut TaskContext<'_>) -> Result<bool, End> {
        let waiting = std::mem::replace(&mut self.waiting, Waiting::Nothing);
        let Waiting::Look(mut looking) = waiting else {
            self.waiting = waiting;
            return Ok(false);
        };
        if self.poll_look(&mut looking, context)?.is_pending() {
            self.waiting = Waiting::Look(looking);
            return Ok(false);
        }
        let Looking {
            pending, received, ..
        } = *looking;
        let registration = self.registration.as_ref();
        if registration.is_some_and(|own| own.withdrawal.poll_asked(context)) {
            self.withdraw(pending, received)?;
            return Ok(true);
        }
        self.waits_for(None);
        let flow = self.session.resume_looked(pending, received, &mut self.output);
        self.follow(flow, received)?;
        Ok(true)
    }

    fn poll_look(&mut self, looking: &mut Looking, context: &mut TaskContext<'_>) -> Result<Poll<()>, End> {
        if looking.decoding.is_none() {
            let polled = self
                .session
                .poll_look(&mut looking.look, context, &mut self.output);
            self.send_up()?;
            let Poll::Ready(looked) = polled else {
                if let Some(deadline) = self.session.hidden_deadline() {
                    looking.timer.set(deadline);
                    if looking.timer.poll_expired(context).is_ready() {
                        return Err(Session::hidden_is_late());
                    }
                }
                return Ok(Poll::Pending);
            };
            looked?;
            if let Look::Decode(reading, answered) = std::mem::take(&mut looking.look) {
                let core = self.session.core();
                let (helpers, catalogs) = (core.helpers.clone(), Arc::clone(&core.catalogs));
                let decoding = async move { helpers.run_long(move || catalogs.decode(&answered)).await };
                looking.decoding = Some((reading, Box::pin(decoding)));
            }
        }
        let Some((reading, decoding)) = &mut looking.decoding else {
            return Ok(Poll::Ready(()));
        };
        let Poll::Ready(decoded) = decoding.as_mut().poll(context) else {
            return Ok(Poll::Pending);
        };
        match decoded {
            Ok(Ok(catalog)) => self.session.take_own_catalog(*reading, catalog),
            Ok(Err(error)) => tracing::debug!(%error, "names stay uncertain"),
            Err(error) => tracing::debug!(%error, "names stay uncertain"),
        }
        Ok(Poll::Ready(()))
    }

    fn take_client(&mut self, chunk: Received) -> Result<(), End> {
        let received = Moment::now();
        let len = chunk.len() as u64;
        let flow = self.session.on_client(chunk, received, &mut self.output);
        {
            let metrics = &mut self.session.core().ledger.borrow_mut().metrics;
            metrics.add(Counter::BytesFromClients, len);
            metrics.add(Counter::BytesForwarded, len);
        }
        self.follow(flow, received)
    }

    /// Sends up what was decided, also before an error: the server does it, and the record says so.
    fn follow(&mut self, flow: Result<ClientFlow, End>, received: Moment) -> Result<(), End> {
        let sent = self.send_up();
        let flow = flow?;
        sent?;
        match flow {
            ClientFlow::Done => {}
            ClientFlow::Away(errand, pending) => {
                self.waits_for(Some(&pending));
                let finding = self.analyse(errand);
                self.waiting = Waiting::Analysis {
                    finding,
                    pending: Some(pending),
                    received,
                };
            }
            ClientFlow::Look(pending) => {
                self.waits_for(Some(&pending));
                self.waiting = Waiting::Look(Box::new(Looking {
                    look: Look::default(),
                    decoding: None,
                    pending,
                    received,
                    timer: Timer::new(),
                }));
            }
            ClientFlow::Wait(rest) => {
                let mut rest = rest;
                rest.detach();
                let timer = self.session.hidden_deadline().map(|deadline| {
                    let mut timer = Timer::new();
                    timer.set(deadline);
                    timer
                });
                self.waiting = Waiting::Answers { rest, timer };
            }
            ClientFlow::Terminate => {
                if self.session.is_idle() {
                    return Err(End::quiet(EndReason::Terminated, ""));
                }
                self.said_goodbye = true;
                let mut goodbye = Vec::new();
                frontend::encode::terminate(&mut goodbye);
                self.server
                    .send(goodbye)
                    .map_err(|error| self.server_end(&error.to_string()))?;
            }
        }
        Ok(())
    }

    /// A message waits, or none does any more: a cancel may be for that.
    fn waits_for(&self, pending: Option<&Pending>) {
        if let Some(own) = &self.registration {
            let can_withdraw = pending.is_some_and(|pending| self.session.can_withdraw(pending));
            own.withdrawal.waits(can_withdraw);
        }
    }

    /// The client has cancelled the message that waits.
    fn withdraw(&mut self, pending: Pending, received: Moment) -> Result<(), End> {
        self.waits_for(None);
        let flow = self.session.withdraw(pending, received, &mut self.output);
        self.follow(flow, received)
    }

    fn analyse(&self, errand: Errand) -> Pin<Box<dyn Future<Output = Result<Finding, HelperError>>>> {
        let helpers = self.session.core().helpers.clone();
        self.session
            .core()
            .ledger
            .borrow_mut()
            .metrics
            .add(Counter::AnalysesOffloaded, 1);
        Box::pin(async move { helpers.run_long(move || errand.run()).await })
    }

    /// The end of a session whose server is gone, as the client has to be told of it.
    fn server_end(&self, message: &str) -> End {
        if self.said_goodbye {
            return End::quiet(EndReason::Terminated, "");
        }
        if self.session.was_told_fatal() {
            return End::quiet(EndReason::ServerGone, message);
        }
        End::new(EndReason::ServerGone, SqlState::CONNECTION_FAILURE, message)
    }

    fn record(&mut self, end: &End) {
        let now = Moment::now();
        self.session.end_runs(now);
        self.session.record_end(end, now);
    }
}

/// Whether a stream has more queued than it may; its task is woken when it has less.
fn is_full(stream: &Stream, queued_max: usize, context: &TaskContext<'_>) -> Result<bool, StreamError> {
    if stream.queued() <= queued_max {
        return Ok(false);
    }
    match stream.poll_drained(context, queued_max) {
        Poll::Pending => Ok(true),
        Poll::Ready(drained) => drained.map(|()| false),
    }
}

fn client_closed() -> End {
    End::quiet(EndReason::ClientGone, "the client closed the connection")
}

fn client_end(error: &StreamError) -> End {
    if error.is_peer_gone() {
        End::quiet(EndReason::ClientGone, error.to_string())
    } else {
        End::quiet(EndReason::ClientProtocol, error.to_string())
    }
}
