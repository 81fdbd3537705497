// A client of a Raftwire node in stock Thrift: one write, the same write again, one read, and the node's status.
//
//     node client.js ADDRESS [CLIENT]
//
// It does so over framed Compact and then over framed Binary. ADDRESS is any node of a raftbench cluster, CLIENT a number of
// its own for everyone who writes to it. docs/guides/other-languages.md says why each answer is treated as it is.
'use strict';

const { setTimeout: sleep } = require('node:timers/promises');
const thrift = require('thrift');
const Int64 = require('node-int64');
const RaftClient = require('./build/RaftClient');
const t = require('./build/raft_types');

const GROUP = 1;
const TIMEOUT_MS = 5000; // of one call
const PATIENCE_MS = 15000; // for one operation, redirects and retries included
const PAUSE_MS = 100; // before a retry, where the node names no other time
const PROTOCOLS = { compact: thrift.TCompactProtocol, binary: thrift.TBinaryProtocol };

// ConnectionLost says that a call has no answer: it may have been carried out.
class ConnectionLost extends Error {}

// digits returns an i64 in full: a Number would lose what is above 2^53.
const digits = (i64) => new Int64(i64.buffer ?? i64).buffer.readBigInt64BE().toString();

// Client calls one node at a time and goes where NotLeader points.
class Client {
  constructor(protocol, address) {
    this.protocol = protocol;
    this.seed = address;
    this.address = address;
  }

  async connect() {
    const colon = this.address.lastIndexOf(':');
    const host = this.address.slice(0, colon).replace(/^\[|\]$/g, '');
    const connection = thrift.createConnection(host, Number(this.address.slice(colon + 1)), {
      transport: thrift.TFramedTransport,
      protocol: PROTOCOLS[this.protocol],
    });
    // The library forgets the calls of a connection that ends, so each call also waits for that.
    this.lost = new Promise((_, reject) => {
      connection.on('error', (e) => reject(new ConnectionLost(`${this.address}: ${e.message || e.code}`)));
      connection.on('close', () => reject(new ConnectionLost(`${this.address}: connection closed`)));
    });
    this.lost.catch(() => {});
    this.connection = connection;
    await Promise.race([new Promise((resolve) => connection.on('connect', resolve)), this.lost]);
    this.stub = thrift.createClient(RaftClient, connection);
  }

  close() {
    this.connection?.destroy();
    this.connection = this.stub = undefined;
  }

  move(address) {
    this.close();
    this.address = address;
  }

  // callOnce makes one call on the connection that there is, or a new one.
  async callOnce(method, request) {
    if (!this.stub) await this.connect();
    const limit = new AbortController();
    const late = sleep(2 * TIMEOUT_MS, undefined, { signal: limit.signal }).then(() => {
      throw new ConnectionLost(`${this.address}: no answer`);
    });
    late.catch(() => {});
    try {
      return await Promise.race([this.stub[method](request), this.lost, late]);
    } finally {
      limit.abort();
    }
  }

  // call repeats a call until it succeeds, fails for good, or the patience is over.
  //
  // A write that is sent again may be carried out twice. Here that does no harm: the command carries a client's number and a
  // sequence number, and the node's state machine applies such a pair once.
  async call(method, request) {
    const deadline = Date.now() + PATIENCE_MS;
    for (let redirects = 0; ; ) {
      let pause = PAUSE_MS;
      try {
        return await this.callOnce(method, request);
      } catch (e) {
        if (e instanceof t.NotLeader) {
          if (e.leaderAddress) {
            console.log(`${this.protocol}: ${method}: ${this.address} does not lead, redirected to ${e.leaderAddress}`);
            this.move(e.leaderAddress);
            pause = PAUSE_MS * redirects++; // two nodes may name each other for a while
          }
        } else if (e instanceof t.Unavailable) {
          pause = e.retryAfterMs || PAUSE_MS;
        } else if (e instanceof t.Rejected && e.code === t.RejectCode.BUSY) {
          // nothing was carried out: again after the pause
        } else if (e instanceof ConnectionLost) {
          this.move(this.seed);
        } else {
          throw e;
        }
        if (Date.now() + pause > deadline) throw e;
      }
      await sleep(pause);
    }
  }

  propose(command) {
    return this.call('Propose', new t.ProposeRequest({ group: GROUP, command, timeoutMs: TIMEOUT_MS }));
  }

  read(query) {
    const consistency = t.Consistency.LINEARIZABLE;
    return this.call('Read', new t.ReadRequest({ group: GROUP, query: Buffer.from(query), consistency, timeoutMs: TIMEOUT_MS }));
  }

  async status() {
    const s = await this.call('Status', new t.StatusRequest({ group: GROUP }));
    const role = Object.keys(t.Role).find((name) => t.Role[name] === s.role);
    console.log(
      `${this.protocol}: node ${digits(s.node)} is ${role} in term ${digits(s.term)}, ` +
        `leader ${digits(s.leader)}, applied ${digits(s.applied)}`,
    );
  }
}

// holds tells whether a number lies in ranges such as "1..5 7..9", ends not included.
function holds(ranges, sequence) {
  return ranges.split(' ').some((range) => {
    const [lo, hi] = range.split('..').map(BigInt);
    return lo <= sequence && sequence < hi;
  });
}

function commandOf(clientID, sequence) {
  const head = Buffer.alloc(12);
  head.writeUInt32BE(clientID, 0);
  head.writeBigUInt64BE(sequence, 4);
  return Buffer.concat([head, Buffer.from('from Node')]);
}

async function session(protocol, address, clientID, sequence) {
  const client = new Client(protocol, address);
  try {
    await client.connect(); // an address where nobody listens is not tried again
    await client.status();
    const command = commandOf(clientID, sequence);
    const first = await client.propose(command);
    console.log(`${protocol}: proposed ${clientID}/${sequence}: index ${digits(first.index)}, term ${digits(first.term)}`);
    const again = await client.propose(command);
    console.log(`${protocol}: proposed again: index ${digits(again.index)}, ${again.result}`);
    if (String(again.result) !== 'duplicate' || BigInt(digits(again.index)) <= BigInt(digits(first.index))) {
      throw new Error(`the second answer is ${JSON.stringify(again)}`);
    }
    const answer = await client.read(`client ${clientID}`);
    console.log(`${protocol}: read at index ${digits(answer.index)}: ${answer.result}`);
    if (!holds(String(answer.result), sequence) || BigInt(digits(answer.index)) < BigInt(digits(again.index))) {
      throw new Error(`the read does not show ${sequence}`);
    }
    await client.status();
  } finally {
    client.close();
  }
}

async function main(args) {
  if (args.length !== 1 && args.length !== 2) {
    console.error('usage: node client.js ADDRESS [CLIENT]');
    return 2;
  }
  let sequence = BigInt(Date.now()) * 1000n;
  for (const protocol of Object.keys(PROTOCOLS)) {
    try {
      await session(protocol, args[0], Number(args[1] ?? 1), sequence++);
    } catch (e) {
      console.error(`client: ${protocol}: ${e.name}: ${e.reason ?? e.message}`);
      return 1;
    }
  }
  console.log('ok');
  return 0;
}

main(process.argv.slice(2)).then((code) => (process.exitCode = code));
