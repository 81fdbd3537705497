//! A client that calls one node at a time and goes where NotLeader points.

use std::fmt;
use std::net::{TcpStream, ToSocketAddrs};
use std::thread::sleep;
use std::time::{Duration, Instant};

use thrift::protocol::{
    TBinaryInputProtocol, TBinaryOutputProtocol, TCompactInputProtocol, TCompactOutputProtocol,
};
use thrift::protocol::{TInputProtocol, TOutputProtocol};
use thrift::transport::{TFramedReadTransport, TFramedWriteTransport, TIoChannel, TTcpChannel};

use crate::raft::{
    Consistency, NoSuchGroup, NotLeader, ProposeRequest, RaftClientSyncClient, ReadRequest,
    RejectCode, Rejected, Role, StatusRequest, TRaftClientSyncClient, Unavailable,
};

const GROUP: i64 = 1;
const TIMEOUT: Duration = Duration::from_secs(5); // of one call
const PATIENCE: Duration = Duration::from_secs(15); // for one operation, redirects and retries included
const PAUSE: Duration = Duration::from_millis(100); // before a retry, where the node names no other time

#[derive(Clone, Copy)]
pub enum Protocol {
    Compact,
    Binary,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Protocol::Compact => "compact",
            Protocol::Binary => "binary",
        })
    }
}

/// Why an operation failed.
#[derive(Debug)]
pub enum Error {
    NotLeader(NotLeader),
    Unavailable(Unavailable),
    Rejected(Rejected),
    NoSuchGroup(NoSuchGroup),
    /// The connection failed: of a call under way it is not known whether it was carried out.
    Connection(String),
    /// The node does not speak this protocol, or does not know the method.
    Thrift(thrift::Error),
    Unexpected(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Error::NotLeader(e) => write!(f, "not leader, and no other node leads: {e:?}"),
            Error::Unavailable(e) => write!(
                f,
                "unavailable: {}",
                e.reason.as_deref().unwrap_or("no reason")
            ),
            Error::Rejected(e) => write!(
                f,
                "rejected: {}",
                e.reason.as_deref().unwrap_or("no reason")
            ),
            Error::NoSuchGroup(e) => write!(f, "no such group: {}", e.group.unwrap_or(0)),
            Error::Connection(text) | Error::Unexpected(text) => f.write_str(text),
            Error::Thrift(e) => write!(f, "{e}"),
        }
    }
}

/// The library hands out a method's exceptions without their type.
impl From<thrift::Error> for Error {
    fn from(e: thrift::Error) -> Self {
        match e {
            thrift::Error::User(b) => Error::from_declared(b),
            thrift::Error::Transport(e) => Error::Connection(e.message),
            other => Error::Thrift(other),
        }
    }
}

impl Error {
    fn from_declared(e: Box<dyn std::error::Error + Send + Sync>) -> Error {
        let e = match e.downcast::<NotLeader>() {
            Ok(e) => return Error::NotLeader(*e),
            Err(e) => e,
        };
        let e = match e.downcast::<Unavailable>() {
            Ok(e) => return Error::Unavailable(*e),
            Err(e) => e,
        };
        let e = match e.downcast::<Rejected>() {
            Ok(e) => return Error::Rejected(*e),
            Err(e) => e,
        };
        match e.downcast::<NoSuchGroup>() {
            Ok(e) => Error::NoSuchGroup(*e),
            Err(e) => Error::Unexpected(e.to_string()),
        }
    }
}

type Stub = RaftClientSyncClient<Box<dyn TInputProtocol>, Box<dyn TOutputProtocol>>;

pub struct Client {
    protocol: Protocol,
    seed: String,
    address: String,
    stub: Option<Stub>,
}

impl Client {
    pub fn connect(protocol: Protocol, address: &str) -> Result<Client, Error> {
        let stub = Some(open(protocol, address)?);
        Ok(Client {
            protocol,
            seed: address.to_string(),
            address: address.to_string(),
            stub,
        })
    }

    /// Returns the index and term of the command, and what the state machine answered.
    pub fn propose(&mut self, command: &[u8]) -> Result<(i64, i64, Vec<u8>), Error> {
        let timeout = TIMEOUT.as_millis() as i32;
        let request = ProposeRequest::new(GROUP, command.to_vec(), None, None, None, timeout);
        let r = self.call("Propose", |stub| stub.propose(request.clone()))?;
        Ok((
            r.index.unwrap_or(0),
            r.term.unwrap_or(0),
            r.result.unwrap_or_default(),
        ))
    }

    /// Reads linearizably. Returns the index at which the answer is true, and the answer.
    pub fn read(&mut self, query: &str) -> Result<(i64, Vec<u8>), Error> {
        let timeout = TIMEOUT.as_millis() as i32;
        let request = ReadRequest::new(
            GROUP,
            query.as_bytes().to_vec(),
            Consistency::LINEARIZABLE,
            timeout,
            None,
            None,
        );
        let r = self.call("Read", |stub| stub.read(request.clone()))?;
        Ok((r.index.unwrap_or(0), r.result.unwrap_or_default()))
    }

    pub fn status(&mut self) -> Result<(), Error> {
        let s = self.call("Status", |stub| stub.status(StatusRequest::new(GROUP)))?;
        let role = match s.role {
            Some(Role::LEADER) => "LEADER",
            Some(Role::FOLLOWER) => "FOLLOWER",
            Some(Role::PRECANDIDATE) => "PRECANDIDATE",
            Some(Role::CANDIDATE) => "CANDIDATE",
            Some(Role::LEARNER) => "LEARNER",
            _ => "UNKNOWN",
        };
        let [node, term, leader, applied] =
            [s.node, s.term, s.leader, s.applied].map(Option::unwrap_or_default);
        println!(
            "{}: node {node} is {role} in term {term}, leader {leader}, applied {applied}",
            self.protocol
        );
        Ok(())
    }

    /// Repeats a call until it succeeds, fails for good, or the patience is over.
    ///
    /// A write that is sent again may be carried out twice. Here that does no harm: the command carries a client's number and
    /// a sequence number, and the node's state machine applies such a pair once.
    fn call<T>(
        &mut self,
        method: &str,
        once: impl Fn(&mut Stub) -> thrift::Result<T>,
    ) -> Result<T, Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut redirects = 0;
        loop {
            let error = match self.call_once(&once) {
                Ok(answer) => return Ok(answer),
                Err(e) => e,
            };
            let mut pause = PAUSE;
            match &error {
                Error::NotLeader(NotLeader {
                    leader_address: Some(to),
                    ..
                }) => {
                    println!(
                        "{}: {method}: {} does not lead, redirected to {to}",
                        self.protocol, self.address
                    );
                    self.move_to(to.clone());
                    pause = PAUSE * redirects; // two nodes may name each other for a while
                    redirects += 1;
                }
                Error::NotLeader(_) => {}
                Error::Unavailable(e) => {
                    pause = e
                        .retry_after_ms
                        .map_or(PAUSE, |ms| Duration::from_millis(ms.max(0) as u64))
                }
                Error::Rejected(e) if e.code == Some(RejectCode::BUSY) => {}
                Error::Connection(_) => self.move_to(self.seed.clone()),
                _ => return Err(error),
            }
            if Instant::now() + pause > deadline {
                return Err(error);
            }
            sleep(pause);
        }
    }

    fn call_once<T>(&mut self, once: impl Fn(&mut Stub) -> thrift::Result<T>) -> Result<T, Error> {
        let mut stub = match self.stub.take() {
            Some(stub) => stub,
            None => open(self.protocol, &self.address)?,
        };
        let answer = once(&mut stub);
        self.stub = Some(stub);
        Ok(answer?)
    }

    fn move_to(&mut self, address: String) {
        self.stub = None;
        self.address = address;
    }
}

fn open(protocol: Protocol, address: &str) -> Result<Stub, Error> {
    let stream = dial(address).map_err(|e| Error::Connection(format!("{address}: {e}")))?;
    let (r, w) = TTcpChannel::with_stream(stream).split()?;
    let (r, w) = (TFramedReadTransport::new(r), TFramedWriteTransport::new(w));
    Ok(match protocol {
        Protocol::Compact => RaftClientSyncClient::new(
            Box::new(TCompactInputProtocol::new(r)),
            Box::new(TCompactOutputProtocol::new(w)),
        ),
        Protocol::Binary => RaftClientSyncClient::new(
            Box::new(TBinaryInputProtocol::new(r, true)),
            Box::new(TBinaryOutputProtocol::new(w, true)),
        ),
    })
}

fn dial(address: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "no such host");
    for a in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&a, TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(2 * TIMEOUT))?;
                stream.set_write_timeout(Some(2 * TIMEOUT))?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

pub fn text(b: &[u8]) -> String {
    String::from_utf8_lossy(b).into_owned()
}
