//! A client of a Raftwire node in stock Thrift: one write, the same write again, one read, and the node's status.
//!
//!     client ADDRESS [CLIENT]
//!
//! It does so over framed Compact and then over framed Binary. ADDRESS is any node of a raftbench cluster, CLIENT a number of
//! its own for everyone who writes to it. docs/guides/other-languages.md says why each answer is treated as it is.

mod client;

/// What the official compiler writes for raft.thrift.
#[allow(
    dead_code,
    unused_imports,
    unused_extern_crates,
    deprecated,
    clippy::all
)]
mod raft {
    include!(concat!(env!("OUT_DIR"), "/raft.rs"));
}

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use client::{text, Client, Error, Protocol};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let client_id = args.get(1).map_or(Ok(1), |id| id.parse::<u32>());
    let (address, client_id) = match (args.first(), client_id, args.len()) {
        (Some(address), Ok(client_id), 1..=2) => (address, client_id),
        _ => {
            eprintln!("usage: client ADDRESS [CLIENT]");
            return ExitCode::from(2);
        }
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_micros() as u64);
    for (sequence, protocol) in (now..).zip([Protocol::Compact, Protocol::Binary]) {
        if let Err(e) = session(protocol, address, client_id, sequence) {
            eprintln!("client: {protocol}: {e}");
            return ExitCode::FAILURE;
        }
    }
    println!("ok");
    ExitCode::SUCCESS
}

fn session(protocol: Protocol, address: &str, client_id: u32, sequence: u64) -> Result<(), Error> {
    let mut client = Client::connect(protocol, address)?; // an address where nobody listens is not tried again
    client.status()?;

    let command = command(client_id, sequence);
    let (first, term, _) = client.propose(&command)?;
    println!("{protocol}: proposed {client_id}/{sequence}: index {first}, term {term}");
    let (again, _, result) = client.propose(&command)?;
    println!(
        "{protocol}: proposed again: index {again}, {}",
        text(&result)
    );
    if result != b"duplicate" || again <= first {
        return Err(Error::Unexpected(format!(
            "the second answer is {:?} at index {again}",
            text(&result)
        )));
    }

    let (index, ranges) = client.read(&format!("client {client_id}"))?;
    println!("{protocol}: read at index {index}: {}", text(&ranges));
    if !holds(&text(&ranges), sequence) || index < again {
        return Err(Error::Unexpected(format!(
            "the read does not show {sequence}"
        )));
    }
    client.status()
}

/// A command of raftbench's state machine: who, which one of theirs, anything.
fn command(client_id: u32, sequence: u64) -> Vec<u8> {
    let mut b = client_id.to_be_bytes().to_vec();
    b.extend(sequence.to_be_bytes());
    b.extend(b"from Rust");
    b
}

/// Whether a number lies in ranges such as "1..5 7..9", ends not included.
fn holds(ranges: &str, sequence: u64) -> bool {
    ranges.split(' ').any(|range| match range.split_once("..") {
        Some((lo, hi)) => matches!((lo.parse::<u64>(), hi.parse::<u64>()), (Ok(lo), Ok(hi)) if lo <= sequence && sequence < hi),
        None => false,
    })
}
